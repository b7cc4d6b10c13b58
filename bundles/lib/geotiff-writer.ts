import { closeSync, openSync, readSync, unlinkSync, writeFileSync } from 'node:fs';
import { deflateSync } from 'node:zlib';
import type { Grid } from './grid.ts';
import { predict, predictorOf } from './predictor.ts';
import { newSamples, sampleLayout } from './samples.ts';
import type { SampleArray, SampleType } from './samples.ts';
import { encodeDirectory, encodeHeader } from './tiff-directory.ts';
import type { Tag } from './tiff-directory.ts';

export interface GeoTiffOptions {
  grid: Grid;
  sampleType: SampleType;
  bandNames: readonly string[];
  nodata?: number | undefined;
  /** Largest tile; both sides multiples of 16. */
  tile?: TileSize;
  deflateLevel?: number;
  /** Written by default for an image larger than 512 pixels; a waste in an intermediate product. */
  overviews?: boolean;
}

export interface TileSize {
  width: number;
  height: number;
}

const DEFAULT_TILE: TileSize = { width: 256, height: 256 };
const DEFAULT_DEFLATE_LEVEL = 6;

/** An image of this size or less is its own overview. */
const LARGEST_WITHOUT_OVERVIEW = 512;

const CLASSIC_TIFF_LIMIT = 2 ** 32 - 1;
const COPY_CHUNK = 1 << 20;

/**
 * Writes a cloud-optimised GeoTIFF: directories first, then the overviews from small to large, then
 * the image; tiled, each band for itself, deflated. Rows come in from top to bottom, bands in any
 * order, and never more than one row of tiles per band is held in memory. The same rows give the
 * same bytes. The file appears under its name only in `close()`.
 */
export class GeoTiffWriter {
  readonly #path: string;
  readonly #options: GeoTiffOptions;
  readonly #levels: Level[] = [];

  constructor(path: string, options: GeoTiffOptions) {
    this.#path = path;
    this.#options = options;
    const { width, height } = options.grid;
    const tile = fittingTile(options.tile ?? DEFAULT_TILE, width, height);
    const sizes = levelSizes(width, height);
    for (const size of (options.overviews ?? true) ? sizes : sizes.slice(0, 1)) {
      const level = new Level(`${path}.level${this.#levels.length}`, size, tile, options);
      this.#levels.at(-1)?.append(level);
      this.#levels.push(level);
    }
  }

  /** Adds whole rows, of the grid's width, below those that the band already has. */
  writeRows(band: number, rows: SampleArray): void {
    const { width } = this.#options.grid;
    for (let at = 0; at < rows.length; at += width) {
      this.#levels[0]!.writeRow(band, rows.subarray(at, at + width));
    }
  }

  close(): void {
    for (const level of this.#levels) level.assertComplete();
    const file = openSync(this.#path, 'w');
    try {
      writeFileSync(file, this.#encodeFront());
      for (const level of this.#levels.toReversed()) level.moveTo(file);
    } finally {
      closeSync(file);
    }
  }

  /** Sizes do not depend on offsets, so a first round with zeros tells where everything will be. */
  #encodeFront(): Buffer {
    const big = this.#needsBigTiff();
    const headerSize = encodeHeader(0, big).length;
    const directorySizes = this.#levels.map(
      (_, index) => encodeDirectory(this.#tags(index, 0), 0, 0, big).length,
    );
    const starts = runningSums(headerSize, directorySizes);
    const dataStarts = runningSums(
      starts.at(-1)!,
      this.#levels.map((level) => level.size).toReversed(),
    );
    const directories = this.#levels.map((_, index) => {
      const next = index + 1 < this.#levels.length ? starts[index + 1]! : 0;
      const dataStart = dataStarts[this.#levels.length - 1 - index]!;
      return encodeDirectory(this.#tags(index, dataStart), starts[index]!, next, big);
    });
    return Buffer.concat([encodeHeader(headerSize, big), ...directories]);
  }

  #needsBigTiff(): boolean {
    const directories = this.#levels.reduce((sum, level) => sum + level.directorySizeLimit, 0);
    const data = this.#levels.reduce((sum, level) => sum + level.size, 0);
    return directories + data > CLASSIC_TIFF_LIMIT;
  }

  #tags(levelIndex: number, dataStart: number): Tag[] {
    return [...this.#levels[levelIndex]!.tags(dataStart), ...this.#commonTags(levelIndex)];
  }

  #commonTags(levelIndex: number): Tag[] {
    const { sampleType, bandNames, nodata } = this.#options;
    const { format, bits } = sampleLayout(sampleType);
    const perBand = (value: number) => bandNames.map(() => value);
    const tags: Tag[] = [
      { id: 258, type: 'short', values: perBand(bits) },
      { id: 259, type: 'short', values: [8] }, // deflate
      { id: 262, type: 'short', values: [1] }, // black is zero
      { id: 277, type: 'short', values: [bandNames.length] },
      { id: 284, type: 'short', values: [bandNames.length > 1 ? 2 : 1] }, // band by band
      { id: 317, type: 'short', values: [predictorOf(sampleType)] },
      { id: 339, type: 'short', values: perBand(format) },
    ];
    if (bandNames.length > 1) tags.push({ id: 338, type: 'short', values: perBand(0).slice(1) });
    if (nodata !== undefined) {
      tags.push({ id: 42113, type: 'ascii', values: String(nodata).toLowerCase() });
    }
    if (levelIndex > 0) return [...tags, { id: 254, type: 'long', values: [1] }]; // an overview
    return [...tags, ...georeferencing(this.#options.grid), bandNameTag(bandNames)];
  }
}

/** One resolution of the image. Its tiles wait in an unnamed file until all sizes are known. */
class Level {
  readonly #width: number;
  readonly #height: number;
  readonly #tile: TileSize;
  readonly #options: GeoTiffOptions;
  readonly #spool: number;
  readonly #offsets: number[];
  readonly #byteCounts: number[];
  readonly #pending = new Map<number, SampleArray>();
  readonly #rowsWritten: number[];
  #overview: Level | undefined;
  size = 0;

  constructor(spoolPath: string, size: TileSize, tile: TileSize, options: GeoTiffOptions) {
    this.#width = size.width;
    this.#height = size.height;
    this.#tile = tile;
    this.#options = options;
    this.#spool = openSync(spoolPath, 'w+');
    unlinkSync(spoolPath);
    const tiles = options.bandNames.length * this.#tilesAcross * this.#tilesDown;
    this.#offsets = Array.from({ length: tiles }, () => 0);
    this.#byteCounts = Array.from({ length: tiles }, () => 0);
    this.#rowsWritten = options.bandNames.map(() => 0);
  }

  append(overview: Level): void {
    this.#overview = overview;
  }

  writeRow(band: number, row: SampleArray): void {
    const y = this.#rowsWritten[band]!++;
    if (y % 2 === 0) this.#overview?.writeRow(band, everySecond(row, this.#options.sampleType));

    const pending = this.#pending.get(band) ?? this.#startTileRow(band);
    pending.set(row, (y % this.#tile.height) * this.#width);
    if ((y + 1) % this.#tile.height === 0 || y + 1 === this.#height) {
      this.#writeTiles(band, Math.floor(y / this.#tile.height), pending);
      this.#pending.delete(band);
    }
  }

  assertComplete(): void {
    const short = this.#rowsWritten.findIndex((rows) => rows !== this.#height);
    if (short === -1) return;
    const name = this.#options.bandNames[short];
    throw new Error(`band ${name} has ${this.#rowsWritten[short]} of ${this.#height} rows`);
  }

  tags(dataStart: number): Tag[] {
    return [
      { id: 256, type: 'long', values: [this.#width] },
      { id: 257, type: 'long', values: [this.#height] },
      { id: 322, type: 'short', values: [this.#tile.width] },
      { id: 323, type: 'short', values: [this.#tile.height] },
      { id: 324, type: 'offset', values: this.#offsets.map((offset) => dataStart + offset) },
      { id: 325, type: 'long', values: this.#byteCounts },
    ];
  }

  /** A generous bound: offset and byte count of each tile, and room for all other tags. */
  get directorySizeLimit(): number {
    return this.#offsets.length * 16 + 65_536 + this.#options.bandNames.length * 1024;
  }

  moveTo(file: number): void {
    const chunk = Buffer.alloc(Math.min(COPY_CHUNK, this.size));
    for (let at = 0; at < this.size;) {
      const count = readSync(this.#spool, chunk, 0, chunk.length, at);
      writeFileSync(file, chunk.subarray(0, count));
      at += count;
    }
    closeSync(this.#spool);
  }

  get #tilesAcross(): number {
    return Math.ceil(this.#width / this.#tile.width);
  }

  get #tilesDown(): number {
    return Math.ceil(this.#height / this.#tile.height);
  }

  #startTileRow(band: number): SampleArray {
    const rows = newSamples(this.#options.sampleType, this.#width * this.#tile.height);
    this.#pending.set(band, rows);
    return rows;
  }

  #writeTiles(band: number, tileY: number, rows: SampleArray): void {
    const { width, height } = this.#tile;
    const { sampleType, deflateLevel = DEFAULT_DEFLATE_LEVEL } = this.#options;
    for (let tileX = 0; tileX < this.#tilesAcross; tileX++) {
      const tile = newSamples(sampleType, width * height);
      const left = tileX * width;
      const right = Math.min(left + width, this.#width);
      for (let y = 0; y < height; y++) {
        const row = rows.subarray(y * this.#width + left, y * this.#width + right);
        tile.set(row, y * width);
      }
      const bytes = deflateSync(predict(tile, sampleType, width), { level: deflateLevel });
      this.#store((band * this.#tilesDown + tileY) * this.#tilesAcross + tileX, bytes);
    }
  }

  #store(tileIndex: number, bytes: Buffer): void {
    writeFileSync(this.#spool, bytes);
    this.#offsets[tileIndex] = this.size;
    this.#byteCounts[tileIndex] = bytes.length;
    this.size += bytes.length;
  }
}

/** start, start + sizes[0], start + sizes[0] + sizes[1], ... */
function runningSums(start: number, sizes: readonly number[]): number[] {
  const sums = [start];
  for (const size of sizes) sums.push(sums.at(-1)! + size);
  return sums;
}

/** How many overviews the writer gives an image of this size, each half as large as the last. */
export function overviewCount(width: number, height: number): number {
  return levelSizes(width, height).length - 1;
}

function levelSizes(width: number, height: number): TileSize[] {
  const sizes = [{ width, height }];
  for (let size = sizes[0]!; Math.max(size.width, size.height) > LARGEST_WITHOUT_OVERVIEW;) {
    size = { width: Math.ceil(size.width / 2), height: Math.ceil(size.height / 2) };
    sizes.push(size);
  }
  return sizes;
}

/** A small image should not carry a large tile of padding. */
function fittingTile(largest: TileSize, width: number, height: number): TileSize {
  return {
    width: Math.min(largest.width, Math.ceil(width / 16) * 16),
    height: Math.min(largest.height, Math.ceil(height / 16) * 16),
  };
}

/** Nearest neighbour, because class codes have no average. */
function everySecond(row: SampleArray, type: SampleType): SampleArray {
  const half = newSamples(type, Math.ceil(row.length / 2));
  for (let i = 0; i < half.length; i++) half[i] = row[2 * i]!;
  return half;
}

function georeferencing({ geoKeys, ...grid }: Grid): Tag[] {
  const tags: Tag[] = [
    { id: 33550, type: 'double', values: [grid.pixelWidth, grid.pixelHeight, 0] },
    { id: 33922, type: 'double', values: [0, 0, 0, grid.originX, grid.originY, 0] },
  ];
  if (geoKeys.directory.length > 0) {
    tags.push({ id: 34735, type: 'short', values: geoKeys.directory });
  }
  if (geoKeys.doubles.length > 0) tags.push({ id: 34736, type: 'double', values: geoKeys.doubles });
  if (geoKeys.ascii !== '') tags.push({ id: 34737, type: 'ascii', values: geoKeys.ascii });
  return tags;
}

function bandNameTag(bandNames: readonly string[]): Tag {
  const items = bandNames.map(
    (name, sample) =>
      `<Item name="DESCRIPTION" sample="${sample}" role="description">${escapeXml(name)}</Item>`,
  );
  return { id: 42112, type: 'ascii', values: `<GDALMetadata>${items.join('')}</GDALMetadata>` };
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
