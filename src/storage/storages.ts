import { PushbroomError } from '../errors.ts';
import { isUrl, parseUrl } from './location.ts';
import { createPosix } from './posix/posix.ts';
import type { Storage, StorageAccess, Storages } from './storage.ts';
import type { Tokens } from './webhdfs/identity.ts';

export interface StoragesOptions {
  /** Where the tokens of a storage are renewed. */
  tokensOf?(name: string): Tokens | undefined;
}

/** The storages that can be reached. What speaks to one is loaded when it is first used. */
export function openStorages(
  accesses: readonly StorageAccess[],
  { tokensOf }: StoragesOptions = {},
): Storages {
  const posix = createPosix();
  const byName = new Map<string, Storage>();
  for (const access of accesses) {
    const open = async () => {
      const { createWebHdfs } = await import('./webhdfs/webhdfs.ts');
      return createWebHdfs(access, { tokens: tokensOf?.(access.name) });
    };
    byName.set(access.name, new Lazy(open));
  }
  return {
    of(location) {
      if (!isUrl(location)) return posix;
      const { scheme, name } = parseUrl(location)!;
      const found = scheme === 'hdfs' ? byName.get(name) : undefined;
      if (found) return found;
      throw new PushbroomError('INVALID_PARAMETER', unknown(location, [...byName.keys()]));
    },
  };
}

function unknown(location: string, names: readonly string[]): string {
  const known = names.map((name) => `hdfs://${name}/`).join(', ');
  return `${location} is on none of the configured storages (${known || 'there are none'}).`;
}

/** A storage whose program is loaded with its first use. */
class Lazy implements Required<Storage> {
  readonly #open: () => Promise<Storage>;
  #opened: Promise<Storage> | undefined;

  constructor(open: () => Promise<Storage>) {
    this.#open = open;
  }

  get #storage(): Promise<Storage> {
    this.#opened ??= this.#open();
    return this.#opened;
  }

  async *list(...parameters: Parameters<Storage['list']>): ReturnType<Storage['list']> {
    yield* (await this.#storage).list(...parameters);
  }
  async stat(...parameters: Parameters<Storage['stat']>): ReturnType<Storage['stat']> {
    return (await this.#storage).stat(...parameters);
  }
  async read(...parameters: Parameters<Storage['read']>): ReturnType<Storage['read']> {
    return (await this.#storage).read(...parameters);
  }
  async write(...parameters: Parameters<Storage['write']>): ReturnType<Storage['write']> {
    return (await this.#storage).write(...parameters);
  }
  async makeDirectory(location: string): Promise<void> {
    return (await this.#storage).makeDirectory(location);
  }
  async move(from: string, to: string): Promise<boolean> {
    return (await this.#storage).move(from, to);
  }
  async remove(location: string): Promise<void> {
    return (await this.#storage).remove(location);
  }
  async nodesOf(...[location, signal]: Parameters<Required<Storage>['nodesOf']>) {
    return (await (await this.#storage).nodesOf?.(location, signal)) ?? [];
  }
}
