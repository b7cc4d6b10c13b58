import type { JobId } from '../core/model.ts';
import { PushbroomError } from '../errors.ts';
import { noSuchJob } from '../jobs/jobs.ts';
import type { Caller, Jobs, JobStatus } from '../jobs/jobs.ts';
import type { Dataset } from '../products/dataset.ts';
import type { Visibility } from './visibility.ts';

export interface RestrictOptions {
  /** What may be asked where there are these datasets and no others. */
  readonly jobsOver: (datasets: readonly Dataset[]) => Jobs;
  readonly datasets: readonly Dataset[];
  readonly visibility: Visibility;
}

/**
 * What somebody may ask: a user about his own jobs, about processes and datasets that he may see. What he may not see is
 * refused as if it were not there.
 */
export function createJobsFor({ jobsOver, datasets, visibility }: RestrictOptions) {
  const all = jobsOver(datasets);
  const jobsWith = (visible: readonly Dataset[]): Jobs =>
    visible.length === datasets.length ? all : jobsOver(visible);

  return (caller: Caller): Jobs =>
    caller.role === 'user'
      ? restrict(all, caller, visibility, () => jobsWith(visibility.datasets(caller)))
      : all;
}

/** @param visible what is there for the caller; asked for where it matters only, as most requests are for a status */
function restrict(
  all: Jobs,
  caller: Caller,
  { mayUse, hidesProcesses }: Visibility,
  visible: () => Jobs,
): Jobs {
  async function own(id: JobId): Promise<JobStatus> {
    const status = await all.status(id);
    return status.job.user === caller.user ? status : noSuchJob(id);
  }
  async function usable<T>(process: string, ask: () => Promise<T>): Promise<T> {
    if (!mayUse(caller, process)) throw noSuchProcess(process);
    return ask().catch((error: unknown) => {
      // It names processes that come near, also those that are not there for him.
      const isTelling = error instanceof PushbroomError && error.code === 'NO_SUCH_PROCESS';
      throw isTelling && hidesProcesses() ? noSuchProcess(process) : error;
    });
  }
  return {
    processes: async () => (await visible().processes()).filter(({ id }) => mayUse(caller, id)),
    process: (id) => usable(id, () => visible().process(id)),
    submit: (request) => usable(request.process, () => visible().submit({ ...request, caller })),
    quote: (request) => usable(request.process, () => visible().quote({ ...request, caller })),
    status: own,
    list: async (query) =>
      query.user === undefined || query.user === caller.user
        ? all.list({ ...query, user: caller.user })
        : { items: [] },
    ended: async (id, signal) => {
      await own(id);
      return all.ended(id, signal);
    },
    results: async (id) => {
      await own(id);
      return all.results(id);
    },
    dismiss: async (id) => {
      await own(id);
      return all.dismiss(id);
    },
    tasks: async (id, query) => {
      await own(id);
      return all.tasks(id, query);
    },
    attempts: async (id, task) => {
      await own(id);
      return all.attempts(id, task);
    },
  };
}

const noSuchProcess = (id: string): PushbroomError =>
  new PushbroomError(
    'NO_SUCH_PROCESS',
    `There is no process '${id.slice(0, 200)}': GetCapabilities lists what there is.`,
    { locator: 'Identifier' },
  );
