import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { intersects, parseRegion } from './region.ts';

const square = (west: number, south: number, size = 1): string => {
  const [east, north] = [west + size, south + size];
  return `POLYGON((${west} ${south},${east} ${south},${east} ${north},${west} ${north},${west} ${south}))`;
};

describe('a region', () => {
  test.each([
    'POLYGON((24.75 60.10,24.75 60.6,25.25 60.6,25.25 60.10,24.75 60.10))',
    'polygon((24.75 60.10, 24.75 60.6, 25.25 60.6, 25.25 60.10, 24.75 60.10))',
    ' Polygon (\n( 24.75   60.10 ,24.75 60.6 ,25.25 60.6,\t25.25 60.10,24.75 60.10 ) )\r\n',
  ])('is read in any case and spacing and printed in one way: %j', (text) => {
    expect(parseRegion(text)).toEqual({
      wkt: 'POLYGON((24.75 60.10,24.75 60.6,25.25 60.6,25.25 60.10,24.75 60.10))',
      box: [24.75, 60.1, 25.25, 60.6],
    });
  });

  test('may have holes', () => {
    const { wkt, box } = parseRegion('POLYGON((0 0,9 0,9 9,0 9,0 0),(1 1, 2 1, 2 2, 1 1))');
    expect(wkt).toBe('POLYGON((0 0,9 0,9 9,0 9,0 0),(1 1,2 1,2 2,1 1))');
    expect(box).toEqual([0, 0, 9, 9]);
  });

  test('may have several parts, as across the antimeridian', () => {
    const { wkt, box } = parseRegion(
      'MultiPolygon(((177 -20,180 -20,180 -15,177 -20)),((-180 -20,-178 -20,-180 -15,-180 -20)))',
    );
    expect(wkt).toBe(
      'MULTIPOLYGON(((177 -20,180 -20,180 -15,177 -20)),((-180 -20,-178 -20,-180 -15,-180 -20)))',
    );
    expect(box).toEqual([-180, -20, 180, -15]);
  });

  test('may be two corners, which become a polygon with five decimals in the order of B.6.1', () => {
    expect(parseRegion('24.75, 60.1,25.25,60.6')).toEqual({
      wkt:
        'POLYGON((24.75000 60.10000,24.75000 60.60000,25.25000 60.60000,25.25000 60.10000,' +
        '24.75000 60.10000))',
      box: [24.75, 60.1, 25.25, 60.6],
    });
    expect(parseRegion('25.25,60.6,24.75,60.1').box).toEqual([24.75, 60.1, 25.25, 60.6]);
  });

  test('may reach the ends of the world', () => {
    expect(parseRegion('-180,-90,180,90').box).toEqual([-180, -90, 180, 90]);
  });
});

test.each([
  ['', 'the region has "the end" instead of POLYGON or MULTIPOLYGON'],
  ['POINT(1 2)', 'the region has "POINT" at character 1 instead of POLYGON or MULTIPOLYGON'],
  ['POLYGON EMPTY', 'the region has "EMPTY" at character 9 instead of ('],
  ['POLYGON Z((0 0 0,1 0 0,1 1 0,0 0 0))', 'the region has "Z" at character 9 instead of ('],
  ['POLYGON((0 0 0,1 0 0,1 1 0,0 0 0))', 'the region has "0" at character 14 instead of , or )'],
  ['POLYGON((0 0,1 0,1 1,0 0)', 'the region has "the end" instead of , or )'],
  ['POLYGON((0 0,1 0,1 1,0 0))x', 'the region has "x" at character 27 instead of the end'],
  ['POLYGON((0 0,1 0,1 1,0 0)) POLYGON((0 0,1 0,1 1,0 0))', 'instead of the end'],
  ['POLYGON(0 0,1 0,1 1,0 0)', 'the region has "0" at character 9 instead of ('],
  ['POLYGON((0,1 0,1 1,0 0))', 'the region has "," instead of a number'],
  ['POLYGON((0 zero,1 0,1 1,0 0))', 'the region has "ZERO" instead of a number'],
  ['POLYGON((0 0x1,1 0,1 1,0 0))', 'the region has "0X1" instead of a number'],
  ['POLYGON((0 0,1 0,0 0))', 'the region has a ring of 3 points, it needs four'],
  ['POLYGON((0 0,1 0,1 1,0 1))', 'the region has a ring that ends at 0 1, not at its start 0 0'],
  ['POLYGON((0 0,9 0,9 9,0 0),(1 1,2 1,2 2,1 2))', 'a ring that ends at 1 2, not at its start 1 1'],
  ['POLYGON((0 0,5 0,9 0,0 0))', 'the region has no area'],
  ['181,0,182,1', 'the region has the point 181 0 outside of -180..180 -90..90'],
  ['POLYGON((0 0,1e999 0,1 1,0 0))', 'the point Infinity 0 outside of -180..180 -90..90'],
  [
    '35,139,36,140',
    'the point 35 139 outside of -180..180 -90..90: longitude comes first, are they swapped?',
  ],
  ['1,2,3', 'instead of POLYGON or MULTIPOLYGON'],
  ['1,2,3,x', 'the region has "x" instead of a number'],
  ['1,2,3, ', 'the region has "" instead of a number'],
  ['177,-20,-178,-15', 'the box 177,-20,-178,-15 crosses the antimeridian: give a MULTIPOLYGON'],
])('%j is refused', (text, message) => {
  expect(() => parseRegion(text)).toThrow(message);
});

test('a region beyond the limits is refused', () => {
  expect(() => parseRegion(' '.repeat(500_001))).toThrow('longer than 500000 characters');
  expect(() => parseRegion(`POLYGON((${'0 0,'.repeat(10_001)}0 0))`)).toThrow(
    'more than 10000 points',
  );
});

test.each(['(', ')', '1', ' ', ',', 'POLYGON(', '1 1,', '-'])(
  'as many %j as the limit allows are read in linear time',
  (piece) => {
    const most = Math.floor(499_000 / piece.length);
    expect(() => parseRegion(piece.repeat(most))).toThrow(/^the region has/);
    expect(() => parseRegion(`POLYGON((${piece.repeat(most)}`)).toThrow(/^the region has/);
  },
);

test('regions intersect when their boxes share at least a point', () => {
  const at = (west: number, south: number) => parseRegion(square(west, south));
  expect(intersects(at(0, 0), at(0.5, 0.5))).toBe(true);
  expect(intersects(at(0, 0), at(1, 1))).toBe(true);
  for (const [west, south] of [
    [1.1, 0],
    [-1.1, 0],
    [0, 1.1],
    [0, -1.1],
  ] as const) {
    expect(intersects(at(0, 0), at(west, south))).toBe(false);
  }
  expect(intersects(parseRegion(square(-10, -10, 20)), at(0, 0))).toBe(true);
});

const number = (limit: number) => fc.double({ min: -limit, max: limit, noNaN: true });
const ring = fc
  .array(fc.tuple(number(180), number(90)), { minLength: 3, maxLength: 8 })
  .filter((points) => [0, 1].every((axis) => new Set(points.map((point) => point[axis])).size > 1))
  .map((points) => [...points, points[0]!]);
const blank = fc.constantFrom('', ' ', '\n', '  ');

describe('for any polygon', () => {
  test('the box holds every point and touches some on each side, however it is spaced', () => {
    fc.assert(
      fc.property(
        ring,
        blank,
        fc.constantFrom('POLYGON', 'polygon', 'MultiPolygon'),
        (points, b, type) => {
          const inner = points.map(([x, y]) => `${b}${x} ${b}${y}${b}`).join(',');
          const polygon = `${b}(${b}(${inner})${b})`;
          const { box } = parseRegion(
            /^multi/i.test(type) ? `${type}(${polygon})` : type + polygon,
          );
          const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
          expect(box.map((n) => n + 0)).toEqual(
            [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)].map((n) => n + 0),
          );
        },
      ),
    );
  });

  test('what is printed is read as the same', () => {
    fc.assert(
      fc.property(ring, ring, blank, (outer, other, b) => {
        const rings = [outer, other].map(
          (points) => `(${points.map(([x, y]) => `${b}${x} ${y}`).join(`${b},`)})`,
        );
        const read = parseRegion(`MULTIPOLYGON${b}((${rings.join(b + ',')}),(${rings[0]}))`);
        expect(parseRegion(read.wkt)).toEqual(read);
      }),
    );
  });
});

test('garbage throws nothing but an Error that speaks of the region', () => {
  const piece = fc.constantFrom(
    'POLYGON',
    '(',
    ')',
    ',',
    ' ',
    '1',
    '-',
    'e',
    '.',
    'MULTI',
    '99',
    '\0',
    'ß',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(piece).map((pieces) => pieces.join('')),
      ),
      (text) => {
        fc.pre(!/[-+.\d].*,.*,.*,/.test(text));
        expect(() => parseRegion(text)).toThrow(/^the region /);
      },
    ),
  );
});
