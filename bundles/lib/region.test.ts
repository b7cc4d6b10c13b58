import { expect, it } from 'vitest';
import { gridOf } from '../testing/rasters.ts';
import { geoKeysOf } from './grid.ts';
import { polygonRings, regionWindow } from './region.ts';

const EUROPE = { ...gridOf(100, 100, 3035), originX: 5_271_982, originY: 2_533_004 };
const DEGREES = {
  ...EUROPE,
  geoKeys: geoKeysOf(4326),
  originX: 10,
  originY: 50,
  pixelWidth: 0.01,
  pixelHeight: 0.01,
};

function box(west: number, south: number, east: number, north: number): string {
  const ring = [
    [west, south],
    [east, south],
    [east, north],
    [west, north],
    [west, south],
  ];
  return `POLYGON((${ring.map((point) => point.join(' ')).join(', ')}))`;
}

it('a region in degrees is cut out exactly', async () => {
  expect(await regionWindow(box(10.1, 49.5, 10.3, 49.6), DEGREES)).toEqual({
    x: 10,
    y: 40,
    width: 20,
    height: 10,
  });
});

it('a region is cut off at the edges of the image', async () => {
  expect(await regionWindow(box(9, 49.9, 10.05, 51), DEGREES)).toEqual({
    x: 0,
    y: 0,
    width: 5,
    height: 10,
  });
});

it('a region elsewhere has no pixels', async () => {
  expect(await regionWindow(box(2, 5, 3, 6), DEGREES)).toBeUndefined();
  expect(await regionWindow(box(2, 5, 3, 6), EUROPE)).toBeUndefined();
});

it('a region is found in UTM, where its centre is on the central meridian', async () => {
  const utm = { ...gridOf(1000, 1000), originX: 490_000, originY: 10_000 };
  const window = await regionWindow(box(20.999, -0.001, 21.001, 0.001), utm);
  // 0.001 degrees on the equator are 111 m and 5.6 pixels of 20 m around (500 km, 0).
  expect(window).toEqual({ x: 494, y: 494, width: 12, height: 12 });
});

it('a region is found in the European equal area projection', async () => {
  // 22.15221 E 45.20479 N is, says GDAL, the middle of the demo's scenes: 5272482 2532504.
  const window = await regionWindow(box(22.15215, 45.20474, 22.15227, 45.20484), EUROPE);
  expect(window).toEqual({ x: 24, y: 24, width: 2, height: 2 });
});

it('multipolygons and holes are read', () => {
  const wkt =
    'SRID=4326;MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0), (0 0,2 0,2 2,0 0)), ((5 5,6 5,6 6,5 5)))';
  expect(polygonRings(wkt).map((ring) => ring.length)).toEqual([4, 4, 4]);
});

it.each(['POINT(1 2)', 'POLYGON((1 2, 3))', 'POLYGON((a b, c d, e f, a b))', '1,2,3,4'])(
  'a region that is no polygon is refused: %s',
  (wkt) => expect(() => polygonRings(wkt)).toThrow('the region is no WKT polygon'),
);

it('a region in a CRS that is not supported is refused', async () => {
  const grid = gridOf(10, 10, 2154);
  await expect(regionWindow(box(1, 2, 3, 4), grid)).rejects.toThrow('EPSG:2154');
});
