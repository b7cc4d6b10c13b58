import { createWriteStream, writeFileSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';

import { PushbroomError, messageOf } from '../errors.ts';
import { joinLocation } from '../storage/location.ts';
import { patiently } from '../storage/patience.ts';
import type { Storage } from '../storage/storage.ts';
import type { Assignment } from './assignment.ts';
import { AttemptFailed, notBrought } from './failure.ts';
import { TRANSFERS, inParallel, orAbort } from './in-parallel.ts';
import type { Limits } from './limits.ts';
import { watch } from './measure.ts';
import type { Measure } from './measure.ts';
import type { AttemptStorages } from './storages.ts';

export interface InputOptions {
  readonly assignment: Assignment;
  readonly storages: AttemptStorages;
  readonly limits: Pick<Limits, 'overdue' | 'stalled' | 'heard'>;
  readonly measure: Pick<Measure, 'fetched'>;
  readonly signal: AbortSignal;
}

/** Bytes. Lists are long, but not so long. */
const LONGEST_LIST = 256 * 1024 ** 2;
/** In the working directory; no product of a list can be hidden by another, nor hide anything. */
const PRODUCTS = '.inputs';
const COPY_BYTES = 1024 ** 2;

/**
 * Brings the input, a file or a directory, from its storage to the working directory.
 *
 * @returns its name there
 */
export async function bringInput(options: InputOptions, storage: Storage): Promise<string> {
  const { input, directories } = options.assignment;
  const target = join(directories.scratch, basename(input));
  await bring(options, [{ storage, from: input, to: target }], { filesAtOnce: TRANSFERS });
  return basename(input);
}

/**
 * Brings everything that the input lists and a storage has, and writes the list anew to the working directory.
 *
 * @returns its name there, or `undefined` where there is nothing to bring: then the list is used as it is
 */
export async function bringListed(options: InputOptions): Promise<string | undefined> {
  const { assignment, storages } = options;
  const { input, isList, directories } = assignment;
  if (!isList) return undefined;
  const storage = storages.of(input);
  const content = storage
    ? await withinLimits(options, (signal) => readStored(storage, input, signal))
    : await readLocal(input);
  const lines = content.split('\n').filter((line) => line !== '');
  const products = targetsOf(lines, storages, join(directories.scratch, PRODUCTS));
  if (!storage && products.size === 0) return undefined;
  // Most lists are of many files, of which each is fetched as one.
  await bring(options, products.values(), { filesAtOnce: 1, productsAtOnce: TRANSFERS });
  const rewritten = lines.map((line) => `${products.get(line)?.to ?? line}\n`).join('');
  writeFileSync(join(directories.scratch, basename(input)), rewritten, { flag: 'wx' });
  return basename(input);
}

const readLocal = (list: string): Promise<string> =>
  readFile(list, 'utf8').catch((error: unknown) => {
    throw new AttemptFailed('input', `the input ${list} cannot be used: ${messageOf(error)}`);
  });

async function readStored(storage: Storage, list: string, signal: AbortSignal): Promise<string> {
  try {
    return await patiently(
      async () => {
        const entry = await orAbort(signal, () => storage.stat(list));
        if (!entry) throw missing(list);
        if (entry.size > LONGEST_LIST) {
          throw new PushbroomError('INVALID_PARAMETER', `it has ${entry.size} bytes.`);
        }
        return text(await storage.read(list, {}, signal));
      },
      { signal },
    );
  } catch (error) {
    throw notBrought(list, error);
  }
}

/** A file or directory on its way. */
interface Move {
  readonly storage: Storage;
  readonly from: string;
  readonly to: string;
}

/** Each product keeps its name; those of one name go to directories that are numbered. */
function targetsOf(
  lines: readonly string[],
  storages: AttemptStorages,
  into: string,
): Map<string, Move> {
  const targets = new Map<string, Move>();
  const seen = new Map<string, number>();
  for (const from of lines) {
    const storage = storages.of(from);
    if (!storage || targets.has(from)) continue;
    const name = basename(from);
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    targets.set(from, { storage, from, to: join(into, String(count), name) });
  }
  return targets;
}

interface AtOnce {
  readonly productsAtOnce?: number;
  /** Of one product that is a directory. */
  readonly filesAtOnce: number;
}

/** Within the attempt's wall time. When it rejects, nothing is written any more. */
async function bring(
  options: InputOptions,
  products: Iterable<Move>,
  { productsAtOnce = 1, filesAtOnce }: AtOnce,
): Promise<void> {
  await withinLimits(options, (signal) =>
    inParallel(
      () => products,
      productsAtOnce,
      signal,
      async (product, either) => {
        await mkdir(join(product.to, '..'), { recursive: true });
        await bringProduct(options, product, filesAtOnce, either);
      },
    ),
  );
}

async function withinLimits<T>(
  { limits, signal }: InputOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  let reason: AttemptFailed | undefined;
  const stopWatching = watch(() => {
    const passed = limits.overdue() ?? limits.stalled();
    if (!passed || reason) return;
    reason = new AttemptFailed(passed.kind, `the bringing of the input ${passed.message}`);
    stop.abort();
  });
  limits.heard();
  try {
    return await work(AbortSignal.any([signal, stop.signal]));
  } catch (error) {
    throw reason ?? error;
  } finally {
    stopWatching();
    limits.heard();
  }
}

/** @param filesAtOnce where it is a directory */
async function bringProduct(
  options: InputOptions,
  product: Move,
  filesAtOnce: number,
  signal: AbortSignal,
): Promise<void> {
  try {
    // Most are files: to ask first would take longer than to fetch many of them.
    await bringFile(options, product, signal).catch((error: unknown) => {
      if (!saysDirectory(error)) throw error;
      const walk = (either: AbortSignal) => filesOf(product, either);
      return inParallel(walk, filesAtOnce, signal, (file, either) =>
        bringFile(options, file, either),
      );
    });
  } catch (error) {
    throw notBrought(product.from, error);
  }
}

const saysDirectory = (error: unknown): boolean =>
  error instanceof PushbroomError && error.code === 'CONFLICT';

const missing = (location: string): PushbroomError =>
  new PushbroomError('NOT_FOUND', `${location} is not there.`);

/** The files of a directory; the directories in it are made as it goes, never taken where they are there already. */
async function* filesOf({ storage, from, to }: Move, signal: AbortSignal): AsyncGenerator<Move> {
  await mkdir(to);
  for await (const batch of storage.list(from, signal)) {
    for (const { name, isDirectory } of batch) {
      const entry = { storage, from: joinLocation(from, name), to: join(to, name) };
      if (isDirectory) yield* filesOf(entry, signal);
      else yield entry;
    }
  }
}

async function bringFile(
  { limits, measure }: InputOptions,
  { storage, from, to }: Move,
  signal: AbortSignal,
): Promise<void> {
  let tries = 0;
  await patiently(
    async () => {
      // From its beginning each time: it may be another one by now.
      if (tries > 0) await rm(to, { force: true });
      tries += 1;
      const source = await storage.read(from, {}, signal);
      source.on('data', (chunk: Buffer) => {
        limits.heard();
        measure.fetched(chunk.length);
      });
      // What a program has put there before may be a link to anywhere.
      const target = createWriteStream(to, { flags: 'wx', highWaterMark: COPY_BYTES });
      await pipeline(source, target, { signal });
    },
    { signal },
  );
}
