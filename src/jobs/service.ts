import { jobId } from '../core/ids.ts';
import { isJobEnded } from '../core/lifecycle.ts';
import type { JobId, Millis } from '../core/model.ts';
import { timestamp } from '../core/time.ts';
import { PushbroomError } from '../errors.ts';
import { describe } from '../processes/describe.ts';
import type { Registry } from '../processes/registry.ts';
import type { Dataset } from '../products/dataset.ts';
import type { Scheduler } from '../scheduler/scheduler.ts';
import type { JobView, Store } from '../store/store.ts';
import type { JobStatus, Jobs } from './jobs.ts';
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
  const { store, scheduler, registry, datasets, defaults, now } = options;

  async function status(id: JobId): Promise<JobStatus> {
    const view = await store.job(id);
    if (!view) throw new PushbroomError('NO_SUCH_JOB', `There is no job '${id}'.`, { locator: id });
    return withPercent(view);
  }

  async function ended(id: JobId, signal?: AbortSignal): Promise<JobStatus> {
    let stop: (() => void) | undefined;
    let onAbort: (() => void) | undefined;
    const end = new Promise<void>((resolvePromise, reject) => {
      // Listen before looking, or the end could fall in between.
      stop = scheduler.onCommit((touched) => {
        if (!touched.has(id)) return;
        void status(id).then(({ state }) => isJobEnded(state) && resolvePromise(), reject);
      });
      onAbort = () => reject(signal!.reason as Error);
      signal?.addEventListener('abort', onAbort);
      if (signal?.aborted) onAbort();
    });
    // The end may come first and the wait be left below; its failure then is nobody's.
    end.catch(() => undefined);
    try {
      const first = await status(id);
      if (isJobEnded(first.state)) return first;
      await end;
      return await status(id);
    } finally {
      stop?.();
      if (onAbort) signal?.removeEventListener('abort', onAbort);
    }
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
      const entry = registry.find(request.process);
      const acceptedAt = now();
      const job = resolve({
        request,
        entry,
        datasets,
        defaults,
        id: (workflow) => jobId(timestamp(acceptedAt), workflow, options.unique()),
        acceptedAt,
      });
      await scheduler.submit(job);
      return status(job.id);
    },
    status,
    list: async (query) => {
      const { items, ...page } = await store.jobs(query);
      return { ...page, items: items.map(withPercent) };
    },
    ended,
    results: async (id) => {
      const { state, results, message = '' } = await status(id);
      switch (state) {
        case 'successful':
          return results ?? [];
        case 'failed':
          throw new PushbroomError('JOB_FAILED', `Job ${id} has failed: ${message}`, {
            locator: id,
          });
        case 'dismissed':
          throw new PushbroomError('JOB_DISMISSED', `Job ${id} was dismissed.`, { locator: id });
        default:
          throw new PushbroomError('RESULT_NOT_READY', `Job ${id} is ${state}.`, { locator: id });
      }
    },
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

const withPercent = (view: JobView): JobStatus => ({ ...view, percent: percent(view) });
