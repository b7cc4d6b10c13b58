import { writeFileSync } from 'node:fs';
import { PNG } from 'pngjs';
import { GeoTiffReader } from '../lib/geotiff-reader.ts';
import { overviewCount } from '../lib/geotiff-writer.ts';
import { wholeWindow } from '../lib/grid.ts';
import type { SampleArray } from '../lib/samples.ts';

/** Built-up areas are red, vegetation is green, water is blue; the ranges hold all over the world. */
const CHANNELS = [
  { band: 'ndbi_max', min: -0.1, max: 0.4 },
  { band: 'ndvi_max', min: 0.2, max: 1 },
  { band: 'mndwi_mean', min: -0.7, max: 0.3 },
];

/** A smaller image is enlarged, so that a person sees something. */
const SMALLEST_SIDE = 400;

/** Paints the smallest overview of a TimeScan product. False if it has not the bands for that. */
export async function writeQuicklook(productPath: string, outputPath: string): Promise<boolean> {
  using product = await GeoTiffReader.open(productPath);
  const bands = CHANNELS.map(({ band }) => product.bandNames.indexOf(band));
  if (bands.includes(-1)) return false;

  const { width, height } = product.grid;
  using overview = await GeoTiffReader.open(productPath, overviewCount(width, height));
  const values = await overview.read(bands, wholeWindow(overview.grid));
  const image = paint(values, overview.grid.width, overview.grid.height);
  writeFileSync(outputPath, PNG.sync.write(image));
  return true;
}

function paint(values: readonly SampleArray[], width: number, height: number): PNG {
  const scale = Math.max(1, Math.ceil(SMALLEST_SIDE / Math.max(width, height)));
  const image = new PNG({ width: width * scale, height: height * scale });
  for (let y = 0; y < image.height; y++) {
    for (let x = 0; x < image.width; x++) {
      const pixel = Math.floor(y / scale) * width + Math.floor(x / scale);
      image.data.set(colourOf(values, pixel), (y * image.width + x) * 4);
    }
  }
  return image;
}

/** Red, green, blue, alpha: transparent where there was no clear look. */
function colourOf(values: readonly SampleArray[], pixel: number): number[] {
  const colour = CHANNELS.map(({ min, max }, channel) => {
    const stretched = (values[channel]![pixel]! - min) / (max - min);
    return Math.round(255 * Math.min(1, Math.max(0, stretched)));
  });
  return colour.some(Number.isNaN) ? [0, 0, 0, 0] : [...colour, 255];
}
