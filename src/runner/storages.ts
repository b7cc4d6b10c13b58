import { PushbroomError } from '../errors.ts';
import { isUrl, parseUrl } from '../storage/location.ts';
import type { Storage } from '../storage/storage.ts';
import type { Assignment } from './assignment.ts';

/** The storages that an attempt's URLs name. */
export interface AttemptStorages {
  readonly isNone: boolean;
  /** @returns `undefined` for a path, and for what other programs may understand, such as a URL of the web */
  of(location: string): Storage | undefined;
}

const SCHEME = 'hdfs';

/**
 * Of this process, by how they are reached: attempts that come one after another use the same connections. Tokens grow
 * old, so that only the last ones are kept.
 */
const known = new Map<string, Storage>();
const KNOWN = 16;

/** What speaks to them is loaded only where there are any. */
export async function storagesOf({
  storages = [],
}: Pick<Assignment, 'storages'>): Promise<AttemptStorages> {
  const byName = new Map<string, Storage>();
  if (storages.length > 0) {
    const { createWebHdfs } = await import('../storage/webhdfs/webhdfs.ts');
    for (const access of storages) {
      const key = JSON.stringify(access);
      const storage = known.get(key) ?? createWebHdfs(access);
      known.delete(key);
      known.set(key, storage);
      byName.set(access.name, storage);
    }
    for (const [oldest] of known) if (known.size > KNOWN) known.delete(oldest);
  }
  return {
    isNone: byName.size === 0,
    of(location) {
      const url = parseUrl(location);
      return url?.scheme === SCHEME ? byName.get(url.name) : undefined;
    },
  };
}

/** @throws Error for a URL of which nobody says how it is reached */
export function storageOfResult(storages: AttemptStorages, result: string): Storage | undefined {
  const storage = storages.of(result);
  if (!storage && isUrl(result)) {
    throw new PushbroomError(
      'INVALID_PARAMETER',
      `${result} is in none of the attempt's storages: name its storage in the configuration.`,
    );
  }
  return storage;
}
