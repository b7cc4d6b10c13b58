import { readFileSync, writeFileSync } from 'node:fs';
import { PNG } from 'pngjs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { productName } from '../lib/program.ts';
import {
  TemporaryDirectory,
  demoScenes,
  gridOf,
  readByGeotiff,
  writeImage,
} from '../testing/rasters.ts';
import { writeProduct } from './format.ts';
import { writeIndices } from './indices.ts';
import { writeQuicklook } from './quicklook.ts';
import { writePartition } from './timescan.ts';

const NO_PARAMETERS = new Map<string, string>();
const REFERENCE_MEANS = { ndvi_mean: 0.729, ndbi_mean: -0.284, mndwi_mean: -0.516 };

const directory = new TemporaryDirectory();
const indices: string[] = [];

beforeAll(async () => {
  for (const scene of demoScenes()) {
    const output = directory.file(`${productName(scene)}_indices.tif`);
    await writeIndices(scene, output, NO_PARAMETERS);
    indices.push(output);
  }
});

afterAll(() => directory[Symbol.dispose]());

function onePixelBands(...values: number[]): Uint16Array[] {
  return values.map((value) => Uint16Array.of(value));
}

async function timeScan(inputs: string[], partitions: number): Promise<string> {
  const parts: string[] = [];
  for (let index = 0; index < partitions; index++) {
    const part = directory.file(`part_${index}_of_${partitions}.tif`);
    if (await writePartition(inputs, part, { index, count: partitions })) parts.push(part);
  }
  const product = directory.file(`timescan_${partitions}.tif`);
  await writeProduct(parts, product);
  return product;
}

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function standardDeviation(values: number[]): number {
  const centre = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - centre) ** 2)));
}

/** The straightforward way: all scenes in memory, one pixel after the other, two passes. */
async function expectedStatistics(): Promise<Map<string, number[]>> {
  const scenes = await Promise.all(demoScenes().map((path) => readByGeotiff(path)));
  const expected = new Map<string, number[]>();
  const formulas: [string, number, number][] = [
    ['ndvi', 2, 1],
    ['ndbi', 3, 2],
    ['mndwi', 0, 3],
  ];
  for (const [name, a, b] of formulas) {
    const pixels = scenes[0]!.bands[0]!.map((_, pixel) => {
      const looks = scenes.map(({ bands }) => bands.map((band) => band[pixel]!));
      return looks
        .filter((look) => look[4]! >= 4 && look[4]! <= 7 && look[a] !== 0 && look[b] !== 0)
        .map((look) => Math.fround((look[a]! - look[b]!) / (look[a]! + look[b]!)));
    });
    expected.set(
      `${name}_min`,
      pixels.map((values) => Math.min(...values)),
    );
    expected.set(
      `${name}_max`,
      pixels.map((values) => Math.max(...values)),
    );
    expected.set(`${name}_mean`, pixels.map(mean));
    expected.set(`${name}_std`, pixels.map(standardDeviation));
    expected.set(
      `${name}_count`,
      pixels.map((values) => values.length),
    );
  }
  return expected;
}

it('the statistics of all scenes are those of the straightforward computation', async () => {
  const { bands, names } = await readByGeotiff(await timeScan(indices, 1));
  const expected = await expectedStatistics();
  expect(names).toEqual([...expected.keys()]);
  const differences = [...expected.values()].map((values, band) =>
    Math.max(...values.map((value, pixel) => Math.abs(value - bands[band]![pixel]!))),
  );
  expect(Math.max(...differences)).toBeLessThan(1e-6);
});

it('the means of the three indices are those of the reference', async () => {
  const { bands, names } = await readByGeotiff(await timeScan(indices, 1));
  for (const [name, reference] of Object.entries(REFERENCE_MEANS)) {
    const band = bands[names.indexOf(name)]!;
    expect(mean(band)).toBeCloseTo(reference, 3);
  }
});

it('the product has the same bytes in however many partitions and in which order it is made', async () => {
  const whole = readFileSync(await timeScan(indices, 1));
  expect(readFileSync(await timeScan(indices.toReversed(), 4)).equals(whole)).toBe(true);
  expect(readFileSync(await timeScan(indices, 7)).equals(whole)).toBe(true);
});

it('there may be more partitions than rows', async () => {
  const inputs = indices.slice(0, 2);
  const whole = readFileSync(await timeScan(inputs, 1));
  expect(readFileSync(await timeScan(inputs, 60)).equals(whole)).toBe(true);
});

it('the quicklook is large enough to see something', async () => {
  const quicklook = directory.file('quicklook.png');
  expect(await writeQuicklook(await timeScan(indices, 1), quicklook)).toBe(true);
  const { width, height, data } = PNG.sync.read(readFileSync(quicklook));
  expect([width, height]).toEqual([400, 400]);
  expect(
    new Set(new Uint32Array(data.buffer, data.byteOffset, width * height)).size,
  ).toBeGreaterThan(100);
});

it('inputs of different extent give the union, and NaN where nothing was seen', async () => {
  const [left, right] = [directory.file('left.tif'), directory.file('right.tif')];
  const options = { sampleType: 'float32', bandNames: ['ndvi'], nodata: NaN } as const;
  const grid = gridOf(3, 2);
  writeImage(left, { ...options, grid }, [Float32Array.of(1, 2, 3, 4, 5, 6)]);
  const shifted = { ...grid, width: 2, originX: grid.originX + 40, originY: grid.originY - 20 };
  writeImage(right, { ...options, grid: shifted }, [Float32Array.of(10, NaN, 30, 40)]);

  const { bands, names, width, height } = await readByGeotiff(await timeScan([left, right], 2));
  expect([width, height]).toEqual([4, 3]);
  expect(bands[names.indexOf('ndvi_mean')]).toEqual([1, 2, 3, NaN, 4, 5, 8, NaN, NaN, NaN, 30, 40]);
  expect(bands[names.indexOf('ndvi_std')]![6]).toBe(2);
  expect(bands[names.indexOf('ndvi_count')]).toEqual([1, 1, 1, 0, 1, 1, 2, 0, 0, 0, 1, 1]);
});

it('an input on another grid is refused by its name', async () => {
  const other = directory.file('other_indices.tif');
  const bandNames = ['ndvi', 'ndbi', 'mndwi'];
  const bands = bandNames.map(() => new Float32Array(4));
  writeImage(other, { grid: gridOf(2, 2), sampleType: 'float32', bandNames }, bands);
  const partition = { index: 0, count: 1 };
  const result = writePartition(
    [...indices.slice(0, 2), other],
    directory.file('p.tif'),
    partition,
  );
  await expect(result).rejects.toThrow(
    /(other_indices|\d{8}_indices)\.tif: is on another grid than /,
  );
});

it('parts in the wrong order are refused', async () => {
  const parts = [0, 1].map((index) => directory.file(`half_${index}.tif`));
  for (const [index, part] of parts.entries()) {
    await writePartition(indices.slice(0, 2), part, { index, count: 2 });
  }
  const result = writeProduct(parts.toReversed(), directory.file('wrong.tif'));
  await expect(result).rejects.toThrow('half_0.tif: does not continue the parts before it');
});

it('the indices of a region are those of the scene, cut out', async () => {
  const scene = demoScenes()[50]!;
  const part = directory.file('part.tif');
  const region = 'POLYGON((22.150 45.205,22.152 45.205,22.152 45.206,22.150 45.206,22.150 45.205))';
  expect(await writeIndices(scene, part, new Map([['regionWKT', region]]))).toBe(true);

  const whole = await readByGeotiff(indices[50]!);
  const cut = await readByGeotiff(part);
  const column = Math.round((cut.image.getOrigin()[0]! - whole.image.getOrigin()[0]!) / 20);
  const row = Math.round((whole.image.getOrigin()[1]! - cut.image.getOrigin()[1]!) / 20);
  expect(cut.width).toBeLessThan(20);
  for (const [pixel, value] of cut.bands[0]!.entries()) {
    const y = row + Math.floor(pixel / cut.width);
    expect(value).toEqual(whole.bands[0]![y * 50 + column + (pixel % cut.width)]);
  }
});

it('a region elsewhere has no result', async () => {
  const parameters = new Map([['regionWKT', 'POLYGON((2 5,3 5,3 6,2 5))']]);
  expect(await writeIndices(demoScenes()[0]!, directory.file('none.tif'), parameters)).toBe(false);
});

it('bands are found by their names, and a missing one is named', async () => {
  const [shuffled, poor] = [directory.file('shuffled.tif'), directory.file('poor.tif')];
  const options = { grid: gridOf(1, 1), sampleType: 'uint16' } as const;
  const bandNames = ['SCL', 'B11', 'B8A', 'B04', 'B03'];
  writeImage(shuffled, { ...options, bandNames }, onePixelBands(4, 400, 300, 100, 200));
  writeImage(poor, { ...options, bandNames: bandNames.slice(1) }, onePixelBands(1, 1, 1, 1));

  const output = directory.file('shuffled_indices.tif');
  await writeIndices(shuffled, output, NO_PARAMETERS);
  expect((await readByGeotiff(output)).bands.flat()).toEqual(
    [1 / 2, 1 / 7, -1 / 3].map(Math.fround),
  );
  await expect(writeIndices(poor, output, NO_PARAMETERS)).rejects.toThrow('has no band SCL');
});

it('a scene that is not a TIFF is refused', async () => {
  const scene = directory.file('scene.tif');
  writeFileSync(scene, 'hello');
  await expect(writeIndices(scene, directory.file('x.tif'), NO_PARAMETERS)).rejects.toThrow(
    `${scene}: not a readable GeoTIFF`,
  );
});
