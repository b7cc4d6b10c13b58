import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { isJobEnded } from '../core/lifecycle.ts';
import type { JobId } from '../core/model.ts';
import type { Layout } from '../layout.ts';
import type { Store } from '../store/store.ts';

/** Removes a job's working files; what its attempts said is kept. */
export async function cleanJob(layout: Layout, jobId: JobId): Promise<void> {
  for (const entry of await readdir(layout.job(jobId)).catch(() => [])) {
    if (entry !== 'logs')
      await rm(join(layout.job(jobId), entry), { recursive: true, force: true });
  }
}

/** Cleans after jobs that ended while nobody was there to do it. */
export async function sweep(store: Store, layout: Layout): Promise<void> {
  for (const jobId of await readdir(layout.jobs).catch(() => [])) {
    const view = await store.job(jobId);
    if (view && isJobEnded(view.state)) await cleanJob(layout, jobId);
  }
}
