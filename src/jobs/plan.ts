import type { RetryPolicy, StepPlan, Workflow } from '../core/model.ts';
import { groupOf, jobGroups } from '../core/policy.ts';
import type { Policy } from '../core/policy.ts';
import type { DeployedAggregator } from '../processes/bundle.ts';
import { invalid } from '../processes/inputs.ts';
import { QUEUE, type Settings } from '../processes/settings.ts';
import type { Wish } from './assemble.ts';

/** What holds for a job where neither its bundle nor its request says otherwise. */
export interface JobDefaults {
  readonly maxAttempts: number;
  readonly maxLosses: number;
  readonly failurePercent: number;
  /** Seconds. */
  readonly retryDelay: number;
  readonly maxRetryDelay: number;
  /** Seconds. */
  readonly wallTimeLimit: number;
  readonly silenceLimit: number;
  readonly cpus: number;
  readonly memoryMb: number;
  /** What retries of a task that needs more memory may grow to; four times what it has at first where it is absent. */
  readonly maxMemoryMb?: number;
  readonly priority: number;
  /** CPUs times hours that a job may use; any number where absent. */
  readonly maxCpuHours?: number;
}

const PARTITIONS = 8;
const MEMORY_GROWTH = 4;
/** Groups that are named to who asks for another one. */
const SHOWN_GROUPS = 20;

export function readWorkflow(
  { entry: { bundle, processor }, aggregation, isUnformatted }: Wish,
  settings: Settings,
  defaults: JobDefaults,
): Workflow {
  const alike = planStep(settings.memoryMb, settings, defaults);
  const { gpus } = settings;
  const process = gpus ? { ...alike, resources: { ...alike.resources, gpus } } : alike;
  if (!aggregation) {
    const canFormat = processor.formatting !== 'IMPLICIT' && processor.executables.format;
    return { type: 'L2Plus', process, ...(canFormat && !isUnformatted && { format: alike }) };
  }
  const aggregator = findAggregator(aggregation, bundle.aggregators);
  const aggregate = planStep(settings.aggregateMemoryMb ?? settings.memoryMb, settings, defaults);
  const format = aggregator.executables.format !== undefined;
  const partitions = settings.partitions ?? (format ? PARTITIONS : 1);
  return {
    type: 'L3',
    process,
    aggregate: { ...aggregate, processor: aggregator.name, partitions },
    ...(format && { format: aggregate }),
  };
}

function planStep(
  memoryMb: number | undefined,
  settings: Settings,
  defaults: JobDefaults,
): StepPlan {
  const silenceLimit = settings.silenceLimit ?? defaults.silenceLimit;
  return {
    resources: { cpus: defaults.cpus, memoryMb: memoryMb ?? defaults.memoryMb },
    // Who may be silent for so long is expected to run at least as long.
    wallTimeLimit: settings.wallTimeLimit ?? Math.max(defaults.wallTimeLimit, silenceLimit),
    silenceLimit,
  };
}

function findAggregator(
  { aggregators: names, temporalRules, input }: NonNullable<Wish['aggregation']>,
  offered: readonly DeployedAggregator[],
): DeployedAggregator {
  const there = offered.map(({ name }) => name).join(', ') || 'none';
  const unknown = names.find((name) => !offered.some((aggregator) => aggregator.name === name));
  if (unknown !== undefined) {
    throw invalid(input, `it names the aggregator '${unknown}'; the bundle has ${there}`);
  }
  if (names.length !== 1) {
    throw invalid(
      input,
      `'${temporalRules}' names ${names.length} aggregators; only one is supported yet`,
    );
  }
  return offered.find((aggregator) => aggregator.name === names[0])!;
}

export function readRetry(
  settings: Settings,
  defaults: JobDefaults,
  { process, aggregate }: Workflow,
): RetryPolicy {
  const memoryMb = Math.max(process.resources.memoryMb, aggregate?.resources.memoryMb ?? 0);
  return {
    maxAttempts: settings.maxAttempts ?? defaults.maxAttempts,
    maxLosses: defaults.maxLosses,
    delay: defaults.retryDelay,
    maxDelay: defaults.maxRetryDelay,
    maxMemoryMb: Math.max(memoryMb, defaults.maxMemoryMb ?? MEMORY_GROWTH * memoryMb),
    failurePercent: settings.failurePercent ?? defaults.failurePercent,
  };
}

/**
 * Requests and bundles of Calvalus name a queue by the last part of its path alone (specification C.8). They name it also
 * to services that have no groups, where it means nothing.
 */
export function readGroup(named: string | undefined, policy: Policy, user: string): string {
  if (named === undefined || policy.groups.length === 0) return groupOf(policy, user);
  const groups = jobGroups(policy);
  if (groups.includes(named)) return named;
  const alike = groups.filter((path) => path.endsWith(`/${named}`));
  if (alike.length === 1) return alike[0]!;
  const known = alike.length > 0 ? alike : groups;
  const shown =
    known.slice(0, SHOWN_GROUPS).join(', ') + (known.length > SHOWN_GROUPS ? ', ...' : '');
  throw invalid(
    QUEUE,
    alike.length > 0
      ? `'${named}' could be any of ${shown}`
      : `there is no group '${named}' for jobs; there are ${shown}`,
  );
}
