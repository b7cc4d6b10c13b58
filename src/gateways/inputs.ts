import { toDataUrl } from '../data-url.ts';
import { PushbroomError, messageOf } from '../errors.ts';
import type { Format, Process, ProcessInput } from '../jobs/jobs.ts';
import { essenceOf } from '../publication/media-type.ts';
import { geoJsonToWkt } from './geojson.ts';
import type { FetchReference, Reference } from './references.ts';

/** A value as a request gives it, before it is known what its process makes of it. */
export type InputValue =
  | { readonly kind: 'literal'; readonly text: string }
  | ({ readonly kind: 'complex' } & ComplexValue)
  | {
      readonly kind: 'bbox';
      /** In the order of axes of the CRS: lower corner, upper corner. */
      readonly corners: readonly [number, number, number, number];
      /** As the request names it. */
      readonly crs?: string;
    }
  | ({ readonly kind: 'reference' } & Reference);

interface ComplexValue {
  readonly content: Buffer;
  /** Where the request says it. */
  readonly mediaType?: string;
}

/** By the id of the input, in the order in which they are given. */
export type Inputs = ReadonlyMap<string, readonly InputValue[]>;

/**
 * The inputs of a request as the texts that jobs take; what is given by reference is fetched.
 *
 * @throws INVALID_PARAMETER (locator: the input), and whatever `fetchReference` throws
 */
export async function inputTexts(
  process: Process,
  inputs: Inputs,
  fetchReference: FetchReference,
): Promise<Record<string, string>> {
  const known = new Map(process.inputs.map((input) => [input.id, input]));
  const texts: [string, string][] = [];
  for (const [id, values] of inputs) {
    const input = known.get(id);
    const { maxOccurs = 1 } = input ?? {};
    if (values.length === 0 && maxOccurs > 1) continue;
    if (values.length === 0) throw invalid(id, 'it is an empty list');
    const most = process.isOpen ? Infinity : maxOccurs;
    if (values.length > most) {
      const often =
        most === 1
          ? 'it is given more than once'
          : `it is given ${values.length} times, ${most} are allowed`;
      throw invalid(id, often);
    }
    const its: string[] = [];
    for (const value of values) {
      const there =
        value.kind === 'reference' ? await follow(process, id, value, fetchReference) : value;
      its.push(asText(id, input, there));
    }
    // What a form of an operator leaves empty is as if it were not there.
    if (process.isOpen && its.every((text) => text === '')) continue;
    texts.push([id, maxOccurs > 1 ? JSON.stringify(its) : its.join(',')]);
  }
  return Object.fromEntries(texts);
}

type PresentValue = Exclude<InputValue, { kind: 'reference' }>;

/** In productions a reference is a value itself (specification B.1). */
const follow = async (
  { isOpen }: Process,
  id: string,
  reference: Reference,
  fetchReference: FetchReference,
): Promise<PresentValue> =>
  isOpen ? { kind: 'literal', text: reference.href } : fetched(id, reference, fetchReference);

async function fetched(
  id: string,
  reference: Reference,
  fetchReference: FetchReference,
): Promise<PresentValue> {
  try {
    return { kind: 'complex', ...(await fetchReference(reference)) };
  } catch (error) {
    if (error instanceof PushbroomError) throw invalid(id, error.message, error);
    throw error;
  }
}

function asText(id: string, input: ProcessInput | undefined, value: PresentValue): string {
  if (input?.type === 'complex') return toDataUrl(complexOf(input, value));
  if (value.kind === 'bbox') {
    return input?.type === 'bbox' ? boxText(id, value) : cornersOf(id, value).join(',');
  }
  if (value.kind === 'literal') {
    return input?.type === 'bbox' ? boxText(id, boxOf(id, value.text)) : value.text;
  }
  const text = decode(id, value.content);
  if (input?.type === 'wkt' && text.trimStart().startsWith('{')) return regionOf(id, text);
  if (input && isSame(value.mediaType ?? '', 'application/json')) {
    throw invalid(id, 'it must be one string, number or boolean');
  }
  return text;
}

/** `x0,y0,x1,y1[,crs[,dimensions]]` (OGC 06-121r3, 10.2.3). */
function boxOf(id: string, text: string): Box {
  const [x0, y0, x1, y1, ...named] = text.split(',').map((part) => part.trim());
  const [crs] = named;
  const corners = [x0, y0, x1, y1].map((part) => Number(part || Number.NaN));
  if (corners.every(Number.isFinite)) {
    return {
      kind: 'bbox',
      corners: corners as [number, number, number, number],
      ...(crs !== undefined && { crs }),
    };
  }
  throw invalid(id, 'it is not x0,y0,x1,y1 with a CRS after it');
}

/** The format that is asked for, or the first one where nothing is said. */
function complexOf(
  { id, formats = [] }: ProcessInput,
  value: PresentValue,
): { mediaType: string; content: Buffer } {
  if (value.kind === 'bbox') throw invalid(id, 'it must be complex data, and not a bounding box');
  const content = value.kind === 'literal' ? Buffer.from(value.text) : value.content;
  const asked = value.kind === 'complex' ? value.mediaType : undefined;
  const format: Format | undefined =
    asked === undefined ? formats[0] : formats.find(({ mediaType }) => isSame(mediaType, asked));
  if (format) return { mediaType: format.mediaType, content };
  const known = formats.map(({ mediaType }) => mediaType).join(', ');
  throw invalid(id, `it must be of type ${known}, and not '${asked?.slice(0, 100)}'`);
}

/** Media types without their parameters; XML and GeoJSON have two names each. */
const isSame = (a: string, b: string): boolean => commonName(a) === commonName(b);
const commonName = (type: string): string =>
  essenceOf(type)
    .replace('application/xml', 'text/xml')
    .replace('application/geo+json', 'application/json');

function decode(id: string, content: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch (error) {
    throw invalid(id, 'it is not text in UTF-8', error);
  }
}

function regionOf(id: string, text: string): string {
  try {
    return geoJsonToWkt(JSON.parse(text));
  } catch (error) {
    throw invalid(id, `it is not a GeoJSON polygon: ${messageOf(error)}`, error);
  }
}

// EPSG's own axis order is latitude first. Only the two spellings that stand for it alone are read so: the others are
// what Urban TEP's clients write before corners that are longitude first (specification B.6.1).
const LATITUDE_FIRST: ReadonlySet<string> = new Set([
  'urn:ogc:def:crs:EPSG::4326',
  'http://www.opengis.net/def/crs/EPSG/0/4326',
]);
const LONGITUDE_FIRST: ReadonlySet<string> = new Set([
  'EPSG:4326',
  'urn:ogc:def:crs:EPSG:6:6:4326',
  'urn:ogc:def:crs:EPSG:6.6:4326',
  'urn:ogc:def:crs:OGC:1.3:CRS84',
  'urn:ogc:def:crs:OGC::CRS84',
  'http://www.opengis.net/def/crs/OGC/1.3/CRS84',
  'http://www.opengis.net/def/crs/OGC/0/CRS84',
]);
const CRS84 = 'http://www.opengis.net/def/crs/OGC/1.3/CRS84';
export const BOX_CRS: readonly string[] = [CRS84, 'http://www.opengis.net/def/crs/EPSG/0/4326'];

type Box = Extract<InputValue, { kind: 'bbox' }>;

const boxText = (id: string, box: Box): string => {
  cornersOf(id, box);
  return [...box.corners, box.crs ?? CRS84].join(',');
};

/** West, south, east, north in degrees. */
function cornersOf(id: string, { corners, crs = CRS84 }: Box): readonly number[] {
  if (!LATITUDE_FIRST.has(crs) && !LONGITUDE_FIRST.has(crs)) {
    throw invalid(id, `its crs is '${crs.slice(0, 100)}', supported are ${BOX_CRS.join(' and ')}`);
  }
  const [x0, y0, x1, y1] = corners;
  const [west, south, east, north] = LATITUDE_FIRST.has(crs) ? [y0, x0, y1, x1] : [x0, y0, x1, y1];
  const isInside =
    Math.max(Math.abs(west), Math.abs(east)) <= 180 &&
    Math.max(Math.abs(south), Math.abs(north)) <= 90;
  // Of what is not a number, no comparison holds.
  if (!isInside) throw invalid(id, 'its corners are not in degrees of longitude and latitude');
  return [west, south, east, north];
}

export const invalid = (id: string, reason: string, cause?: unknown): PushbroomError =>
  new PushbroomError('INVALID_PARAMETER', `The input '${id.slice(0, 100)}': ${reason}.`, {
    locator: id.slice(0, 100),
    cause,
  });
