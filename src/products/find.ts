import { dirname } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Day, Location, Period, Product, ProductQuery } from '../core/model.ts';
import type { ProductLimit } from '../core/policy.ts';
import { dayNumber, dayOfNumber } from '../core/time.ts';
import { PushbroomError } from '../errors.ts';
import type { Patience } from '../storage/patience.ts';
import type { Storages } from '../storage/storage.ts';
import type { Dataset } from './dataset.ts';
import { openDirectories } from './directories.ts';
import type { Directories, Listing } from './directories.ts';
import { createLocator } from './location.ts';
import { findNodes } from './nodes.ts';
import { expandPattern, expressionOf, isRegionName, levelsOf } from './patterns.ts';
import type { Expansion, Levels } from './patterns.ts';
import { enginesOf, withoutSlash } from './roots.ts';
import type { EngineSight } from './roots.ts';

export interface FindOptions extends Patience {
  readonly dataset: Dataset;
  readonly storages: Storages;
  /** All that there are. */
  readonly engines: readonly EngineSight[];
  readonly query: ProductQuery;
  /** In order of their starts and of their ends; days outside of them are not searched. */
  readonly periods: readonly Period[];
  /** The most products that are given at once. */
  readonly batch?: number;
  /** More products than this are an error. */
  readonly limit?: ProductLimit;
  /** Told once what keeps a search from knowing on which nodes its products lie. */
  readonly warn?: (message: string) => void;
}

/** More than a century. */
const MAX_DAYS = 50_000;
/** The first products come early, all others at little cost: batches grow from one to the other. */
const FIRST_BATCH = 32;
const DEFAULT_BATCH = 500;
/** Names in directories that are kept to be looked at again. */
const MAX_REMEMBERED = 100_000;
/** Names that are looked at before others have a turn: what is remembered comes without any wait. */
const MAX_AT_ONCE = 20_000;
/** Directories that are listed while the products of another one are taken. */
const READ_AHEAD = 4;

/**
 * Finds the products of a dataset (specification B.8.2): files or directories below the directories that its patterns
 * name literally, where names that begin with `_` or `.` are invisible. The same archive gives the same order, which is
 * that of first periods. A product belongs to the periods of all the days for which its pattern was expanded to what
 * matched it first; without periods, to the one with index 0. One of a dataset with several roots is known by its path
 * under the first, whichever of them has answered.
 *
 * @throws INVALID_PARAMETER for a missing archive, a wrong region name, too many days or products;
 *   UNAVAILABLE when a directory cannot be read; the signal's reason when it aborts
 */
export async function* findProducts(options: FindOptions): AsyncGenerator<Product[]> {
  yield* findNodes(options, batchesOf(options, await plan(options)));
}

async function* batchesOf(
  options: FindOptions,
  { directories, searches }: Plan,
): AsyncGenerator<Product[]> {
  const { dataset, periods, batch = DEFAULT_BATCH, limit, signal } = options;
  let size = Math.min(FIRST_BATCH, batch);
  let products: Product[] = [];
  let count = 0;
  for await (const { paths, search } of walkAll(searches, openArchive(directories, signal))) {
    const contribution = contributionOf(search.days, periods);
    for (const path of paths) {
      if (limit && ++count > limit.products) throw tooMany(dataset, limit);
      const location = search.locate(path);
      products.push({ path, ...contribution, ...(location && { location }) });
      if (products.length < size) continue;
      yield products;
      products = [];
      size = Math.min(2 * size, batch);
    }
  }
  if (products.length > 0) yield products;
}

const tooMany = (dataset: Dataset, { products, whose }: ProductLimit): PushbroomError =>
  invalid(
    'inputDataSetName',
    `dataset "${dataset.name}" has more than ${products} products for the request, the limit of ${whose}: ` +
      'ask for fewer days',
  );

const invalid = (locator: string, message: string): PushbroomError =>
  new PushbroomError('INVALID_PARAMETER', message, { locator });

interface Search extends Expansion, Levels {
  /** The directory that has to be there, whatever the day and region. */
  readonly root: string;
  readonly locate: (path: string) => Location | undefined;
}

interface Plan {
  readonly directories: Directories;
  /** What to look for and where, in the order of first days: the scheduler takes a period that others follow for complete. */
  readonly searches: readonly Search[];
}

async function plan(options: FindOptions): Promise<Plan> {
  const { dataset, query, periods } = options;
  const regionName = query.regionName ?? dataset.regionName;
  if (regionName !== undefined && !isRegionName(regionName)) {
    throw invalid(
      'regionName',
      'regionName is not a name: at most 200 characters, no "/", and neither "." nor "_" at its start',
    );
  }
  const days = daysToSearch(dataset, query, periods);
  const directories = openDirectories(options);
  const above = withoutSlash(dataset.roots?.[0]?.location ?? '');
  const searches: Search[] = [];
  for (const pattern of dataset.patterns) {
    const root = above + levelsOf(pattern).base;
    await directories.check(root);
    const locate = locatorOf(options, root);
    for (const expansion of expandPattern(pattern, days, regionName)) {
      const { base, components } = levelsOf(expansion.pattern);
      searches.push({ ...expansion, base: above + base, components, root, locate });
    }
  }
  return {
    directories,
    searches: dataset.patterns.length === 1 ? searches : searches.toSorted(byFirstDay),
  };
}

/** Tells where the products below a directory lie, and who can read them. */
function locatorOf({ dataset, engines }: FindOptions, root: string): Search['locate'] {
  const roots = dataset.roots ?? [{ location: root }];
  const able = enginesOf(engines, roots);
  const pools = roots.flatMap(({ pool }) => pool ?? []);
  return createLocator(dataset.location, { pools, ...(able && { engines: able }) });
}

const byFirstDay = (a: Search, b: Search): number => {
  const [from = '', other = ''] = [a.days?.from, b.days?.from];
  return from < other ? -1 : from > other ? 1 : 0;
};

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

interface Archive {
  /** What is in a directory; `undefined` if it is not there. */
  list(directory: string): Promise<Listing | undefined>;
  /** Begins to list what will be asked for soon. */
  expect(directory: string): void;
  /** The highest directory below the root that is not there, so that a missing year costs one look and not 365. */
  topmostAbsent(directory: string, root: string): Promise<string>;
}

interface Found {
  readonly paths: readonly string[];
  readonly search: Search;
}

async function* walkAll(searches: readonly Search[], archive: Archive): AsyncGenerator<Found> {
  const sieves = createSieves(searches);
  let absent: string | undefined;
  for (const [index, search] of searches.entries()) {
    const { base, components, root } = search;
    const isNew = sieves(index);
    if (absent !== undefined && `${base}/`.startsWith(absent)) continue;
    if (/\/[._]/.test(base.slice(root.length))) continue;
    const isThere = await archive.list(base);
    for (const next of searches.slice(index + 1, index + 1 + READ_AHEAD)) archive.expect(next.base);
    if (isThere) {
      for await (const paths of walk(base, components.map(expressionOf), archive)) {
        yield { paths: paths.filter(isNew), search };
      }
    } else {
      absent = `${await archive.topmostAbsent(base, root)}/`;
    }
  }
}

/** The products of one directory after the other. */
async function* walk(
  directory: string,
  [expression, ...deeper]: readonly RegExp[],
  archive: Archive,
): AsyncGenerator<string[]> {
  const { names = [], directories = [] } = (await archive.list(directory)) ?? {};
  const paths = (deeper.length === 0 ? names : directories)
    .filter((name) => expression!.test(name))
    .map((name) => `${directory}/${name}`);
  if (deeper.length === 0) yield paths;
  else for (const path of paths) yield* walk(path, deeper, archive);
}

/**
 * Lists directories and remembers what it has seen last, since a pattern with the day in the file's name asks for the
 * same directory day by day.
 */
function openArchive(source: Directories, signal: AbortSignal | undefined): Archive {
  const remembered = new Map<string, Promise<Listing | undefined>>();
  const sizes = new Map<string, number>();
  let size = 0;
  let lookedAt = 0;

  async function readAndCount(directory: string): Promise<Listing | undefined> {
    const listing = await source.list(directory);
    const count = 1 + (listing?.names.length ?? 0);
    sizes.set(directory, count);
    size += count;
    for (const [oldest, its] of sizes) {
      if (size <= MAX_REMEMBERED || oldest === directory) break;
      remembered.delete(oldest);
      sizes.delete(oldest);
      size -= its;
    }
    return listing;
  }

  function begin(directory: string): Promise<Listing | undefined> {
    const listing = remembered.get(directory) ?? readAndCount(directory);
    remembered.set(directory, listing);
    return listing;
  }

  return {
    list: async (directory) => {
      signal?.throwIfAborted();
      const listing = await begin(directory);
      lookedAt += listing?.names.length ?? 0;
      if (lookedAt > MAX_AT_ONCE) {
        lookedAt = 0;
        await setImmediate();
      }
      return listing;
    },
    expect: (directory) => {
      // Where a directory is huge, one is enough. Whether it fails is told when it is its turn.
      if (size <= MAX_REMEMBERED) begin(directory).catch(() => undefined);
    },
    topmostAbsent: async (directory, root) => {
      let top = directory;
      for (let parent = dirname(top); parent.length > root.length; parent = dirname(parent)) {
        if (await source.has(parent)) break;
        top = parent;
      }
      return top;
    },
  };
}

/**
 * For each search in turn, whether a path is found for the first time. That is remembered for a base only from the first
 * to the last search below it, and not at all where it can't happen: a search finds nothing twice.
 */
function createSieves(searches: readonly Search[]): (index: number) => (path: string) => boolean {
  const bases = searches.map(({ base }) => `${base}/`);
  const areNested = bases
    .toSorted()
    .some(
      (base, index, sorted) => base !== sorted[index + 1] && sorted[index + 1]?.startsWith(base),
    );
  const keys = areNested ? bases.map(() => '') : bases;
  const last = new Map(keys.map((key, index) => [key, index]));
  const found = new Map<string, Set<string>>();
  return (index) => {
    const key = keys[index]!;
    const before = found.get(key);
    if (last.get(key) === index) {
      found.delete(key);
      if (!before) return () => true;
    }
    const seen = before ?? new Set();
    if (last.get(key) !== index) found.set(key, seen);
    return (path) => seen.size < seen.add(path).size;
  };
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
