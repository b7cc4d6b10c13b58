import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { isJobEnded } from '../core/lifecycle.ts';
import type { Job, JobState } from '../core/model.ts';
import type { Layout } from '../layout.ts';
import type { Store } from '../store/store.ts';

/**
 * Removes a job's working files; what its attempts said is kept. A job that has not succeeded leaves no results either:
 * it may have ended while they were being staged.
 */
export async function cleanJob(
  layout: Layout,
  job: Pick<Job, 'id' | 'user'>,
  state: JobState,
): Promise<void> {
  const entries = await readdir(layout.job(job.id)).catch(() => []);
  const working = entries
    .filter((name) => name !== 'logs')
    .map((name) => join(layout.job(job.id), name));
  const results = state === 'successful' ? [] : [layout.staged(job)];
  for (const path of [...working, layout.unstaged(job.id), ...results]) {
    await rm(path, { recursive: true, force: true });
  }
}

/**
 * Cleans after jobs that ended while nobody was there to do it. What cannot be removed of one keeps nobody from the
 * others.
 *
 * @throws AggregateError
 */
export async function sweep(store: Store, layout: Layout): Promise<void> {
  const errors: unknown[] = [];
  for (const jobId of await readdir(layout.jobs).catch(() => [])) {
    try {
      const view = await store.job(jobId);
      if (view && isJobEnded(view.state)) await cleanJob(layout, view.job, view.state);
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, `${errors.length} jobs were not cleaned`);
}
