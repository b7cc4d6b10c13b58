import { inflateSync } from 'node:zlib';
import { BaseDecoder, GeoTIFF, addDecoder, getDecoder } from 'geotiff';
import type { GeoTIFFImage } from 'geotiff';
import { bandNamesOf, gridOf, layoutOf } from './geotiff-tags.ts';
import type { Layout } from './geotiff-tags.ts';
import { intersection } from './grid.ts';
import type { Grid, Window } from './grid.ts';
import { LocalFile, truncated } from './local-file.ts';
import { FLOAT_PREDICTOR, restoreFloats } from './predictor.ts';
import { newSamples, sampleLayout, samplesFrom } from './samples.ts';
import type { SampleArray, SampleType } from './samples.ts';

type Decoder = Awaited<ReturnType<typeof getDecoder>>;

const UNCOMPRESSED = 1;
const NO_PREDICTOR = 1;

/** Reads windows of a GeoTIFF, decoding only the tiles or strips that a window touches. */
export class GeoTiffReader {
  readonly path: string;
  readonly grid: Grid;
  readonly bandNames: readonly string[];
  readonly nodata: number | undefined;
  readonly sampleType: SampleType;
  /** Rows that are decoded together: windows along these rows decode nothing twice. */
  readonly tileHeight: number;
  readonly #file: LocalFile;
  readonly #layout: Layout;
  readonly #decoder: Decoder;

  private constructor(
    file: LocalFile,
    image: GeoTIFFImage,
    bandNames: readonly string[],
    layout: Layout,
    decoder: Decoder,
  ) {
    this.path = file.path;
    this.grid = gridOf(image);
    this.bandNames = bandNames;
    this.nodata = image.getGDALNoData() ?? undefined;
    this.sampleType = layout.sampleType;
    this.tileHeight = layout.tileHeight;
    this.#file = file;
    this.#layout = layout;
    this.#decoder = decoder;
  }

  /** Opens the image, or its n-th overview. To be closed, best by `using`. */
  static async open(path: string, overview = 0): Promise<GeoTiffReader> {
    const file = new LocalFile(path);
    try {
      const tiff = await GeoTIFF.fromSource(file);
      // Otherwise geotiff reads tile offsets one by one when needed, and as little-endian only.
      tiff.parser.eager = true;
      const image = await tiff.getImage(overview);
      const layout = await layoutOf(image);
      assertAllThere(layout, file.fileSize);
      const bandNames = await bandNamesOf(image);
      return new GeoTiffReader(file, image, bandNames, layout, await decoderOf(image, layout));
    } catch (error) {
      void file.close();
      throw unreadable(path, error);
    }
  }

  /** The window's samples, one array for each of the bands (0-based) that are asked for. */
  async read(bands: readonly number[], window: Window): Promise<SampleArray[]> {
    const { tileWidth, tileHeight } = this.#layout;
    const result = bands.map(() => newSamples(this.sampleType, window.width * window.height));
    const lastRow = window.y + window.height - 1;
    const lastColumn = window.x + window.width - 1;
    try {
      for (let y = Math.floor(window.y / tileHeight); y * tileHeight <= lastRow; y++) {
        for (let x = Math.floor(window.x / tileWidth); x * tileWidth <= lastColumn; x++) {
          await this.#readTile(x, y, bands, window, result);
        }
      }
    } catch (error) {
      throw unreadable(this.path, error);
    }
    return result;
  }

  close(): void {
    void this.#file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #readTile(
    tileX: number,
    tileY: number,
    bands: readonly number[],
    window: Window,
    result: readonly SampleArray[],
  ): Promise<void> {
    const { bandByBand, bandCount, tileWidth, tileHeight } = this.#layout;
    const place = {
      x: tileX * tileWidth,
      y: tileY * tileHeight,
      width: tileWidth,
      height: tileHeight,
    };
    const shared = bandByBand ? undefined : await this.#decodeTile(tileX, tileY, 0);
    for (const [index, band] of bands.entries()) {
      const tile = shared ?? (await this.#decodeTile(tileX, tileY, band));
      const [first, step] = shared ? [band, bandCount] : [0, 1];
      copyOverlap(tile, place, first, step, result[index]!, window);
    }
  }

  async #decodeTile(tileX: number, tileY: number, band: number): Promise<SampleArray> {
    const { tileWidth, tileHeight, tilesAcross, tilesDown, height } = this.#layout;
    const { bandByBand, bandCount, sampleType } = this.#layout;
    const index = (band * tilesDown + tileY) * tilesAcross + tileX;
    const rows = Math.min(tileHeight, height - tileY * tileHeight);
    const length = rows * tileWidth * (bandByBand ? 1 : bandCount);

    const byteCount = this.#layout.byteCounts[index]!;
    if (byteCount === 0) return newSamples(sampleType, length).fill(this.nodata ?? 0);
    const encoded = this.#file.read(this.#layout.offsets[index]!, byteCount);
    const decoded = await this.#decoder.decode(encoded);
    const samples = samplesFrom(sampleType, this.#restore(Buffer.from(decoded)));
    if (samples.length < length) throw new Error(`tile ${index} is too short`);
    return samples;
  }

  #restore(bytes: Buffer): Buffer {
    const { tileWidth, bandByBand, bandCount, sampleType, predictor, bigEndian } = this.#layout;
    const { bits } = sampleLayout(sampleType);
    if (bigEndian) swapBytes(bytes, bits);
    if (predictor === FLOAT_PREDICTOR) {
      restoreFloats(bytes, tileWidth, bandByBand ? 1 : bandCount, bits / 8);
    }
    return bytes;
  }
}

/** zlib is several times faster than the JavaScript that geotiff brings for it. */
class NativeInflate extends BaseDecoder {
  override decodeBlock(deflated: ArrayBuffer): ArrayBuffer {
    const { buffer, byteOffset, byteLength } = inflateSync(new Uint8Array(deflated));
    return buffer.slice(byteOffset, byteOffset + byteLength);
  }
}
addDecoder([8, 32946], () => Promise.resolve(NativeInflate));

function decoderOf(image: GeoTIFFImage, layout: Layout): Promise<Decoder> {
  const directory = image.fileDirectory;
  const parameters = {
    tileWidth: layout.tileWidth,
    tileHeight: layout.tileHeight,
    predictor: layout.predictor === FLOAT_PREDICTOR ? NO_PREDICTOR : layout.predictor,
    bitsPerSample: directory.getValue('BitsPerSample') ?? [1],
    planarConfiguration: image.planarConfiguration,
    JPEGTables: directory.getValue('JPEGTables'),
    LercParameters: directory.getValue('LercParameters'),
  };
  return getDecoder(directory.getValue('Compression') ?? UNCOMPRESSED, parameters);
}

/** Found before any work is done, so that a broken download fails at once. */
function assertAllThere({ offsets, byteCounts }: Layout, fileSize: number): void {
  let end = 0;
  for (let i = 0; i < offsets.length; i++) end = Math.max(end, offsets[i]! + byteCounts[i]!);
  if (end > fileSize) throw truncated(end, fileSize);
}

function copyOverlap(
  tile: SampleArray,
  place: Window,
  first: number,
  step: number,
  target: SampleArray,
  window: Window,
): void {
  const overlap = intersection(place, window)!;
  for (let y = overlap.y; y < overlap.y + overlap.height; y++) {
    const from = ((y - place.y) * place.width + overlap.x - place.x) * step + first;
    const to = (y - window.y) * window.width + overlap.x - window.x;
    if (step === 1) target.set(tile.subarray(from, from + overlap.width), to);
    else for (let i = 0; i < overlap.width; i++) target[to + i] = tile[from + i * step]!;
  }
}

function swapBytes(bytes: Buffer, bits: number): void {
  if (bits === 16) bytes.swap16();
  else if (bits === 32) bytes.swap32();
  else if (bits === 64) bytes.swap64();
}

function unreadable(path: string, cause: unknown): Error {
  const reason = cause instanceof Error ? cause.message : String(cause);
  // A read behind the end of what is there; its message means nothing to a user.
  const damaged = cause instanceof RangeError ? 'truncated or damaged: ' : '';
  return new Error(`${path}: not a readable GeoTIFF: ${damaged}${reason}`, { cause });
}
