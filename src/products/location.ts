import type { Location } from '../core/model.ts';
import { parseUrl } from '../storage/location.ts';
import type { DatasetLocation } from './dataset.ts';
import { expressionOf, namesOf, startOf } from './patterns.ts';

const GROUPS = ['node', 'rack', 'pool'] as const;
type Told = { readonly [K in (typeof GROUPS)[number]]?: string };

/** Places that are kept to be shared: there are as many as nodes, unless a pattern is wrong. */
const MAX_REMEMBERED = 10_000;

/** @throws Error for a pattern that tells nothing of where a product lies */
export function checkPlacePattern(pattern: string): void {
  if (/\$\{/.test(pattern)) throw new Error(`"${pattern}" has a variable; it can have none`);
  const found = namesOf(pattern).flatMap((component) => {
    expressionOf(component);
    return Object.keys(new RegExp(`${component}|`).exec('')!.groups ?? {});
  });
  const known = GROUPS.map((name) => `(?<${name}>...)`).join(', ');
  const unknown = found.find((name) => !GROUPS.some((group) => group === name));
  if (unknown !== undefined) throw new Error(`the group ${unknown} is none of ${known}`);
  if (found.length === 0) throw new Error(`"${pattern}" has none of the groups ${known}`);
}

/**
 * Tells where products lie by their paths. Equal places are the same object, as a million products may lie on a few
 * nodes.
 *
 * @param everywhere what holds for all products besides
 */
export function createLocator(
  { pattern, pool: poolOfAll, ...rest }: DatasetLocation = {},
  { pools = [], ...everywhere }: Pick<Location, 'pools' | 'engines'> = {},
): (path: string) => Location | undefined {
  const withPools = (pool: string | undefined): Location => {
    const all = new Set([...(pool === undefined ? [] : [pool]), ...pools]);
    return all.size > 0 ? { pools: [...all] } : {};
  };
  const ofAll: Location = { ...rest, ...everywhere, ...withPools(poolOfAll) };
  const byDefault = Object.keys(ofAll).length > 0 ? ofAll : undefined;
  if (pattern === undefined) return () => byDefault;
  const start = startOf(pattern);
  const expressions = namesOf(parseUrl(pattern)?.path ?? pattern).map(expressionOf);
  const remembered = new Map<string, Location>();
  let last: { readonly beginning: string; readonly location: Location | undefined } | undefined;

  const locate = (beginning: string): Location | undefined => {
    const told = match(beginning, expressions);
    if (GROUPS.every((name) => told[name] === undefined)) return byDefault;
    const key = JSON.stringify(GROUPS.map((name) => told[name]));
    const known = remembered.get(key);
    if (known) return known;
    if (remembered.size === MAX_REMEMBERED) remembered.clear();
    const { node, rack, pool } = told;
    const location = {
      ...ofAll,
      ...(node !== undefined && { nodes: [node] }),
      ...(rack !== undefined && { racks: [rack] }),
      ...(pool !== undefined && withPools(pool)),
    };
    remembered.set(key, location);
    return location;
  };
  return (location) => {
    if (!location.startsWith(start)) return byDefault;
    const path = location.slice(start.length);
    // Products come directory by directory: most begin as the one before.
    const beginning = path.slice(0, endOfNames(path, expressions.length));
    if (last?.beginning !== beginning) last = { beginning, location: locate(beginning) };
    return last.location;
  };
}

/** Where the first names of an absolute path end. */
function endOfNames(path: string, count: number): number {
  let end = 0;
  for (let name = 0; name < count && end >= 0; name += 1) end = path.indexOf('/', end + 1);
  return end < 0 ? path.length : end;
}

/** What the groups match where all names do. */
function match(beginning: string, expressions: readonly RegExp[]): Told {
  const names = beginning.split('/').slice(1);
  if (names.length < expressions.length) return {};
  const found = expressions.map((expression, index) => expression.exec(names[index]!));
  return found.includes(null) ? {} : Object.assign({}, ...found.map((each) => each!.groups));
}
