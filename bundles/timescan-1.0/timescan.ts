import { GeoTiffReader } from '../lib/geotiff-reader.ts';
import { GeoTiffWriter } from '../lib/geotiff-writer.ts';
import { intersection, rowBlocks, subGrid, unionWindow, windowIn } from '../lib/grid.ts';
import type { Grid, Window } from '../lib/grid.ts';
import { productName } from '../lib/program.ts';
import type { SampleArray } from '../lib/samples.ts';
import { Statistics } from './statistics.ts';

/** Flat tiles, as high as the block of rows that is aggregated in memory at a time. */
export const TILE = { width: 512, height: 64 };

export interface Partition {
  index: number;
  count: number;
}

interface Input {
  path: string;
  /** Where it lies in the grid of all inputs. */
  window: Window;
}

interface Stack {
  inputs: Input[];
  grid: Grid;
  bandNames: readonly string[];
}

/**
 * Aggregates all bands of all inputs over time, in one partition of the rows. Writes five bands for
 * each: min, max, mean, std and count. False if there is no such row.
 */
export async function writePartition(
  inputPaths: readonly string[],
  outputPath: string,
  partition: Partition,
  onProgress: (fraction: number) => void = () => {},
): Promise<boolean> {
  if (inputPaths.length === 0) return false;
  const { inputs, grid, bandNames } = await openStack(inputPaths);
  const [first, end] = partitionRows(grid.height, partition);
  if (first === end) return false;

  const rows: Window = { x: 0, y: first, width: grid.width, height: end - first };
  const writer = new GeoTiffWriter(outputPath, {
    grid: subGrid(grid, rows),
    sampleType: 'float32',
    bandNames: bandNames.flatMap((name) => Statistics.names.map((suffix) => `${name}_${suffix}`)),
    nodata: NaN,
    tile: TILE,
    deflateLevel: 1,
    overviews: false,
  });
  for (const block of rowBlocks(first, end, TILE.height)) {
    const window = { ...rows, y: block.first, height: block.count };
    const statistics = await aggregate(inputs, bandNames.length, window);
    const bands = statistics.flatMap((perBand) => perBand.results());
    for (const [band, values] of bands.entries()) writer.writeRows(band, values);
    onProgress((block.first + block.count - first) / rows.height);
  }
  writer.close();
  return true;
}

function partitionRows(height: number, { index, count }: Partition): [first: number, end: number] {
  if (index >= count) throw new Error(`partition ${index} of ${count} (counted from 0)`);
  return [Math.floor((index * height) / count), Math.floor(((index + 1) * height) / count)];
}

/** Brings the inputs into one order, because the last bits of a sum depend on it. */
async function openStack(paths: readonly string[]): Promise<Stack> {
  const sorted = paths
    .map((path) => ({ path, name: productName(path) }))
    .toSorted((a, b) => compare(a.name, b.name) || compare(a.path, b.path));
  using reference = await GeoTiffReader.open(sorted[0]!.path);

  const placed: Input[] = [];
  for (const { path } of sorted) {
    using input = await GeoTiffReader.open(path);
    const window = windowIn(reference.grid, input.grid);
    if (!window) throw new Error(`${path}: is on another grid than ${reference.path}`);
    if (input.bandNames.join() !== reference.bandNames.join()) {
      throw new Error(`${path}: has other bands than ${reference.path}`);
    }
    placed.push({ path, window });
  }
  const union = unionWindow(placed.map(({ window }) => window));
  const inputs = placed.map(({ path, window }) => ({
    path,
    window: { ...window, x: window.x - union.x, y: window.y - union.y },
  }));
  return { inputs, grid: subGrid(reference.grid, union), bandNames: reference.bandNames };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

/** One input is open at a time; what grows with their number is only the list. */
async function aggregate(
  inputs: readonly Input[],
  bandCount: number,
  block: Window,
): Promise<Statistics[]> {
  const bands = Array.from({ length: bandCount }, (_, band) => band);
  const statistics = bands.map(() => new Statistics(block.width * block.height));
  for (const { path, window } of inputs) {
    const overlap = intersection(window, block);
    if (!overlap) continue;
    using input = await GeoTiffReader.open(path);
    const inInput = { ...overlap, x: overlap.x - window.x, y: overlap.y - window.y };
    const values = await input.read(bands, inInput);
    for (const band of bands) addRows(statistics[band]!, values[band]!, overlap, block);
  }
  return statistics;
}

function addRows(statistics: Statistics, values: SampleArray, place: Window, block: Window): void {
  for (let y = 0; y < place.height; y++) {
    const row = values.subarray(y * place.width, (y + 1) * place.width);
    statistics.add(row, (place.y + y - block.y) * block.width + place.x - block.x);
  }
}
