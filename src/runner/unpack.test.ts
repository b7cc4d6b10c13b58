import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { hashFile } from '../hash.ts';
import { handMadeZip } from '../processes/hand-made-zip.ts';
import { unpackBundle } from './unpack.ts';

let home: string;
let archive: string;
let cache: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'unpack-'));
  archive = join(home, 'bundle.zip');
  cache = join(home, 'cache');
  const descriptor = `<bundleDescriptor><bundleName>b</bundleName><bundleVersion>1</bundleVersion>
    <processorDescriptors><processorDescriptor><executableName>x</executableName></processorDescriptor>
    </processorDescriptors></bundleDescriptor>`;
  const files = Array.from({ length: 50 }, (_, n) => ({ name: `data/${n}`, content: `${n}` }));
  const entries = [{ name: 'bundle-descriptor.xml', content: descriptor }, ...files];
  await writeFile(archive, handMadeZip([...entries, { name: 'x-process', content: '#!/bin/sh' }]));
});
afterEach(() => rm(home, { recursive: true, force: true }));

test('a bundle is unpacked to its hash, once', async () => {
  const hash = await hashFile(archive);
  const directory = await unpackBundle(archive, hash, cache);
  expect(directory).toBe(join(cache, hash));
  expect((await stat(join(directory, 'x-process'))).mode & 0o777).toBe(0o555);
  await rm(archive);
  expect(await unpackBundle(archive, hash, cache), 'without the archive').toBe(directory);
});

test('an archive with another hash is refused and leaves nothing', async () => {
  await expect(unpackBundle(archive, 'f'.repeat(64), cache)).rejects.toMatchObject({
    code: 'INVALID_BUNDLE',
    message: expect.stringContaining('is not the bundle that was deployed'),
  });
  expect(await readdir(cache)).toEqual([]);
});

test('an archive that is refused leaves nothing', async () => {
  await writeFile(archive, handMadeZip([{ name: '../evil', content: 'x' }]));
  await expect(unpackBundle(archive, await hashFile(archive), cache)).rejects.toThrow('climbs out');
  expect(await readdir(cache)).toEqual([]);
});

test('what a killed process left half unpacked is not used', async () => {
  await mkdir(join(cache, '.unpacking-dead'), { recursive: true });
  await writeFile(join(cache, '.unpacking-dead/x-process'), 'half');
  const directory = await unpackBundle(archive, await hashFile(archive), cache);
  expect(await readFile(join(directory, 'x-process'), 'utf8')).toBe('#!/bin/sh');
});

test('calls at the same time, in this process and in others, all get the whole bundle', async () => {
  const hash = await hashFile(archive);
  const program = join(home, 'unpack.mjs');
  const module = join(import.meta.dirname, 'unpack.ts');
  await writeFile(
    program,
    `import { unpackBundle } from ${JSON.stringify(module)};
     await unpackBundle(...${JSON.stringify([archive, hash, cache])});`,
  );
  const others = [1, 2].map(() => once(fork(program, { execArgv: [] }), 'exit'));
  const ours = Array.from({ length: 8 }, () => unpackBundle(archive, hash, cache));
  expect(new Set(await Promise.all(ours))).toEqual(new Set([join(cache, hash)]));
  expect((await Promise.all(others)).map(([code]) => code)).toEqual([0, 0]);
  expect(await readdir(cache)).toEqual([hash]);
  expect(await readdir(join(cache, hash, 'data'))).toHaveLength(50);
});
