import type { Location, NodeId, Product } from '../core/model.ts';
import { messageOf } from '../errors.ts';
import { isUrl } from '../storage/location.ts';
import { isAway } from '../storage/patience.ts';
import type { Storage, Storages } from '../storage/storage.ts';
import type { Dataset } from './dataset.ts';
import { withoutSlash } from './roots.ts';

export interface NodesOptions {
  readonly dataset: Dataset;
  readonly storages: Storages;
  readonly signal?: AbortSignal | undefined;
  /** Told once why it is not known where products lie. */
  readonly warn?: ((message: string) => void) | undefined;
}

/** Questions to storages at once. */
const AT_ONCE = 32;
/** Of a product: blocks of a large one may be everywhere, and then it is near nowhere. */
const MOST_NODES = 10;
/** Milliseconds for which a storage that is away is not asked again: products without a known place are taken as well. */
const SILENCE = 30_000;
/** Places that are kept to be shared. */
const MAX_REMEMBERED = 20_000;

/**
 * Adds to products on storages that know it the nodes that hold their blocks; what is known otherwise stays. The nodes
 * of one batch are asked for while the one before is taken. Not to know them is no failure: a product can be read from
 * anywhere.
 */
export function findNodes(
  options: NodesOptions,
  batches: AsyncGenerator<Product[]>,
): AsyncGenerator<Product[]> {
  const { dataset, storages } = options;
  const places = dataset.roots?.map(({ location }) => location) ?? dataset.patterns;
  const asked = places.find((place) => isUrl(place) && storages.of(place).nodesOf);
  if (asked === undefined) return batches;
  const first = withoutSlash(dataset.roots?.[0]?.location ?? '');
  const root = withoutSlash(dataset.roots ? asked : '');
  const ask = createQuestioner(options);
  const merge = createMerger();
  const limit = createGate(AT_ONCE);

  async function complete(product: Product): Promise<Product> {
    const nodes = await limit(() => ask(root + product.path.slice(first.length)));
    return nodes.length > 0 ? { ...product, location: merge(product.location, nodes) } : product;
  }
  return ahead(batches, (products) => Promise.all(products.map(complete)), options.signal);
}

/** Never rejects: what is not known are no nodes. */
function createQuestioner({ storages, signal, warn }: NodesOptions) {
  let silentUntil = -Infinity;
  let isTold = false;
  return async (location: string): Promise<readonly NodeId[]> => {
    if (!isUrl(location) || signal?.aborted || performance.now() < silentUntil) return [];
    try {
      const storage: Storage = storages.of(location);
      return (await storage.nodesOf?.(location, signal))?.slice(0, MOST_NODES) ?? [];
    } catch (error) {
      if (isAway(error)) silentUntil = performance.now() + SILENCE;
      if (!isTold && !signal?.aborted) {
        isTold = true;
        warn?.(`it is not known on which nodes ${location} lies: ${messageOf(error)}`);
      }
      return [];
    }
  };
}

/** Equal places are the same object, as a million products may lie on a few nodes. */
function createMerger() {
  const remembered = new Map<Location | undefined, Map<string, Location>>();
  let size = 0;
  return (location: Location | undefined, nodes: readonly NodeId[]): Location => {
    const key = nodes.join('\n');
    const known = remembered.get(location)?.get(key);
    if (known) return known;
    if ((size += 1) > MAX_REMEMBERED) {
      remembered.clear();
      size = 1;
    }
    const merged = { ...location, nodes: [...new Set([...nodes, ...(location?.nodes ?? [])])] };
    const same = remembered.get(location) ?? new Map<string, Location>();
    remembered.set(location, same.set(key, merged));
    return merged;
  };
}

/** Lets so many pieces of work be done at once. */
function createGate(width: number) {
  let free = width;
  const waiting: (() => void)[] = [];
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    }
  };
}

/** Completes one batch while the next is looked for, and that one while the first is taken. */
async function* ahead(
  batches: AsyncGenerator<Product[]>,
  complete: (products: Product[]) => Promise<Product[]>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Product[]> {
  const take = async () => {
    const { value, done } = await batches.next();
    return done ? undefined : { completed: complete(value) };
  };
  let coming = take();
  try {
    for (let batch = await coming; batch; batch = await coming) {
      coming = take();
      // Told when it is its turn.
      coming.catch(() => undefined);
      const products = await batch.completed;
      signal?.throwIfAborted();
      yield products;
    }
  } finally {
    await batches.return(undefined);
  }
}
