import { setImmediate } from 'node:timers/promises';

import { SaxesParser } from 'saxes';
import type { SaxesTagNS } from 'saxes';

/** An element with its namespace resolved. Comments and processing instructions are left out. */
export interface XmlElement {
  /** Namespace URI, empty for none. */
  readonly namespace: string;
  /** Name without prefix. */
  readonly name: string;
  /** By name without prefix; attributes of different namespaces with one name are not told apart. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlElement[];
  /** Its own text and that of its descendants, in document order. */
  readonly text: string;
  /** Its text without that of its descendants. */
  readonly ownText: string;
}

export interface XmlLimits {
  /** Characters of the document. */
  readonly size: number;
  /** Nesting of elements. */
  readonly depth: number;
  /** Number of elements. */
  readonly elements: number;
}

const DEFAULT_LIMITS: XmlLimits = { size: 4 * 1024 * 1024, depth: 64, elements: 100_000 };

type Building = Omit<XmlElement, 'children'> & {
  children: XmlElement[];
  text: string;
  ownText: string;
};

/**
 * Reads an XML document into a tree. Document type declarations are refused, so there are no entities but XML's own
 * five and nothing is ever fetched.
 *
 * @throws Error with line and column in its message
 */
export function parseXml(document: string, limits: XmlLimits = DEFAULT_LIMITS): XmlElement {
  const reader = new TreeReader(document, limits);
  reader.read(0, document.length);
  return reader.close();
}

/** Characters that are read at once: some milliseconds, also where they are thousands of elements. */
const TURN = 16 * 1024;

/** As `parseXml`, and others have their turn meanwhile. */
export async function parseXmlInTurns(
  document: string,
  limits: XmlLimits = DEFAULT_LIMITS,
): Promise<XmlElement> {
  const reader = new TreeReader(document, limits);
  for (let at = 0; at < document.length; at += TURN) {
    if (at > 0) await setImmediate();
    reader.read(at, at + TURN);
  }
  return reader.close();
}

class TreeReader {
  readonly #document: string;
  readonly #limits: XmlLimits;
  readonly #parser = new SaxesParser({ xmlns: true, position: true });
  readonly #open: Building[] = [];
  #root: Building | undefined;
  #count = 0;

  constructor(document: string, limits: XmlLimits) {
    this.#document = document;
    this.#limits = limits;
    if (document.length > limits.size) {
      throw new Error(`the document is longer than ${limits.size} characters`);
    }
    const parser = this.#parser;
    parser.on('error', (error) => {
      throw new Error(error.message.replace(/^(\d+):(\d+): /, 'line $1, column $2: '));
    });
    parser.on('doctype', () => this.#fail('a document type declaration is not allowed'));
    parser.on('opentag', (tag) => this.#enter(tag));
    parser.on('text', (text) => this.#append(text));
    parser.on('cdata', (text) => this.#append(text));
    parser.on('closetag', () => this.#leave());
  }

  read(from: number, to: number): void {
    this.#parser.write(this.#document.slice(from, to));
  }

  close(): XmlElement {
    this.#parser.close();
    return this.#root ?? this.#fail('the document has no element');
  }

  #enter({ uri, local: name, attributes: given }: SaxesTagNS): void {
    const { depth, elements } = this.#limits;
    if (this.#open.length >= depth) this.#fail(`elements are nested deeper than ${depth}`);
    if (++this.#count > elements) this.#fail(`the document has more than ${elements} elements`);
    const attributes: Record<string, string> = {};
    for (const { prefix, local, value } of Object.values(given)) {
      if (prefix !== 'xmlns' && local !== 'xmlns') attributes[local] = value;
    }
    const opened: Building = {
      namespace: uri,
      name,
      attributes,
      children: [],
      text: '',
      ownText: '',
    };
    this.#open.at(-1)?.children.push(opened);
    this.#root ??= opened;
    this.#open.push(opened);
  }

  #append(text: string): void {
    const current = this.#open.at(-1);
    if (!current) return;
    current.text += text;
    current.ownText += text;
  }

  #leave(): void {
    const closed = this.#open.pop();
    const parent = this.#open.at(-1);
    if (closed && parent) parent.text += closed.text;
  }

  #fail(message: string): never {
    const { line, columnIndex } = this.#parser;
    throw new Error(`line ${line}, column ${columnIndex + 1}: ${message}`);
  }
}

/** The first child element of that name, in whatever namespace. */
export const child = (parent: XmlElement, name: string): XmlElement | undefined =>
  parent.children.find((candidate) => candidate.name === name);

export const children = (parent: XmlElement, name: string): readonly XmlElement[] =>
  parent.children.filter((candidate) => candidate.name === name);

/** The trimmed text of the first child element of that name; `undefined` if there is none or it is blank. */
export const childText = (parent: XmlElement, name: string): string | undefined =>
  child(parent, name)?.text.trim() || undefined;

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

// What is not a Char of XML 1.0 (section 2.2) cannot be carried even escaped; a processor's message may hold it.
const FORBIDDEN = /[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu;

/** Whether XML can carry a text as it is. */
export const isXmlText = (text: string): boolean => text.search(FORBIDDEN) < 0;

/** Makes a text safe for element content and attribute values. */
export const escapeXml = (text: string): string =>
  text.replaceAll(FORBIDDEN, '\ufffd').replaceAll(/[&<>"']/g, (character) => ESCAPES[character]!);

/** A piece of serialised XML, to tell it from text that is still to be escaped. */
export interface Xml {
  readonly xml: string;
}

type Content = Xml | string | number | undefined | readonly Content[];

const serialise = (content: Content): string => {
  if (content === undefined) return '';
  if (typeof content === 'string') return escapeXml(content);
  if (typeof content === 'number') return String(content);
  return 'xml' in content ? content.xml : content.map(serialise).join('');
};

/** Writes one element. Attributes that are `undefined` are left out, and so is content. */
export function element(
  name: string,
  attributes: Readonly<Record<string, string | number | undefined>> = {},
  ...content: Content[]
): Xml {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${escapeXml(String(value))}"`)
    .join('');
  const inner = serialise(content);
  return { xml: inner === '' ? `<${name}${written}/>` : `<${name}${written}>${inner}</${name}>` };
}

export const xmlDocument = (root: Xml): string =>
  `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n${root.xml}\n`;
