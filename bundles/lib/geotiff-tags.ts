import type { GeoTIFFImage } from 'geotiff';
import type { GeoKeys, Grid } from './grid.ts';
import { sampleTypeOf } from './samples.ts';
import type { SampleType } from './samples.ts';

/** How the pixels of an image lie in the file. */
export interface Layout {
  width: number;
  height: number;
  bandCount: number;
  sampleType: SampleType;
  /** Each tile holds one band only; otherwise the bands of a pixel lie side by side. */
  bandByBand: boolean;
  tileWidth: number;
  tileHeight: number;
  tilesAcross: number;
  tilesDown: number;
  offsets: ArrayLike<number>;
  byteCounts: ArrayLike<number>;
  predictor: number;
  bigEndian: boolean;
}

const SAMPLE_FORMAT_UNSIGNED = 1;
const PHOTOMETRIC_YCBCR = 6;
const ENTITIES: Record<string, string> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };

export async function layoutOf(image: GeoTIFFImage): Promise<Layout> {
  const directory = image.fileDirectory;
  const kind = image.isTiled ? 'Tile' : 'Strip';
  const [width, height] = [image.getWidth(), image.getHeight()];
  const [tileWidth, tileHeight] = [image.getTileWidth(), image.getTileHeight()];
  const layout: Layout = {
    width,
    height,
    bandCount: image.getSamplesPerPixel(),
    sampleType: sampleTypeIn(image),
    bandByBand: image.planarConfiguration === 2,
    tileWidth,
    tileHeight,
    tilesAcross: Math.ceil(width / tileWidth),
    tilesDown: Math.ceil(height / tileHeight),
    offsets: (await directory.loadValue(`${kind}Offsets`)) ?? [],
    byteCounts: (await directory.loadValue(`${kind}ByteCounts`)) ?? [],
    predictor: (await directory.loadValue('Predictor')) ?? 1,
    bigEndian: !image.littleEndian,
  };
  assertSupported(image, layout);
  return layout;
}

function sampleTypeIn(image: GeoTIFFImage): SampleType {
  const formats = image.fileDirectory.getValue('SampleFormat') ?? [SAMPLE_FORMAT_UNSIGNED];
  const bits = image.fileDirectory.getValue('BitsPerSample') ?? [1];
  const kinds = new Set(Array.from(bits, (b, i) => `${formats[i] ?? formats[0]}/${b}`));
  const type = sampleTypeOf(formats[0]!, bits[0]!);
  if (kinds.size > 1) throw new Error('bands of different types are unsupported');
  if (!type) throw new Error(`samples of ${bits[0]} bits, format ${formats[0]}, are unsupported`);
  return type;
}

function assertSupported(image: GeoTIFFImage, layout: Layout): void {
  const { width, height, tileWidth, tileHeight, bandCount, offsets, byteCounts } = layout;
  const sizes = [width, height, tileWidth, tileHeight, bandCount];
  if (!sizes.every((size) => size > 0)) throw new Error('an image without size');
  const planes = layout.bandByBand ? bandCount : 1;
  const tiles = layout.tilesAcross * layout.tilesDown * planes;
  if (offsets.length < tiles || byteCounts.length < tiles) {
    throw new Error(`${offsets.length} of ${tiles} tiles`);
  }
  if (image.fileDirectory.getValue('PhotometricInterpretation') === PHOTOMETRIC_YCBCR) {
    throw new Error('YCbCr colours are unsupported');
  }
  if (layout.bigEndian && layout.predictor !== 1 && image.getBitsPerSample() > 8) {
    throw new Error('a predictor in a big-endian file is unsupported');
  }
}

/** The image's place on Earth; without georeferencing its CRS is empty and a pixel is one unit. */
export function gridOf(image: GeoTIFFImage): Grid {
  const directory = image.fileDirectory;
  const size = { width: image.getWidth(), height: image.getHeight(), geoKeys: geoKeysIn(image) };
  const matrix = directory.getValue('ModelTransformation');
  if (matrix) {
    const [pixelWidth, rowSkew, , originX, columnSkew, negativeHeight, , originY] = matrix;
    if (rowSkew !== 0 || columnSkew !== 0 || !(negativeHeight! < 0)) {
      throw new Error('a rotated image is unsupported');
    }
    return {
      ...size,
      originX: originX!,
      originY: originY!,
      pixelWidth: pixelWidth!,
      pixelHeight: -negativeHeight!,
    };
  }
  const [pixelWidth = 1, pixelHeight = 1] = directory.getValue('ModelPixelScale') ?? [];
  const [i = 0, j = 0, , x = 0, y = 0] = directory.getValue('ModelTiepoint') ?? [];
  const [originX, originY] = [x - i * pixelWidth, y + j * pixelHeight];
  return { ...size, originX, originY, pixelWidth, pixelHeight };
}

function geoKeysIn(image: GeoTIFFImage): GeoKeys {
  const directory = image.fileDirectory;
  return {
    directory: Array.from(directory.getValue('GeoKeyDirectory') ?? []),
    doubles: Array.from(directory.getValue('GeoDoubleParams') ?? []),
    ascii: (directory.getValue('GeoAsciiParams') ?? '').replace(/\0+$/, ''),
  };
}

/** Names as GDAL writes them; a band without one is called as in SNAP, `band_1` and so on. */
export async function bandNamesOf(image: GeoTIFFImage): Promise<string[]> {
  const bands = Array.from({ length: image.getSamplesPerPixel() }, (_, band) => band);
  return Promise.all(
    bands.map(async (band) => {
      const description = (await image.getGDALMetadata(band))?.['DESCRIPTION'];
      return typeof description === 'string' ? unescapeXml(description) : `band_${band + 1}`;
    }),
  );
}

function unescapeXml(text: string): string {
  return text.replaceAll(/&(lt|gt|quot|apos|amp);/g, (_, name: string) => ENTITIES[name]!);
}
