import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { isJobEnded } from '../core/lifecycle.ts';
import type { JobId } from '../core/model.ts';
import type { Layout } from '../layout.ts';
import type { Store } from '../store/store.ts';

/** Removes a job's working files; what its attempts said is kept. */
export async function cleanJob(layout: Layout, jobId: JobId): Promise<void> {
  const entries = await readdir(layout.job(jobId)).catch(() => []);
  const working = entries
    .filter((name) => name !== 'logs')
    .map((name) => join(layout.job(jobId), name));
  for (const path of [...working, layout.unstaged(jobId)]) {
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
      if (view && isJobEnded(view.state)) await cleanJob(layout, jobId);
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, `${errors.length} jobs were not cleaned`);
}
