import { globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromFile } from 'geotiff';
import { GeoTiffWriter } from '../lib/geotiff-writer.ts';
import type { GeoTiffOptions } from '../lib/geotiff-writer.ts';
import { geoKeysOf } from '../lib/grid.ts';
import type { Grid } from '../lib/grid.ts';
import type { SampleArray } from '../lib/samples.ts';

const SCENES = join(import.meta.dirname, '../../demo/scenes');

export function demoScenes(): string[] {
  return globSync(join(SCENES, '*/*/*/*.tif')).toSorted();
}

export class TemporaryDirectory {
  readonly path = mkdtempSync(join(tmpdir(), 'bundles-'));

  file(name: string): string {
    return join(this.path, name);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true });
  }
}

export function gridOf(width: number, height: number, epsg = 32634): Grid {
  return {
    width,
    height,
    originX: 600_000,
    originY: 5_000_000,
    pixelWidth: 20,
    pixelHeight: 20,
    geoKeys: geoKeysOf(epsg),
  };
}

export function writeImage(path: string, options: GeoTiffOptions, bands: SampleArray[]): void {
  const writer = new GeoTiffWriter(path, options);
  for (const [band, rows] of bands.entries()) writer.writeRows(band, rows);
  writer.close();
}

/** What geotiff, and not our own reader, finds in a file. */
export async function readByGeotiff(path: string, overview = 0) {
  const tiff = await fromFile(path);
  const image = await tiff.getImage(overview);
  const bands = (await image.readRasters()).map((band) => Array.from(band, Number));
  const names: unknown[] = [];
  for (const band of bands.keys()) {
    names.push((await image.getGDALMetadata(band))?.['DESCRIPTION']);
  }
  await tiff.close();
  return { image, bands, names, width: image.getWidth(), height: image.getHeight() };
}
