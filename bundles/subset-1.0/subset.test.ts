import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { geoKeysOf } from '../lib/grid.ts';
import {
  TemporaryDirectory,
  demoScenes,
  gridOf,
  readByGeotiff,
  writeImage,
} from '../testing/rasters.ts';
import { writeSubset } from './subset.ts';

const DEGREES = {
  ...gridOf(6, 4),
  geoKeys: geoKeysOf(4326),
  originX: 10,
  originY: 50,
  pixelWidth: 1,
  pixelHeight: 1,
};

it('without a region and bands the image is copied whole', async () => {
  using directory = new TemporaryDirectory();
  const output = directory.file('subset.tif');
  const scene = demoScenes()[3]!;
  expect(await writeSubset(scene, output, new Map())).toBe(true);
  const [before, after] = [await readByGeotiff(scene), await readByGeotiff(output)];
  expect(after.bands).toEqual(before.bands);
  expect(after.names).toEqual(before.names);
  expect(after.image.getGeoKeys()).toEqual(before.image.getGeoKeys());
  expect(after.image.getOrigin()).toEqual(before.image.getOrigin());
});

it('the region is cut out, in the type and the bands of the image', async () => {
  using directory = new TemporaryDirectory();
  const [input, output] = [directory.file('image.tif'), directory.file('subset.tif')];
  const band = Int16Array.from({ length: 24 }, (_, i) => -i);
  const bandNames = ['height', 'depth'];
  writeImage(input, { grid: DEGREES, sampleType: 'int16', bandNames, nodata: -9999 }, [band, band]);

  const region = 'POLYGON((11.5 47.5, 13.5 47.5, 13.5 48.5, 11.5 48.5, 11.5 47.5))';
  await writeSubset(input, output, new Map([['regionWKT', region]]));
  const { image, bands, names, width, height } = await readByGeotiff(output);
  expect([width, height]).toEqual([3, 2]);
  expect(image.getOrigin().slice(0, 2)).toEqual([11, 49]);
  expect(bands[0]).toEqual([-7, -8, -9, -13, -14, -15]);
  expect(names).toEqual(bandNames);
  expect(image.getGDALNoData()).toBe(-9999);
});

it('bands are chosen by name or number, in the order asked for', async () => {
  using directory = new TemporaryDirectory();
  const output = directory.file('subset.tif');
  const scene = demoScenes()[3]!;
  await writeSubset(scene, output, new Map([['bands', 'SCL, 2']]));
  const [before, after] = [await readByGeotiff(scene), await readByGeotiff(output)];
  expect(after.names).toEqual(['SCL', 'B4']);
  expect(after.bands).toEqual([before.bands[4], before.bands[1]]);

  const wrong = writeSubset(scene, output, new Map([['bands', 'B99']]));
  await expect(wrong).rejects.toThrow('has no band B99 (has B3, B4, B8A, B11, SCL)');
});

it('the same input gives the same bytes', async () => {
  using directory = new TemporaryDirectory();
  const [first, second] = [directory.file('1.tif'), directory.file('2.tif')];
  await writeSubset(demoScenes()[0]!, first, new Map());
  await writeSubset(demoScenes()[0]!, second, new Map());
  expect(readFileSync(first).equals(readFileSync(second))).toBe(true);
});
