import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Day, Period, Product, ProductQuery } from '../core/model.ts';
import { dayNumber, dayOfNumber } from '../core/time.ts';
import { messageOf, PushbroomError } from '../errors.ts';
import type { Dataset } from './dataset.ts';
import { expandPattern, expressionOf, isDisjoint, isRegionName, levelsOf } from './patterns.ts';
import type { Expansion } from './patterns.ts';

export interface FindOptions {
  readonly dataset: Dataset;
  readonly query: ProductQuery;
  /** In order of their starts and of their ends; days outside of them are not searched. */
  readonly periods: readonly Period[];
  /** Products that are given at once. */
  readonly batch?: number;
  /** More products than this are an error. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

/** More than a century. */
const MAX_DAYS = 50_000;
const DEFAULT_BATCH = 500;
/** Names of directories that are kept to be looked at again. */
const MAX_REMEMBERED = 200_000;

/**
 * Finds the products of a dataset (specification B.8.2): files or directories below the directories that its patterns
 * name literally, where names that begin with `_` or `.` are invisible. The same archive gives the same order. A
 * product belongs to the periods of all the days for which its pattern was expanded to what matched it first; without
 * periods, to the one with index 0.
 *
 * @throws INVALID_PARAMETER for a missing archive, a wrong region name, too many days or products;
 *   UNAVAILABLE when a directory cannot be read; the signal's reason when it aborts
 */
export async function* findProducts(options: FindOptions): AsyncGenerator<Product[]> {
  const { dataset, periods, batch = DEFAULT_BATCH, limit = Infinity, signal } = options;
  const list = createListing(dataset, signal);
  const searches = await plan(options);
  const isNew = createSieve(dataset);
  let products: Product[] = [];
  let count = 0;
  for await (const { paths, days } of walkAll(searches, list)) {
    const contribution = contributionOf(days, periods);
    for (const path of paths.filter(isNew)) {
      if (++count > limit) throw tooMany(dataset, limit);
      products.push({ path, ...contribution });
      if (products.length < batch) continue;
      yield products;
      products = [];
    }
  }
  if (products.length > 0) yield products;
}

const tooMany = (dataset: Dataset, limit: number): PushbroomError =>
  invalid(
    'inputDataSetName',
    `dataset "${dataset.name}" has more than ${limit} products for the request: ask for fewer days`,
  );

const invalid = (locator: string, message: string): PushbroomError =>
  new PushbroomError('INVALID_PARAMETER', message, { locator });

interface Search extends Expansion {
  /** The directory that has to be there, whatever the day and region. */
  readonly root: string;
}

/** What to look for and where, in order. */
async function plan({ dataset, query, periods }: FindOptions): Promise<Search[]> {
  const regionName = query.regionName ?? dataset.regionName;
  if (regionName !== undefined && !isRegionName(regionName)) {
    throw invalid(
      'regionName',
      'regionName is not a name: at most 200 characters, no "/", and neither "." nor "_" at its start',
    );
  }
  const days = daysToSearch(dataset, query, periods);
  const searches: Search[] = [];
  for (const pattern of dataset.patterns) {
    const root = levelsOf(pattern).base;
    await checkRoot(dataset, root);
    const expansions = expandPattern(pattern, days, regionName);
    for (const expansion of expansions) searches.push({ ...expansion, root });
  }
  return searches;
}

async function checkRoot(dataset: Dataset, root: string): Promise<void> {
  const problem = await stat(root || '/').then(
    (found) => (found.isDirectory() ? undefined : 'is not a directory'),
    (error: unknown) => `cannot be read (${messageOf(error)})`,
  );
  if (problem === undefined) return;
  throw invalid(
    'inputDataSetName',
    `dataset "${dataset.name}": ${root} ${problem}; mount the archive there or correct the dataset's path`,
  );
}

/** Each day of the periods once, as far as the dataset has it; `undefined` for a request without days. */
function daysToSearch(
  dataset: Dataset,
  query: ProductQuery,
  periods: readonly Period[],
): Day[] | undefined {
  const ranges = periods.length === 0 && query.range ? [query.range] : periods;
  if (ranges.length === 0) return undefined;
  const bounds = [query.range, { from: dataset.minDate, to: dataset.maxDate }];
  const first = bounds.map((bound) => (bound?.from ? dayNumber(bound.from) : -Infinity));
  const last = bounds.map((bound) => (bound?.to ? dayNumber(bound.to) : Infinity));
  const found: Day[] = [];
  let next = Math.max(...first);
  for (const { from, to } of ranges) {
    const end = Math.min(dayNumber(to), ...last);
    for (next = Math.max(next, dayNumber(from)); next <= end; next++) {
      if (found.length === MAX_DAYS) {
        throw invalid('minDate', `the request covers more than ${MAX_DAYS} days`);
      }
      found.push(dayOfNumber(next));
    }
  }
  return found;
}

type List = (directory: string) => Promise<readonly Dirent[] | undefined>;

interface Found {
  readonly paths: readonly string[];
  readonly days: Period | undefined;
}

async function* walkAll(searches: readonly Search[], list: List): AsyncGenerator<Found> {
  let absent: string | undefined;
  for (const { pattern, root, days } of searches) {
    const { base, components } = levelsOf(pattern);
    // Directories that are remembered are matched without any wait: let others have a turn.
    await setImmediate();
    if (absent !== undefined && `${base}/`.startsWith(absent)) continue;
    if (/\/[._]/.test(base.slice(root.length))) continue;
    if (await list(base)) {
      for await (const paths of walk(base, components.map(expressionOf), list))
        yield { paths, days };
    } else {
      absent = `${await topmostAbsent(base, root)}/`;
    }
  }
}

/** The products of one directory after the other. */
async function* walk(
  directory: string,
  [expression, ...deeper]: readonly RegExp[],
  list: List,
): AsyncGenerator<string[]> {
  const paths = ((await list(directory)) ?? [])
    .filter((entry) => expression?.test(entry.name) && (deeper.length === 0 || !entry.isFile()))
    .map(({ name }) => `${directory}/${name}`);
  if (deeper.length === 0) yield paths;
  else for (const path of paths) yield* walk(path, deeper, list);
}

/** The highest directory below the root that is not there, so that a missing year costs one look and not 365. */
async function topmostAbsent(directory: string, root: string): Promise<string> {
  let top = directory;
  for (let parent = dirname(top); parent.length > root.length; parent = dirname(parent)) {
    if (
      await stat(parent).then(
        () => true,
        () => false,
      )
    )
      break;
    top = parent;
  }
  return top;
}

/**
 * Lists what is visible in a directory, sorted by code units; `undefined` if it is not there. Remembers what it has
 * seen last, since a pattern with the day in the file's name asks for the same directory day by day.
 */
function createListing(dataset: Dataset, signal: AbortSignal | undefined): List {
  const remembered = new Map<string, readonly Dirent[] | undefined>();
  let size = 0;
  return async (directory) => {
    signal?.throwIfAborted();
    if (remembered.has(directory)) return remembered.get(directory);
    const entries = await read(dataset, directory);
    size += 1 + (entries?.length ?? 0);
    if (size > MAX_REMEMBERED) {
      remembered.clear();
      size = 1 + (entries?.length ?? 0);
    }
    remembered.set(directory, entries);
    return entries;
  };
}

async function read(dataset: Dataset, directory: string): Promise<Dirent[] | undefined> {
  try {
    const entries = await readdir(directory || '/', { withFileTypes: true });
    return entries
      .filter((entry) => !/^[._]/.test(entry.name) && isProductLike(entry))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    if (error instanceof Error && 'code' in error) {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    }
    throw new PushbroomError(
      'UNAVAILABLE',
      `dataset "${dataset.name}": cannot list ${directory}: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/** Archives are full of links, so these are followed; sockets, pipes and devices are no products. */
const isProductLike = (entry: Dirent): boolean =>
  entry.isFile() || entry.isDirectory() || entry.isSymbolicLink();

/** Tells whether a path was not found before, which nobody has to remember where it can't be. */
function createSieve({ patterns }: Dataset): (path: string) => boolean {
  if (patterns.length === 1 && isDisjoint(patterns[0]!)) return () => true;
  const seen = new Set<string>();
  return (path) => seen.size < seen.add(path).size;
}

type Contribution = Pick<Product, 'firstPeriod' | 'lastPeriod'>;

/** The periods that share a day with these; without days or periods there is but one. */
function contributionOf(days: Period | undefined, periods: readonly Period[]): Contribution {
  if (!days || periods.length === 0) return { firstPeriod: 0, lastPeriod: 0 };
  return {
    firstPeriod: indexFrom(periods, ({ to }) => to >= days.from),
    lastPeriod: indexFrom(periods, ({ from }) => from > days.to) - 1,
  };
}

/** Index of the first period that passes, where all after it pass as well; their number if none does. */
function indexFrom(periods: readonly Period[], passes: (period: Period) => boolean): number {
  let [low, high] = [0, periods.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (passes(periods[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}
