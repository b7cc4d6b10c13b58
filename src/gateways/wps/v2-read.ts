import type { OutputWish, ResponseWish } from '../../core/model.ts';
import { messageOf, PushbroomError } from '../../errors.ts';
import { child, children, childText, parseXmlInTurns } from '../../xml.ts';
import type { XmlElement } from '../../xml.ts';
import type { Inputs, InputValue } from '../inputs.ts';
import { mediaTypeOf, readBoundingBox, readComplex, readEncoding } from './read.ts';
import { checkIdentifiers, invalid, throwMissing } from './request.ts';
import { writeTree } from './tree.ts';
import { Refusal } from './v2-errors.ts';

/** What a client of WPS 2.0 can ask, by whatever verb. */
export type Wps2Request =
  | { readonly operation: 'GetCapabilities' }
  | { readonly operation: 'DescribeProcess'; readonly identifiers: readonly string[] | 'all' }
  | { readonly operation: 'GetStatus' | 'GetResult' | 'Dismiss'; readonly jobId: string }
  | ({ readonly operation: 'Execute' } & Wps2Execute);

export interface Wps2Execute {
  readonly process: string;
  readonly inputs: Inputs;
  readonly mode: 'sync' | 'async' | 'auto';
  readonly response: ResponseWish;
}

export const WPS2 = 'http://www.opengis.net/wps/2.0';
const VERSION = '2.0.0';

/**
 * Reads the query of a GET (OGC 14-065r2, 10). Names have no case, and of one that is given twice the first counts.
 *
 * @returns `undefined` for a request that is not of a version from 2 on: no version is 1.0.0, and of the versions that
 *   are accepted the first counts that is spoken here
 * @throws MISSING_PARAMETER, INVALID_PARAMETER, NOT_SUPPORTED
 */
export function readKvp2(query: string): Wps2Request | undefined {
  const parameters = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(query)) {
    if (!parameters.has(name.toLowerCase())) parameters.set(name.toLowerCase(), value.trim());
  }
  const required = (name: string): string =>
    parameters.get(name.toLowerCase()) || throwMissing(name);

  const version = parameters.get('version') || preferred(parameters.get('acceptversions'));
  if (!version || !/^[2-9]/.test(version)) return undefined;
  checkService(required('service'));
  checkVersion(version);
  const request = required('request').toLowerCase();
  switch (request) {
    case 'getcapabilities':
      return { operation: 'GetCapabilities' };
    case 'describeprocess':
      return {
        operation: 'DescribeProcess',
        identifiers: checkIdentifiers(required('identifier').split(',')),
      };
    case 'getstatus':
      return { operation: 'GetStatus', jobId: required('jobid') };
    case 'getresult':
      return { operation: 'GetResult', jobId: required('jobid') };
    case 'dismiss':
      return { operation: 'Dismiss', jobId: required('jobid') };
    case 'execute':
      throw new PushbroomError(
        'NOT_SUPPORTED',
        'WPS 2.0 has no Execute by GET: POST a wps:Execute document.',
        { locator: 'request' },
      );
    default:
      throw invalid('request');
  }
}

const preferred = (versions = ''): string | undefined =>
  versions
    .split(',')
    .map((version) => version.trim())
    .find((version) => version === '1.0.0' || version === VERSION);

function checkService(service: string): void {
  if (service.toUpperCase() !== 'WPS') throw invalid('service');
}

function checkVersion(version: string): void {
  if (version !== VERSION) throw invalid('version', `spoken here are 1.0.0 and ${VERSION}`);
}

/**
 * Reads the XML of a POST (OGC 14-065r2, 9). Only the root's namespace is looked at: clients mix those of OWS 1.1 and 2.0.
 *
 * @returns `undefined` for a document of another version
 * @throws MALFORMED_REQUEST, MISSING_PARAMETER, INVALID_PARAMETER, UNSUPPORTED_VERSION
 */
export async function readPost2(document: string): Promise<Wps2Request | undefined> {
  // Documents of 1.0.0 are not parsed twice.
  if (!document.includes('opengis.net/wps/2')) return undefined;
  const root = await parse(document);
  if (!root.namespace.includes('opengis.net/wps/2')) return undefined;
  if (root.namespace !== WPS2) {
    throw malformed(`The namespace of '${root.name}' is '${root.namespace}', and not '${WPS2}'`);
  }
  checkService(root.attributes['service'] || throwMissing('service'));
  if (root.name === 'GetCapabilities') {
    checkAcceptVersions(child(root, 'AcceptVersions'));
    return { operation: 'GetCapabilities' };
  }
  checkVersion(root.attributes['version'] || throwMissing('version'));
  switch (root.name) {
    case 'DescribeProcess':
      return {
        operation: 'DescribeProcess',
        identifiers: checkIdentifiers(children(root, 'Identifier').map(({ text }) => text)),
      };
    case 'GetStatus':
    case 'GetResult':
    case 'Dismiss':
      return { operation: root.name, jobId: childText(root, 'JobID') ?? throwMissing('JobID') };
    case 'Execute':
      return { operation: 'Execute', ...readExecute(root) };
    default:
      throw malformed(`There is no operation '${root.name.slice(0, 100)}' in WPS 2.0`);
  }
}

async function parse(document: string): Promise<XmlElement> {
  try {
    return await parseXmlInTurns(document.trimStart());
  } catch (error) {
    throw malformed(`The document cannot be read: ${messageOf(error)}`, error);
  }
}

const malformed = (message: string, cause?: unknown): PushbroomError =>
  new PushbroomError('MALFORMED_REQUEST', `${message}.`, { cause });

function checkAcceptVersions(accepted: XmlElement | undefined): void {
  const versions = accepted ? children(accepted, 'Version').map(({ text }) => text.trim()) : [];
  if (versions.length === 0 || versions.includes(VERSION)) return;
  throw new PushbroomError('UNSUPPORTED_VERSION', 'This service speaks WPS 1.0.0 and 2.0.0.', {
    locator: 'AcceptVersions',
  });
}

const MODES = ['sync', 'async', 'auto'] as const;
const FORMS = ['raw', 'document'] as const;

function readExecute(execute: XmlElement): Wps2Execute {
  const process = childText(execute, 'Identifier') ?? throwMissing('Identifier');
  const { mode: modeText = throwMissing('mode'), response = throwMissing('response') } =
    execute.attributes;
  const mode = MODES.find((each) => each === modeText);
  if (!mode) {
    const message = `The mode '${modeText.slice(0, 100)}' is none of ${MODES.join(', ')}.`;
    throw new Refusal('NoSuchMode', message, { locator: 'mode' });
  }
  const form = FORMS.find((each) => each === response);
  if (!form) throw invalid('response', `it is none of ${FORMS.join(', ')}`);
  const outputs = children(execute, 'Output').map(readOutput);
  return {
    process,
    inputs: readInputs(execute),
    mode,
    // The schema wants one output at least; who names none gets all.
    response: { form, ...(outputs.length > 0 && { outputs }) },
  };
}

function readOutput(output: XmlElement): OutputWish {
  const id = output.attributes['id']?.trim() || throwMissing('id');
  const { transmission } = output.attributes;
  if (child(output, 'Output')) throw nested(id);
  if (transmission !== undefined && transmission !== 'value' && transmission !== 'reference') {
    throw invalid(id, "its transmission is neither 'value' nor 'reference'");
  }
  // Texts come as they are and everything else as base64, whatever is asked for; nonsense is refused.
  readEncoding(id, output);
  return { id, ...(transmission && { transmission }), ...mediaTypeOf(output) };
}

function readInputs(execute: XmlElement): Inputs {
  const inputs = new Map<string, InputValue[]>();
  for (const input of children(execute, 'Input')) {
    const id = input.attributes['id']?.trim() || throwMissing('id');
    const value = readInput(id, input);
    const given = inputs.get(id);
    if (given) given.push(value);
    else inputs.set(id, [value]);
  }
  return inputs;
}

function readInput(id: string, input: XmlElement): InputValue {
  if (child(input, 'Input')) throw nested(id);
  const reference = child(input, 'Reference');
  if (reference) return readReference(id, reference);
  const data = child(input, 'Data');
  if (!data) throw invalid(id, 'it has neither Data nor a Reference');
  const literal = child(data, 'LiteralValue');
  if (literal) return { kind: 'literal', text: literal.text.trim() || throwMissing(id) };
  const box = child(data, 'BoundingBox');
  if (box) return readBoundingBox(id, box);
  const isPlain = data.children.length === 0 && Object.keys(data.attributes).length === 0;
  if (isPlain) return { kind: 'literal', text: data.text.trim() || throwMissing(id) };
  return readComplex(id, data);
}

/** There is no attribute for the method as in 1.0.0: a body is posted. */
function readReference(id: string, reference: XmlElement): InputValue {
  if (child(reference, 'BodyReference')) {
    throw invalid(id, 'BodyReference is not supported, send the Body itself');
  }
  const body = child(reference, 'Body');
  const root = body?.children[0];
  return {
    kind: 'reference',
    href: reference.attributes['href']?.trim() || throwMissing(id),
    ...(body && { body: Buffer.from(root ? writeTree(root).xml : body.text) }),
    ...(readEncoding(id, reference) === 'base64' && { encoding: 'base64' as const }),
    ...mediaTypeOf(reference),
  };
}

const nested = (id: string): PushbroomError =>
  invalid(id, 'it is nested, which no process here is described to be');
