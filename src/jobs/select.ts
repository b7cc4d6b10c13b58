import type { JobId, JobState } from '../core/model.ts';
import { PushbroomError } from '../errors.ts';
import type { JobView, Store } from '../store/store.ts';
import type { Selection } from './jobs.ts';

/** Jobs of one selection. */
const MOST_JOBS = 1000;

/**
 * @param usual the states that are meant where a filter does not name any
 * @returns by its id what is known of each job
 * @throws INVALID_PARAMETER for a selection of nothing, or of too much; NOT_FOUND where no job matches
 */
export async function selectJobs(
  store: Store,
  { ids, ...filter }: Selection,
  usual: readonly JobState[],
): Promise<Map<JobId, JobView | undefined>> {
  const isFiltered = Object.values(filter).some((value) => value !== undefined);
  if ((ids !== undefined) === isFiltered || ids?.length === 0) {
    throw invalid('Name jobs by their ids, or by state, user, group or process.');
  }
  if (ids && ids.length > MOST_JOBS) throw tooMany(`${ids.length}`);
  if (ids) {
    return new Map(await Promise.all(ids.map(async (id) => [id, await store.job(id)] as const)));
  }
  const states = filter.states ?? usual;
  const { items, next } = await store.jobs({ ...filter, states, limit: MOST_JOBS });
  if (next !== undefined) throw tooMany(`More than ${MOST_JOBS}`);
  if (items.length === 0) {
    const message = `No job is selected: none that matches is ${states.join(' or ')}.`;
    throw new PushbroomError('NOT_FOUND', message);
  }
  return new Map(items.map((view) => [view.job.id, view]));
}

const invalid = (message: string): PushbroomError =>
  new PushbroomError('INVALID_PARAMETER', message, { locator: 'ids' });

const tooMany = (count: string): PushbroomError =>
  invalid(`${count} jobs are selected, and ${MOST_JOBS} at once may be: select fewer.`);
