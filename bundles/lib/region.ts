import { epsgOf, intersection, wholeWindow } from './grid.ts';
import type { Grid, Window } from './grid.ts';

type Point = [x: number, y: number];

/** A straight edge in degrees is a curve in a projection; so many points per edge follow it. */
const POINTS_PER_EDGE = 32;

const ETRS89_LAEA = '+proj=laea +lat_0=52 +lon_0=10 +x_0=4321000 +y_0=3210000 +ellps=GRS80';
const POLYGON = /^(?:SRID=4326;)?\s*(?:MULTI)?POLYGON\s*(\([\s\d.,+\-()eE]*\))\s*$/i;

/**
 * The pixels of the grid inside the bounding box of a polygon (WKT, longitude before latitude), or
 * undefined if the two do not touch.
 */
export async function regionWindow(wkt: string, grid: Grid): Promise<Window | undefined> {
  const project = await projectionOf(grid);
  const points = polygonRings(wkt).flatMap(densify).map(project);
  if (!points.flat().every(Number.isFinite)) {
    throw new Error(`the region is out of reach of the product's CRS: ${wkt}`);
  }
  const columns = points.map(([x]) => (x - grid.originX) / grid.pixelWidth);
  const rows = points.map(([, y]) => (grid.originY - y) / grid.pixelHeight);
  const [left, right] = wholePixels(columns);
  const [top, bottom] = wholePixels(rows);
  const box = { x: left, y: top, width: right - left, height: bottom - top };
  return intersection(box, wholeWindow(grid));
}

export function polygonRings(wkt: string): Point[][] {
  const [, body] = POLYGON.exec(wkt.trim()) ?? [];
  const rings = body?.match(/[^()]+(?=\))/g)?.map((ring) => ring.split(',').map(parsePoint));
  const valid = rings?.every((ring) => ring.length >= 4 && ring.flat().every(Number.isFinite));
  if (!rings || !valid) throw new Error(`the region is no WKT polygon: ${wkt}`);
  return rings;
}

function parsePoint(text: string): Point {
  const [x, y] = text.trim().split(/\s+/).map(Number);
  return [x ?? NaN, y ?? NaN];
}

function densify(ring: Point[]): Point[] {
  return ring.slice(1).flatMap(([x, y], index) => {
    const [fromX, fromY] = ring[index]!;
    return Array.from({ length: POINTS_PER_EDGE }, (_, step): Point => {
      const part = (step + 1) / POINTS_PER_EDGE;
      return [fromX + (x - fromX) * part, fromY + (y - fromY) * part];
    });
  });
}

async function projectionOf(grid: Grid): Promise<(lonLat: Point) => Point> {
  const epsg = epsgOf(grid.geoKeys);
  if (epsg === 4326) return (point) => point;
  const definition = epsg === undefined ? undefined : projDefinition(epsg);
  if (!definition) throw new Error(`cannot find a region in the CRS EPSG:${epsg ?? 'unknown'}`);
  // Loaded only here, because most of the start time of a task without a region would be proj4's.
  const { default: proj4 } = await import('proj4');
  const converter = proj4('+proj=longlat +datum=WGS84', definition);
  return (point) => converter.forward<Point>(point);
}

function projDefinition(epsg: number): string | undefined {
  if (epsg === 3035) return ETRS89_LAEA;
  const zone = epsg % 100;
  const hemisphere = Math.floor(epsg / 100);
  if (zone < 1 || zone > 60 || (hemisphere !== 326 && hemisphere !== 327)) return undefined;
  return `+proj=utm +zone=${zone} +datum=WGS84 ${hemisphere === 327 ? '+south' : ''}`;
}

/** Whole pixels around a range, less one that is only touched by rounding. */
function wholePixels(values: number[]): [first: number, end: number] {
  const tolerance = 1e-6;
  const smallest = values.reduce((a, b) => Math.min(a, b));
  const largest = values.reduce((a, b) => Math.max(a, b));
  return [Math.floor(smallest + tolerance), Math.ceil(largest - tolerance)];
}
