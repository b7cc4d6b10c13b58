import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { isJobEnded } from '../core/lifecycle.ts';
import { STEPS } from '../core/model.ts';
import type { Job, JobId, JobState, Millis } from '../core/model.ts';
import type { Layout } from '../layout.ts';
import type { JobView, Store } from '../store/store.ts';
import { predecessors } from './reuse.ts';

const DAY = 86_400_000;

export interface CleanOptions {
  readonly store: Store;
  readonly layout: Layout;
  /** Days for which a job that left something undone keeps what it finished, so that a retry can take it over. */
  readonly keepFailed: number;
  readonly now: () => Millis;
}

/**
 * Removes the working files of jobs that have ended; what their attempts said is kept. A job that has not succeeded
 * leaves no staged results: it may have ended while they were being staged.
 */
export function createCleaner({ store, layout, keepFailed, now }: CleanOptions) {
  const remove = (path: string) => rm(path, { recursive: true, force: true });
  const removeResults = (id: JobId) => remove(layout.results(id));

  /** For a job that has ended just now. */
  async function clean(job: Job, state: JobState): Promise<void> {
    const view = await store.job(job.id);
    await removeWorkingFiles(job, state);
    if (keepFailed === 0 || !view || !isIncomplete(view)) await removeResults(job.id);
    if (state !== 'successful') return;
    for await (const before of predecessors(store, job)) await removeResults(before.id);
  }

  async function removeWorkingFiles(job: Job, state: JobState): Promise<void> {
    const entries = await readdir(layout.job(job.id)).catch(() => []);
    const working = entries
      .filter((name) => name !== 'logs' && name !== 'results')
      .map((name) => join(layout.job(job.id), name));
    const staged = state === 'successful' ? [] : [layout.staged(job)];
    for (const path of [...working, layout.unstaged(job.id), ...staged]) await remove(path);
  }

  /**
   * Cleans after jobs that ended while nobody was there to do it, and removes what was kept for long enough and is not
   * wanted by a retry under way. What cannot be removed of one job keeps nobody from the others.
   *
   * @throws AggregateError
   */
  async function sweep(): Promise<void> {
    const jobIds = await readdir(layout.jobs).catch(() => []);
    // The first question makes the store load what answers it: a quarter of the memory of a server without jobs.
    if (jobIds.length === 0) return;
    const errors: unknown[] = [];
    const needed = await neededResults();
    for (const jobId of jobIds) {
      try {
        const view = await store.job(jobId);
        if (!view || !isJobEnded(view.state)) continue;
        await removeWorkingFiles(view.job, view.state);
        const isKept = isIncomplete(view) && now() < view.endedAt! + keepFailed * DAY;
        if (!isKept && !needed.has(jobId)) await removeResults(jobId);
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) {
      throw new AggregateError(errors, `${errors.length} jobs were not cleaned`);
    }
  }

  /** Jobs that are being done again. */
  async function neededResults(): Promise<Set<JobId>> {
    const needed = new Set<JobId>();
    let after: string | undefined;
    do {
      const page = await store.jobs({
        states: ['accepted', 'running'],
        limit: 1000,
        ...(after !== undefined && { after }),
      });
      for (const { job } of page.items) {
        for await (const before of predecessors(store, job)) needed.add(before.id);
      }
      after = page.next;
    } while (after !== undefined);
    return needed;
  }

  return { clean, sweep };
}

export type Cleaner = ReturnType<typeof createCleaner>;

/** Whether something is left that a retry could do. */
const isIncomplete = ({ state, steps }: JobView): boolean =>
  state !== 'successful' || STEPS.some((step) => steps[step].failed > 0);
