import type { Step, Workflow } from '../core/model.ts';
import type { JobView } from '../store/store.ts';

/** The share of each step in a job's progress. Staging has what is missing to 100. */
const SHARES: Readonly<Record<Workflow['type'], Readonly<Record<Step, number>>>> = {
  L2Plus: { process: 75, aggregate: 0, format: 20 },
  L3: { process: 80, aggregate: 10, format: 5 },
  Local: { process: 0, aggregate: 0, format: 0 },
};

/**
 * How far a job has come, 0 to 100. It never falls, because every count is compared with the most that it can become;
 * so it stays 0 until all products are known, and failed tasks, which may be retried, count for nothing. 100 is for
 * successful jobs alone.
 */
export function percent({ job, state, steps, splitEnded }: JobView): number {
  if (state === 'successful') return 100;
  if (!splitEnded || steps.process.total === 0) return 0;
  const { type, aggregate, format } = job.workflow;
  const most: Record<Step, number> = {
    process: steps.process.total,
    aggregate: aggregate ? aggregate.partitions * job.periods.length : 0,
    format: !format ? 0 : aggregate ? job.periods.length : steps.process.total,
  };
  const shares = SHARES[type];
  let reached = 0;
  let reachable = 0;
  for (const step of ['process', 'aggregate', 'format'] as const) {
    if (most[step] === 0) continue;
    reached += shares[step] * Math.min(1, steps[step].finished / most[step]);
    reachable += shares[step];
  }
  return Math.floor((95 * reached) / reachable);
}
