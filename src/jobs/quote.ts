import { setImmediate } from 'node:timers/promises';

import { costOf, estimate } from '../core/estimate.ts';
import type { CostHistory, Extent } from '../core/estimate.ts';
import { STEPS } from '../core/model.ts';
import type { Job, JobId, Millis, Product, Step, Usage } from '../core/model.ts';
import { PushbroomError } from '../errors.ts';
import { processId } from '../processes/descriptor.ts';
import type { Registry } from '../processes/registry.ts';
import type { Store, SuccessfulJob } from '../store/store.ts';
import type { Quote } from './jobs.ts';

export interface QuoterOptions {
  readonly store: Pick<Store, 'lastSuccessful' | 'usages'>;
  readonly registry: Pick<Registry, 'bundles'>;
  readonly findProducts: (job: Job, signal: AbortSignal) => AsyncIterable<readonly Product[]>;
  /** What a task takes of which nothing is known. */
  readonly assumedTaskSeconds: number;
  /** Products are counted for so long. */
  readonly patience: Millis;
  readonly now: () => Millis;
}

/** Says what a job would cost. Nothing of it is run or stored. */
export type Quoter = (job: Job) => Promise<Quote>;

interface History {
  readonly jobs: number;
  readonly process: string;
  readonly usages: Readonly<Record<Step, readonly Usage[]>>;
}

/** Jobs whose tasks are looked at, and tasks of each of their steps: the store answers that whatever else it holds. */
const JOBS = 5;
const TASKS = 200;
/** Jobs among which those are looked for: jobs that did others again have done a part only. */
const JOBS_ASKED = 20;
/** How long a history is taken for the present one, and how many of them are kept. */
const KEPT_MS = 5 * 60_000;
const MOST_KEPT = 500;
/** Searches for products, beside those of jobs. */
const MOST_AT_ONCE = 16;

/**
 * @returns a function that rejects with INVALID_PARAMETER where there are no products or more than the caller may ask
 *   for, TOO_MANY_REQUESTS where many are asked for at once, and with whatever keeps products from being found
 */
export function createQuoter(options: QuoterOptions): Quoter {
  const { now, assumedTaskSeconds, patience } = options;
  const kept = new Map<string, { readonly until: Millis; readonly history: Promise<History> }>();

  function historyOf(job: Job): Promise<History> {
    const known = kept.get(job.process);
    if (known && known.until > now()) return known.history;
    if (kept.size >= MOST_KEPT) kept.clear();
    const history = readHistory(options, job);
    kept.set(job.process, { until: now() + KEPT_MS, history });
    const forget = () => kept.delete(job.process);
    // That there is none is found out at little cost, and soon is no longer so.
    history.then(({ jobs }) => jobs === 0 && forget(), forget);
    return history;
  }

  let underWay = 0;
  async function count(job: Job): Promise<Extent> {
    if (underWay >= MOST_AT_ONCE) {
      throw new PushbroomError(
        'TOO_MANY_REQUESTS',
        `${underWay} quotations are being made: ask again in some seconds.`,
        { retryAfter: patience / 1000 },
      );
    }
    underWay += 1;
    try {
      return await extentOf(options, job);
    } finally {
      underWay -= 1;
    }
  }

  return async (job) => {
    const extent = await count(job);
    const { usages, ...history } = await historyOf(job);
    const costs: CostHistory = Object.fromEntries(
      STEPS.flatMap((step) => {
        const plan = job.workflow[step];
        const cost = plan && costOf(usages[step], plan.resources);
        return cost ? [[step, cost]] : [];
      }),
    );
    return {
      ...estimate(job, extent, costs, 1000 * assumedTaskSeconds),
      job,
      history,
      at: now(),
    };
  };
}

async function extentOf({ findProducts, patience }: QuoterOptions, job: Job): Promise<Extent> {
  if (job.workflow.type === 'Local') return { products: 0, periods: 0, isLowerBound: false };
  const signal = AbortSignal.timeout(patience);
  const periods = new Set<number>();
  let products = 0;
  let isLowerBound = false;
  try {
    for await (const batch of findProducts(job, signal)) {
      products += batch.length;
      for (const { firstPeriod, lastPeriod } of batch) {
        for (let period = firstPeriod; period <= lastPeriod; period++) periods.add(period);
      }
      signal.throwIfAborted();
    }
  } catch (error) {
    if (!signal.aborted || error instanceof PushbroomError) throw error;
    isLowerBound = true;
  }
  if (products === 0 && !isLowerBound) {
    throw new PushbroomError('INVALID_PARAMETER', 'No products were found for the request.', {
      locator: 'inputDataSetName',
    });
  }
  return { products, periods: periods.size, isLowerBound };
}

/** What the last successful jobs of the same processor have used; of its other versions where this one has none. */
async function readHistory({ store, registry }: QuoterOptions, job: Job): Promise<History> {
  const { bundle, processor } = job.processor;
  const own = await lastJobs(store, job.process);
  const others = registry
    .bundles()
    .filter(({ name, processors }) => name === bundle && processors.some(isNamed(processor)))
    .map((deployed) => processId(deployed, processor));
  const { process, jobs } = own.jobs.length > 0 ? own : await lastOf(store, others, own);
  const ids = jobs.slice(0, JOBS).map(({ id }) => id);
  const usages = {
    process: await ofStep(store, ids, 'process'),
    aggregate: await ofStep(store, ids, 'aggregate'),
    format: await ofStep(store, ids, 'format'),
  };
  return { jobs: ids.length, process, usages };
}

const isNamed =
  (processor: string) =>
  ({ executableName }: { readonly executableName: string }): boolean =>
    executableName === processor;

interface LastJobs {
  readonly process: string;
  readonly jobs: readonly SuccessfulJob[];
}

async function lastJobs(store: QuoterOptions['store'], process: string): Promise<LastJobs> {
  const jobs = await store.lastSuccessful(process, JOBS_ASKED);
  return { process, jobs: jobs.filter(({ isRetry }) => !isRetry) };
}

/** Those of the process of which a job was accepted last. */
async function lastOf(
  store: QuoterOptions['store'],
  processes: readonly string[],
  none: LastJobs,
): Promise<LastJobs> {
  let last = none;
  for (const process of processes) {
    const its = await lastJobs(store, process);
    const [a = -Infinity, b = -Infinity] = [its, last].map(({ jobs }) => jobs[0]?.acceptedAt);
    if (a > b) last = its;
  }
  return last;
}

async function ofStep(
  store: QuoterOptions['store'],
  ids: readonly JobId[],
  step: Step,
): Promise<Usage[]> {
  const found: Usage[] = [];
  for (const id of ids) {
    found.push(...(await store.usages(id, step, TASKS)));
    // The store is asked on this very thread, on which others wait.
    await setImmediate();
  }
  return found;
}
