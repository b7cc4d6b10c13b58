import { copyFile, link, mkdir, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import type { Job, OutputFile, Task } from '../core/model.ts';
import { PushbroomError } from '../errors.ts';
import type { Layout } from '../layout.ts';
import { commitOutputs } from '../runner/result.ts';
import { storeOutputs } from '../runner/stored-result.ts';
import { isUrl, joinLocation } from '../storage/location.ts';
import type { Storage, Storages } from '../storage/storage.ts';
import type { Store, TaskView } from '../store/store.ts';

export interface ReuseOptions {
  readonly store: Store;
  readonly layout: Layout;
  readonly storages: Storages;
}

/**
 * Lets a job that does another one again take over what that one finished: to be called before a task is assigned. The
 * runner then finds its outputs committed and has nothing left to do. Where something is no longer there, the task runs
 * as any other.
 */
export function createReuse({ store, layout, storages }: ReuseOptions) {
  return async (job: Job, task: Task): Promise<void> => {
    if (!job.retryOf) return;
    const target = layout.result(job.id, task.number);
    if (await isThere(target)) return;
    for await (const before of predecessors(store, job)) {
      const done = await store.finishedByKey(before.id, task.step, task.key);
      if (done && (await isSame(job, task, before, done.task)) && (await take(done, job, task))) {
        return;
      }
    }
  };

  async function isThere(result: string): Promise<boolean> {
    return isUrl(result)
      ? (await storages.of(result).stat(result)) !== undefined
      : existsSync(result);
  }

  /** What is made of one product is the same again. What is made of several is so only where they are the same ones. */
  async function isSame(job: Job, task: Task, before: Job, its: Task): Promise<boolean> {
    if (task.step === 'process' || task.source !== undefined) return true;
    const isAlike =
      job.processor.bundleHash === before.processor.bundleHash &&
      job.workflow.aggregate?.partitions === before.workflow.aggregate?.partitions;
    if (!isAlike) return false;
    const [ours, theirs] = await Promise.all([
      store.finishedTasks(job.id, 'process', task.firstPeriod),
      store.finishedTasks(before.id, 'process', its.firstPeriod),
    ]);
    return (
      ours.length === theirs.length &&
      ours.every((view, index) => view.task.key === theirs[index]!.task.key)
    );
  }

  /** Linked or copied, and not moved: the other job keeps what it has, should it be retried once more. */
  async function take(
    { task: its, outputs = [] }: TaskView,
    job: Job,
    task: Task,
  ): Promise<boolean> {
    const from = layout.result(its.jobId, its.number);
    const to = layout.result(job.id, task.number);
    try {
      if (isUrl(to)) await copyResult(storages.of(to), from, to, outputs);
      else await linkResult(from, to, outputs, layout.scratch(job.id, `reuse-${task.number}`));
      return true;
    } catch (error) {
      if (isGone(error)) return false;
      throw error;
    }
  }
}

/** Storages know no links. */
async function copyResult(
  storage: Storage,
  from: string,
  result: string,
  outputs: readonly OutputFile[],
): Promise<void> {
  const { signal } = new AbortController();
  const open = async function* ({ path, size }: OutputFile) {
    const source = joinLocation(from, path);
    let read = 0;
    for await (const chunk of await storage.read(source)) {
      read += (chunk as Uint8Array).length;
      yield chunk as Uint8Array;
    }
    if (read === size) return;
    throw new PushbroomError('NOT_FOUND', `${source} has ${read} bytes instead of ${size}`);
  };
  await storeOutputs({ storage, result, maker: 'reuse', outputs, open, signal });
}

async function linkResult(
  from: string,
  to: string,
  outputs: readonly OutputFile[],
  collected: string,
): Promise<void> {
  try {
    await rm(collected, { recursive: true, force: true });
    await mkdir(collected, { recursive: true });
    for (const { path } of outputs) await linkFile(join(from, path), join(collected, path));
    await commitOutputs(collected, to, outputs);
  } finally {
    await rm(collected, { recursive: true, force: true });
  }
}

/** The jobs that a job does again, the last one first. */
export async function* predecessors(store: Pick<Store, 'job'>, job: Job): AsyncGenerator<Job> {
  for (let id = job.retryOf?.jobId; id !== undefined;) {
    const view = await store.job(id);
    if (!view) return;
    yield view.job;
    id = view.job.retryOf?.jobId;
  }
}

const linkFile = (from: string, to: string): Promise<void> =>
  link(from, to).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EXDEV' || error.code === 'EPERM') return copyFile(from, to);
    throw error;
  });

const isGone = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  (error.code === 'ENOENT' || error.code === 'NOT_FOUND');
