/** West, south, east, north in degrees. */
export type Box = readonly [west: number, south: number, east: number, north: number];

export interface Region {
  /** `POLYGON` or `MULTIPOLYGON` in EPSG:4326, longitude first, without needless blanks, numbers as they were given. */
  readonly wkt: string;
  readonly box: Box;
}

interface Token {
  readonly text: string;
  /** 0-based place in what was given. */
  readonly at: number;
}

const MAX_LENGTH = 500_000;
const MAX_POINTS = 10_000;
const CORNERS = /^[^,()]+(,[^,()]+){3}$/;

/**
 * Reads a region: WKT `POLYGON` or `MULTIPOLYGON` in any case and spacing, or two corners `lon0,lat0,lon1,lat1`
 * (specification B.6.1). Rings have to be closed; whether they cross themselves is not checked. A region across the
 * antimeridian is a MULTIPOLYGON of its two sides.
 *
 * @throws Error that says what is wrong and where
 */
export function parseRegion(text: string): Region {
  if (text.length > MAX_LENGTH)
    throw new Error(`the region is longer than ${MAX_LENGTH} characters`);
  const wkt = CORNERS.test(text) ? polygonOfCorners(text) : text;
  const tokens = [...wkt.matchAll(/[(),]|[^\s(),]+/g)].map(({ 0: token, index }): Token => ({
    text: token,
    at: index,
  }));
  const points = readPoints(tokens);
  const longitudes = points.map(([longitude]) => longitude);
  const latitudes = points.map(([, latitude]) => latitude);
  const box = [
    Math.min(...longitudes),
    Math.min(...latitudes),
    Math.max(...longitudes),
    Math.max(...latitudes),
  ] as const;
  if (box[0] === box[2] || box[1] === box[3]) throw new Error('the region has no area');
  return { wkt: print(tokens), box };
}

/** Whether the boxes of two regions share at least a point. */
export const intersects = (a: Region, b: Region): boolean =>
  a.box[0] <= b.box[2] && b.box[0] <= a.box[2] && a.box[1] <= b.box[3] && b.box[1] <= a.box[3];

function polygonOfCorners(text: string): string {
  const [lon0 = NaN, lat0 = NaN, lon1 = NaN, lat1 = NaN] = text
    .split(',')
    .map((part) => readNumber(part.trim()));
  if (lon0 > lon1 && lat0 < lat1) {
    throw new Error(
      `the box ${text} crosses the antimeridian: give a MULTIPOLYGON of its two sides`,
    );
  }
  const corners = [
    [lon0, lat0],
    [lon0, lat1],
    [lon1, lat1],
    [lon1, lat0],
    [lon0, lat0],
  ];
  return `POLYGON((${corners.map((corner) => corner.map((n) => n.toFixed(5)).join(' ')).join()}))`;
}

type Point = readonly [longitude: number, latitude: number];

/** All points of all rings. */
function readPoints(tokens: readonly Token[]): Point[] {
  const points: Point[] = [];
  let next = 0;
  const take = (...wanted: string[]): string => {
    const { text, at } = tokens[next++] ?? { text: 'the end', at: -1 };
    if (wanted.length === 0 || wanted.includes(text.toUpperCase())) return text.toUpperCase();
    const place = at < 0 ? '' : ` at character ${at + 1}`;
    throw new Error(
      `the region has "${text.slice(0, 40)}"${place} instead of ${wanted.join(' or ')}`,
    );
  };
  const list = (item: () => void) => {
    take('(');
    do item();
    while (take(',', ')') === ',');
  };
  const point = () => {
    if (points.length === MAX_POINTS)
      throw new Error(`the region has more than ${MAX_POINTS} points`);
    points.push(checkPoint(readNumber(take()), readNumber(take())));
  };
  const ring = () => {
    const first = points.length;
    list(point);
    checkRing(points.slice(first));
  };
  const polygon = () => list(ring);
  if (take('POLYGON', 'MULTIPOLYGON') === 'POLYGON') polygon();
  else list(polygon);
  if (next < tokens.length) take('the end');
  return points;
}

function readNumber(text: string): number {
  const number = /^[-+.\de]+$/i.test(text) ? Number(text) : NaN;
  if (Number.isNaN(number))
    throw new Error(`the region has "${text.slice(0, 40)}" instead of a number`);
  return number;
}

function checkPoint(longitude: number, latitude: number): Point {
  const inside = Math.abs(longitude) <= 180 && Math.abs(latitude) <= 90;
  if (inside) return [longitude, latitude];
  const swapped = Math.abs(longitude) <= 90 && Math.abs(latitude) <= 180;
  const remedy = swapped ? ': longitude comes first, are they swapped?' : '';
  throw new Error(
    `the region has the point ${longitude} ${latitude} outside of -180..180 -90..90${remedy}`,
  );
}

function checkRing(ring: readonly Point[]): void {
  const [first, last] = [ring[0]!, ring.at(-1)!];
  if (ring.length < 4)
    throw new Error(`the region has a ring of ${ring.length} points, it needs four`);
  if (first[0] !== last[0] || first[1] !== last[1]) {
    throw new Error(
      `the region has a ring that ends at ${last.join(' ')}, not at its start ${first.join(' ')}`,
    );
  }
}

/** Tokens in one line, upper-case, with a blank only between two words. */
const print = (tokens: readonly Token[]): string =>
  tokens
    .map(({ text }) => text.toUpperCase())
    .join(' ')
    .replaceAll(/ ?([(),]) ?/g, '$1');
