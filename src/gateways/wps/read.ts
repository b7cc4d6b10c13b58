import { messageOf, PushbroomError } from '../../errors.ts';
import { child, children, childText, parseXml } from '../../xml.ts';
import type { XmlElement } from '../../xml.ts';
import { hasMixedContent, writeTree } from './tree.ts';

/** A request by key-value pairs. */
export type KvpRequest =
  | { readonly operation: 'GetCapabilities' }
  | { readonly operation: 'DescribeProcess'; readonly identifiers: readonly string[] | 'all' }
  | { readonly operation: 'GetStatus'; readonly jobId: string };

export interface ExecuteDocument {
  readonly process: string;
  readonly inputs: Readonly<Record<string, string>>;
  /** Whether the answer is due at once (`status="true"`) or when the job has ended. */
  readonly async: boolean;
  /** Whether the answer tells where it can be had again. */
  readonly store: boolean;
  /** The parts of the request that the answer repeats. */
  readonly lineage?: Lineage;
}

export interface Lineage {
  readonly dataInputs?: XmlElement;
  /** The requested `wps:Output` elements. */
  readonly outputs: readonly XmlElement[];
}

/** OGC 05-007r7, 7 to 9; GetStatus is Urban TEP's own (specification B.2). Names have no case. */
export function readKvp(query: URLSearchParams): KvpRequest {
  const parameters = new Map<string, string>();
  for (const [name, value] of query) {
    if (!parameters.has(name.toLowerCase())) parameters.set(name.toLowerCase(), value.trim());
  }
  const required = (name: string): string =>
    parameters.get(name.toLowerCase()) || throwMissing(name);

  if (required('Service').toUpperCase() !== 'WPS') throw invalid('Service');
  const request = required('Request').toLowerCase();
  switch (request) {
    case 'getcapabilities':
      checkAcceptVersions(parameters.get('acceptversions'));
      return { operation: 'GetCapabilities' };
    case 'describeprocess':
      if (required('Version') !== '1.0.0') throw invalid('Version');
      return { operation: 'DescribeProcess', identifiers: readIdentifiers(required('Identifier')) };
    case 'getstatus':
      return { operation: 'GetStatus', jobId: required('JobId') };
    // GeoServer's name for the same thing, known to portals from other centres.
    case 'getexecutionstatus':
      return { operation: 'GetStatus', jobId: required('executionId') };
    case 'execute':
      throw new PushbroomError('NOT_SUPPORTED', 'Execute by GET is not supported: POST the XML', {
        locator: 'Request',
      });
    default:
      throw invalid('Request');
  }
}

function checkAcceptVersions(versions: string | undefined): void {
  if (!versions || versions.split(',').some((version) => version.trim() === '1.0.0')) return;
  throw new PushbroomError('UNSUPPORTED_VERSION', `this service speaks WPS 1.0.0`, {
    locator: 'AcceptVersions',
  });
}

const MAX_IDENTIFIERS = 1000;

function readIdentifiers(text: string): readonly string[] | 'all' {
  if (text.toLowerCase() === 'all') return 'all';
  const identifiers = text
    .split(',')
    .map((identifier) => identifier.trim())
    .filter(Boolean);
  if (identifiers.length === 0) throw missing('Identifier');
  if (identifiers.length > MAX_IDENTIFIERS) {
    throw invalid('Identifier', `it names more than ${MAX_IDENTIFIERS} processes`);
  }
  return [...new Set(identifiers)];
}

/** Reads `wps:Execute` (OGC 05-007r7, 10.2) by the rules of specification B.6.1. */
export function readExecute(document: string): ExecuteDocument {
  const execute = parse(document);
  if (execute.name !== 'Execute') {
    throw new PushbroomError(
      'MALFORMED_REQUEST',
      `Invalid Execute request. The root element is '${execute.name}', not 'Execute'`,
    );
  }
  if (!execute.attributes['service']) throw missing('Service');
  if (execute.attributes['service'].toUpperCase() !== 'WPS') throw invalid('Service');
  if (!execute.attributes['version']) throw missing('Version');
  if (execute.attributes['version'] !== '1.0.0') throw invalid('Version');
  const process = childText(execute, 'Identifier') ?? throwMissing('Identifier');

  const dataInputs = child(execute, 'DataInputs');
  const form = child(execute, 'ResponseForm');
  if (form && child(form, 'RawDataOutput')) {
    throw invalid('RawDataOutput', 'raw output is not supported, ask for a ResponseDocument');
  }
  const response = form && child(form, 'ResponseDocument');
  const lineage: Lineage = {
    ...(dataInputs && { dataInputs }),
    outputs: response ? children(response, 'Output') : [],
  };
  return {
    process,
    inputs: readInputs(dataInputs),
    async: isTrue(response?.attributes['status']),
    store: isTrue(response?.attributes['storeExecuteResponse']),
    ...(isTrue(response?.attributes['lineage']) && { lineage }),
  };
}

function parse(document: string): XmlElement {
  try {
    // Clients indent their templates, and XML allows nothing before its declaration.
    return parseXml(document.trimStart());
  } catch (error) {
    throw new PushbroomError('MALFORMED_REQUEST', `Invalid Execute request. ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** The two ways to write true in xs:boolean. */
const isTrue = (text: string | undefined): boolean => text === 'true' || text === '1';

function readInputs(dataInputs: XmlElement | undefined): Record<string, string> {
  const inputs = new Map<string, string>();
  for (const input of dataInputs ? children(dataInputs, 'Input') : []) {
    const id = childText(input, 'Identifier');
    if (id === undefined) continue;
    if (inputs.has(id)) throw invalid(id, 'it is given more than once');
    inputs.set(id, readInput(id, input));
  }
  return Object.fromEntries(inputs);
}

function readInput(id: string, input: XmlElement): string {
  const data = child(input, 'Data');
  const literal = data && child(data, 'LiteralData');
  if (literal) return readLiteral(id, literal);
  const box = data && child(data, 'BoundingBoxData');
  if (box) return readBoundingBox(id, box);
  const complex = data && child(data, 'ComplexData');
  if (complex) return readComplex(id, complex);
  throw invalid(id, 'only LiteralData, ComplexData and BoundingBoxData are supported');
}

function readLiteral(id: string, literal: XmlElement): string {
  if (literal.children.length > 0) {
    throw invalid(id, 'its LiteralData holds elements, send them as ComplexData');
  }
  return literal.text.trim() || throwMissing(id);
}

/** The XML inside, or the text if there is no element. */
function readComplex(id: string, complex: XmlElement): string {
  if (hasMixedContent(complex)) throw invalid(id, 'its XML mixes text and elements');
  if (complex.children.length > 1) throw invalid(id, 'its XML has more than one root element');
  const root = complex.children[0];
  return root ? writeTree(root).xml : complex.text.trim() || throwMissing(id);
}

// EPSG's own axis order is latitude first. Only the two spellings that stand for it alone are read so: the others are
// what Urban TEP's clients write before corners that are longitude first (specification B.6.1).
const LATITUDE_FIRST = new Set([
  'urn:ogc:def:crs:EPSG::4326',
  'http://www.opengis.net/def/crs/EPSG/0/4326',
]);
const LONGITUDE_FIRST = new Set([
  'EPSG:4326',
  'urn:ogc:def:crs:EPSG:6:6:4326',
  'urn:ogc:def:crs:EPSG:6.6:4326',
  'urn:ogc:def:crs:OGC:1.3:CRS84',
  'http://www.opengis.net/def/crs/OGC/1.3/CRS84',
]);

/** `lon0,lat0,lon1,lat1` in degrees. */
function readBoundingBox(id: string, box: XmlElement): string {
  const crs = box.attributes['crs']?.trim() || 'EPSG:4326';
  const swapped = LATITUDE_FIRST.has(crs);
  if (!swapped && !LONGITUDE_FIRST.has(crs)) {
    throw invalid(id, `its crs is '${crs}', supported is EPSG:4326`);
  }
  return ['LowerCorner', 'UpperCorner']
    .flatMap((name) => {
      const [first, second, ...more] = (childText(box, name) ?? '').split(/\s+/);
      const longitude = readDegrees(swapped ? second : first, 180);
      const latitude = readDegrees(swapped ? first : second, 90);
      if (longitude === undefined || latitude === undefined || more.length > 0) {
        throw invalid(id, `${name} is not a longitude and a latitude in degrees`);
      }
      return [longitude, latitude];
    })
    .join(',');
}

function readDegrees(text: string | undefined, limit: number): number | undefined {
  const degrees = Number(text || Number.NaN);
  return Math.abs(degrees) <= limit ? degrees : undefined;
}

/** Texts as Urban TEP's clients know them (specification B.10), with the reason where there is more to say. */
const missing = (name: string): PushbroomError =>
  new PushbroomError('MISSING_PARAMETER', `The value of parameter '${name}' is missing.`, {
    locator: name,
  });

function throwMissing(name: string): never {
  throw missing(name);
}

const invalid = (name: string, reason?: string): PushbroomError =>
  new PushbroomError(
    'INVALID_PARAMETER',
    `Parameter '${name}' has an invalid value${reason === undefined ? '.' : `: ${reason}.`}`,
    { locator: name },
  );
