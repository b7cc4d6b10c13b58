import { STEPS } from './model.ts';
import type { Job, Resources, Step, Usage, Workflow } from './model.ts';

/** What a job is over, as far as it has been counted. */
export interface Extent {
  readonly products: number;
  /** Of the job, those to which any product contributes. */
  readonly periods: number;
  /** There may be more of both. */
  readonly isLowerBound: boolean;
}

/** What one task of a step uses. */
export interface TaskCost {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly peakMemoryBytes: number;
  /** Read and written. */
  readonly volumeBytes: number;
}

/** What tasks have used on average so far, by their steps. */
export type CostHistory = Readonly<Partial<Record<Step, TaskCost>>>;

export interface StepEstimate extends TaskCost {
  readonly step: Step;
  readonly tasks: number;
  /** `default`: no task of that step is known to have ended, and what its plan reserves was taken. */
  readonly basis: 'history' | 'default';
  /** CPUs times milliseconds for which they are kept. */
  readonly reservedCpuMs: number;
}

/** What a job will use. Times and volumes are sums over all its tasks, memory is that of one of them at its peak. */
export interface Estimate extends TaskCost, Omit<Extent, 'periods'> {
  readonly instances: number;
  readonly reservedCpuMs: number;
  readonly steps: readonly StepEstimate[];
}

const MIB = 1024 * 1024;

/** @param assumedTaskMs what a task takes whose step has no history */
export function estimate(
  { workflow }: Pick<Job, 'workflow'>,
  extent: Extent,
  history: CostHistory,
  assumedTaskMs: number,
): Estimate {
  const counts = tasksOf(workflow, extent);
  const steps = STEPS.filter((step) => counts[step] > 0).map((step): StepEstimate => {
    const { resources } = workflow[step]!;
    const known = history[step];
    const { wallMs, cpuMs, peakMemoryBytes, volumeBytes } =
      known ?? assumed(resources, assumedTaskMs);
    const tasks = counts[step];
    return {
      step,
      tasks,
      basis: known ? 'history' : 'default',
      wallMs: Math.round(tasks * wallMs),
      cpuMs: Math.round(tasks * cpuMs),
      reservedCpuMs: Math.round(tasks * wallMs * resources.cpus),
      peakMemoryBytes: Math.round(peakMemoryBytes),
      volumeBytes: Math.round(tasks * volumeBytes),
    };
  });
  const sum = (what: 'tasks' | 'wallMs' | 'cpuMs' | 'reservedCpuMs' | 'volumeBytes'): number =>
    steps.reduce((total, step) => total + step[what], 0);
  return {
    products: extent.products,
    isLowerBound: extent.isLowerBound,
    instances: sum('tasks'),
    wallMs: sum('wallMs'),
    cpuMs: sum('cpuMs'),
    reservedCpuMs: sum('reservedCpuMs'),
    peakMemoryBytes: Math.max(0, ...steps.map((step) => step.peakMemoryBytes)),
    volumeBytes: sum('volumeBytes'),
    steps,
  };
}

/** As if every product and period left something for the step that follows. */
function tasksOf(
  { type, aggregate, format }: Workflow,
  { products, periods }: Extent,
): Record<Step, number> {
  if (type === 'Local') return { process: 0, aggregate: 0, format: 0 };
  const formatted = aggregate ? periods : products;
  return {
    process: products,
    aggregate: aggregate ? periods * aggregate.partitions : 0,
    format: format ? formatted : 0,
  };
}

const assumed = ({ cpus, memoryMb }: Resources, taskMs: number): TaskCost => ({
  wallMs: taskMs,
  cpuMs: taskMs * cpus,
  peakMemoryBytes: memoryMb * MIB,
  volumeBytes: 0,
});

/**
 * The means of what finished tasks have used; `undefined` for none. A figure that some of them lack is the mean of the
 * others, and one that all of them lack is taken from what the plan reserves: CPUs and memory, or nothing for volumes.
 */
export function costOf(
  usages: readonly Usage[],
  { cpus, memoryMb }: Resources,
): TaskCost | undefined {
  const wallMs = mean(usages.map((usage) => usage.wallMs));
  if (wallMs === undefined) return undefined;
  return {
    wallMs,
    cpuMs: mean(usages.map(cpuMsOf)) ?? wallMs * cpus,
    peakMemoryBytes: mean(usages.map((usage) => usage.peakMemoryBytes)) ?? memoryMb * MIB,
    volumeBytes: mean(usages.map(volumeOf)) ?? 0,
  };
}

const cpuMsOf = ({ cpuUserMs, cpuSystemMs }: Usage): number | undefined =>
  cpuUserMs === undefined && cpuSystemMs === undefined
    ? undefined
    : (cpuUserMs ?? 0) + (cpuSystemMs ?? 0);

/** What programs read and write; where that was not measured, what was brought for them and taken away. */
function volumeOf(usage: Usage): number | undefined {
  const read = usage.readBytes ?? usage.storageReadBytes;
  const written = usage.writtenBytes ?? usage.storageWrittenBytes;
  return read === undefined && written === undefined ? undefined : (read ?? 0) + (written ?? 0);
}

function mean(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : known.reduce((sum, each) => sum + each, 0) / known.length;
}
