import { chmod, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { hashFile } from '../hash.ts';
import {
  type ArchiveLimits,
  createAllowance,
  DEFAULT_LIMITS,
  inspectArchive,
  packDirectory,
  readZip,
} from './archive.ts';
import { type HandMadeEntry, handMadeZip } from './hand-made-zip.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'archive-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const DESCRIPTOR: HandMadeEntry = { name: 'bundle-descriptor.xml', content: '<bundleDescriptor/>' };

async function inspect(entries: readonly HandMadeEntry[], limits: Partial<ArchiveLimits> = {}) {
  const file = join(home, 'bundle.zip');
  await writeFile(file, handMadeZip(entries));
  return inspectArchive(file, { ...DEFAULT_LIMITS, ...limits });
}

test('the descriptor is read without unpacking', async () => {
  const found = await inspect([{ name: 'x-process', content: '#!/bin/sh' }, DESCRIPTOR]);
  expect(found).toEqual({ file: 'bundle-descriptor.xml', text: '<bundleDescriptor/>' });
});

test('a bundle descriptor goes before the descriptor of a package', async () => {
  const found = await inspect([{ name: 'descriptor.xml', content: '<descriptor/>' }, DESCRIPTOR]);
  expect(found.file).toBe('bundle-descriptor.xml');
});

test.each([
  ['../evil', 'climbs out with ..'],
  ['a/../../evil', 'climbs out with ..'],
  ['..', 'climbs out with ..'],
  ['/etc/passwd', 'is absolute'],
  ['C:/evil', 'begins with a drive letter'],
  ['c:evil', 'begins with a drive letter'],
  ['a\\..\\evil', 'has a backslash'],
  ['a\nb', 'has control characters'],
  ['a\u0000b', 'has control characters'],
  ['a//b', 'is not a plain path'],
  ['./a', 'is not a plain path'],
  ['', 'is not a plain path'],
  ['x'.repeat(600), 'is longer than 512 bytes'],
])('the entry %j is refused', async (name, reason) => {
  await expect(inspect([DESCRIPTOR, { name, content: 'x' }])).rejects.toMatchObject({
    code: 'INVALID_BUNDLE',
    message: expect.stringContaining(reason),
  });
});

test.each([
  ['a link', 0o120_777],
  ['a device', 0o020_644],
  ['a pipe', 0o010_644],
])('%s is refused', async (_, mode) => {
  await expect(inspect([DESCRIPTOR, { name: 'x', content: '/etc', mode }])).rejects.toThrow(
    '"x", which is a link or a special file',
  );
});

test.each([
  [['x', 'x'], 'has "x" twice'],
  [['x', 'x/'], 'has "x" twice'],
  [['x/y', 'x'], 'has "x" twice'],
  [['x', 'x/y'], '"x/y" below a file'],
])('entries %j that claim one path are refused', async (names, reason) => {
  await expect(inspect([DESCRIPTOR, ...names.map((name) => ({ name }))])).rejects.toThrow(reason);
});

test('a directory may be listed after its files', async () => {
  await expect(inspect([DESCRIPTOR, { name: 'x/y' }, { name: 'x/' }])).resolves.toBeDefined();
});

test.each<[string, Partial<ArchiveLimits>, string]>([
  ['archive', { compressedBytes: 100 }, 'more than the 100 that are allowed'],
  ['content', { expandedBytes: 100 }, 'more than 100 bytes when unpacked'],
  ['number of entries', { entries: 2 }, 'more than 2 files and directories'],
])('a %s beyond the limit is refused', async (_, limits, reason) => {
  const entries = [
    DESCRIPTOR,
    { name: 'a', content: 'x'.repeat(60) },
    { name: 'b', content: 'y'.repeat(60) },
  ];
  await expect(inspect(entries)).resolves.toBeDefined();
  await expect(inspect(entries, limits)).rejects.toMatchObject({
    code: 'INVALID_BUNDLE',
    message: expect.stringContaining(reason),
  });
});

test('an entry with more bytes than it claims can not be read', async () => {
  const file = join(home, 'bundle.zip');
  await writeFile(
    file,
    handMadeZip([{ name: 'bomb', content: Buffer.alloc(1e6), claimedSize: 10 }]),
  );
  let read = 0;
  const drained = readZip(file, DEFAULT_LIMITS, createAllowance(DEFAULT_LIMITS), async (entry) => {
    for await (const chunk of await entry.open()) read += (chunk as Buffer).length;
  });
  await expect(drained).rejects.toMatchObject({ code: 'INVALID_BUNDLE' });
  expect(read).toBeLessThanOrEqual(10);
});

test('a zip without a descriptor is refused in the words that uploads know', async () => {
  await expect(inspect([{ name: 'x' }])).rejects.toThrow(
    /^Zip file does not contain a bundle-descriptor.xml file\.$/,
  );
});

test('a descriptor below a top directory is refused with a hint', async () => {
  await expect(inspect([{ name: 'timescan/bundle-descriptor.xml' }])).rejects.toThrow(
    'It has timescan/bundle-descriptor.xml: pack what is in that directory',
  );
});

test.each(['', 'this is no zip file', 'PK\u0003\u0004'])(
  'the file %j is no zip',
  async (content) => {
    const file = join(home, 'bundle.zip');
    await writeFile(file, content);
    await expect(inspectArchive(file, DEFAULT_LIMITS)).rejects.toMatchObject({
      code: 'INVALID_BUNDLE',
    });
  },
);

async function lay(directory: string, files: ReadonlyMap<string, string>): Promise<void> {
  for (const [path, content] of files) {
    const target = join(directory, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, content);
    if (content.startsWith('#!')) await chmod(target, 0o755);
  }
}

test('the same content is packed to the same bytes, in whatever order and whenever it came', async () => {
  const name = fc.stringMatching(/^[a-z][a-z.]{0,3}$/);
  const path = fc
    .array(name, { minLength: 1, maxLength: 3 })
    .map((parts) => `${parts.join('/')}/f`);
  const content = fc.oneof(fc.string(), fc.constant('#!/bin/sh\n'));
  const tree = fc
    .dictionary(path, content, { minKeys: 1, maxKeys: 8 })
    .map((files) =>
      Object.entries(files).filter(
        ([file], _, all) => !all.some(([other]) => other.startsWith(`${file}/`)),
      ),
    );
  let round = 0;
  await fc.assert(
    fc.asyncProperty(tree, fc.integer({ min: 1, max: 1e9 }), async (files, time) => {
      const [one, other] = [join(home, `one${++round}`), join(home, `other${round}`)];
      await mkdir(one);
      await mkdir(other);
      await lay(one, new Map(files));
      await lay(other, new Map(files.toReversed()));
      for (const [file] of files) await utimes(join(other, file), time, time);
      await packDirectory(one, `${one}.zip`, DEFAULT_LIMITS);
      await packDirectory(other, `${other}.zip`, DEFAULT_LIMITS);
      expect(await hashFile(`${other}.zip`)).toBe(await hashFile(`${one}.zip`));
      const packed: [string, boolean][] = [];
      await readZip(
        `${one}.zip`,
        DEFAULT_LIMITS,
        createAllowance(DEFAULT_LIMITS),
        async (entry) => {
          packed.push([entry.path, entry.executable]);
        },
      );
      const sorted = files.map(([file]) => file).toSorted();
      const contents = new Map(files);
      expect(packed).toEqual(sorted.map((file) => [file, contents.get(file)!.startsWith('#!')]));
    }),
    { numRuns: 40 },
  );
});

test('a known directory has a known hash, on whatever day and machine', async () => {
  await mkdir(join(home, 'in'));
  await lay(
    join(home, 'in'),
    new Map([
      ['x-process', '#!/bin/sh\n'],
      ['data/a', 'a'],
    ]),
  );
  await packDirectory(join(home, 'in'), join(home, 'out.zip'), DEFAULT_LIMITS);
  expect(await hashFile(join(home, 'out.zip'))).toBe(
    '8a34adc2851e402bffcf28c102de08228fe5d7a97cb40620e5f5084650b0e15f',
  );
});

test('a changed byte or a changed mode changes the hash', async () => {
  const hashes = new Set<string>();
  for (const [content, mode] of [
    ['a', 0o644],
    ['b', 0o644],
    ['a', 0o755],
    ['a', 0o600],
  ] as const) {
    const directory = await mkdtemp(join(home, 'x'));
    await writeFile(join(directory, 'file'), content);
    await chmod(join(directory, 'file'), mode);
    await packDirectory(directory, `${directory}.zip`, DEFAULT_LIMITS);
    hashes.add(await hashFile(`${directory}.zip`));
  }
  // Who may read it in the directory is not part of a bundle: the last is as the first.
  expect(hashes.size).toBe(3);
});

test('a link to a file of the directory is packed as that file', async () => {
  await mkdir(join(home, 'in'));
  await writeFile(join(home, 'in/lib.so.1'), 'code');
  await symlink('lib.so.1', join(home, 'in/lib.so'));
  await packDirectory(join(home, 'in'), join(home, 'out.zip'), DEFAULT_LIMITS);
  expect((await readFile(join(home, 'out.zip'), 'latin1')).match(/code/g)).toHaveLength(2);
});

test.each([
  ['../secret', 'leads out of the bundle'],
  ['/etc/passwd', 'leads out of the bundle'],
  ['nowhere', 'is a link to nowhere'],
  ['.', 'leads out of the bundle'],
  ['sub', 'is a link to a directory'],
])('a link to %s is refused', async (target, reason) => {
  await mkdir(join(home, 'in/sub'), { recursive: true });
  await writeFile(join(home, 'secret'), '');
  await symlink(target, join(home, 'in/link'));
  await expect(
    packDirectory(join(home, 'in'), join(home, 'out.zip'), DEFAULT_LIMITS),
  ).rejects.toThrow(reason);
});

test('a directory beyond the limits is refused before it is packed', async () => {
  await mkdir(join(home, 'in'));
  await writeFile(join(home, 'in/a'), 'x'.repeat(1000));
  await expect(
    packDirectory(join(home, 'in'), join(home, 'out.zip'), {
      ...DEFAULT_LIMITS,
      expandedBytes: 999,
    }),
  ).rejects.toThrow('more than 999 bytes');
});
