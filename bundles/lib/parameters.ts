import { readFileSync } from 'node:fs';

export type Parameters = ReadonlyMap<string, string>;

/** One `key=value` per line; a value that starts with a quote is a shell word, and may go on for lines. */
const ASSIGNMENT = /^([^#=\r\n][^=\r\n]*)=(?:((?:'[^']*'|\\['\\])+)(?=\s*$)|(.*))$/gm;
const SHELL_PART = /'([^']*)'|\\(.)/gs;

export function parseParameters(text: string): Parameters {
  const parameters = new Map<string, string>();
  for (const [, key = '', quoted, plain = ''] of text.matchAll(ASSIGNMENT)) {
    parameters.set(key.trim(), quoted?.replaceAll(SHELL_PART, '$1$2') ?? plain.trim());
  }
  return parameters;
}

/** The parameters file is optional, and an empty value counts as absent. */
export function readParameters(path: string | undefined): Parameters {
  if (path === undefined) return new Map();
  const parameters = parseParameters(readFileSync(path, 'utf8'));
  return new Map([...parameters].filter(([, value]) => value !== ''));
}

export function wholeNumber(parameters: Parameters, name: string, fallback: number): number {
  const text = parameters.get(name);
  if (text === undefined) return fallback;
  if (!/^\d{1,9}$/.test(text)) throw new Error(`parameter ${name} is no whole number: ${text}`);
  return Number(text);
}
