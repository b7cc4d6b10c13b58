import { jobIdOf } from '../../core/change.ts';
import type { Change } from '../../core/change.ts';
import type { JobId } from '../../core/model.ts';
import type { JobView } from '../store.ts';

/** Of jobs that are polled; a poll asks again for what it has just been told. */
const MOST_VIEWS = 1000;
/** Results of a job that is kept: those of a campaign are better read again than held in memory. */
const MOST_RESULTS = 100;

/** What was read of jobs, until something of them is written. */
export class ViewCache {
  readonly #views = new Map<JobId, JobView>();
  #writes = 0;

  /** Reads what is not at hand. */
  async get(
    id: JobId,
    read: (id: JobId) => Promise<JobView | undefined>,
  ): Promise<JobView | undefined> {
    const kept = this.#views.get(id);
    if (kept) return kept;
    const writes = this.#writes;
    const view = await read(id);
    // What was written meanwhile may be news of this job.
    if (view && writes === this.#writes && (view.results?.length ?? 0) <= MOST_RESULTS) {
      this.#keep(id, view);
    }
    return view;
  }

  #keep(id: JobId, view: JobView): void {
    const oldest = this.#views.size < MOST_VIEWS ? undefined : this.#views.keys().next().value;
    if (oldest !== undefined) this.#views.delete(oldest);
    this.#views.set(id, view);
  }

  forget(changes: readonly Change[]): void {
    this.#writes += 1;
    if (this.#views.size === 0) return;
    for (const change of changes) {
      const id = jobIdOf(change);
      if (id !== undefined) this.#views.delete(id);
    }
  }
}
