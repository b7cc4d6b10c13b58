import { GeoTiffReader } from '../lib/geotiff-reader.ts';
import { GeoTiffWriter } from '../lib/geotiff-writer.ts';
import { rowBlocks, windowIn } from '../lib/grid.ts';
import type { Parameters } from '../lib/parameters.ts';

const FORMATS = new Set(['GeoTIFF', 'COG']);

export function outputNameOf(parameters: Parameters): string {
  const format = parameters.get('outputFormat') ?? 'GeoTIFF';
  if (!FORMATS.has(format)) throw new Error(`Unsupported output format: ${format}`);
  const name = parameters.get('outputName') ?? 'timescan';
  if (/[/\\]/.test(name)) throw new Error(`outputName is no plain file name: ${name}`);
  return name;
}

/** Puts the parts, in the order of their rows, into one product. False if there is no part. */
export async function writeProduct(
  partPaths: readonly string[],
  outputPath: string,
  onProgress: (fraction: number) => void = () => {},
): Promise<boolean> {
  if (partPaths.length === 0) return false;
  const parts: GeoTiffReader[] = [];
  try {
    for (const path of partPaths) parts.push(await GeoTiffReader.open(path));
    await merge(parts, outputPath, onProgress);
  } finally {
    for (const part of parts) part.close();
  }
  return true;
}

async function merge(
  parts: readonly GeoTiffReader[],
  outputPath: string,
  onProgress: (fraction: number) => void,
): Promise<void> {
  const { grid, sampleType, bandNames, nodata } = parts[0]!;
  const height = totalHeight(parts);
  const writer = new GeoTiffWriter(outputPath, {
    grid: { ...grid, height },
    sampleType,
    bandNames,
    nodata,
  });
  // Band by band, so that the rows in memory are those of one band.
  for (let band = 0; band < bandNames.length; band++) {
    for (const part of parts) {
      for (const { first, count } of rowBlocks(0, part.grid.height, part.tileHeight)) {
        const window = { x: 0, y: first, width: grid.width, height: count };
        const [rows] = await part.read([band], window);
        writer.writeRows(band, rows!);
      }
    }
    onProgress((band + 1) / bandNames.length);
  }
  writer.close();
}

function totalHeight(parts: readonly GeoTiffReader[]): number {
  const reference = parts[0]!;
  let height = 0;
  for (const part of parts) {
    const window = windowIn(reference.grid, part.grid);
    const fits = window?.x === 0 && window.y === height && window.width === reference.grid.width;
    if (!fits || part.bandNames.join() !== reference.bandNames.join()) {
      throw new Error(`${part.path}: does not continue the parts before it`);
    }
    height += window.height;
  }
  return height;
}
