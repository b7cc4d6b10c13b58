import { costOf, estimate } from '../core/estimate.ts';
import type { CostHistory, Extent } from '../core/estimate.ts';
import { STEPS } from '../core/model.ts';
import type { Job, JobId, Millis, Product, Step, Usage } from '../core/model.ts';
import { PushbroomError } from '../errors.ts';
import { processId } from '../processes/descriptor.ts';
import type { Registry } from '../processes/registry.ts';
import type { Store } from '../store/store.ts';
import type { Quote } from './jobs.ts';

export interface QuoterOptions {
  readonly store: Pick<Store, 'jobs' | 'usages'>;
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

/**
 * @returns a function that rejects with INVALID_PARAMETER where there are no products or more than the caller may ask
 *   for, and with whatever keeps products from being found
 */
export function createQuoter(options: QuoterOptions): Quoter {
  const { now, assumedTaskSeconds } = options;
  const kept = new Map<string, { readonly until: Millis; readonly history: Promise<History> }>();

  function historyOf(job: Job): Promise<History> {
    const known = kept.get(job.process);
    if (known && known.until > now()) return known.history;
    if (kept.size >= MOST_KEPT) kept.clear();
    const history = readHistory(options, job);
    kept.set(job.process, { until: now() + KEPT_MS, history });
    history.catch(() => kept.delete(job.process));
    return history;
  }

  return async (job) => {
    const extent = await extentOf(options, job);
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
async function readHistory(options: QuoterOptions, job: Job): Promise<History> {
  const own = await usagesOf(options, [job.process]);
  if (own) return own;
  const { bundle, processor } = job.processor;
  const others = options.registry
    .bundles()
    .filter(({ name, processors }) => name === bundle && processors.some(isNamed(processor)))
    .map((deployed) => processId(deployed, processor))
    .filter((id) => id !== job.process);
  const theirs = others.length > 0 ? await usagesOf(options, others) : undefined;
  return theirs ?? { jobs: 0, process: job.process, usages: NO_USAGES };
}

const isNamed =
  (processor: string) =>
  ({ executableName }: { readonly executableName: string }): boolean =>
    executableName === processor;

const NO_USAGES = { process: [], aggregate: [], format: [] };

/** Of one of these processes: the one of which a job has succeeded last. */
async function usagesOf(
  { store }: QuoterOptions,
  processes: readonly string[],
): Promise<History | undefined> {
  const { items } = await store.jobs({ processes, states: ['successful'], limit: JOBS_ASKED });
  const whole = items.filter(({ job }) => job.retryOf === undefined);
  const process = whole[0]?.job.process;
  if (process === undefined) return undefined;
  const ids = whole.filter(({ job }) => job.process === process).map(({ job }) => job.id);
  const last = ids.slice(0, JOBS);
  const usages = {
    process: await ofStep(store, last, 'process'),
    aggregate: await ofStep(store, last, 'aggregate'),
    format: await ofStep(store, last, 'format'),
  };
  return { jobs: last.length, process, usages };
}

async function ofStep(
  store: QuoterOptions['store'],
  ids: readonly JobId[],
  step: Step,
): Promise<Usage[]> {
  const found: Usage[] = [];
  for (const id of ids) found.push(...(await store.usages(id, step, TASKS)));
  return found;
}
