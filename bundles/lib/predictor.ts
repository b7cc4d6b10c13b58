import { sampleLayout } from './samples.ts';
import type { SampleArray, SampleType } from './samples.ts';

/** TIFF's Predictor tag: differences of neighbours deflate much better than the values do. */
export const INTEGER_PREDICTOR = 2;
export const FLOAT_PREDICTOR = 3;

export function predictorOf(type: SampleType): number {
  return sampleLayout(type).format === 3 ? FLOAT_PREDICTOR : INTEGER_PREDICTOR;
}

/** Replaces the samples of a one-band tile by what the predictor leaves, and returns the bytes. */
export function predict(tile: SampleArray, type: SampleType, width: number): Uint8Array {
  const bytes = new Uint8Array(tile.buffer, tile.byteOffset, tile.byteLength);
  if (predictorOf(type) === INTEGER_PREDICTOR) differenceRows(tile, width);
  else differenceFloatRows(bytes, width, sampleLayout(type).bits / 8);
  return bytes;
}

function differenceRows(tile: SampleArray, width: number): void {
  for (let row = 0; row < tile.length; row += width) {
    for (let i = row + width - 1; i > row; i--) tile[i]! -= tile[i - 1]!;
  }
}

/** Groups the bytes of a row by significance, highest first, before taking differences. */
function differenceFloatRows(bytes: Uint8Array, width: number, sampleSize: number): void {
  const rowSize = width * sampleSize;
  const planes = new Uint8Array(rowSize);
  for (let row = 0; row < bytes.length; row += rowSize) {
    for (let i = 0; i < width; i++) {
      for (let b = 0; b < sampleSize; b++) {
        planes[(sampleSize - 1 - b) * width + i] = bytes[row + i * sampleSize + b]!;
      }
    }
    for (let i = rowSize - 1; i > 0; i--) planes[i]! -= planes[i - 1]!;
    bytes.set(planes, row);
  }
}

/** Undoes the float predictor in place, for pixels of `bands` samples each; geotiff's is slow. */
export function restoreFloats(
  bytes: Uint8Array,
  width: number,
  bands: number,
  sampleSize: number,
): void {
  const samples = width * bands;
  const rowSize = samples * sampleSize;
  const planes = new Uint8Array(rowSize);
  for (let row = 0; row + rowSize <= bytes.length; row += rowSize) {
    planes.set(bytes.subarray(row, row + rowSize));
    for (let i = bands; i < rowSize; i++) planes[i]! += planes[i - bands]!;
    for (let b = 0; b < sampleSize; b++) {
      const plane = (sampleSize - 1 - b) * samples;
      for (let i = 0; i < samples; i++) bytes[row + i * sampleSize + b] = planes[plane + i]!;
    }
  }
}
