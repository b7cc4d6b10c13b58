import type { JobResult } from '../../core/model.ts';
import { PushbroomError } from '../../errors.ts';
import { isXmlText, parseXml } from '../../xml.ts';
import { LARGEST_VALUE } from '../outputs.ts';
import type { OutputFiles } from '../outputs.ts';
import { decodeXml } from './charset.ts';

/** What a file holds, as an XML document can carry it. */
export type Content =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'bbox'; readonly corners: readonly string[]; readonly crs: string }
  /** Without its declaration. */
  | { readonly kind: 'xml'; readonly xml: string; readonly mediaType: string }
  | { readonly kind: 'text'; readonly text: string; readonly mediaType: string }
  | { readonly kind: 'binary'; readonly base64: string; readonly mediaType: string };

/**
 * To be asked before anything is read.
 *
 * @throws INVALID_PARAMETER (locator: the output) for more than an answer can hold
 */
export function checkSize(groups: readonly OutputFiles[]): void {
  let size = 0;
  for (const { id, results } of groups) {
    for (const result of results) size += result.size;
    if (size <= LARGEST_VALUE) continue;
    const message = `With the output '${id}' the answer would have more than ${LARGEST_VALUE} bytes of values: ask for references.`;
    throw new PushbroomError('INVALID_PARAMETER', message, { locator: id });
  }
}

/** Literals and boxes by the output's type, all else by the type of its file. */
export function contentOf({ output }: OutputFiles, result: JobResult, bytes: Buffer): Content {
  const mediaType = result.type;
  if (output?.type === 'bbox') {
    const [x0 = '', y0 = '', x1 = '', y1 = '', crs = ''] = bytes.toString().split(',');
    return { kind: 'bbox', corners: [x0, y0, x1, y1], crs };
  }
  if (output && output.type !== 'complex') return { kind: 'literal', text: bytes.toString() };
  const xml = /[/+]xml\b/.test(mediaType) ? embeddable(bytes, mediaType) : undefined;
  if (xml !== undefined) return { kind: 'xml', xml, mediaType };
  const text = /^text\/|[/+](json|xml)\b/.test(mediaType) ? readText(bytes) : undefined;
  if (text !== undefined) return { kind: 'text', text, mediaType };
  return { kind: 'binary', base64: bytes.toString('base64'), mediaType };
}

/** @returns `undefined` for what XML cannot carry as text */
function readText(bytes: Buffer): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return isXmlText(text) ? text : undefined;
  } catch {
    return undefined;
  }
}

const PROLOG = /^\s*<\?xml[^>]*\?>/;

/** The document as a part of another one; `undefined` for one that is not well-formed or has a document type. */
function embeddable(bytes: Buffer, mediaType: string): string | undefined {
  try {
    const document = decodeXml(bytes, mediaType).replace(PROLOG, '');
    parseXml(document);
    return document.trim();
  } catch {
    return undefined;
  }
}
