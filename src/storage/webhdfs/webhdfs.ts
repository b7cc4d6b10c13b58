import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';

import type { NodeId } from '../../core/model.ts';
import { PushbroomError } from '../../errors.ts';
import { chunksOf, ContentError, isRepeatable } from '../content.ts';
import { joinLocation, parseUrl } from '../location.ts';
import { belowRoot, checkPath, notInside } from '../path.ts';
import type { Content as Written, Entry, Range, Storage, StorageAccess } from '../storage.ts';
import { isPassing, NameNodes, NoNameNode, wordsOf } from './client.ts';
import type { Question } from './client.ts';
import { Content } from './content.ts';
import { DataNodes, isWorthAnotherNode } from './data-nodes.ts';
import { Refusal, refusalError } from './errors.ts';
import { Http } from './http.ts';
import type { Waits } from './http.ts';
import { identityOf } from './identity.ts';
import type { Identity, Tokens } from './identity.ts';
import { inOrder } from './order.ts';
import { parseBoolean, parseChecksum, parseListing } from './parse.ts';
import type { Checksum, FileStatus, Listing } from './parse.ts';
import { Places } from './places.ts';
import { Renames } from './renames.ts';

export interface WebHdfsOptions extends Partial<Waits> {
  /** Where they are renewed; otherwise what the access says is used. */
  readonly tokens?: Tokens | undefined;
  /** Milliseconds before name nodes are asked again, and data nodes replaced. */
  readonly pauses?: readonly number[];
}

/** A Hadoop file system. */
export interface WebHdfs extends Storage {
  nodesOf(location: string, signal?: AbortSignal): Promise<readonly NodeId[]>;
  /** Of a file's content; comparable among files of equal block sizes only. */
  checksum(location: string): Promise<Checksum>;
}

const CONNECT_MS = 10_000;
const SILENCE_MS = 60_000;
/** Long enough for a data node to be given up by HDFS's own client, short enough for whoever waits. */
const PAUSES: readonly number[] = [100, 400, 1_000, 2_000];
/** Milliseconds between the tries to remove what may be made late. */
const DISCARDS: readonly number[] = [0, 50, 150, 400, 1_000];
const SCHEME = 'hdfs';

/** A Hadoop file system by WebHDFS, of name nodes or of HttpFS ("WebHDFS REST API"). Connects when it is used. */
export const createWebHdfs = (access: StorageAccess, options: WebHdfsOptions = {}): WebHdfs =>
  new HadoopFileSystem(access, options);

class HadoopFileSystem implements WebHdfs {
  readonly #name: string;
  readonly #identity: Identity;
  readonly #nameNodes: NameNodes;
  readonly #dataNodes: DataNodes;
  readonly #renames: Renames;
  readonly #places: Places;
  readonly #pauses: readonly number[];
  /** Older servers know only the whole listing. */
  #hasBatches = true;

  constructor(access: StorageAccess, options: WebHdfsOptions) {
    const { connectMs = CONNECT_MS, silenceMs = SILENCE_MS, pauses = PAUSES, tokens } = options;
    const { urls, ca, replication, blockSize } = access;
    const http = new Http({ connectMs, silenceMs }, ca);
    this.#name = access.name;
    this.#identity = identityOf(access, tokens);
    this.#pauses = pauses;
    this.#nameNodes = new NameNodes({ urls, http, identity: this.#identity, pauses });
    this.#dataNodes = new DataNodes({ nameNodes: this.#nameNodes, http, replication, blockSize });
    this.#renames = new Renames(this.#nameNodes, (path) => this.#locationOf(path));
    this.#places = new Places(this.#nameNodes, (path, signal) => this.#batches(path, signal));
  }

  async *list(directory: string, signal?: AbortSignal): AsyncGenerator<readonly Entry[]> {
    const path = this.#pathOf(directory);
    try {
      for await (const batch of inOrder(this.#batches(path, signal))) {
        signal?.throwIfAborted();
        yield batch.map(entryOf);
      }
    } catch (error) {
      throw this.#errorOf(directory, `list ${directory}`, error, signal);
    }
  }

  async *#batches(path: string, signal?: AbortSignal): AsyncGenerator<readonly FileStatus[]> {
    let after: string | undefined;
    for (;;) {
      const { entries, isPart } = await this.#batch(path, after, signal);
      if (entries[0]?.name === '') {
        throw new PushbroomError(
          'CONFLICT',
          `Cannot list ${this.#locationOf(path)}: it is a file.`,
        );
      }
      yield entries;
      if (!isPart) return;
      after = entries.at(-1)!.name;
    }
  }

  async #batch(path: string, after: string | undefined, signal?: AbortSignal): Promise<Listing> {
    const question = { method: 'GET', path, signal } as const;
    if (this.#hasBatches) {
      try {
        const parameters = { startafter: after };
        const batch = { ...question, operation: 'LISTSTATUS_BATCH', parameters };
        return await this.#nameNodes.ask(batch, parseListing);
      } catch (error) {
        if (!(error instanceof Refusal && error.isUnknownOperation)) throw error;
        this.#hasBatches = false;
      }
    }
    return this.#nameNodes.ask({ ...question, operation: 'LISTSTATUS' }, parseListing);
  }

  async stat(location: string): Promise<Entry | undefined> {
    const path = this.#pathOf(location);
    try {
      const found = await this.#renames.statusOf(path);
      return found && { ...entryOf(found), name: path.slice(path.lastIndexOf('/') + 1) };
    } catch (error) {
      throw this.#errorOf(location, `look at ${location}`, error);
    }
  }

  async read(location: string, range: Range = {}, signal?: AbortSignal): Promise<Readable> {
    const path = this.#pathOf(location);
    const errorOf = (error: unknown) => this.#errorOf(location, `read ${location}`, error, signal);
    try {
      const before = await this.#statusOfFile(path, signal);
      const { offset = 0, length = Infinity } = range;
      const end = Math.max(offset, Math.min(before.size, offset + length));
      const excluded = new Set<string>();
      const content = new Content(
        {
          offset,
          end,
          pauses: this.#pauses,
          open: (from, either) =>
            this.#dataNodes.open(path, { offset: from, length: end - from }, excluded, either),
          failed: ({ host }) => {
            // All of them cannot be excluded.
            excluded.clear();
            excluded.add(host);
          },
          check: async (either) => {
            const now = await this.#statusOfFile(path, either);
            if (!isSame(before, now)) throw changed(location);
          },
          errorOf,
        },
        signal,
      );
      return await content.begin();
    } catch (error) {
      throw errorOf(error);
    }
  }

  async write(location: string, written: Written, signal?: AbortSignal): Promise<void> {
    const path = belowRoot(location, this.#pathOf(location));
    const excluded = new Set<string>();
    const pauses = isRepeatable(written) ? this.#pauses.values() : [].values();
    for (;;) {
      try {
        await this.#writeOnce(path, written, excluded, signal);
        return;
      } catch (error) {
        const { value: ms } = pauses.next();
        if (
          ms === undefined ||
          signal?.aborted ||
          !(error instanceof Incomplete || isWorthAnotherNode(error))
        ) {
          throw this.#errorOf(location, `write ${location}`, error, signal);
        }
        await pause(ms * (0.5 + Math.random()), undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /** Under another name first, in the same directory, so that its length is one that a name may have. */
  async #writeOnce(
    path: string,
    written: Written,
    excluded: Set<string>,
    signal?: AbortSignal,
  ): Promise<void> {
    const part = `${path.slice(0, path.lastIndexOf('/'))}/.${randomUUID()}.partial`;
    const stop = new AbortController();
    const abort = () => stop.abort(signal?.reason);
    signal?.addEventListener('abort', abort);
    try {
      signal?.throwIfAborted();
      const chunks = chunksOf(written, stop.signal);
      const bytes = await this.#dataNodes.create(part, chunks, excluded, stop.signal);
      const found = await this.#statusOfFile(part, signal);
      if (found.size !== bytes) throw new Incomplete(found.size, bytes);
      signal?.throwIfAborted();
      await this.#renames.replace(part, found, path).catch((error: unknown) => {
        if (!(error instanceof Refusal && error.isOfTwoKinds)) throw error;
        const what = `Cannot write ${this.#locationOf(path)}: it is a directory.`;
        throw new PushbroomError('CONFLICT', what, { cause: error });
      });
    } catch (error) {
      await this.#discard(part, error).catch(() => undefined);
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
      stop.abort();
    }
  }

  /** A server that has lost its writer may make the file only then. */
  async #discard(part: string, error: unknown): Promise<void> {
    if (error instanceof NoNameNode) return;
    const isAnswered = error instanceof Refusal || error instanceof Incomplete;
    for (const ms of isAnswered ? [0] : DISCARDS) {
      await pause(ms);
      if (await this.#delete(part)) return;
    }
  }

  async makeDirectory(location: string): Promise<void> {
    const path = this.#pathOf(location);
    try {
      await this.#nameNodes.ask({ method: 'PUT', path, operation: 'MKDIRS' }, parseBoolean);
    } catch (error) {
      throw this.#errorOf(location, `make the directory ${location}`, error);
    }
  }

  async move(from: string, to: string): Promise<boolean> {
    const source = belowRoot(from, this.#pathOf(from));
    const target = belowRoot(to, this.#pathOf(to));
    notInside(from, source, to, target);
    try {
      const found = await this.#renames.statusOf(source);
      if (!found) throw new PushbroomError('NOT_FOUND', `${from} is not there.`);
      return await this.#renames.move(source, found, target);
    } catch (error) {
      const isTarget = error instanceof Refusal && /destination parent/.test(error.words);
      throw this.#errorOf(isTarget ? joinLocation(to, '..') : from, `move ${from} to ${to}`, error);
    }
  }

  async remove(location: string): Promise<void> {
    const path = belowRoot(location, this.#pathOf(location));
    try {
      await this.#delete(path);
    } catch (error) {
      if (error instanceof Refusal && error.isNoDirectory) return;
      throw this.#errorOf(location, `remove ${location}`, error);
    }
  }

  async nodesOf(location: string, signal?: AbortSignal): Promise<readonly NodeId[]> {
    const path = this.#pathOf(location);
    try {
      return await this.#places.nodesOf(path, signal);
    } catch (error) {
      throw this.#errorOf(location, `find the nodes of ${location}`, error, signal);
    }
  }

  async checksum(location: string): Promise<Checksum> {
    const path = this.#pathOf(location);
    try {
      const question: Question = { method: 'GET', path, operation: 'GETFILECHECKSUM' };
      return await this.#nameNodes.ask(question, parseChecksum);
    } catch (error) {
      throw this.#errorOf(location, `checksum ${location}`, error);
    }
  }

  async #statusOfFile(path: string, signal?: AbortSignal): Promise<FileStatus> {
    const found = await this.#renames.statusOf(path, signal);
    if (found && !found.isDirectory) return found;
    const location = this.#locationOf(path);
    if (!found) throw new PushbroomError('NOT_FOUND', `${location} is not there.`);
    throw new PushbroomError('CONFLICT', `Cannot read ${location}: it is a directory.`);
  }

  /** @returns whether it was there */
  #delete(path: string): Promise<boolean> {
    const parameters = { recursive: 'true' };
    return this.#nameNodes.ask(
      { method: 'DELETE', path, operation: 'DELETE', parameters },
      parseBoolean,
    );
  }

  #pathOf(location: string): string {
    const url = parseUrl(location);
    if (url?.scheme === SCHEME && url.name === this.#name) return checkPath(location, url.path);
    const what = `${location} is not in the storage ${SCHEME}://${this.#name}.`;
    throw new PushbroomError('INVALID_PARAMETER', what);
  }

  #locationOf(path: string): string {
    return `${SCHEME}://${this.#name}${path}`;
  }

  #errorOf(location: string, deed: string, error: unknown, signal?: AbortSignal): unknown {
    if (signal?.aborted) return signal.reason;
    if (error instanceof PushbroomError) return error;
    if (error instanceof ContentError) return error.cause;
    if (error instanceof Refusal) {
      return refusalError({ location, deed, who: this.#identity.who }, error);
    }
    if (!isPassing(error) && !(error instanceof Incomplete)) return error;
    const message = `Cannot ${deed}: ${wordsOf(error)}.`;
    return new PushbroomError('UNAVAILABLE', message, { cause: error });
  }
}

const entryOf = ({ name, isDirectory, size, modifiedAt }: FileStatus): Entry => ({
  name,
  isDirectory,
  size,
  modifiedAt,
});

/** Of a file that was written. */
class Incomplete extends Error {
  constructor(size: number, written: number) {
    super(`it has ${size} bytes of the ${written} that were written`);
    this.name = 'Incomplete';
  }
}

const isSame = (a: FileStatus, b: FileStatus): boolean =>
  a.fileId === b.fileId && a.size === b.size && a.modifiedAt === b.modifiedAt;

const changed = (location: string): PushbroomError =>
  new PushbroomError('UNAVAILABLE', `Cannot read ${location}: it was changed while it was read.`);
