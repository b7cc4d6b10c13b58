import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { copyFile, link, mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import { STEPS } from '../core/model.ts';
import type { Job, JobResult, OutputFile, TaskState } from '../core/model.ts';
import { PushbroomError, isDiskFull } from '../errors.ts';
import { isLastStep } from '../jobs/assign.ts';
import { hashFile } from '../hash.ts';
import type { Layout } from '../layout.ts';
import { isUrl, joinLocation } from '../storage/location.ts';
import { patiently } from '../storage/patience.ts';
import type { Storage, Storages } from '../storage/storage.ts';
import type { Store, TaskView } from '../store/store.ts';
import { CHECKSUMS, METADATA_SUFFIX, mediaType } from './media-type.ts';
import { metadataDocument } from './metadata.ts';
import type { Publisher } from './metadata.ts';

const PAGE = 500;
const IMAGES = new Set(['image/png', 'image/jpeg']);

export interface StageOptions {
  readonly store: Store;
  readonly layout: Layout;
  readonly storages: Storages;
  readonly publisher: Publisher;
  readonly now: () => number;
  /** Milliseconds between the tries to read from a storage that is away. */
  readonly pauses?: readonly number[];
}

/**
 * Puts a job's results where its user finds them: products and quicklooks, their checksums and the metadata document,
 * all together by one rename, so nobody ever sees a part of them. Doing it again gives the same.
 */
export function createStager({ store, layout, storages, publisher, now, pauses }: StageOptions) {
  return async (job: Job): Promise<readonly JobResult[]> => {
    const partial = layout.unstaged(job.id);
    const target = layout.staged(job);
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial, { recursive: true });
    const results: JobResult[] = [];
    for await (const { task, outputs = [] } of lastTasks(store, job)) {
      for (const output of outputs) {
        const from = joinLocation(layout.result(job.id, task.number), output.path);
        const to = join(partial, output.path);
        results.push(await stageFile(from, to, output));
        await sync(to);
      }
    }
    results.sort((a, b) => (a.path < b.path ? -1 : 1));
    results.push(await stageMetadata(job, results, partial));
    await stageText(partial, CHECKSUMS, results.map(checksumLine).join(''));
    await replace(target, partial);
    return results;
  };

  async function stageFile(from: string, to: string, output: OutputFile): Promise<JobResult> {
    const { path, size } = output;
    try {
      const sha256 = isUrl(from)
        ? await patiently(() => fetchFile(storages.of(from), from, to, output), { pauses })
        : await linkFile(from, to, output);
      const type = mediaType(path);
      return { path, type, size, sha256, role: IMAGES.has(type) ? 'quicklook' : 'product' };
    } catch (error) {
      throw stagingError(path, error as NodeJS.ErrnoException);
    }
  }

  async function stageMetadata(job: Job, results: readonly JobResult[], directory: string) {
    const path = `${fileName(job.title)}${METADATA_SUFFIX}`;
    const text = metadataDocument({ job, results, publisher, finishedAt: now() });
    await stageText(directory, path, text);
    const sum = await hashFile(join(directory, path));
    const size = Buffer.byteLength(text);
    return { path, type: mediaType(path), size, sha256: sum, role: 'metadata' } as const;
  }
}

/** The finished tasks whose outputs are results, page by page. */
async function* lastTasks(store: Store, job: Job): AsyncGenerator<TaskView> {
  const step = STEPS.find((candidate) => isLastStep(job, candidate))!;
  const states: TaskState[] = ['finished'];
  for (let after: string | undefined; ;) {
    const page = await store.tasks(job.id, {
      states,
      step,
      limit: PAGE,
      ...(after !== undefined && { after }),
    });
    yield* page.items;
    if (page.next === undefined) return;
    after = page.next;
  }
}

/**
 * A link costs nothing and leaves the committed output in place, should the staging have to be done again.
 *
 * @returns its SHA-256
 */
async function linkFile(from: string, to: string, { sha256 }: OutputFile): Promise<string> {
  await link(from, to).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EXDEV' || error.code === 'EPERM') return copyFile(from, to);
    throw error;
  });
  return sha256 ?? hashFile(to);
}

/**
 * Copies an output from a storage, and makes sure of what has come.
 *
 * @returns its SHA-256
 * @throws UNAVAILABLE for content that is not what the attempt has left: what came may be to blame
 */
async function fetchFile(
  storage: Storage,
  from: string,
  to: string,
  output: OutputFile,
): Promise<string> {
  const hash = createHash('sha256');
  let size = 0;
  const target = createWriteStream(to, { flags: 'wx' });
  // What is there already is not ours to remove.
  await once(target, 'open');
  try {
    await pipeline(
      await storage.read(from),
      async function* (chunks: AsyncIterable<Uint8Array>) {
        for await (const chunk of chunks) {
          size += chunk.length;
          hash.update(chunk);
          yield chunk;
        }
      },
      target,
    );
    const sha256 = hash.digest('hex');
    const { size: wanted, sha256: expected = sha256 } = output;
    if (size === wanted && sha256 === expected) return sha256;
    const what = size === wanted ? 'another checksum' : `${size} bytes instead of ${wanted}`;
    throw new PushbroomError('UNAVAILABLE', `${from} has ${what} than when it was made`);
  } catch (error) {
    target.destroy();
    await rm(to, { force: true });
    throw error;
  }
}

/** Never over a result of that name, which is a link to the committed output. */
const stageText = (directory: string, file: string, text: string): Promise<void> =>
  writeFile(join(directory, file), text, { flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
    throw stagingError(file, error);
  });

function stagingError(file: string, error: NodeJS.ErrnoException): Error {
  if (isDiskFull(error)) {
    return new PushbroomError('STORAGE_FULL', `no space is left for '${file}'`, { cause: error });
  }
  const reason =
    error.code === 'EEXIST'
      ? `there are two results of the name '${file}'`
      : `${file}: ${error.message}`;
  return new Error(reason, { cause: error });
}

const checksumLine = ({ sha256: sum, path }: JobResult): string => `${sum}  ${path}\n`;

/** Bytes of a file name that is made of a title; file systems take 255, and ours get a suffix. */
const LONGEST_NAME = 150;

/** A title as a file name (specification C.9): no slashes, blanks as underscores. */
export function fileName(title: string): string {
  const name = title
    .replaceAll(/[/\\]/g, '')
    .replaceAll(/[^\p{L}\p{N}._+()-]+/gu, '_')
    .replace(/^[._]+/, '');
  // Where the cut goes through a character, what is left of it becomes U+FFFD.
  const cut = Buffer.from(name)
    .toString('utf8', 0, LONGEST_NAME)
    .replace(/\ufffd+$/, '');
  return cut || 'result';
}

/** Puts a directory where results are found; what an earlier staging left there, whose end was not stored, goes. */
export async function replace(target: string, partial: string): Promise<void> {
  await sync(partial);
  await mkdir(dirname(target), { recursive: true });
  await rm(target, { recursive: true, force: true });
  await rename(partial, target);
  await sync(dirname(target));
}

/** A file or directory that survives a power cut from here on. */
export async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  await handle.sync().finally(() => handle.close());
}
