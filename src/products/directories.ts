import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { messageOf, PushbroomError } from '../errors.ts';
import { isUrl } from '../storage/location.ts';
import { isAway, patiently } from '../storage/patience.ts';
import type { Patience } from '../storage/patience.ts';
import type { Entry, Storages } from '../storage/storage.ts';
import type { Dataset } from './dataset.ts';
import { withoutSlash } from './roots.ts';

/** What is visible in a directory. */
export interface Listing {
  /** Sorted by code units. */
  readonly names: readonly string[];
  /** Those that may be looked into. */
  readonly directories: readonly string[];
}

/**
 * The directories of a dataset, wherever they lie. Those of a dataset with several roots are always named as they are
 * under the first one, whichever of them answers.
 */
export interface Directories {
  /** @throws INVALID_PARAMETER where it is not there; UNAVAILABLE where it can't be told for now */
  check(directory: string): Promise<void>;
  /** @returns `undefined` where it is not there; @throws UNAVAILABLE */
  list(directory: string): Promise<Listing | undefined>;
  /** Whether it is there, as far as that can be told. */
  has(directory: string): Promise<boolean>;
}

export interface DirectoriesOptions extends Patience {
  readonly dataset: Dataset;
  readonly storages: Storages;
}

/** What is on a storage that is away is asked for again for a while; a file system that is mounted answers at once. */
export function openDirectories(options: DirectoriesOptions): Directories {
  const { dataset, storages, signal } = options;
  const roots = dataset.roots?.map(({ location }) => withoutSlash(location)) ?? [''];
  const first = roots[0]!;
  let last = 0;

  /** The answer of the root that answered last, or of the next one that does. */
  async function ofAny<T>(directory: string, ask: (place: string) => Promise<T>): Promise<T> {
    const failures: unknown[] = [];
    const begin = last;
    for (let tried = 0; tried < roots.length; tried += 1) {
      const index = (begin + tried) % roots.length;
      try {
        const answer = await ask(roots[index]! + directory.slice(first.length));
        last = index;
        return answer;
      } catch (error) {
        failures.push(error);
      }
    }
    const message = failures.map(messageOf).join('; ');
    const code = failures.some(isAway) ? 'UNAVAILABLE' : 'INVALID_PARAMETER';
    throw new PushbroomError(code, message, { cause: failures[0] });
  }

  const ask = <T>(directory: string, question: (place: string) => Promise<T>): Promise<T> =>
    patiently(() => ofAny(directory, question), options);

  return {
    check: async (directory) => {
      try {
        await ask(directory, (place) => check(place, storages));
      } catch (error) {
        signal?.throwIfAborted();
        throw checkError(dataset, error);
      }
    },
    list: async (directory) => {
      try {
        return await ask(directory, (place) =>
          isUrl(place) ? listUrl(place, storages, signal) : listPath(place),
        );
      } catch (error) {
        signal?.throwIfAborted();
        const message = `dataset "${dataset.name}": cannot list ${directory}: ${messageOf(error)}`;
        throw new PushbroomError('UNAVAILABLE', message, { cause: error });
      }
    },
    has: (directory) =>
      ofAny(directory, (place) => (isUrl(place) ? hasUrl(place, storages) : hasPath(place))).catch(
        () => true,
      ),
  };
}

function checkError({ name }: Dataset, error: unknown): PushbroomError {
  const message = `dataset "${name}": ${messageOf(error)}`;
  if (isAway(error)) return new PushbroomError('UNAVAILABLE', message, { cause: error });
  return new PushbroomError(
    'INVALID_PARAMETER',
    `${message}; mount the archive there or correct the dataset's path`,
    { locator: 'inputDataSetName', cause: error },
  );
}

async function check(place: string, storages: Storages): Promise<void> {
  if (isUrl(place)) {
    const found = await storages.of(place).stat(place);
    if (found?.isDirectory) return;
    throw new Error(`${place} ${found ? 'is not a directory' : 'is not there'}`);
  }
  const found = await stat(place || '/').catch((error: unknown) => {
    throw new Error(`${place} cannot be read (${messageOf(error)})`, { cause: error });
  });
  if (!found.isDirectory()) throw new Error(`${place} is not a directory`);
}

const hasUrl = async (place: string, storages: Storages): Promise<boolean> =>
  (await storages.of(place).stat(place)) !== undefined;

const hasPath = (place: string): Promise<boolean> =>
  stat(place).then(
    () => true,
    () => false,
  );

const isVisible = (name: string): boolean => !/^[._]/.test(name);

/** Not by the port: what the entries of a mounted file system are is asked only by these. */
async function listPath(directory: string): Promise<Listing | undefined> {
  try {
    const entries = await readdir(directory || '/', { withFileTypes: true });
    const visible = entries.filter((entry) => isVisible(entry.name) && isProductLike(entry));
    const namesOf = (some: readonly Dirent[]) => some.map(({ name }) => name).toSorted();
    return {
      names: namesOf(visible),
      directories: namesOf(visible.filter((entry) => !entry.isFile())),
    };
  } catch (error) {
    if (error instanceof Error && 'code' in error) {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    }
    throw error;
  }
}

/** Archives are full of links, so these are followed; sockets, pipes and devices are no products. */
const isProductLike = (entry: Dirent): boolean =>
  entry.isFile() || entry.isDirectory() || entry.isSymbolicLink();

async function listUrl(
  directory: string,
  storages: Storages,
  signal: AbortSignal | undefined,
): Promise<Listing | undefined> {
  const storage = storages.of(directory);
  const names: string[] = [];
  const directories: string[] = [];
  const take = ({ name, isDirectory }: Entry): void => {
    if (!isVisible(name)) return;
    names.push(name);
    if (isDirectory) directories.push(name);
  };
  try {
    for await (const entries of storage.list(directory, signal)) entries.forEach(take);
    return { names: names.toSorted(), directories: directories.toSorted() };
  } catch (error) {
    const code = error instanceof PushbroomError && error.code;
    if (code === 'NOT_FOUND') return undefined;
    // A file cannot be listed: there is no directory of that name.
    if (code === 'CONFLICT' && !(await storage.stat(directory))?.isDirectory) return undefined;
    throw error;
  }
}
