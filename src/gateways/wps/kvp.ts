import type { OutputWish } from '../../core/model.ts';
import { element } from '../../xml.ts';
import type { Xml } from '../../xml.ts';
import type { Inputs, InputValue } from '../inputs.ts';
import {
  checkAcceptVersions,
  checkIdentifiers,
  checkLanguage,
  checkVersion,
  invalid,
  throwMissing,
} from './request.ts';
import type { ExecuteRequest, WpsRequest } from './request.ts';

/** Values by lower-case name, decoded and as they were sent. */
type Parameters = ReadonlyMap<string, { readonly text: string; readonly raw: string }>;

/**
 * Reads the query of a GET (OGC 05-007r7, 7 to 10; GetStatus is Urban TEP's own, specification B.2). Names have no case,
 * and of one that is given twice the first counts.
 *
 * @param query as it was sent, without the question mark
 * @throws MISSING_PARAMETER, INVALID_PARAMETER, UNSUPPORTED_VERSION
 */
export function readKvp(query: string): WpsRequest {
  const parameters = split(query);
  const optional = (name: string): string | undefined =>
    parameters.get(name.toLowerCase())?.text || undefined;
  const required = (name: string): string => optional(name) ?? throwMissing(name);

  if (required('Service').toUpperCase() !== 'WPS') throw invalid('Service');
  const request = required('Request').toLowerCase();
  checkLanguage(optional('language'));
  switch (request) {
    case 'getcapabilities':
      checkAcceptVersions(optional('AcceptVersions')?.split(',') ?? []);
      return { operation: 'GetCapabilities' };
    case 'describeprocess':
      checkVersion(required('Version'));
      return {
        operation: 'DescribeProcess',
        identifiers: checkIdentifiers(required('Identifier').split(',')),
      };
    case 'getstatus':
      return { operation: 'GetStatus', jobId: required('JobId') };
    // GeoServer's name for the same thing, known to portals from other centres.
    case 'getexecutionstatus':
      return { operation: 'GetStatus', jobId: required('executionId') };
    case 'execute':
      checkVersion(required('Version'));
      return { operation: 'Execute', ...readExecute(required('Identifier'), parameters) };
    default:
      throw invalid('Request');
  }
}

function split(query: string): Parameters {
  const parameters = new Map<string, { text: string; raw: string }>();
  for (const pair of query.split('&')) {
    const at = pair.indexOf('=');
    if (at < 1) continue;
    const name = decode(pair.slice(0, at)).toLowerCase();
    const raw = pair.slice(at + 1);
    if (!parameters.has(name)) parameters.set(name, { text: decode(raw).trim(), raw });
  }
  return parameters;
}

/** As forms are encoded; what is not an encoding stays as it is. */
function decode(text: string): string {
  const spaced = text.replaceAll('+', ' ');
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
}

/** OGC 05-007r7, 10.2.2.2. */
function readExecute(process: string, parameters: Parameters): ExecuteRequest {
  const items = (name: string): Item[] => itemsOf(parameters.get(name)?.raw ?? '');
  const isTrue = (name: string): boolean => /^(true|1)$/i.test(parameters.get(name)?.text ?? '');
  const wishes = (list: readonly Item[]): OutputWish[] => list.map(outputWish);
  const [raw, ...more] = wishes(items('rawdataoutput'));
  if (more.length > 0) throw invalid('RawDataOutput', 'it names more than one output');
  const outputs = wishes(items('responsedocument'));
  if (raw && outputs.length > 0) {
    throw invalid('RawDataOutput', 'it does not go with ResponseDocument');
  }
  const inputs = inputsOf(items('datainputs'));
  return {
    process,
    inputs,
    async: !raw && isTrue('status'),
    store: !raw && isTrue('storeexecuteresponse'),
    response: raw
      ? { form: 'raw', outputs: [raw] }
      : {
          form: 'document',
          ...(outputs.length > 0 && { outputs }),
          ...(isTrue('lineage') && { lineage: lineageOf(inputs) }),
        },
  };
}

/** The inputs as a POST would have had them. */
const lineageOf = (inputs: Inputs): string =>
  element(
    'wps:DataInputs',
    {},
    Array.from(inputs).flatMap(([id, values]) =>
      values.map((value) =>
        element('wps:Input', {}, element('ows:Identifier', {}, id), dataOf(value)),
      ),
    ),
  ).xml;

function dataOf(value: InputValue): Xml {
  if (value.kind === 'reference') return element('wps:Reference', { 'xlink:href': value.href });
  const data =
    value.kind === 'complex'
      ? element(
          'wps:ComplexData',
          { mimeType: value.mediaType, encoding: 'base64' },
          value.content.toString('base64'),
        )
      : element('wps:LiteralData', {}, value.kind === 'literal' ? value.text : '');
  return element('wps:Data', {}, data);
}

/** `name=value@attribute=value@...`; outputs have no value. */
interface Item {
  readonly name: string;
  readonly value: string;
  /** By lower-case name, without prefix. */
  readonly attributes: Readonly<Record<string, string>>;
}

// A value may hold an @ itself, so only these begin an attribute.
const ATTRIBUTE =
  /@(?:xlink:)?(mimeType|encoding|schema|href|dataType|uom|crs|asReference|method)=/gi;

/**
 * Clients encode the values and leave the separators, or encode everything once more; the first can be told by an equals
 * sign that is still there.
 */
function itemsOf(raw: string): Item[] {
  const isSeparated = raw.includes('=') || !/%3d/i.test(raw);
  const text = isSeparated ? raw : decode(raw);
  return text
    .split(';')
    .filter((part) => part.trim() !== '')
    .map((part) => itemOf(part));
}

function itemOf(text: string): Item {
  const found = [...text.matchAll(ATTRIBUTE)];
  const head = text.slice(0, found[0]?.index);
  const attributes = found.map(({ 0: match, 1: name, index }, number) => [
    name!.toLowerCase(),
    decode(text.slice(index + match.length, found[number + 1]?.index)).trim(),
  ]);
  const at = head.indexOf('=');
  return {
    name: decode(at < 0 ? head : head.slice(0, at)).trim(),
    value: at < 0 ? '' : decode(head.slice(at + 1)).trim(),
    attributes: Object.fromEntries(attributes) as Record<string, string>,
  };
}

function inputsOf(items: readonly Item[]): Inputs {
  const inputs = new Map<string, InputValue[]>();
  for (const item of items) {
    if (item.name === '') throw invalid('DataInputs', 'an input has no name');
    const given = inputs.get(item.name);
    if (given) given.push(valueOf(item));
    else inputs.set(item.name, [valueOf(item)]);
  }
  return inputs;
}

function valueOf({ value, attributes }: Item): InputValue {
  const { mimetype: mediaType, encoding, href } = attributes;
  const type = mediaType === undefined ? {} : { mediaType };
  const isBase64 = encoding?.toLowerCase() === 'base64';
  if (href !== undefined) {
    return { kind: 'reference', href, ...type, ...(isBase64 && { encoding: 'base64' as const }) };
  }
  if (mediaType === undefined && !isBase64) return { kind: 'literal', text: value };
  return { kind: 'complex', content: Buffer.from(value, isBase64 ? 'base64' : 'utf8'), ...type };
}

function outputWish({ name, attributes }: Item): OutputWish {
  const { mimetype: mediaType, asreference } = attributes;
  return {
    id: name,
    ...(asreference !== undefined && {
      transmission: /^(true|1)$/i.test(asreference) ? ('reference' as const) : ('value' as const),
    }),
    ...(mediaType !== undefined && { mediaType }),
  };
}
