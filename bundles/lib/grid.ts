/** GeoTIFF's description of a coordinate reference system, passed from input to output untouched. */
export interface GeoKeys {
  directory: number[];
  doubles: number[];
  ascii: string;
}

/** A north-up raster: where its top left corner is and how large its pixels are, in CRS units. */
export interface Grid {
  width: number;
  height: number;
  originX: number;
  originY: number;
  pixelWidth: number;
  pixelHeight: number;
  geoKeys: GeoKeys;
}

/** A part of a grid, in pixels. */
export interface Window {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface RowBlock {
  first: number;
  count: number;
}

const GEO_KEY = { modelType: 1024, rasterType: 1025, geographicType: 2048, projectedType: 3072 };
const PIXEL_IS_AREA = 1;
const GEOGRAPHIC_CODES = new Set([4258, 4326]);

/** Offsets closer than this to a whole number of pixels are rounding, not another grid. */
const ALIGNMENT_TOLERANCE = 1e-3;

export function geoKeysOf(epsg: number): GeoKeys {
  const geographic = GEOGRAPHIC_CODES.has(epsg);
  const keys = [
    [GEO_KEY.modelType, geographic ? 2 : 1],
    [GEO_KEY.rasterType, PIXEL_IS_AREA],
    [geographic ? GEO_KEY.geographicType : GEO_KEY.projectedType, epsg],
  ] as const;
  const entries = keys.flatMap(([key, value]) => [key, 0, 1, value]);
  return { directory: [1, 1, 0, keys.length, ...entries], doubles: [], ascii: '' };
}

/** The EPSG code, if the CRS is given by one. */
export function epsgOf({ directory }: GeoKeys): number | undefined {
  const shortValues = new Map<number, number>();
  for (let i = 4; i + 3 < directory.length; i += 4) {
    if (directory[i + 1] === 0) shortValues.set(directory[i]!, directory[i + 3]!);
  }
  return shortValues.get(GEO_KEY.projectedType) ?? shortValues.get(GEO_KEY.geographicType);
}

export function wholeWindow(grid: Grid): Window {
  return { x: 0, y: 0, width: grid.width, height: grid.height };
}

export function subGrid(grid: Grid, window: Window): Grid {
  return {
    ...grid,
    width: window.width,
    height: window.height,
    originX: grid.originX + window.x * grid.pixelWidth,
    originY: grid.originY - window.y * grid.pixelHeight,
  };
}

/** Where `grid` lies in the pixels of `reference`; undefined if they are no parts of one grid. */
export function windowIn(reference: Grid, grid: Grid): Window | undefined {
  const { width, height, pixelWidth, pixelHeight } = grid;
  const x = (grid.originX - reference.originX) / pixelWidth;
  const y = (reference.originY - grid.originY) / pixelHeight;
  const drift = Math.max(
    Math.abs(x - Math.round(x)),
    Math.abs(y - Math.round(y)),
    Math.abs(pixelWidth / reference.pixelWidth - 1) * Math.max(width, reference.width),
    Math.abs(pixelHeight / reference.pixelHeight - 1) * Math.max(height, reference.height),
  );
  const sameCrs = JSON.stringify(grid.geoKeys) === JSON.stringify(reference.geoKeys);
  if (!sameCrs || !(drift < ALIGNMENT_TOLERANCE)) return undefined;
  return { x: Math.round(x), y: Math.round(y), width, height };
}

export function unionWindow(windows: Iterable<Window>): Window {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const { x, y, width, height } of windows) {
    left = Math.min(left, x);
    top = Math.min(top, y);
    right = Math.max(right, x + width);
    bottom = Math.max(bottom, y + height);
  }
  return { x: left, y: top, width: right - left, height: bottom - top };
}

export function intersection(a: Window, b: Window): Window | undefined {
  const x = Math.max(a.x, b.x);
  const y = Math.max(a.y, b.y);
  const width = Math.min(a.x + a.width, b.x + b.width) - x;
  const height = Math.min(a.y + a.height, b.y + b.height) - y;
  return width > 0 && height > 0 ? { x, y, width, height } : undefined;
}

/** Cuts rows first..end-1 at multiples of `step`, so that no tile row is read twice. */
export function* rowBlocks(first: number, end: number, step: number): Generator<RowBlock> {
  for (let row = first; row < end;) {
    const next = Math.min(end, (Math.floor(row / step) + 1) * step);
    yield { first: row, count: next - row };
    row = next;
  }
}
