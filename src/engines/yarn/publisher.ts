import { createReadStream } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';

import type { Logger } from 'pino';
import { create as createTar } from 'tar';

import { PushbroomError } from '../../errors.ts';
import { hashFile } from '../../hash.ts';
import { DEFAULT_LIMITS } from '../../processes/archive.ts';
import { extractBundle } from '../../processes/extract.ts';
import type { Assignment } from '../../runner/assignment.ts';
import { joinLocation, parseUrl } from '../../storage/location.ts';
import type { Storages } from '../../storage/storage.ts';
import type { LocalResource } from './protocol.ts';

export interface PublisherOptions {
  readonly storages: Storages;
  /** URL of a directory on the cluster's default file system. */
  readonly cache: string;
  /** Where bundles are unpacked to be packed anew. */
  readonly directory: string;
  readonly logger: Logger;
}

type Named = Pick<LocalResource, 'name' | 'type' | 'visibility'>;
type Write = (to: string) => Promise<void>;

/**
 * Lays out what all nodes need at `<cache>/<sha256>/<name>`: written once, never changed, brought by YARN to each node
 * once. Several services may do this at the same time: whoever comes second takes what is there.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  /** By location. */
  readonly #published = new Map<string, Promise<LocalResource>>();
  /** By path. */
  readonly #hashes = new Map<string, Promise<string>>();

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** @param path of a file that never changes */
  async file(path: string, name: string): Promise<LocalResource> {
    const hash = await once(this.#hashes, path, () => hashFile(path));
    const location = joinLocation(this.#options.cache, hash, name);
    return this.#publish(location, { name, type: 'FILE', visibility: 'PUBLIC' }, (to) =>
      this.#options.storages.of(to).write(to, () => createReadStream(path)),
    );
  }

  /** A bundle's archive, unpacked by our own rules and packed anew, so that YARN can unpack it. */
  bundle({ hash, archive }: Assignment['bundle'], name: string): Promise<LocalResource> {
    const { cache, directory, storages } = this.#options;
    const location = joinLocation(cache, hash, 'bundle.tar.gz');
    return this.#publish(location, { name, type: 'ARCHIVE', visibility: 'PUBLIC' }, async (to) => {
      await mkdir(directory, { recursive: true });
      const work = await mkdtemp(join(directory, 'bundle-'));
      try {
        await extractBundle(archive, work, DEFAULT_LIMITS);
        await chmod(work, 0o755);
        await storages.of(to).write(to, () => archiveOf(work));
      } finally {
        await rm(work, { recursive: true, force: true });
      }
    });
  }

  /** What is there at a location. */
  async describe(location: string, as: Named): Promise<LocalResource | undefined> {
    const there = await this.#options.storages.of(location).stat(location);
    const { path } = parseUrl(location)!;
    return there && { ...as, path, size: there.size, modifiedAt: there.modifiedAt };
  }

  /** A node has not found what was announced, or found something else: it is looked at again. */
  forget(): void {
    this.#published.clear();
  }

  #publish(location: string, as: Named, write: Write): Promise<LocalResource> {
    return once(this.#published, location, async () => {
      const there = await this.describe(location, as);
      if (there) return there;
      this.#options.logger.info({ location }, 'is brought to HDFS for all nodes');
      await this.#put(location, write);
      const made = await this.describe(location, as);
      if (made) return made;
      throw new PushbroomError('UNAVAILABLE', `${location} was written and is not there`);
    });
  }

  /** Never replaces: what nodes have brought to themselves already would not be what was announced. */
  async #put(location: string, write: Write): Promise<void> {
    const storage = this.#options.storages.of(location);
    const part = `${location}.${process.pid}-${Math.random().toString(36).slice(2)}`;
    try {
      await write(part);
      await storage.move(part, location);
    } finally {
      await storage.remove(part).catch(() => undefined);
    }
  }
}

/** Whoever asks while it is being made waits for that; where it fails, the next one tries again. */
function once<T>(known: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  let made = known.get(key);
  if (!made) {
    made = make();
    known.set(key, made);
    made.catch(() => known.delete(key));
  }
  return made;
}

/** Without what differs from one machine to the next: owners, times. */
const archiveOf = (directory: string): AsyncIterable<Uint8Array> =>
  createTar({ gzip: true, portable: true, noMtime: true, cwd: directory }, ['.']);
