import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { existsSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { hashFile } from '../hash.ts';
import { DEFAULT_LIMITS } from './archive.ts';
import { handMadeZip } from './hand-made-zip.ts';
import { createRegistry } from './registry.ts';

let home: string;
let directory: string;
let warnings: { details: object; message: string }[];
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'registry-'));
  directory = join(home, 'bundles');
  warnings = [];
});
afterEach(() => rm(home, { recursive: true, force: true }));

const open = (limits = {}) =>
  createRegistry({
    directory,
    limits: { ...DEFAULT_LIMITS, ...limits },
    now: () => 1_500_000_000_000,
    log: { warn: (details, message) => warnings.push({ details, message }) },
  });

const descriptor = (name: string, version: string, processor = 'x', more = '') =>
  `<bundleDescriptor><bundleName>${name}</bundleName><bundleVersion>${version}</bundleVersion>
   <processorDescriptors><processorDescriptor><executableName>${processor}</executableName>${more}
   </processorDescriptor></processorDescriptors></bundleDescriptor>`;

/** A bundle's directory, ready to be deployed. */
async function source(
  name = 'b',
  version = '1',
  options: { processor?: string; more?: string; files?: object } = {},
) {
  const path = await mkdtemp(join(home, 'source-'));
  const { processor = 'x', more = '', files = {} } = options;
  const all = {
    'bundle-descriptor.xml': descriptor(name, version, processor, more),
    [`${processor}-process`]: '#!/bin/sh\n',
    ...files,
  };
  for (const [file, content] of Object.entries(all)) await writeFile(join(path, file), content);
  return path;
}

test('a deployed directory becomes one archive, and is there after a restart', async () => {
  const registry = await open();
  const deployed = await registry.deploy(await source(), 'anna');
  expect(deployed).toMatchObject({
    name: 'b',
    version: '1',
    hash: await hashFile(join(directory, 'b~1.zip')),
    archive: join(directory, 'b~1.zip'),
    size: (await stat(join(directory, 'b~1.zip'))).size,
    deployedAt: 1_500_000_000_000,
    deployedBy: 'anna',
    processors: [{ executableName: 'x', executables: { process: 'x-process' } }],
  });
  expect((await readdir(directory)).toSorted()).toEqual(['b~1.json', 'b~1.zip']);
  expect((await open()).bundles()).toEqual([deployed]);
});

test('a zip is deployed as it is', async () => {
  const zip = join(home, 'upload.zip');
  await writeFile(
    zip,
    handMadeZip([
      { name: 'bundle-descriptor.xml', content: descriptor('b', '1') },
      { name: 'x-process', content: '#!/bin/sh' },
    ]),
  );
  const { hash } = await (await open()).deploy(zip, 'anna');
  expect(hash).toBe(await hashFile(zip));
});

test('the same content again is the present bundle', async () => {
  const registry = await open();
  const first = await registry.deploy(await source(), 'anna');
  expect(await registry.deploy(await source(), 'bert')).toBe(first);
});

test('other content under the same version is refused and changes nothing', async () => {
  const registry = await open();
  const first = await registry.deploy(await source(), 'anna');
  const other = await source('b', '1', { files: { more: 'x' } });
  await expect(registry.deploy(other, 'anna')).rejects.toMatchObject({
    code: 'BUNDLE_EXISTS',
    message: 'Bundle b~1 is deployed already, with other content: raise the version.',
  });
  expect(registry.bundle('b', '1')).toBe(first);
  expect(await hashFile(first.archive)).toBe(first.hash);
});

test('of two contents deployed at once under one version only one gets in', async () => {
  const registry = await open();
  const other = await source('b', '1', { files: { more: 'x' } });
  const results = await Promise.allSettled([
    registry.deploy(await source(), 'anna'),
    registry.deploy(other, 'bert'),
    registry.deploy(await source('c'), 'anna'),
  ]);
  expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
});

test('names and versions that look alike when joined stay apart', async () => {
  const registry = await open();
  await registry.deploy(await source('a-1', '2'), 'anna');
  await registry.deploy(await source('a', '1-2'), 'anna');
  expect((await open()).bundles().map((bundle) => `${bundle.name} ${bundle.version}`)).toEqual([
    'a 1-2',
    'a-1 2',
  ]);
});

test('versions stand side by side in their order', async () => {
  const registry = await open();
  for (const version of ['1.10', '1.9', '2.0'])
    await registry.deploy(await source('b', version), 'anna');
  expect(registry.bundles().map((bundle) => bundle.version)).toEqual(['1.9', '1.10', '2.0']);
});

test.each([
  ['nothing', 'There is no file or directory'],
  ['no zip', 'The bundle can not be read'],
])('%s is refused and leaves nothing', async (what, reason) => {
  const path = join(home, 'what');
  if (what === 'no zip') await writeFile(path, 'text');
  const registry = await open();
  await expect(registry.deploy(path, 'anna')).rejects.toMatchObject({
    code: 'INVALID_BUNDLE',
    message: expect.stringContaining(reason),
  });
  expect(await readdir(directory)).toEqual([]);
});

const job = (value: string) =>
  `<jobConfig><jobParameter><name>calvalus.wps.spatioTemporalAggregation</name><value>${value}</value></jobParameter></jobConfig>`;
const parameter = (content: string) =>
  `<parameterDescriptors><parameterDescriptor><name>p</name>${content}</parameterDescriptor></parameterDescriptors>`;

test.each([
  ['<formatting>MANDATORY</formatting>', {}, 'x-format'],
  [job('&lt;p>&lt;aggregate>maybe&lt;/aggregate>&lt;/p>'), {}, "processor x: aggregate is 'maybe'"],
  [
    job('&lt;p>&lt;wrong>1&lt;/wrong>&lt;/p>'),
    {},
    'processor x: it has wrong, known are aggregate',
  ],
  ['<defaultParameters>no pair</defaultParameters>', {}, "processor x: 'no pair' is not key=value"],
  [
    parameter('<type>int</type><defaultValue>many</defaultValue>'),
    {},
    "the default of parameter p: 'many' is not an integer",
  ],
  [
    parameter('<valueSet>a,b</valueSet><defaultValue>c</defaultValue>'),
    {},
    "'c' is not one of a, b",
  ],
  ['', { 'inner.tgz': 'no archive' }, 'inner.tgz: '],
])('a bundle with %s %j is refused when it is deployed', async (more, files, reason) => {
  const registry = await open();
  await expect(
    registry.deploy(await source('b', '1', { more, files }), 'anna'),
  ).rejects.toMatchObject({
    code: 'INVALID_BUNDLE',
    message: expect.stringContaining(reason),
  });
  expect(await readdir(directory)).toEqual([]);
  await expect(
    registry.deploy(await source(), 'anna'),
    'the next one is not held up',
  ).resolves.toBeDefined();
});

test('a bundle beyond the limits is refused', async () => {
  const registry = await open({ compressedBytes: 10 });
  const zip = join(home, 'x.zip');
  await writeFile(zip, handMadeZip([{ name: 'a' }]));
  await expect(registry.deploy(zip, 'anna')).rejects.toThrow('more than the 10 that are allowed');
});

test('what a killed deployment left is cleaned up', async () => {
  await mkdir(join(directory, '.deploying-dead/unpacked'), { recursive: true });
  await open();
  expect(await readdir(directory)).toEqual([]);
});

test.each<[string, (path: string) => Promise<void>]>([
  ['is no JSON', (path) => writeFile(path, '{')],
  ['is something else', (path) => writeFile(path, '{"hash":1}')],
  ['lost its archive', (path) => rm(path.replace('.json', '.zip'))],
  ['has a shortened archive', (path) => writeFile(path.replace('.json', '.zip'), 'x')],
  ['has another name', (path) => cp(path, path.replace('b~1', 'c~1')).then(() => rm(path))],
])('a record that %s is told and left out; the others are there', async (_, damage) => {
  const registry = await open();
  await registry.deploy(await source('b', '1'), 'anna');
  await registry.deploy(await source('good', '1'), 'anna');
  await damage(join(directory, 'b~1.json'));
  expect((await open()).bundles().map((bundle) => bundle.name)).toEqual(['good']);
  expect(warnings).toHaveLength(1);
  expect(warnings[0]!.details).toMatchObject({ file: expect.stringContaining('~1.json') });
});

test('a damaged bundle can be deployed again', async () => {
  await (await open()).deploy(await source(), 'anna');
  await writeFile(join(directory, 'b~1.json'), '');
  const registry = await open();
  await registry.deploy(await source(), 'anna');
  expect((await open()).bundles()).toHaveLength(1);
});

test('an included bundle that is not installed is told', async () => {
  const path = await source();
  const text = await readFile(join(path, 'bundle-descriptor.xml'), 'utf8');
  const including = text.replace(
    '<processorD',
    '<includeBundle>base-1.0</includeBundle><processorD',
  );
  await writeFile(join(path, 'bundle-descriptor.xml'), including);
  const { includes } = await (await open()).deploy(path, 'anna');
  expect(includes).toEqual(['base-1.0']);
  expect(warnings).toEqual([
    { details: { bundle: 'b~1', include: 'base-1.0' }, message: expect.any(String) },
  ]);
});

test('a process is found by its identifier', async () => {
  const registry = await open();
  const bundle = await registry.deploy(await source(), 'anna');
  expect(registry.find('b~1~x')).toEqual({ bundle, processor: bundle.processors[0] });
});

test.each([
  ['b~1~y', 'b~1 has x'],
  ['b~3~x', 'b is there in 1, 2'],
  ['other~1~X', 'did you mean b~1~x or b~2~x?'],
  ['other~1~y', 'GetCapabilities lists what there is'],
  ['b~1', 'a process is named <bundle>~<version>~<processor>'],
  ['b~1~x~z', 'a process is named <bundle>~<version>~<processor>'],
  ['', 'a process is named'],
])('for the unknown process %j the answer is "%s"', async (id, hint) => {
  const registry = await open();
  await registry.deploy(await source('b', '1'), 'anna');
  await registry.deploy(await source('b', '2'), 'anna');
  expect(() => registry.find(id)).toThrow(`There is no process '${id}': ${hint}`);
  expect(() => registry.find(id)).toThrow(
    expect.objectContaining({ code: 'NO_SUCH_PROCESS', locator: 'Identifier' }),
  );
});

const EXAMPLE = join(import.meta.dirname, '../../../shared/domain/examples/package-urbantep');

test.skipIf(!existsSync(EXAMPLE))(
  'a real package of Urban TEP is deployed (skipped where it is not there)',
  async () => {
    const path = join(home, 'package');
    await mkdir(path);
    await cp(join(EXAMPLE, 'descriptor.xml'), join(path, 'descriptor.xml'));
    await cp(join(EXAMPLE, 'fmask-3.2'), join(path, 'fmask-3.2'), { recursive: true });
    const registry = await open();
    await expect(registry.deploy(path, 'anna')).rejects.toThrow(
      'looked for fmask-3.2/fmask-and-merge.sh',
    );
    await writeFile(join(path, 'fmask-3.2/fmask-and-merge.sh'), '#!/bin/sh\n');
    await registry.deploy(path, 'anna');
    const { processor } = (await open()).find('urbantep-fmask~3.2~Fmask8');
    expect(processor.executables).toEqual({ process: 'Fmask8-process' });
  },
);
