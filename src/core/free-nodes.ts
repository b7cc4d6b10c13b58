import type { Effect, NodeKey, Plan } from './change.ts';
import { attemptId } from './ids.ts';
import type { Lane, Need } from './lane.ts';
import type { Attempt, Resources } from './model.ts';
import { canRun, isUsable } from './state.ts';
import type { JobRecord, NodeRecord, State, TaskRecord } from './state.ts';

/** A node with something free, as it is while tasks are given to it. */
export interface FreeNode {
  readonly key: NodeKey;
  readonly record: NodeRecord;
  cpus: number;
  memoryMb: number;
  gpus: number;
  /** Kept for what has waited too long. */
  reservedFor?: Lane;
  readonly launches: Extract<Effect, { type: 'launch' }>['attempts'][number][];
}

/** In no order. */
export function freeNodes(state: State): FreeNode[] {
  const nodes: FreeNode[] = [];
  for (const [key, record] of state.nodes) {
    if (record.offers.length === 0 || !isUsable(state, key)) continue;
    const node: FreeNode = { key, record, cpus: 0, memoryMb: 0, gpus: 0, launches: [] };
    for (const { resources } of record.offers) {
      node.cpus += resources.cpus;
      node.memoryMb += resources.memoryMb;
      node.gpus += resources.gpus ?? 0;
    }
    nodes.push(node);
  }
  return nodes;
}

/** Whether it has GPUs at all, free or in use. */
export const hasGpus = ({ record: { total }, gpus }: FreeNode): boolean =>
  gpus > 0 || (total?.gpus ?? 0) > 0;

export const hasRoom = ({ cpus, memoryMb }: FreeNode): boolean => cpus > 0 && memoryMb > 0;

/** Whether a task that needs so much can be launched there now: on what is not kept for others. */
export const hasRoomFor = (need: Need, node: FreeNode): boolean =>
  node.cpus >= need.resources.cpus &&
  node.memoryMb >= need.resources.memoryMb &&
  node.gpus >= (need.resources.gpus ?? 0) &&
  (node.reservedFor === undefined || node.reservedFor === need) &&
  canRun(node.record, need);

/** Books the next attempt of a task on a node. */
export function launchOn(
  node: FreeNode,
  { job, control }: JobRecord,
  { task, attempts }: TaskRecord,
  resources: Resources,
  how: Pick<Attempt, 'launchedAt' | 'locality' | 'isSpeculative'>,
): Plan {
  const number = attempts + 1;
  const attempt: Attempt = {
    id: attemptId(job.id, task.number, number),
    jobId: job.id,
    task: task.number,
    number,
    engine: node.record.engine,
    node: node.record.node,
    ...how,
  };
  node.launches.push({ job, control, task, attempt, resources });
  node.cpus -= resources.cpus;
  node.memoryMb -= resources.memoryMb;
  node.gpus -= resources.gpus ?? 0;
  return { changes: [{ type: 'addAttempt', attempt, task, resources }], effects: [] };
}
