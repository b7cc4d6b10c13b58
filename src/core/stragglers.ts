import { isAtCeiling } from './ceiling.ts';
import type { Plan } from './change.ts';
import { avoidedNodes, mayRun } from './find.ts';
import { hasRoomFor, launchOn } from './free-nodes.ts';
import type { FreeNode } from './free-nodes.ts';
import { isJobEnded } from './lifecycle.ts';
import type { Millis } from './model.ts';
import { needOf, nodeKey } from './state.ts';
import type { AttemptRecord, JobRecord, State } from './state.ts';

/**
 * Gives what is left of the free nodes, when nothing that waits wants it, to second attempts of tasks that take far
 * longer than their peers. The first to finish wins.
 */
export function* stragglerPlans(
  state: State,
  nodes: readonly FreeNode[],
  at: Millis,
): Generator<Plan> {
  if (!state.policy.stragglers.isEnabled || state.nodes.size < 2) return;
  for (const record of state.jobs.values()) {
    if (isJobEnded(record.state) || record.control.isPaused || isAtCeiling(record, at)) continue;
    // Attempts are in the order of their launches: behind one that is not late nobody is.
    for (const late of record.attempts.values()) {
      const due = dueOf(state, record, late);
      if (due > at) {
        if (due < Infinity) yield { changes: [{ type: 'lookAgain', at: due }], effects: [] };
        break;
      }
      const plan = beside(state, record, late, nodes, at);
      if (plan) yield plan;
    }
  }
}

/** When an attempt becomes a straggler. */
function dueOf({ policy }: State, { steps, tasks }: JobRecord, { attempt }: AttemptRecord): Millis {
  const { factor, minimum, peers } = policy.stragglers;
  const step = tasks.get(attempt.task)?.task.step;
  if (step === undefined) return -Infinity;
  const { count, median } = steps[step].durations;
  if (median === undefined || count < peers) return Infinity;
  return attempt.launchedAt + Math.max(factor * median, 1000 * minimum);
}

/** A second attempt on another node, if one has room. */
function beside(
  state: State,
  record: JobRecord,
  { attempt: late }: AttemptRecord,
  nodes: readonly FreeNode[],
  at: Millis,
): Plan | undefined {
  const task = record.tasks.get(late.task);
  if (!task || task.isDoubled) return undefined;
  const need = needOf(record, task);
  if (!mayRun(state, record, need)) return undefined;
  const avoided = avoidedNodes(state, record, need, at);
  const elsewhere = nodes.find(
    (node) =>
      node.key !== nodeKey(late.engine, late.node) &&
      !task.avoid?.includes(node.key) &&
      !avoided.has(node.key) &&
      hasRoomFor(need, node),
  );
  return (
    elsewhere &&
    launchOn(elsewhere, record, task, need.resources, { launchedAt: at, isSpeculative: true })
  );
}
