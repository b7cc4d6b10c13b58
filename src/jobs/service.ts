import { jobId } from '../core/ids.ts';
import { isJobEnded } from '../core/lifecycle.ts';
import type { Job, JobId, JobResult, Millis } from '../core/model.ts';
import { timestamp } from '../core/time.ts';
import { PushbroomError } from '../errors.ts';
import { describe } from '../processes/describe.ts';
import type { Registry } from '../processes/registry.ts';
import type { Dataset } from '../products/dataset.ts';
import type { Scheduler } from '../scheduler/scheduler.ts';
import type { JobView, Store } from '../store/store.ts';
import { noSuchJob } from './jobs.ts';
import type { ExecuteRequest, JobStatus, Jobs } from './jobs.ts';
import { percent } from './percent.ts';
import { resolve } from './resolve.ts';
import type { JobDefaults } from './resolve.ts';

export interface JobsOptions {
  readonly store: Store;
  readonly scheduler: Scheduler;
  readonly registry: Registry;
  readonly datasets: readonly Dataset[];
  readonly defaults: JobDefaults;
  readonly now: () => Millis;
  /** Hexadecimal digits, different at every call. */
  readonly unique: () => string;
}

/** What the front doors may ask, answered from the registry, the store and the scheduler. */
export function createJobs(options: JobsOptions): Jobs {
  const { store, scheduler, registry, datasets } = options;

  async function status(id: JobId): Promise<JobStatus> {
    return withPercent((await store.job(id)) ?? noSuchJob(id));
  }

  return {
    processes: async () =>
      registry
        .bundles()
        .flatMap((bundle) =>
          bundle.processors.map((processor) => describe(bundle, processor, datasets)),
        ),
    process: async (id) => {
      const { bundle, processor } = registry.find(id);
      return describe(bundle, processor, datasets);
    },
    submit: async (request) => {
      const job = jobOf(request, options);
      await scheduler.submit(job);
      return accepted(job);
    },
    status,
    list: async (query) => {
      const { items, ...page } = await store.jobs(query);
      return { ...page, items: items.map(withPercent) };
    },
    ended: (id, signal) => ended(scheduler, status, id, signal),
    results: async (id) => resultsOf(await status(id)),
    dismiss: async (id) => {
      if (!isJobEnded((await status(id)).state)) await scheduler.dismiss(id);
      return status(id);
    },
    tasks: async (id, query) => {
      await status(id);
      return store.tasks(id, query);
    },
    attempts: async (id, task) => {
      await status(id);
      return store.attempts(id, task);
    },
  };
}

const NO_TASKS = { total: 0, finished: 0, failed: 0 };

/** A job's status when it has been accepted, without asking for it. */
const accepted = (job: Job): JobStatus => ({
  job,
  control: { group: job.group, priority: job.priority, isPaused: false },
  state: 'accepted',
  updatedAt: job.acceptedAt,
  splitEnded: false,
  steps: { process: NO_TASKS, aggregate: NO_TASKS, format: NO_TASKS },
  attempts: 0,
  percent: 0,
});

const withPercent = (view: JobView): JobStatus => ({ ...view, percent: percent(view) });

function jobOf(request: ExecuteRequest, options: JobsOptions): Job {
  const { scheduler, registry, datasets, defaults, now, unique } = options;
  const acceptedAt = now();
  return resolve({
    request,
    entry: registry.find(request.process),
    datasets,
    defaults,
    policy: scheduler.policy(),
    id: (workflow) => jobId(timestamp(acceptedAt), workflow, unique()),
    acceptedAt,
  });
}

async function ended(
  scheduler: Scheduler,
  status: Jobs['status'],
  id: JobId,
  signal?: AbortSignal,
): Promise<JobStatus> {
  const end = Promise.withResolvers<void>();
  // The end may be seen first and the wait be left; its failure then is nobody's.
  end.promise.catch(() => undefined);
  // Listen before looking, or the end could fall in between.
  const stop = scheduler.onCommit((touched) => {
    if (!touched.has(id)) return;
    status(id).then(({ state }) => isJobEnded(state) && end.resolve(), end.reject);
  });
  const onAbort = () => end.reject(signal!.reason as Error);
  signal?.addEventListener('abort', onAbort);
  if (signal?.aborted) onAbort();
  try {
    const first = await status(id);
    if (isJobEnded(first.state)) return first;
    await end.promise;
    return await status(id);
  } finally {
    stop();
    signal?.removeEventListener('abort', onAbort);
  }
}

function resultsOf({ job: { id }, state, results, message = '' }: JobStatus): readonly JobResult[] {
  const locator = { locator: id };
  switch (state) {
    case 'successful':
      return results ?? [];
    case 'failed':
      throw new PushbroomError('JOB_FAILED', `Job ${id} has failed: ${message}`, locator);
    case 'dismissed':
      throw new PushbroomError('JOB_DISMISSED', `Job ${id} was dismissed.`, locator);
    default:
      throw new PushbroomError('RESULT_NOT_READY', `Job ${id} is ${state}.`, locator);
  }
}
