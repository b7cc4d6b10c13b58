import { NOTHING } from './change.ts';
import type { Change, Effect, Plan } from './change.ts';
import { Heap } from './heap.ts';
import { attemptId } from './ids.ts';
import type { Attempt, Millis, Resources, Step } from './model.ts';
import type { JobRecord, NodeRecord, State, TaskRecord } from './state.ts';

/** Later steps first: they free disk space and bring a job to its end. */
const PLACING_ORDER = ['format', 'aggregate', 'process'] as const satisfies readonly Step[];

interface FreeNode {
  readonly record: NodeRecord;
  cpus: number;
  memoryMb: number;
  readonly launches: Extract<Effect, { type: 'launch' }>['attempts'][number][];
}

interface Candidate {
  readonly record: JobRecord;
  readonly taken: Record<Step, number>;
  usedCpus: number;
}

/**
 * Gives ready tasks to free nodes: the job that uses the fewest processors goes first, the older one among equals,
 * until nothing that waits fits anywhere. An offer is never exceeded.
 */
export function place(state: State, at: Millis): Plan {
  if (state.waiting.size === 0) return NOTHING;
  const nodes = freeNodes(state);
  if (nodes.length === 0) return NOTHING;
  const candidates = candidatesOf(state);
  const changes: Change[] = [];
  for (let next = candidates.pop(); next; next = candidates.pop()) {
    const found = firstFit(next, nodes);
    // What does not fit now will not fit later either: nodes only get fuller here.
    if (!found) continue;
    const { step, task, node } = found;
    const { job } = next.record;
    const resources = stepResources(next.record, step);
    const attempt: Attempt = {
      id: attemptId(job.id, task.task.number, task.attempts + 1),
      jobId: job.id,
      task: task.task.number,
      number: task.attempts + 1,
      engine: node.record.engine,
      node: node.record.node,
      launchedAt: at,
    };
    const { failures, losses } = task;
    changes.push({ type: 'addAttempt', attempt, task: task.task, failures, losses, resources });
    node.launches.push({ job, task: task.task, attempt, resources });
    node.cpus -= resources.cpus;
    node.memoryMb -= resources.memoryMb;
    next.taken[step] += 1;
    next.usedCpus += resources.cpus;
    candidates.push(next);
  }
  return launchPlan(nodes, changes);
}

function freeNodes(state: State): FreeNode[] {
  const nodes: FreeNode[] = [];
  for (const record of state.nodes.values()) {
    if (record.offers.length === 0) continue;
    const node: FreeNode = { record, cpus: 0, memoryMb: 0, launches: [] };
    for (const { resources } of record.offers) {
      node.cpus += resources.cpus;
      node.memoryMb += resources.memoryMb;
    }
    nodes.push(node);
  }
  return nodes;
}

function candidatesOf(state: State): Heap<Candidate> {
  const candidates = new Heap<Candidate>(
    (a, b) =>
      a.usedCpus < b.usedCpus ||
      (a.usedCpus === b.usedCpus && a.record.job.acceptedAt < b.record.job.acceptedAt),
  );
  for (const id of state.waiting) {
    const record = state.jobs.get(id)!;
    const taken = { process: 0, aggregate: 0, format: 0 };
    candidates.push({ record, taken, usedCpus: record.usedCpus });
  }
  return candidates;
}

function firstFit(
  { record, taken }: Candidate,
  nodes: readonly FreeNode[],
): { step: Step; task: TaskRecord; node: FreeNode } | undefined {
  for (const step of PLACING_ORDER) {
    const number = record.steps[step].ready.at(taken[step]);
    if (number === undefined) continue;
    const { cpus, memoryMb } = stepResources(record, step);
    const node = nodes.find((free) => free.cpus >= cpus && free.memoryMb >= memoryMb);
    if (node) return { step, task: record.tasks.get(number)!, node };
  }
  return undefined;
}

const stepResources = (record: JobRecord, step: Step): Resources =>
  record.job.workflow[step]!.resources;

/** A launch uses up all offers of its node; the engine offers again what is left. */
function launchPlan(nodes: readonly FreeNode[], changes: Change[]): Plan {
  const effects: Effect[] = [];
  for (const { record, launches } of nodes) {
    if (launches.length === 0) continue;
    const { engine, node, offers } = record;
    changes.push({ type: 'setNode', ...record, offers: [] });
    effects.push({
      type: 'launch',
      engine,
      node,
      offerIds: offers.map(({ id }) => id),
      attempts: launches,
    });
  }
  return { changes, effects };
}
