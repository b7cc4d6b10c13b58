import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { chmod, copyFile, mkdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';

/** `CommandInfo.URI` of mesos.proto. */
export interface Uri {
  readonly value: string;
  readonly executable?: boolean;
  /** True by default. */
  readonly extract?: boolean;
  readonly cache?: boolean;
  readonly output_file?: string;
}

interface Entry {
  readonly file: string;
  readonly bytes: number;
}

/**
 * An agent's fetcher with its cache (02, 02b): a cached URI is asked for with HEAD, then GET, once for all that want
 * it at the time, and never again. Where HEAD does not tell a length, or one larger than the cache, each task
 * downloads for itself. What is not cached is a GET each.
 */
export class Fetcher {
  readonly #directory: string;
  readonly #capacity: number;
  readonly #abort = new AbortController();
  /** In the order of their last use. */
  readonly #cache = new Map<string, Promise<Entry | undefined>>();
  #used = 0;
  #count = 0;
  readonly counts = { succeeded: 0, failed: 0 };

  constructor(directory: string, capacity: number) {
    this.#directory = directory;
    this.#capacity = capacity;
  }

  get usedBytes(): number {
    return this.#used;
  }

  get capacity(): number {
    return this.#capacity;
  }

  stop(): void {
    this.#abort.abort();
  }

  /** Rejects when one of them cannot be had. */
  async fetch(uris: readonly Uri[], sandbox: string): Promise<void> {
    try {
      for (const uri of uris) await this.#fetchOne(uri, sandbox);
      if (uris.length > 0) this.counts.succeeded++;
    } catch (error) {
      this.counts.failed++;
      throw error;
    }
  }

  async #fetchOne(uri: Uri, sandbox: string): Promise<void> {
    const name = uri.output_file ?? basename(uri.value);
    if (isAbsolute(name) || name.split('/').includes('..')) {
      throw new Error(`output_file '${name}' is not below the sandbox`);
    }
    const target = join(sandbox, name);
    await mkdir(dirname(target), { recursive: true });
    const cached = uri.cache ? await this.#cached(uri.value) : undefined;
    const isPacked = !uri.executable && uri.extract !== false;
    const unpack = isPacked ? unpacker(cached?.file ?? target) : undefined;
    if (unpack && cached) return unpack(cached.file, sandbox);
    if (cached) await copyFile(cached.file, target);
    else await this.#download(uri.value, target);
    if (unpack) await unpack(target, sandbox);
    if (uri.executable) await chmod(target, 0o755);
  }

  #cached(uri: string): Promise<Entry | undefined> {
    const had = this.#cache.get(uri);
    const entry = had ?? this.#fill(uri);
    this.#cache.delete(uri);
    this.#cache.set(uri, entry);
    if (!had) {
      const forget = () => this.#cache.get(uri) === entry && this.#cache.delete(uri);
      entry.then((filled) => filled ?? forget(), forget);
    }
    return entry;
  }

  async #fill(uri: string): Promise<Entry | undefined> {
    const bytes = await this.#sizeOf(uri);
    if (bytes === undefined || bytes > this.#capacity) return undefined;
    this.#used += bytes;
    try {
      await this.#makeRoom();
      const file = join(this.#directory, `c${++this.#count}-${basename(uri)}`);
      await mkdir(this.#directory, { recursive: true });
      await this.#download(uri, file);
      return { file, bytes };
    } catch (error) {
      this.#used -= bytes;
      throw error;
    }
  }

  /** Drops what was used longest ago. */
  async #makeRoom(): Promise<void> {
    for (const [uri, waiting] of this.#cache) {
      if (this.#used <= this.#capacity) return;
      const entry = await Promise.race([waiting, Promise.resolve('busy' as const)]);
      if (entry === undefined || entry === 'busy') continue;
      this.#cache.delete(uri);
      this.#used -= entry.bytes;
      await rm(entry.file, { force: true });
    }
  }

  async #sizeOf(uri: string): Promise<number | undefined> {
    const path = localPath(uri);
    if (path !== undefined) return (await stat(path)).size;
    const { signal } = this.#abort;
    const response = await fetch(uri, { method: 'HEAD', headers: HEADERS, signal });
    const length = response.headers.get('content-length');
    return response.ok && length !== null ? Number(length) : undefined;
  }

  async #download(uri: string, target: string): Promise<void> {
    const path = localPath(uri);
    if (path !== undefined) return copyFile(path, target);
    const response = await fetch(uri, { headers: HEADERS, signal: this.#abort.signal });
    if (!response.ok || !response.body) {
      await response.body?.cancel();
      throw new Error(`${uri}: ${response.status}`);
    }
    await pipeline(Readable.fromWeb(response.body), createWriteStream(target));
  }
}

const HEADERS = { accept: '*/*' };

const localPath = (uri: string): string | undefined => {
  if (uri.startsWith('/')) return uri;
  return uri.startsWith('file://') ? fileURLToPath(uri) : undefined;
};

type Unpack = (archive: string, directory: string) => Promise<void>;

/** By the extension, as the fetcher knows them. */
function unpacker(name: string): Unpack | undefined {
  if (/\.(tar|tgz|tar\.gz|tbz2|tar\.bz2|txz|tar\.xz)$/.test(name)) {
    return (archive, directory) => run('tar', ['-C', directory, '-xf', archive]);
  }
  if (name.endsWith('.zip')) {
    return (archive, directory) => run('unzip', ['-o', '-q', archive, '-d', directory]);
  }
  return undefined;
}

async function run(program: string, args: readonly string[]): Promise<void> {
  const child = spawn(program, args, { stdio: 'ignore' });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`${program} ended with ${code}`);
}
