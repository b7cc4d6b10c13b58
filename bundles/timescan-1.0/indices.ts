import { GeoTiffReader } from '../lib/geotiff-reader.ts';
import { GeoTiffWriter } from '../lib/geotiff-writer.ts';
import { rowBlocks, subGrid, wholeWindow } from '../lib/grid.ts';
import type { Window } from '../lib/grid.ts';
import type { Parameters } from '../lib/parameters.ts';
import { regionWindow } from '../lib/region.ts';
import type { SampleArray } from '../lib/samples.ts';
import { TILE } from './timescan.ts';

/** The bands of a scene, in the order that they have in a scene without band names. */
const SCENE_BANDS = ['B3', 'B4', 'B8A', 'B11', 'SCL'] as const;

/** Normalised differences (a - b) / (a + b) of vegetation, buildings and water. */
const INDICES = [
  { name: 'ndvi', a: 'B8A', b: 'B4' },
  { name: 'ndbi', a: 'B11', b: 'B8A' },
  { name: 'mndwi', a: 'B3', b: 'B11' },
] as const;

/**
 * Sentinel-2's scene classification: vegetation, not vegetated, water, unclassified. Not clear are
 * no data, saturated, dark area, cloud shadow, clouds, cirrus, and snow (0-3, 8-11).
 */
const CLEAR_CLASSES = new Set([4, 5, 6, 7]);

type BandName = (typeof SCENE_BANDS)[number];
type SceneRows = Record<BandName, SampleArray>;

/** Writes the indices of the scene's part inside the region; false if there is no such part. */
export async function writeIndices(
  scenePath: string,
  outputPath: string,
  parameters: Parameters,
  onProgress: (fraction: number) => void = () => {},
): Promise<boolean> {
  using scene = await GeoTiffReader.open(scenePath);
  const bands = findBands(scene);
  const region = parameters.get('regionWKT');
  const window = region ? await regionWindow(region, scene.grid) : wholeWindow(scene.grid);
  if (!window) return false;

  const writer = new GeoTiffWriter(outputPath, {
    grid: subGrid(scene.grid, window),
    sampleType: 'float32',
    bandNames: INDICES.map(({ name }) => name),
    nodata: NaN,
    tile: TILE,
    deflateLevel: 1,
    overviews: false,
  });
  const end = window.y + window.height;
  for (const { first, count } of rowBlocks(window.y, end, scene.tileHeight)) {
    const rows = await readRows(scene, bands, { ...window, y: first, height: count });
    for (const [index, { a, b }] of INDICES.entries()) {
      writer.writeRows(index, normalisedDifference(rows[a], rows[b], rows.SCL, scene.nodata));
    }
    onProgress((first + count - window.y) / window.height);
  }
  writer.close();
  return true;
}

function findBands(scene: GeoTiffReader): number[] {
  const names = scene.bandNames.map((name) => name.toUpperCase().replace(/^B0/, 'B'));
  const unnamed = names.every((name) => /^BAND_\d+$/.test(name));
  const bands = SCENE_BANDS.map((name, index) => (unnamed ? index : names.indexOf(name)));
  const missing = SCENE_BANDS.filter((_, i) => bands[i] === -1 || bands[i]! >= names.length);
  if (missing.length > 0) {
    throw new Error(`${scene.path}: has no band ${missing.join(', ')} (has ${names.join(', ')})`);
  }
  return bands;
}

async function readRows(scene: GeoTiffReader, bands: number[], window: Window): Promise<SceneRows> {
  const [B3, B4, B8A, B11, SCL] = await scene.read(bands, window);
  return { B3: B3!, B4: B4!, B8A: B8A!, B11: B11!, SCL: SCL! };
}

function normalisedDifference(
  a: SampleArray,
  b: SampleArray,
  classes: SampleArray,
  nodata: number | undefined,
): Float32Array {
  const result = new Float32Array(classes.length).fill(NaN);
  for (let i = 0; i < result.length; i++) {
    if (!CLEAR_CLASSES.has(classes[i]!) || a[i] === nodata || b[i] === nodata) continue;
    const sum = a[i]! + b[i]!;
    if (sum !== 0) result[i] = (a[i]! - b[i]!) / sum;
  }
  return result;
}
