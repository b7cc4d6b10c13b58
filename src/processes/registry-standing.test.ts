import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DEFAULT_LIMITS } from './archive.ts';
import { handMadeZip } from './hand-made-zip.ts';
import { createRegistry } from './registry.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'registry-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

let time = 1_500_000_000_000;
const open = () =>
  createRegistry({
    directory: join(home, 'bundles'),
    limits: DEFAULT_LIMITS,
    now: () => (time += 1000),
    log: { warn: (_, message) => expect.unreachable(message) },
  });

async function zip(name: string, version: string, more = ''): Promise<string> {
  const content = `<bundleDescriptor><bundleName>${name}</bundleName><bundleVersion>${version}</bundleVersion>
   <processorDescriptors><processorDescriptor><executableName>x</executableName>
   </processorDescriptor></processorDescriptors></bundleDescriptor>`;
  const path = join(await mkdtemp(join(home, 'source-')), 'bundle.zip');
  const files = [
    { name: 'bundle-descriptor.xml', content },
    { name: 'x-process', content: `#!/bin/sh\n${more}` },
  ];
  await writeFile(path, handMadeZip(files));
  return path;
}

const nobody = async () => false;

test("a user's bundle is his own until it is deployed, also after a restart", async () => {
  const registry = await open();
  const bundle = await registry.upload(await zip('b', '1'), 'anna', 'public');
  expect(bundle).toMatchObject({ state: 'uploaded', visibility: 'public', deployedBy: 'anna' });
  await registry.change('b~1', { state: 'vetted' }, 'olga');
  const deployed = await registry.change('b~1', { state: 'deployed' }, 'olga');
  expect(deployed.history.map(({ by, to }) => `${by} ${to}`)).toEqual([
    'anna uploaded',
    'olga vetted',
    'olga deployed',
  ]);
  // What is known of its processes is kept by the processor, so that a list of many stays fast.
  expect(deployed.processors).toBe(bundle.processors);
  expect((await open()).bundles()).toEqual([deployed]);
  expect((await readdir(join(home, 'bundles'))).toSorted()).toEqual(['b~1.json', 'b~1.zip']);
});

test('what the centre brings is there for all at once', async () => {
  const registry = await open();
  const bundle = await registry.deploy(await zip('b', '1'), 'configuration');
  expect(bundle).toMatchObject({ state: 'deployed', visibility: 'public' });
});

test('a record without a standing counts as deployed and public', async () => {
  const registry = await open();
  await registry.deploy(await zip('b', '1'), 'anna');
  const file = join(home, 'bundles', 'b~1.json');
  const { standing: _, ...record } = JSON.parse(await readFile(file, 'utf8')) as Record<
    string,
    unknown
  >;
  await writeFile(file, JSON.stringify(record));
  const again = await open();
  expect(again.bundles()).toMatchObject([{ state: 'deployed', visibility: 'public', history: [] }]);
  await again.change('b~1', { state: 'withdrawn' }, 'olga');
  expect((await open()).bundles()).toMatchObject([{ state: 'withdrawn' }]);
});

test('names belong to who came first, and a refusal does not tell who that is', async () => {
  const registry = await open();
  await registry.upload(await zip('b', '1'), 'anna', 'private');
  await registry.deploy(await zip('c', '1'), 'configuration');
  for (const [name, version] of [
    ['b', '1'],
    ['b', '2'],
    ['c', '2'],
  ] as const) {
    await expect(registry.upload(await zip(name, version), 'bert', 'public')).rejects.toThrow(
      `The bundle name ${name} is taken: choose another one.`,
    );
  }
  await expect(registry.upload(await zip('b', '2'), 'anna', 'private')).resolves.toBeDefined();
  await expect(registry.deploy(await zip('b', '3'), 'olga')).resolves.toBeDefined();
  await expect(registry.upload(await zip('b', '4'), 'anna', 'private')).resolves.toBeDefined();
  await expect(registry.upload(await zip('b', '1', 'other'), 'anna', 'private')).rejects.toThrow(
    'raise the version',
  );
});

test('a withdrawn bundle takes no new jobs, and is still there for those that run', async () => {
  const registry = await open();
  await registry.deploy(await zip('b', '1'), 'operator');
  await registry.change('b~1', { state: 'withdrawn' }, 'olga');
  expect(() => registry.offered('b~1~x')).toThrow(/^The bundle b~1 was withdrawn/);
  expect(registry.find('b~1~x').bundle.state).toBe('withdrawn');
  await registry.change('b~1', { state: 'deployed' }, 'olga');
  expect(registry.offered('b~1~x').bundle.state).toBe('deployed');
});

test('a bundle is removed when it is not offered and no job needs it', async () => {
  const registry = await open();
  await registry.deploy(await zip('b', '1'), 'operator');
  await expect(registry.remove('b~1', nobody)).rejects.toThrow('is deployed: withdraw it first');
  await registry.change('b~1', { state: 'withdrawn' }, 'olga');
  await expect(registry.remove('b~1', async () => true)).rejects.toMatchObject({
    code: 'CONFLICT',
  });
  expect(registry.bundles()).toHaveLength(1);
  await registry.remove('b~1', nobody);
  expect(registry.bundles()).toEqual([]);
  expect(await readdir(join(home, 'bundles'))).toEqual([]);
  await expect(registry.remove('b~1', nobody)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  // Who removed it may have meant to correct it.
  await registry.deploy(await zip('b', '1', 'other'), 'operator');
});
