import { policyOf } from '../config-schema.ts';
import { asResources } from '../core/amount.ts';
import { jobId } from '../core/ids.ts';
import type {
  Attempt,
  Job,
  Millis,
  Period,
  Product,
  Resources,
  RetryPolicy,
  Step,
  StepPlan,
  Task,
} from '../core/model.ts';
import { groupOf } from '../core/policy.ts';
import { dayOfNumber, timestamp } from '../core/time.ts';
import type { Assignment } from '../runner/assignment.ts';
import type { Archive } from './archive.ts';
import type { Chance } from './chance.ts';
import type { Duration, JobsSpec, Scenario } from './scenario.ts';

/** A job that comes at a time, and what is known of it here alone. */
export interface Arrival {
  readonly at: Millis;
  readonly job: Job;
  readonly spec: JobsSpec;
}

/** Attempts are only ended by their own course. */
const LIMITS = { wallTimeLimit: 1e9, silenceLimit: 1e9 };
const BATCH = 1000;

/**
 * All jobs of a scenario, ordered by their arrival.
 *
 * @param start when its time 0 is
 */
export function arrivalsOf(scenario: Scenario, start: Millis): Arrival[] {
  const { jobs } = scenario;
  const arrivals = jobs.flatMap((spec) =>
    Array.from({ length: spec.count }, (_, index) => ({
      at: start + Math.round(1000 * (spec.at + index * (spec.every ?? 0))),
      spec,
    })),
  );
  return arrivals
    .toSorted((a, b) => a.at - b.at)
    .map(({ at, spec }, index) => ({ at, spec, job: createJob(scenario, spec, index, at) }));
}

function createJob(scenario: Scenario, spec: JobsSpec, index: number, at: Millis): Job {
  const { aggregate, format, user } = spec;
  const type = aggregate ? 'L3' : 'L2Plus';
  return {
    id: jobId(timestamp(at), type, index.toString(16).padStart(6, '0')),
    process: 'simulated~1.0~Process',
    title: `job ${index + 1}`,
    user,
    group: spec.group ?? groupOf(policyOf(scenario.scheduling), user),
    priority: spec.priority,
    acceptedAt: at,
    processor: {
      bundle: 'simulated',
      version: '1.0',
      processor: 'Process',
      bundleHash: '0'.repeat(64),
    },
    workflow: {
      type,
      process: planOf(spec),
      ...(aggregate && {
        aggregate: {
          ...planOf(aggregate),
          processor: 'Aggregate',
          partitions: aggregate.partitions,
        },
      }),
      ...(format && { format: planOf(format) }),
    },
    retry: retryOf(scenario),
    products: { dataset: 'simulated', productType: 'ANY' },
    periods: aggregate ? daysOf(aggregate.periods) : [],
    parameters: {},
    inputs: {},
  };
}

function retryOf({ nodes, retries }: Scenario): RetryPolicy {
  const { retryDelay, maxRetryDelay, maxMemoryMb, ...rest } = retries;
  return {
    ...rest,
    delay: retryDelay,
    maxDelay: maxRetryDelay,
    maxMemoryMb: maxMemoryMb ?? Math.max(...nodes.map(({ memoryMb }) => memoryMb)),
  };
}

const planOf = (wanted: Resources): StepPlan => ({
  resources: asResources(wanted),
  ...LIMITS,
});

const daysOf = (count: number): Period[] =>
  Array.from({ length: count }, (_, index) => ({
    from: dayOfNumber(index),
    to: dayOfNumber(index),
  }));

/** A job's products follow each other in the archive, from anywhere in it. */
export async function* productsOf(
  { job, spec }: Arrival,
  { products }: Scenario['data'],
  archive: Archive,
  chance: Chance,
): AsyncGenerator<readonly Product[]> {
  const first = Math.floor(chance.uniform(`${job.id} products`) * products);
  const periods = Math.max(1, job.periods.length);
  for (let from = 0; from < spec.tasks; from += BATCH) {
    yield Array.from({ length: Math.min(BATCH, spec.tasks - from) }, (_, index): Product => {
      const number = (first + from + index) % products;
      const period = Math.floor(((from + index) * periods) / spec.tasks);
      const location = archive.locationOf(number);
      return {
        path: productPath(number),
        firstPeriod: period,
        lastPeriod: period,
        ...(location && { location }),
      };
    });
  }
}

const PLACES = { cache: '/cache', scratch: '/scratch', result: '/result', log: '/log' };

/** What the simulated engine looks at is real; the rest only fills the form. */
export const assignmentOf = ({ step, input }: Task, { id: attemptId }: Attempt): Assignment => ({
  attemptId,
  step,
  input: input ?? '',
  bundle: { name: 'simulated', version: '1.0', hash: '0'.repeat(64), archive: '/bundle.zip' },
  executables: { main: 'process' },
  parameters: {},
  directories: PLACES,
  limits: { wallTime: 1e9, silence: 1e9, memoryMb: 1e9, outputBytes: 1e9 },
  isolation: 'none',
  checksum: false,
});

const productPath = (product: number): string => `/archive/${product}`;
export const productNumber = (path: string): number => Number(path.slice('/archive/'.length));

export const durationOf = (spec: JobsSpec, step: Step): Duration => {
  switch (step) {
    case 'process':
      return spec.duration;
    case 'aggregate':
      return spec.aggregate!.duration;
    case 'format':
      return spec.format!.duration;
  }
};
