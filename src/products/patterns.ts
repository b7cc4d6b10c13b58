/**
 * Path patterns of datasets (specification B.8.2): regular expressions over a whole path, with variables for the day
 * and the region. A pattern is matched level by level, so nothing in it ever spans a `/`.
 */
import { resolve } from 'node:path';
import type { Day, Period } from '../core/model.ts';
import { dayNumber, dayOfYear } from '../core/time.ts';
import { isUrl, parseUrl } from '../storage/location.ts';

/** A pattern with its variables replaced. */
export interface Expansion {
  readonly pattern: string;
  /** First and last of the days that gave it; absent when no days were asked for. */
  readonly days?: Period;
}

/** Splits a list of patterns at its commas, but not inside of `()`, `[]` and `{}` or after a backslash. */
export function splitPatterns(text: string): string[] {
  const patterns = [''];
  let depth = 0;
  for (const [piece] of text.matchAll(/\\?[^]/g)) {
    if (piece === ',' && depth === 0) patterns.push('');
    else patterns.push(patterns.pop() + piece);
    if ('([{'.includes(piece)) depth++;
    if (')]}'.includes(piece)) depth = Math.max(0, depth - 1);
  }
  return patterns.map((pattern) => pattern.trim()).filter((pattern) => pattern !== '');
}

/**
 * Makes a pattern absolute. Only `./` and `../` at its start lead through directories; a directory may be named with
 * any character, as none of it is taken for an expression.
 */
export function resolvePattern(pattern: string, directory: string): string {
  if (pattern.startsWith('/') || isUrl(pattern)) return pattern;
  const [upwards] = /^(\.{1,2}\/+)*/.exec(pattern)!;
  const start = resolve(directory, upwards).replace(/\/$/, '');
  return `${escapeExpression(start)}/${pattern.slice(upwards.length)}`;
}

/**
 * @param storages the beginnings of URLs that can be searched, as `hdfs://calvalus`
 * @throws Error for a location that is a URL, but not of one of these
 */
export function checkStorage(location: string, storages: readonly string[]): void {
  const start = startOf(location);
  if (start === '' || storages.includes(start)) return;
  const known = storages.length > 0 ? storages.join(', ') : 'none';
  throw new Error(`"${location}" is a URL of no configured storage; there is ${known}`);
}

/**
 * @param storages as `checkStorage` takes them
 * @throws Error for a pattern that could not be searched for, whatever the day and region
 */
export function checkPattern(pattern: string, storages: readonly string[] = []): void {
  checkStorage(pattern, storages);
  for (const expansion of expandPattern(pattern, ['2000-01-01'], 'region')) {
    const { components } = levelsOf(expansion.pattern);
    if (components.length === 0) throw new Error(`"${pattern}" names no file`);
    components.forEach(expressionOf);
  }
}

/**
 * Replaces the variables of a pattern for each day. What comes out several times, as a month does for each of its days,
 * is given once, where it came first.
 *
 * @param days in order; without them each variable of the date stands for anything
 * @param regionName without it `${region}` and `${site}` stand for anything
 * @throws Error for an unknown variable
 */
export function expandPattern(
  pattern: string,
  days: readonly Day[] | undefined,
  regionName?: string,
): Expansion[] {
  const region = regionName ? escapeExpression(regionName) : ANYTHING;
  const pieces = piecesOf(pattern, region);
  const expand = (day?: Day) =>
    pieces.map((piece) => (typeof piece === 'string' ? piece : piece(day))).join('');
  if (!days) return [{ pattern: expand() }];
  const found = new Map<string, Period>();
  for (const day of days) {
    const text = expand(day);
    found.set(text, { from: found.get(text)?.from ?? day, to: day });
  }
  return Array.from(found, ([text, covered]) => ({ pattern: text, days: covered }));
}

/** Whether a name may stand for `${region}` in a path: a user gives it. */
export const isRegionName = (name: string): boolean =>
  name.length <= 200 && /^(?![._])[^/\0]*$/.test(name);

/** The expressions of a pattern for each name of a path; a `/` within `[]` divides nothing, as in `[^/]+`. */
export const namesOf = (pattern: string): string[] =>
  pattern.match(/(?:[^/[\\]+|\[(?:[^\]\\]|\\.)*\]|\\[^/]|[[\\])+/g) ?? [];

/** The scheme and storage with which a URL begins: nothing of a path. */
export function startOf(location: string): string {
  const url = parseUrl(location);
  return url ? `${url.scheme}://${url.name}` : '';
}

/** Where to look for what an expanded pattern matches. */
export interface Levels {
  /** The directory that the pattern's beginning names literally, without a slash at its end. May be a URL. */
  readonly base: string;
  /** One regular expression for each level below it; the last is for the products themselves. */
  readonly components: readonly string[];
}

/** @throws Error for a pattern with a level `.` or `..` */
export function levelsOf(pattern: string): Levels {
  const components = namesOf(parseUrl(pattern)?.path ?? pattern);
  const climbing = components.find((component) => /^(?:\\?\.){1,2}$/.test(component));
  if (climbing !== undefined) throw new Error(`"${pattern}" has the part "${climbing}"`);
  const variable = components.findIndex((component) => !LITERAL.test(component));
  const depth = variable < 0 ? components.length - 1 : variable;
  const base = components.slice(0, depth).map((component) => `/${plainText(component)}`);
  return { base: startOf(pattern) + base.join(''), components: components.slice(depth) };
}

/** The expression for the names of one level; it has to match the whole name. */
export function expressionOf(component: string): RegExp {
  try {
    return new RegExp(`^(?:${component})$`);
  } catch (cause) {
    throw new Error(
      `"${component}" is not a regular expression for a name (none may go across a "/"): ${String(cause)}`,
      { cause },
    );
  }
}

const ANYTHING = '.*';
const LITERAL = /^(?:[^\\^$.*+?()[\]{}|]|\\[^\w])*$/;

const escapeExpression = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
const plainText = (component: string): string => component.replaceAll(/\\([^\w])/g, '$1');

type Piece = string | ((day: Day | undefined) => string);

const VARIABLES: ReadonlyMap<string, Piece> = new Map([
  ['yyyy', (day?: Day) => day?.slice(0, 4) ?? ANYTHING],
  ['MM', (day?: Day) => day?.slice(5, 7) ?? ANYTHING],
  ['dd', (day?: Day) => day?.slice(8) ?? ANYTHING],
  ['DDD', (day?: Day) => (day ? String(dayOfYear(dayNumber(day))).padStart(3, '0') : ANYTHING)],
]);

/** A pattern cut into texts and into what depends on the day. */
const piecesOf = (pattern: string, region: string): Piece[] =>
  pattern.split(/(\$\{[^}]*\})/).map((piece) => {
    if (!piece.startsWith('${')) return piece;
    const name = piece.slice(2, -1);
    if (name === 'region' || name === 'site') return region;
    const variable = VARIABLES.get(name);
    if (variable) return variable;
    throw new Error(`"${pattern}" has the unknown variable ${piece}`);
  });
