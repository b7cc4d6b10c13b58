import type { OutputWish, ResponseWish } from '../../core/model.ts';
import { messageOf, PushbroomError } from '../../errors.ts';
import { child, children, childText, element, parseXmlInTurns } from '../../xml.ts';
import type { XmlElement } from '../../xml.ts';
import type { Inputs, InputValue } from '../inputs.ts';
import {
  checkAcceptVersions,
  checkIdentifiers,
  checkLanguage,
  checkVersion,
  invalid,
  missing,
  throwMissing,
} from './request.ts';
import type { ExecuteRequest, WpsRequest } from './request.ts';
import { hasMixedContent, writeTree } from './tree.ts';
import { WPS } from './write.ts';

/**
 * Reads the XML of a POST (OGC 05-007r7, 8.2, 9.2 and 10.2), Execute by the rules of specification B.6.1.
 *
 * @throws MALFORMED_REQUEST, MISSING_PARAMETER, INVALID_PARAMETER, UNSUPPORTED_VERSION
 */
export async function readPost(document: string): Promise<WpsRequest> {
  return requestOf(await parse(document));
}

function requestOf(root: XmlElement): WpsRequest {
  if (!OPERATIONS.has(root.name)) throw noExecute(root.name);
  if (root.namespace !== '' && root.namespace !== WPS) {
    throw new PushbroomError(
      'MALFORMED_REQUEST',
      `Invalid Execute request. Its namespace is '${root.namespace.slice(0, 100)}', not '${WPS}'`,
    );
  }
  if (!root.attributes['service']) throw missing('Service');
  if (root.attributes['service'].toUpperCase() !== 'WPS') throw invalid('Service');
  checkLanguage(root.attributes['language']);
  switch (root.name) {
    case 'GetCapabilities': {
      const versions = child(root, 'AcceptVersions');
      checkAcceptVersions(versions ? children(versions, 'Version').map(({ text }) => text) : []);
      return { operation: 'GetCapabilities' };
    }
    case 'DescribeProcess':
      checkVersion(root.attributes['version'] || throwMissing('Version'));
      return {
        operation: 'DescribeProcess',
        identifiers: checkIdentifiers(children(root, 'Identifier').map(({ text }) => text)),
      };
    default:
      return { operation: 'Execute', ...executeOf(root) };
  }
}

const OPERATIONS: ReadonlySet<string> = new Set(['GetCapabilities', 'DescribeProcess', 'Execute']);

/** Reads what can only be an Execute. @throws as `readPost` */
export async function readExecute(document: string): Promise<ExecuteRequest> {
  const asked = await readPost(document);
  if (asked.operation === 'Execute') return asked;
  throw noExecute(asked.operation);
}

const noExecute = (name: string): PushbroomError =>
  new PushbroomError(
    'MALFORMED_REQUEST',
    `Invalid Execute request. The root element is '${name}', not 'Execute'`,
  );

function executeOf(execute: XmlElement): ExecuteRequest {
  checkVersion(execute.attributes['version'] || throwMissing('Version'));
  const dataInputs = child(execute, 'DataInputs');
  const form = child(execute, 'ResponseForm');
  const raw = form && child(form, 'RawDataOutput');
  const document = form && child(form, 'ResponseDocument');
  return {
    process: childText(execute, 'Identifier') ?? throwMissing('Identifier'),
    inputs: readInputs(dataInputs),
    async: isTrue(document?.attributes['status']),
    store: isTrue(document?.attributes['storeExecuteResponse']),
    response: raw
      ? { form: 'raw', outputs: [readOutput(raw)] }
      : readResponseDocument(document, dataInputs),
  };
}

function readResponseDocument(
  document: XmlElement | undefined,
  dataInputs: XmlElement | undefined,
): ResponseWish {
  const requested = document ? children(document, 'Output') : [];
  const outputs = requested.map(readOutput);
  return {
    form: 'document',
    ...(outputs.length > 0 && { outputs }),
    ...(isTrue(document?.attributes['lineage']) && { lineage: lineageOf(dataInputs, requested) }),
  };
}

function readOutput(output: XmlElement): OutputWish {
  const asReference = output.attributes['asReference'];
  const mediaType = output.attributes['mimeType']?.trim();
  return {
    id: childText(output, 'Identifier') ?? throwMissing('Identifier'),
    ...(asReference !== undefined && {
      transmission: isTrue(asReference) ? ('reference' as const) : ('value' as const),
    }),
    ...(mediaType && { mediaType }),
  };
}

/** The parts of the request that answers repeat. */
const lineageOf = (dataInputs: XmlElement | undefined, outputs: readonly XmlElement[]): string =>
  (dataInputs ? writeTree(dataInputs).xml : '') +
  (outputs.length > 0
    ? element(
        'wps:OutputDefinitions',
        {},
        outputs.map((each) => writeTree(each)),
      ).xml
    : '');

async function parse(document: string): Promise<XmlElement> {
  try {
    // Clients indent their templates, and XML allows nothing before its declaration.
    return await parseXmlInTurns(document.trimStart());
  } catch (error) {
    throw new PushbroomError('MALFORMED_REQUEST', `Invalid Execute request. ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** The two ways to write true in xs:boolean. */
const isTrue = (text: string | undefined): boolean => text === 'true' || text === '1';

function readInputs(dataInputs: XmlElement | undefined): Inputs {
  const inputs = new Map<string, InputValue[]>();
  for (const input of dataInputs ? children(dataInputs, 'Input') : []) {
    const id = childText(input, 'Identifier');
    // Clients send forms with inputs that nobody has filled in.
    if (id === undefined) continue;
    const value = readInput(id, input);
    const given = inputs.get(id);
    if (given) given.push(value);
    else inputs.set(id, [value]);
  }
  return inputs;
}

function readInput(id: string, input: XmlElement): InputValue {
  const data = child(input, 'Data');
  // Old clients of Calvalus put it inside.
  const reference = child(input, 'Reference') ?? (data && child(data, 'Reference'));
  if (reference) return readReference(id, reference);
  const literal = data && child(data, 'LiteralData');
  if (literal) return readLiteral(id, literal);
  const box = data && child(data, 'BoundingBoxData');
  if (box) return readBoundingBox(id, box);
  const complex = data && child(data, 'ComplexData');
  if (complex) return readComplex(id, complex);
  throw invalid(
    id,
    'it has neither Data with LiteralData, ComplexData or BoundingBoxData nor a Reference',
  );
}

function readLiteral(id: string, literal: XmlElement): InputValue {
  if (literal.children.length > 0) {
    throw invalid(id, 'its LiteralData holds elements, send them as ComplexData');
  }
  return { kind: 'literal', text: literal.text.trim() };
}

/** The XML inside, or the text if there is no element. */
export function readComplex(id: string, complex: XmlElement): InputValue {
  if (hasMixedContent(complex)) throw invalid(id, 'its XML mixes text and elements');
  if (complex.children.length > 1) throw invalid(id, 'its XML has more than one root element');
  const root = complex.children[0];
  const text = root ? writeTree(root).xml : complex.text.trim() || throwMissing(id);
  const content = readEncoding(id, complex) === 'base64' ? fromBase64(id, text) : Buffer.from(text);
  return { kind: 'complex', content, ...mediaTypeOf(complex) };
}

function readReference(id: string, reference: XmlElement): InputValue {
  const href = reference.attributes['href']?.trim() || throwMissing(id);
  const method = reference.attributes['method'] ?? 'GET';
  if (method !== 'GET' && method !== 'POST') throw invalid(id, `its method is '${method}'`);
  if (child(reference, 'BodyReference')) {
    throw invalid(id, 'BodyReference is not supported, send the Body itself');
  }
  const body = method === 'POST' && child(reference, 'Body');
  const root = body ? body.children[0] : undefined;
  return {
    kind: 'reference',
    href,
    ...(body && { body: Buffer.from(root ? writeTree(root).xml : body.text) }),
    ...(readEncoding(id, reference) === 'base64' && { encoding: 'base64' as const }),
    ...mediaTypeOf(reference),
  };
}

/** WPS 1.0.0 calls the media type `mimeType`, and so do most clients of 2.0 (OGC 14-065r2, 7.3.2). */
export const mediaTypeOf = ({ attributes }: XmlElement): { readonly mediaType?: string } => {
  const mediaType = attributes['mimeType']?.trim();
  return mediaType ? { mediaType } : {};
};

export function readEncoding(id: string, { attributes }: XmlElement): 'base64' | undefined {
  const encoding = attributes['encoding']?.trim().toLowerCase();
  if (!encoding || /^utf-?8$/.test(encoding)) return undefined;
  if (encoding === 'base64') return 'base64';
  throw invalid(id, `its encoding is '${encoding}', supported are UTF-8 and base64`);
}

const BASE64 = /^[A-Za-z0-9+/\s]*={0,2}\s*$/;

function fromBase64(id: string, text: string): Buffer {
  if (!BASE64.test(text)) throw invalid(id, 'it is not base64');
  return Buffer.from(text, 'base64');
}

/** @throws INVALID_PARAMETER for corners that are not two numbers each */
export function readBoundingBox(id: string, box: XmlElement): InputValue {
  const crs = box.attributes['crs']?.trim() || 'EPSG:4326';
  const [x0, y0] = readCorner(id, box, 'LowerCorner');
  const [x1, y1] = readCorner(id, box, 'UpperCorner');
  return { kind: 'bbox', corners: [x0, y0, x1, y1], crs };
}

function readCorner(id: string, box: XmlElement, name: string): readonly [number, number] {
  const [first, second, ...more] = (childText(box, name) ?? '').split(/\s+/);
  const x = Number(first || Number.NaN);
  const y = Number(second || Number.NaN);
  if (Number.isFinite(x) && Number.isFinite(y) && more.length === 0) return [x, y];
  throw invalid(id, `${name} is not a longitude and a latitude in degrees`);
}
