import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildBundles } from '../scripts/build-bundles.ts';
import { TemporaryDirectory, demoScenes, gridOf, writeImage } from './testing/rasters.ts';

const EXECUTABLES = [
  'subset-1.0/Subset-process',
  'timescan-1.0/Indices-process',
  'timescan-1.0/TimeScan-format',
  'timescan-1.0/TimeScan-process',
];

const directory = new TemporaryDirectory();
const bundles = directory.file('bundles');

beforeAll(() => buildBundles(bundles));
afterAll(() => directory[Symbol.dispose]());

/** Runs an executable as a node does: nothing there but Node, in a working directory of its own. */
async function run(executable: string, input: string, parameters: string) {
  const cwd = directory.file(`work-${Math.random()}`);
  await mkdir(cwd);
  writeFileSync(join(cwd, 'parameters'), parameters);
  const path = dirname(process.execPath);
  const command = join(bundles, executable);
  const options = { cwd, env: { PATH: `${path}:/usr/bin:/bin` }, encoding: 'utf8' } as const;
  const { status, stdout, stderr } = spawnSync(command, [input, 'parameters'], options);
  const outputs = [...stdout.matchAll(/^OUTPUT_PRODUCT (.+)$/gm)].map(([, file]) =>
    join(cwd, file!),
  );
  return { status, stdout, stderr, outputs };
}

it('a bundle is its descriptor and its executables', () => {
  const files = readdirSync(bundles, { recursive: true, encoding: 'utf8' });
  const descriptors = ['subset-1.0/bundle-descriptor.xml', 'timescan-1.0/bundle-descriptor.xml'];
  const folders = ['subset-1.0', 'timescan-1.0'];
  expect(files.toSorted()).toEqual([...folders, ...EXECUTABLES, ...descriptors].toSorted());
  for (const file of EXECUTABLES) expect(statSync(join(bundles, file)).mode & 0o111).toBe(0o111);
});

it('a second build has the same bytes', async () => {
  const again = directory.file('again');
  await buildBundles(again);
  const changed = EXECUTABLES.filter(
    (file) => !readFileSync(join(again, file)).equals(readFileSync(join(bundles, file))),
  );
  expect(changed).toEqual([]);
});

it('scenes become a product and its quicklook, by the executables alone', async () => {
  const indices: string[] = [];
  for (const scene of demoScenes().slice(0, 3)) {
    const { status, outputs } = await run('timescan-1.0/Indices-process', scene, '');
    expect(status).toBe(0);
    indices.push(...outputs);
  }
  writeFileSync(directory.file('inputs'), `${indices.join('\n')}\n`);
  const parts = await run(
    'timescan-1.0/TimeScan-process',
    directory.file('inputs'),
    'partitions=1',
  );
  writeFileSync(directory.file('parts'), `${parts.outputs.join('\n')}\n`);
  const parameters = "outputName='L3_2015'\noutputFormat=GeoTIFF\n";
  const product = await run('timescan-1.0/TimeScan-format', directory.file('parts'), parameters);
  expect(product.outputs.map((file) => file.split('/').at(-1))).toEqual([
    'L3_2015.tif',
    'L3_2015_RGB.png',
  ]);
});

it.each(['module', 'commonjs'])('an executable runs below a package of type %s', async (type) => {
  writeFileSync(join(bundles, 'package.json'), JSON.stringify({ type }));
  const { status, outputs } = await run('subset-1.0/Subset-process', demoScenes()[0]!, 'bands=SCL');
  expect(status).toBe(0);
  expect(outputs).toHaveLength(1);
});

it('a truncated scene is one line on stderr and exit code 1', async () => {
  const scene = directory.file('truncated.tif');
  writeFileSync(scene, readFileSync(demoScenes()[0]!).subarray(0, 8000));
  const { status, stderr, outputs } = await run('timescan-1.0/Indices-process', scene, '');
  expect(status).toBe(1);
  expect(stderr).toMatch(
    /^Indices-process: \S+truncated\.tif: not a readable GeoTIFF: truncated: needs \d+ bytes, has 8000\n$/,
  );
  expect(outputs).toEqual([]);
});

it('a region elsewhere is success without a result', async () => {
  const region = "regionWKT='POLYGON((2 5,3 5,3 6,2 5))'\n";
  const { status, outputs } = await run('timescan-1.0/Indices-process', demoScenes()[0]!, region);
  expect(status).toBe(0);
  expect(outputs).toEqual([]);
});

const VALIDATOR = [
  '-m',
  'osgeo_utils.samples.validate_cloud_optimized_geotiff',
  '--full-check=yes',
];
const python = '/usr/bin/python3';
const gdal = spawnSync(python, ['-c', 'import osgeo_utils.samples']).status === 0;
if (!gdal) console.warn('GDAL is not installed: its COG validator is not asked');

it.skipIf(!gdal)("GDAL's validator takes products for cloud-optimised GeoTIFF", async () => {
  const large = directory.file('large.tif');
  const bands = [1, 2].map((k) =>
    Uint16Array.from({ length: 1500 * 1300 }, (_, i) => (i * k) % 999),
  );
  const grid = gridOf(1500, 1300);
  writeImage(large, { grid, sampleType: 'uint16', bandNames: ['a', 'b'] }, bands);
  for (const image of [large, demoScenes()[0]!]) {
    const { outputs } = await run('subset-1.0/Subset-process', image, '');
    const { stdout } = spawnSync(python, [...VALIDATOR, outputs[0]!], { encoding: 'utf8' });
    expect(stdout).toContain('is a valid cloud optimized GeoTIFF');
    expect(stdout).not.toContain('warning');
  }
});
