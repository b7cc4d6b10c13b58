import { GeoTiffReader } from '../lib/geotiff-reader.ts';
import { GeoTiffWriter } from '../lib/geotiff-writer.ts';
import { rowBlocks, subGrid, wholeWindow } from '../lib/grid.ts';
import type { Parameters } from '../lib/parameters.ts';
import { regionWindow } from '../lib/region.ts';

/** Writes the image's part inside the region; false if there is no such part. */
export async function writeSubset(
  inputPath: string,
  outputPath: string,
  parameters: Parameters,
  onProgress: (fraction: number) => void = () => {},
): Promise<boolean> {
  using image = await GeoTiffReader.open(inputPath);
  const bands = selectBands(image, parameters.get('bands'));
  const region = parameters.get('regionWKT');
  const window = region ? await regionWindow(region, image.grid) : wholeWindow(image.grid);
  if (!window) return false;

  const writer = new GeoTiffWriter(outputPath, {
    grid: subGrid(image.grid, window),
    sampleType: image.sampleType,
    bandNames: bands.map((band) => image.bandNames[band]!),
    nodata: image.nodata,
  });
  const end = window.y + window.height;
  for (const { first, count } of rowBlocks(window.y, end, image.tileHeight)) {
    const rows = await image.read(bands, { ...window, y: first, height: count });
    for (const [index, values] of rows.entries()) writer.writeRows(index, values);
    onProgress((first + count - window.y) / window.height);
  }
  writer.close();
  return true;
}

/** Bands by name or by number, counted from 1; all of them without a selection. */
function selectBands(image: GeoTiffReader, selection: string | undefined): number[] {
  if (selection === undefined) return [...image.bandNames.keys()];
  return selection.split(',').map((text) => {
    const wanted = text.trim();
    const byName = image.bandNames.indexOf(wanted);
    const byNumber = /^\d+$/.test(wanted) ? Number(wanted) - 1 : -1;
    const band = byName === -1 ? byNumber : byName;
    if (image.bandNames[band] !== undefined) return band;
    throw new Error(`${image.path}: has no band ${wanted} (has ${image.bandNames.join(', ')})`);
  });
}
