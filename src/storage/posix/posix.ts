import { randomUUID } from 'node:crypto';
import { link, lstat, mkdir, open, readdir, rename, rm, stat, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Readable } from 'node:stream';

import { PushbroomError } from '../../errors.ts';
import { chunksOf, ContentError } from '../content.ts';
import { isUrl } from '../location.ts';
import { compareNames } from '../names.ts';
import { belowRoot, checkPath, notInside } from '../path.ts';
import type { Content, Entry, Range, Storage } from '../storage.ts';
import { codeOf, posixError } from './errors.ts';

/** Entries whose sizes are asked for together. */
const BATCH = 500;
const COPY_BYTES = 512 * 1024;

/** The mounted file systems of this machine. */
export const createPosix = (): Storage => new Posix();

class Posix implements Storage {
  /** Holds all names of the directory, but nothing else of its entries. What goes meanwhile is left out. */
  async *list(directory: string, signal?: AbortSignal): AsyncGenerator<readonly Entry[]> {
    const path = pathOf(directory);
    const names = await readdir(path).catch((error: unknown) => {
      throw posixError(directory, `list ${directory}`, error);
    });
    names.sort(compareNames);
    for (let from = 0; from < names.length; from += BATCH) {
      signal?.throwIfAborted();
      const batch = names.slice(from, from + BATCH);
      const found = await Promise.all(batch.map((name) => entryAt(join(path, name), directory)));
      yield found.filter((entry) => entry !== undefined);
    }
  }

  async stat(location: string): Promise<Entry | undefined> {
    return entryAt(pathOf(location), location);
  }

  async read(location: string, range: Range = {}, signal?: AbortSignal): Promise<Readable> {
    const path = pathOf(location);
    signal?.throwIfAborted();
    const file = await open(path).catch((error: unknown) => {
      throw posixError(location, `read ${location}`, error);
    });
    try {
      const found = await file.stat();
      if (found.isDirectory()) {
        throw new PushbroomError('CONFLICT', `Cannot read ${location}: it is a directory.`);
      }
      const { offset = 0, length = Infinity } = range;
      return new FileContent(
        file,
        { location, offset, end: Math.min(found.size, offset + length) },
        signal,
      );
    } catch (error) {
      await file.close();
      throw posixError(location, `read ${location}`, error);
    }
  }

  async write(location: string, content: Content, signal?: AbortSignal): Promise<void> {
    const path = belowRoot(location, pathOf(location));
    const directory = dirname(path);
    // Of a length that fits beside any name.
    const part = join(directory, `.${randomUUID()}.partial`);
    try {
      signal?.throwIfAborted();
      await makeDirectories(directory);
      await writeWhole(part, chunksOf(content, signal));
      signal?.throwIfAborted();
      await rename(part, path);
      await sync(directory);
    } catch (error) {
      await unlink(part).catch(() => undefined);
      signal?.throwIfAborted();
      if (error instanceof ContentError) throw error.cause;
      throw posixError(location, `write ${location}`, error);
    }
  }

  async makeDirectory(location: string): Promise<void> {
    try {
      await makeDirectories(pathOf(location));
    } catch (error) {
      throw posixError(location, `make the directory ${location}`, error);
    }
  }

  /**
   * A directory is moved by rename(2), which replaces no directory that has something in it, and a file by link(2), which
   * replaces nothing. Between the look and the rename an empty directory could be made and be replaced: nothing is lost.
   */
  async move(from: string, to: string): Promise<boolean> {
    const source = belowRoot(from, pathOf(from));
    const target = belowRoot(to, pathOf(to));
    notInside(from, source, to, target);
    try {
      const found = await lstat(source);
      if (await isThere(target)) return false;
      if (found.isDirectory()) {
        await rename(source, target);
      } else {
        await link(source, target);
        await unlink(source);
      }
      return true;
    } catch (error) {
      if (STANDS.has(codeOf(error)) && (await isThere(target))) return false;
      throw await moveError(from, to, error);
    }
  }

  async remove(location: string): Promise<void> {
    const path = belowRoot(location, pathOf(location));
    try {
      await rm(path, { recursive: true, force: true });
    } catch (error) {
      // A file in place of a directory above it.
      if (codeOf(error) !== 'ENOTDIR') throw posixError(location, `remove ${location}`, error);
    }
  }
}

/** Of a rename or a link to where something is. */
const STANDS: ReadonlySet<string> = new Set(['EEXIST', 'ENOTEMPTY', 'ENOTDIR', 'EISDIR']);

function pathOf(location: string): string {
  if (!isUrl(location)) return checkPath(location, location);
  throw new PushbroomError(
    'INVALID_PARAMETER',
    `${location} is on no mounted file system: it is a URL.`,
  );
}

/** Links are followed; one that leads nowhere is not there. */
async function entryAt(path: string, location: string): Promise<Entry | undefined> {
  try {
    const found = await stat(path);
    return {
      name: basename(path),
      isDirectory: found.isDirectory(),
      size: found.isDirectory() ? 0 : found.size,
      modifiedAt: Math.floor(found.mtimeMs),
    };
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw posixError(location, `look at ${path}`, error);
  }
}

const isThere = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    (error: unknown) => {
      const code = codeOf(error);
      if (code === 'ENOENT' || code === 'ENOTDIR') return false;
      throw error;
    },
  );

interface Part {
  readonly location: string;
  readonly offset: number;
  readonly end: number;
}

/** Part of a file, which is closed with it. */
class FileContent extends Readable {
  readonly #file: FileHandle;
  readonly #part: Part;
  #offset: number;

  constructor(file: FileHandle, part: Part, signal?: AbortSignal) {
    super({ highWaterMark: COPY_BYTES });
    this.#file = file;
    this.#part = part;
    this.#offset = part.offset;
    const abort = () => this.destroy(signal?.reason as Error);
    signal?.addEventListener('abort', abort);
    this.once('close', () => {
      signal?.removeEventListener('abort', abort);
      void file.close().catch(() => undefined);
    });
  }

  override _read(): void {
    this.#next().then(
      (chunk) => this.push(chunk),
      (error: unknown) =>
        this.destroy(posixError(this.#part.location, `read ${this.#part.location}`, error)),
    );
  }

  async #next(): Promise<Buffer | null> {
    const { location, end } = this.#part;
    if (this.#offset >= end) return null;
    const buffer = Buffer.allocUnsafeSlow(Math.min(COPY_BYTES, end - this.#offset));
    const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, this.#offset);
    this.#offset += bytesRead;
    if (bytesRead > 0) return buffer.subarray(0, bytesRead);
    const reason = `it became shorter than ${end} bytes while it was read`;
    throw new PushbroomError('UNAVAILABLE', `Cannot read ${location}: ${reason}.`);
  }
}

/** It is on the disk for certain then. */
async function writeWhole(path: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  const file = await open(path, 'wx');
  try {
    for await (const chunk of chunks) await file.writeFile(chunk);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** With those above it, all of which are on the disk for certain then. */
async function makeDirectories(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) {
    await sync(dirname(made));
  }
}

async function sync(directory: string): Promise<void> {
  const handle = await open(directory);
  await handle.sync().finally(() => handle.close());
}

/** The system does not say which of both places is missing. */
async function moveError(from: string, to: string, error: unknown): Promise<PushbroomError> {
  const isTarget =
    codeOf(error) === 'ENOENT' && (await isThere(checkPath(from, from)).catch(() => false));
  return posixError(isTarget ? dirname(to) : from, `move ${from} to ${to}`, error);
}
