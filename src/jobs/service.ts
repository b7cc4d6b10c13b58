import { jobId } from '../core/ids.ts';
import { isJobEnded } from '../core/lifecycle.ts';
import type { Job, JobId, JobResult, Millis } from '../core/model.ts';
import { controlOf } from '../core/state.ts';
import { timestamp } from '../core/time.ts';
import { PushbroomError } from '../errors.ts';
import { PAUSE } from '../processes/builtin.ts';
import type { Builtin } from '../processes/builtin.ts';
import { describe } from '../processes/describe.ts';
import { describeProduction, productionType } from '../processes/production.ts';
import type { Registry } from '../processes/registry.ts';
import type { Archive } from '../products/ad-hoc.ts';
import type { Dataset } from '../products/dataset.ts';
import type { Scheduler } from '../scheduler/scheduler.ts';
import type { JobView, Store } from '../store/store.ts';
import { isQuotation, noSuchJob, QUOTATION } from './jobs.ts';
import type { ExecuteRequest, JobStatus, Jobs } from './jobs.ts';
import { percent } from './percent.ts';
import type { JobDefaults } from './plan.ts';
import type { Quoter } from './quote.ts';
import { resolveLocal } from './resolve-local.ts';
import { resolveRequest } from './resolve-request.ts';

export interface JobsOptions {
  readonly store: Store;
  readonly scheduler: Scheduler;
  readonly registry: Registry;
  readonly datasets: readonly Dataset[];
  readonly defaults: JobDefaults;
  /** Where operators may ask for products that no dataset names. */
  readonly archive: Archive;
  /** Processes that the service runs itself. */
  readonly builtins: readonly Builtin[];
  readonly quote: Quoter;
  readonly now: () => Millis;
  /** Hexadecimal digits, different at every call. */
  readonly unique: () => string;
}

/** What the front doors may ask, answered from the registry, the store and the scheduler. */
export function createJobs(options: JobsOptions): Jobs {
  const { store, scheduler, registry, datasets, builtins } = options;

  async function status(id: JobId): Promise<JobStatus> {
    return withPercent((await store.job(id)) ?? noSuchJob(id));
  }

  return {
    processes: async () => [
      ...registry
        .bundles()
        .filter(({ state }) => state !== 'withdrawn')
        .flatMap((bundle) =>
          bundle.processors.map((processor) => describe(bundle, processor, datasets)),
        ),
      ...builtins,
    ],
    process: async (id) => {
      const builtin = builtins.find((its) => its.id === id);
      if (builtin) return builtin;
      const type = productionType(id);
      if (type) return describeProduction(type);
      const { bundle, processor } = registry.offered(id);
      return describe(bundle, processor, datasets);
    },
    quote: async (request) => options.quote(jobOf(request, options)),
    submit: async (request) => {
      const { response } = request;
      refuseQuotation(request);
      const job: Job = { ...jobOf(request, options), ...(response && { response }) };
      await scheduler.submit(job);
      const isShort = job.workflow.type === 'Local' && job.parameters[PAUSE] === undefined;
      return isShort ? soon(scheduler, status, job) : accepted(job);
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
  control: controlOf(job),
  state: 'accepted',
  updatedAt: job.acceptedAt,
  splitEnded: false,
  steps: { process: NO_TASKS, aggregate: NO_TASKS, format: NO_TASKS },
  attempts: 0,
  percent: 0,
  usedCpuMs: 0,
});

const withPercent = (view: JobView): JobStatus => ({ ...view, percent: percent(view) });

function jobOf(request: ExecuteRequest, options: JobsOptions): Job {
  const { scheduler, builtins, now, unique } = options;
  const acceptedAt = now();
  const builtin = builtins.find(({ id }) => id === request.process);
  if (builtin) {
    const id = jobId(timestamp(acceptedAt), 'Local', unique());
    return resolveLocal({ request, builtin, policy: scheduler.policy(), id, acceptedAt });
  }
  // Whether it was asked for is no part of what is asked.
  const { [QUOTATION]: _quotation, ...inputs } = request.inputs;
  return resolveRequest({ ...request, inputs }, options, {
    id: (workflow) => jobId(timestamp(acceptedAt), workflow, unique()),
    acceptedAt,
  });
}

/** Who asks for a price must not get a job in its place. */
function refuseQuotation({ inputs }: ExecuteRequest): void {
  if (!isQuotation(inputs[QUOTATION])) return;
  const message = `The input '${QUOTATION}': what would be quoted is not run; leave it out to run it.`;
  throw new PushbroomError('INVALID_PARAMETER', message, { locator: QUOTATION });
}

/** Milliseconds. */
const SHORT = 500;

/** What takes no time has ended when its request is answered: there are clients that ask no second time. */
const soon = (scheduler: Scheduler, status: Jobs['status'], job: Job): Promise<JobStatus> =>
  ended(scheduler, status, job.id, AbortSignal.timeout(SHORT)).catch(() => accepted(job));

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
