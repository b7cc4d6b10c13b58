import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { isJobEnded } from '../core/lifecycle.ts';
import { STEPS } from '../core/model.ts';
import type { Job, JobId, JobState, Millis } from '../core/model.ts';
import type { Layout } from '../layout.ts';
import { isUrl, joinLocation } from '../storage/location.ts';
import type { Storages } from '../storage/storage.ts';
import type { JobView, Store } from '../store/store.ts';
import { predecessors } from './reuse.ts';

const DAY = 86_400_000;

export interface CleanOptions {
  readonly store: Store;
  readonly layout: Layout;
  readonly storages: Storages;
  /** Days for which a job that left something undone keeps what it finished, so that a retry can take it over. */
  readonly keepFailed: number;
  readonly now: () => Millis;
}

/**
 * Removes the working files of jobs that have ended; what their attempts said is kept. A job that has not succeeded
 * leaves no staged results: it may have ended while they were being staged. What is on a storage that is away goes with
 * the next sweep.
 */
export function createCleaner({ store, layout, storages, keepFailed, now }: CleanOptions) {
  const files = createFiles(layout, storages);

  /** For a job that has ended just now. */
  async function clean(job: Job, state: JobState): Promise<void> {
    const view = await store.job(job.id);
    await files.removeWorking(job, state);
    const isKept = keepFailed > 0 && view && isIncomplete(view);
    await (isKept ? files.removeShared(job.id) : files.removeResults(job.id));
    if (state !== 'successful') return;
    for await (const before of predecessors(store, job)) await files.removeResults(before.id);
  }

  /**
   * Cleans after jobs that ended while nobody was there to do it, and removes what was kept for long enough and is not
   * wanted by a retry under way. What cannot be removed of one job keeps nobody from the others.
   *
   * @throws AggregateError
   */
  async function sweep(): Promise<void> {
    const errors: unknown[] = [];
    const shared = await files.listShared().catch((error: unknown) => {
      errors.push(error);
      return new Set<JobId>();
    });
    const jobIds = new Set([...(await readdir(layout.jobs).catch(() => [])), ...shared]);
    // The first question makes the store load what answers it: a quarter of the memory of a server without jobs.
    const needed = jobIds.size > 0 ? await neededResults(store) : new Set<JobId>();
    for (const jobId of jobIds) {
      try {
        const view = await store.job(jobId);
        if (!view || !isJobEnded(view.state)) continue;
        await files.removeWorking(view.job, view.state);
        // Nobody is asked to remove what is not there: ended jobs are many.
        if (!shared.has(jobId)) continue;
        const isKept = isIncomplete(view) && now() < view.endedAt! + keepFailed * DAY;
        await (isKept || needed.has(jobId)
          ? files.removeShared(jobId)
          : files.removeResults(jobId));
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) {
      throw new AggregateError(errors, `${errors.length} jobs were not cleaned`);
    }
  }

  return { clean, sweep };
}

/** The files of jobs, here and where nodes see them. */
function createFiles(layout: Layout, storages: Storages) {
  /** Whether what nodes have to see lies on a storage, apart from all other files of the jobs. */
  const isApart = isUrl(layout.sharedJobs);

  const remove = (location: string): Promise<void> =>
    isUrl(location)
      ? storages.of(location).remove(location)
      : rm(location, { recursive: true, force: true });

  return {
    async removeWorking(job: Job, state: JobState): Promise<void> {
      const entries = await readdir(layout.job(job.id)).catch(() => []);
      const working = entries
        .filter((name) => name !== 'logs' && name !== 'results')
        .map((name) => join(layout.job(job.id), name));
      const staged = state === 'successful' ? [] : [layout.staged(job)];
      for (const path of [...working, layout.unstaged(job.id), ...staged]) await remove(path);
    },

    /** What a job has on a storage beside its results. */
    async removeShared(id: JobId): Promise<void> {
      if (isApart) await remove(joinLocation(layout.sharedJob(id), 'inputs'));
    },

    /** Nothing else of a job that has ended is left on a storage. */
    removeResults: (id: JobId) => remove(isApart ? layout.sharedJob(id) : layout.results(id)),

    /** Jobs of which something lies where nodes see it. */
    async listShared(): Promise<Set<JobId>> {
      if (!isApart) return new Set(await readdir(layout.jobs).catch(() => []));
      const found = new Set<JobId>();
      const storage = storages.of(layout.sharedJobs);
      if (!(await storage.stat(layout.sharedJobs))) return found;
      for await (const entries of storage.list(layout.sharedJobs)) {
        for (const { name } of entries) found.add(name);
      }
      return found;
    },
  };
}

/** Jobs that are being done again. */
async function neededResults(store: Store): Promise<Set<JobId>> {
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

export type Cleaner = ReturnType<typeof createCleaner>;

/** Whether something is left that a retry could do. */
const isIncomplete = ({ state, steps }: JobView): boolean =>
  state !== 'successful' || STEPS.some((step) => steps[step].failed > 0);
