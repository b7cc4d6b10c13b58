import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { create as createTar, Header } from 'tar';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ArchiveLimits, DEFAULT_LIMITS } from './archive.ts';
import { extractBundle } from './extract.ts';
import { type HandMadeEntry, handMadeZip } from './hand-made-zip.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'extract-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const out = (path: string) => join(home, 'out', path);

const DESCRIPTOR: HandMadeEntry = {
  name: 'bundle-descriptor.xml',
  content: `<bundleDescriptor><bundleName>b</bundleName><bundleVersion>1</bundleVersion><processorDescriptors>
    <processorDescriptor><executableName>x</executableName></processorDescriptor>
    </processorDescriptors></bundleDescriptor>`,
};

async function extract(entries: readonly HandMadeEntry[], limits: Partial<ArchiveLimits> = {}) {
  await writeFile(join(home, 'bundle.zip'), handMadeZip([DESCRIPTOR, ...entries]));
  await rm(out('.'), { recursive: true, force: true });
  await mkdir(out('.'));
  return extractBundle(join(home, 'bundle.zip'), join(home, 'out'), {
    ...DEFAULT_LIMITS,
    ...limits,
  });
}

const modeOf = async (path: string) => ((await stat(out(path))).mode & 0o777).toString(8);

interface TarEntry {
  readonly path: string;
  readonly type?: 'File' | 'SymbolicLink' | 'Link' | 'Directory' | 'CharacterDevice' | 'FIFO';
  readonly content?: string;
  readonly linkpath?: string;
  readonly mode?: number;
}

/** A tar archive of exactly these headers. */
function handMadeTar(entries: readonly TarEntry[]): Buffer {
  const blocks = entries.flatMap(
    ({ path, type = 'File', content = '', linkpath = '', mode = 0o644 }) => {
      const header = new Header({
        path,
        type,
        size: content.length,
        linkpath,
        mode,
        mtime: new Date(0),
      });
      const block = Buffer.alloc(512);
      header.encode(block);
      const body = Buffer.alloc(Math.ceil(content.length / 512) * 512);
      body.write(content);
      return [block, body];
    },
  );
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

test('files are unpacked read-only and stay executable', async () => {
  const extracted = await extract([
    { name: 'tool', content: 'run', mode: 0o100_755 },
    { name: 'data/table.csv', content: '1,2', mode: 0o100_666 },
    { name: 'x-process', content: '#!/bin/sh', mode: 0 },
    { name: 'data/x-process', content: 'not called', mode: 0 },
  ]);
  expect(await modeOf('tool')).toBe('555');
  expect(await modeOf('data/table.csv')).toBe('444');
  expect(await modeOf('x-process'), 'also from a zip that knows no modes').toBe('555');
  expect(await modeOf('data/x-process')).toBe('444');
  expect(extracted.files).toEqual(new Set(['bundle-descriptor.xml', 'tool', 'x-process']));
});

test.each(['simple.tar.gz', 'simple.tgz', 'simple.tar', 'simple.zip'])(
  'the archive %s inside is unpacked to simple/',
  async (name) => {
    await mkdir(join(home, 'in/bin'), { recursive: true });
    await writeFile(join(home, 'in/bin/copy'), 'program', { mode: 0o755 });
    const tarball = join(home, name);
    if (name.endsWith('.zip')) {
      await writeFile(
        tarball,
        handMadeZip([{ name: 'bin/copy', content: 'program', mode: 0o100_755 }]),
      );
    } else {
      await createTar({ cwd: join(home, 'in'), file: tarball, gzip: !name.endsWith('.tar') }, [
        '.',
      ]);
    }
    await extract([{ name, content: await readFile(tarball) }]);
    expect(await readFile(out('simple/bin/copy'), 'utf8')).toBe('program');
    expect(await modeOf('simple/bin/copy')).toBe('555');
  },
);

test('links inside an inner archive stay links', async () => {
  await mkdir(join(home, 'in/lib'), { recursive: true });
  await writeFile(join(home, 'in/lib/a.so.1'), 'code');
  await symlink('a.so.1', join(home, 'in/lib/a.so'));
  await symlink('lib', join(home, 'in/lib64'));
  await createTar({ cwd: join(home, 'in'), file: join(home, 'x.tgz'), gzip: true }, [
    'lib',
    'lib64',
  ]);
  await extract([{ name: 'x.tgz', content: await readFile(join(home, 'x.tgz')) }]);
  expect(await readFile(out('x/lib64/a.so'), 'utf8')).toBe('code');
});

test.each<[string, readonly TarEntry[], string]>([
  ['that climbs out', [{ path: '../evil' }], 'climbs out with ..'],
  ['with an absolute path', [{ path: '/tmp/evil' }], 'is absolute'],
  ['that is a link out', [{ path: 'l', type: 'SymbolicLink', linkpath: '../../..' }], 'leads out'],
  [
    'that is an absolute link',
    [{ path: 'l', type: 'SymbolicLink', linkpath: '/etc' }],
    'leads out',
  ],
  [
    'that is a dangling link',
    [{ path: 'l', type: 'SymbolicLink', linkpath: 'gone' }],
    'to nowhere',
  ],
  [
    'that leads out through another link',
    [
      { path: 'p/q', type: 'Directory', mode: 0o755 },
      { path: 'p/q/r', type: 'SymbolicLink', linkpath: '../..' },
      { path: 'e', type: 'SymbolicLink', linkpath: 'p/q/r/../..' },
    ],
    'leads out',
  ],
  [
    'that is written through a link',
    [
      { path: 'l', type: 'SymbolicLink', linkpath: '.' },
      { path: 'l/x', content: 'x' },
    ],
    'below a file',
  ],
  [
    'that is a hard link',
    [{ path: 'h', type: 'Link', linkpath: '../../bundle.zip' }],
    '--hard-dereference',
  ],
  ['that is a device', [{ path: 'd', type: 'CharacterDevice' }], 'neither a file nor a directory'],
  ['that is a pipe', [{ path: 'd', type: 'FIFO' }], 'neither a file nor a directory'],
  ['that comes twice', [{ path: 'a' }, { path: './a' }], 'has "a" twice'],
])('an inner archive with an entry %s is refused', async (_, entries, reason) => {
  for (const name of ['bad.tar', 'bad.tar.gz']) {
    const tar = handMadeTar([{ path: 'first', content: 'x' }, ...entries]);
    await expect(
      extract([{ name, content: name.endsWith('.gz') ? gzipSync(tar) : tar }]),
    ).rejects.toMatchObject({ code: 'INVALID_BUNDLE', message: expect.stringContaining(reason) });
    expect((await readdir(home)).toSorted()).toEqual(['bundle.zip', 'out']);
  }
});

test('an inner zip is checked like an outer one', async () => {
  const inner = handMadeZip([{ name: '../evil', content: 'x' }]);
  await expect(extract([{ name: 'bad.zip', content: inner }])).rejects.toThrow(
    'bad.zip: The bundle has an entry "../evil", which climbs out with ..',
  );
});

test('what inner archives hold counts towards the limits', async () => {
  const tar = handMadeTar([
    { path: 'a', content: 'x'.repeat(5000) },
    { path: 'b', content: 'x'.repeat(5000) },
  ]);
  const entries = [{ name: 'in.tgz', content: gzipSync(tar) }];
  await expect(extract(entries, { expandedBytes: 10_000 })).rejects.toThrow(
    'more than 10000 bytes',
  );
  await expect(extract(entries, { entries: 3 })).rejects.toThrow('more than 3 files');
});

test('an inner archive that swells without an end is given up', async () => {
  const bomb = gzipSync(Buffer.concat([handMadeTar([{ path: 'a' }]), Buffer.alloc(5_000_000)]));
  await expect(
    extract([{ name: 'bomb.tgz', content: bomb }], { expandedBytes: 100_000 }),
  ).rejects.toThrow('bomb.tgz: It has more than 100000 bytes');
});

test.each([
  ['broken.tgz', 'no gzip'],
  ['broken.tar', 'x'.repeat(2000)],
  ['broken.tgz', gzipSync('x'.repeat(2000))],
  ['broken.zip', 'no zip'],
])('the unreadable inner archive %s is refused by name', async (name, content) => {
  await expect(extract([{ name, content }])).rejects.toMatchObject({
    code: 'INVALID_BUNDLE',
    message: expect.stringContaining(`${name}: `),
  });
});

test('an inner archive that would overwrite what is there is refused', async () => {
  await expect(
    extract([
      { name: 'lib.zip', content: handMadeZip([]) },
      { name: 'lib', content: 'x' },
    ]),
  ).rejects.toThrow('lib.zip would be unpacked to lib, which the bundle has already');
});

test('an entry whose content does not fit its checksum is refused', async () => {
  await expect(extract([{ name: 'a', content: 'abc', claimedCrc: 1 }])).rejects.toThrow(
    'entry "a" is damaged',
  );
});

test('an entry that has more bytes than it claims is refused', async () => {
  await expect(extract([{ name: 'a', content: 'abc', claimedSize: 1 }])).rejects.toMatchObject({
    code: 'INVALID_BUNDLE',
  });
});

const PACKAGE: HandMadeEntry = {
  name: 'descriptor.xml',
  content: `<descriptor><processor><name>P</name><executable>run.sh</executable>
    <packaging><name>pack</name><version>3.2</version></packaging></processor></descriptor>`,
};

async function extractPackage(entries: readonly HandMadeEntry[]) {
  await writeFile(join(home, 'bundle.zip'), handMadeZip([PACKAGE, ...entries]));
  await mkdir(out('.'));
  return extractBundle(join(home, 'bundle.zip'), join(home, 'out'), DEFAULT_LIMITS);
}

test('the program of an Urban TEP package is started as <processor>-process from any directory', async () => {
  const { files } = await extractPackage([
    { name: 'pack-3.2/run.sh', content: '#!/bin/sh\necho "$(basename "$(dirname "$0")") $1 $2"\n' },
  ]);
  expect(files).toContain('P-process');
  const said = execFileSync(out('P-process'), ['a b', '$c'], { cwd: tmpdir(), encoding: 'utf8' });
  expect(said).toBe('pack-3.2 a b $c\n');
});

test('the software of a package may come as an archive', async () => {
  const tar = gzipSync(handMadeTar([{ path: 'run.sh', content: '#!/bin/sh\necho here\n' }]));
  await extractPackage([{ name: 'pack-3.2.tar.gz', content: tar }]);
  expect(execFileSync(out('P-process'), { encoding: 'utf8' })).toBe('here\n');
});

test('a package without its program is refused', async () => {
  await expect(extractPackage([{ name: 'run.sh' }])).rejects.toThrow(
    "'P' has no executable: looked for pack-3.2/run.sh in the package.",
  );
});
