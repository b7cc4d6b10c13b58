import { copyFile, link, mkdir, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import type { Job, Task } from '../core/model.ts';
import type { Layout } from '../layout.ts';
import { commitOutputs } from '../runner/result.ts';
import type { Store, TaskView } from '../store/store.ts';

/**
 * Lets a job that does another one again take over what that one finished: to be called before a task is assigned. The
 * runner then finds its outputs committed and has nothing left to do. Where something is no longer there, the task runs
 * as any other.
 */
export function createReuse({ store, layout }: { store: Store; layout: Layout }) {
  return async (job: Job, task: Task): Promise<void> => {
    if (!job.retryOf) return;
    const target = layout.result(job.id, task.number);
    if (existsSync(target)) return;
    for await (const before of predecessors(store, job)) {
      const done = await store.finishedByKey(before.id, task.step, task.key);
      if (done && (await isSame(job, task, before, done.task)) && (await take(done, job, task))) {
        return;
      }
    }
  };

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

  /** Linked and not moved: the other job keeps what it has, should it be retried once more. */
  async function take(
    { task: its, outputs = [] }: TaskView,
    job: Job,
    task: Task,
  ): Promise<boolean> {
    const from = layout.result(its.jobId, its.number);
    const collected = layout.scratch(job.id, `reuse-${task.number}`);
    try {
      await rm(collected, { recursive: true, force: true });
      await mkdir(collected, { recursive: true });
      for (const { path } of outputs) await linkFile(join(from, path), join(collected, path));
      await commitOutputs(collected, layout.result(job.id, task.number), outputs);
      return true;
    } catch (error) {
      if (isGone(error)) return false;
      throw error;
    } finally {
      await rm(collected, { recursive: true, force: true });
    }
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
  error instanceof Error && 'code' in error && error.code === 'ENOENT';
