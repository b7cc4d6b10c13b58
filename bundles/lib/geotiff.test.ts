import { readFileSync, writeFileSync } from 'node:fs';
import { writeArrayBuffer } from 'geotiff';
import { expect, it } from 'vitest';
import {
  TemporaryDirectory,
  demoScenes,
  gridOf,
  readByGeotiff,
  writeImage,
} from '../testing/rasters.ts';
import { GeoTiffReader } from './geotiff-reader.ts';
import { GeoTiffWriter, overviewCount } from './geotiff-writer.ts';
import { epsgOf, wholeWindow } from './grid.ts';
import { newSamples } from './samples.ts';
import type { SampleArray, SampleType } from './samples.ts';

const TYPES: SampleType[] = [
  'uint8',
  'uint16',
  'uint32',
  'int8',
  'int16',
  'int32',
  'float32',
  'float64',
];

function pattern(type: SampleType, length: number, seed: number): SampleArray {
  const samples = newSamples(type, length);
  const scale = type.startsWith('float') ? 0.37 : 1;
  for (let i = 0; i < length; i++) samples[i] = ((i * 7919 + seed * 104_729) % 127) * scale;
  return samples;
}

it.each(TYPES)('other readers find in a %s image what was written', async (sampleType) => {
  using directory = new TemporaryDirectory();
  const path = directory.file('image.tif');
  const [width, height] = [300, 270];
  const bands = [1, 2].map((seed) => pattern(sampleType, width * height, seed));
  const grid = gridOf(width, height);
  writeImage(path, { grid, sampleType, bandNames: ['a & <b>', 'c'], nodata: 5 }, bands);

  const found = await readByGeotiff(path);
  expect(found.bands).toEqual(bands.map((band) => Array.from(band)));
  expect(found.image.getOrigin().slice(0, 2)).toEqual([grid.originX, grid.originY]);
  expect(found.image.getResolution().slice(0, 2)).toEqual([20, -20]);
  expect(found.image.getGeoKeys()?.ProjectedCSTypeGeoKey).toBe(32634);
  expect(found.image.getGDALNoData()).toBe(5);
  expect(found.names).toEqual(['a &amp; &lt;b&gt;', 'c']);
});

it.each(TYPES)('any window of a %s image is read as it was written', async (sampleType) => {
  using directory = new TemporaryDirectory();
  const path = directory.file('image.tif');
  const band = pattern(sampleType, 300 * 270, 3);
  writeImage(path, { grid: gridOf(300, 270), sampleType, bandNames: ['a & <b>'] }, [band]);

  using image = await GeoTiffReader.open(path);
  const [values] = await image.read([0], { x: 200, y: 250, width: 100, height: 20 });
  const expected = Array.from({ length: 20 }, (_, y) =>
    Array.from(band.subarray((250 + y) * 300 + 200, (251 + y) * 300)),
  ).flat();
  expect(Array.from(values!)).toEqual(expected);
  expect(image.bandNames).toEqual(['a & <b>']);
  expect(epsgOf(image.grid.geoKeys)).toBe(32634);
});

it('a large image has overviews, and they lie before it in the file', async () => {
  using directory = new TemporaryDirectory();
  const path = directory.file('image.tif');
  const [width, height] = [1201, 700];
  const band = pattern('uint8', width * height, 1);
  writeImage(path, { grid: gridOf(width, height), sampleType: 'uint8', bandNames: ['a'] }, [band]);

  expect(overviewCount(width, height)).toBe(2);
  const half = await readByGeotiff(path, 1);
  expect([half.width, half.height]).toEqual([601, 350]);
  expect(half.bands[0]![601 + 1]).toBe(band[2 * width + 2]);
  const quarter = await readByGeotiff(path, 2);
  expect([quarter.width, quarter.height]).toEqual([301, 175]);

  const { image } = await readByGeotiff(path);
  const firstTile = async (level: typeof image) =>
    Number(await level.fileDirectory.loadValueIndexed('TileOffsets', 0));
  expect(await firstTile(quarter.image)).toBeLessThan(await firstTile(half.image));
  expect(await firstTile(half.image)).toBeLessThan(await firstTile(image));
});

it('big-endian, uncompressed, pixel-interleaved strips are read as well', async () => {
  using directory = new TemporaryDirectory();
  const path = directory.file('image.tif');
  const pixels = Array.from({ length: 5 * 4 * 3 }, (_, i) => i * 1000);
  writeFileSync(
    path,
    Buffer.from(
      writeArrayBuffer(Uint16Array.from(pixels), {
        width: 5,
        height: 4,
        BitsPerSample: [16, 16, 16],
        SamplesPerPixel: [3],
        SampleFormat: [1, 1, 1],
      }),
    ),
  );
  expect(readFileSync(path).toString('latin1', 0, 2)).toBe('MM');

  using image = await GeoTiffReader.open(path);
  const [third] = await image.read([2], wholeWindow(image.grid));
  expect(Array.from(third!)).toEqual(pixels.filter((_, i) => i % 3 === 2));
});

it('a product with a missing row is not finished', () => {
  using directory = new TemporaryDirectory();
  const writer = new GeoTiffWriter(directory.file('image.tif'), {
    grid: gridOf(4, 3),
    sampleType: 'uint8',
    bandNames: ['a'],
  });
  writer.writeRows(0, new Uint8Array(8));
  expect(() => writer.close()).toThrow('band a has 2 of 3 rows');
});

it('a scene that ends anywhere too early is an error with its name', async () => {
  using directory = new TemporaryDirectory();
  const scene = readFileSync(demoScenes()[0]!);
  for (let length = 0; length < scene.length; length += 97) {
    const path = directory.file(`${length}.tif`);
    writeFileSync(path, scene.subarray(0, length));
    await expect(GeoTiffReader.open(path)).rejects.toThrow(`${path}: not a readable GeoTIFF: `);
  }
});

it('damaged bytes are an error with the name of the file or other values, but never a hang', async () => {
  using directory = new TemporaryDirectory();
  const scene = readFileSync(demoScenes()[0]!);
  const path = directory.file('damaged.tif');
  const readDamaged = async (at: number): Promise<string> => {
    const damaged = Buffer.from(scene);
    damaged[at]! ^= 0xff;
    writeFileSync(path, damaged);
    try {
      using image = await GeoTiffReader.open(path);
      await image.read([0], { x: 0, y: 0, width: 50, height: 50 });
      return path;
    } catch (error) {
      return String(error);
    }
  };
  for (let at = 0; at < 900; at++) expect(await readDamaged(at)).toContain(path);
});
