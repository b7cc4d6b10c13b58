import { Fifo } from './fifo.ts';
import type { EngineId, Millis, NodeId, Resources, Step, Task } from './model.ts';
import type { TaskRecord } from './state.ts';

/** A level of nearness at which ready tasks can be asked for; at `any` every task is one. */
export type Near = 'node' | 'rack' | 'pool';

type Index = Map<string, Fifo<TaskRecord>>;

/** What tasks need of a node. */
export interface Need {
  readonly resources: Resources;
  /** Container image in which they run; only some nodes can do that. */
  readonly image: string | undefined;
  /** Only their nodes reach the input; those of all engines where undefined. */
  readonly engines: readonly EngineId[] | undefined;
}

export const isSameNeed = (a: Need, b: Need): boolean =>
  a.resources.memoryMb === b.resources.memoryMb &&
  a.resources.cpus === b.resources.cpus &&
  a.resources.gpus === b.resources.gpus &&
  a.image === b.image &&
  areSame(a.engines, b.engines);

const areSame = (a: Need['engines'], b: Need['engines']): boolean =>
  a === b ||
  (a !== undefined &&
    b !== undefined &&
    a.every((engine) => b.includes(engine)) &&
    b.every((engine) => a.includes(engine)));

/**
 * Ready tasks of one job that need the same: of one step, with the same resources,
 * for nodes of the same engines. Indexed by where their inputs lie, so
 * that a node finds its own without looking at the others. A task that was taken stays in the indexes until it comes
 * up there.
 */
export interface Lane extends Need {
  readonly step: Step;
  readonly line: Fifo<TaskRecord>;
  readonly near: Readonly<Record<Near, Index>>;
  /** By the node where their input was worked on last. That is not worth a wait. */
  readonly cached: Index;
  /** Tasks that failed somewhere and should not go there again. */
  again: TaskRecord[];
  /** Ready tasks. */
  size: number;
  /** Whether inputs are known to lie somewhere. */
  isLocated: boolean;
  /** Since when it has had ready tasks. */
  readonly since: Millis;
  /** Since when it has had ready tasks and nothing was launched from it. */
  waitingSince: Millis;
}

export const createLane = (step: Step, need: Need, at: Millis): Lane => ({
  ...need,
  step,
  line: new Fifo(),
  near: { node: new Map(), rack: new Map(), pool: new Map() },
  cached: new Map(),
  again: [],
  size: 0,
  isLocated: false,
  since: at,
  waitingSince: at,
});

/** Whether it is known near to what its input lies. */
export const hasPlace = ({ location }: Pick<Task, 'location'>): boolean =>
  location !== undefined &&
  (location.nodes !== undefined || location.racks !== undefined || location.pools !== undefined);

/** @param cached node where its input was worked on last */
export function addReady(lane: Lane, task: TaskRecord, cached: NodeId | undefined): void {
  lane.size += 1;
  task.lane = lane;
  if (task.avoid) {
    lane.again.push(task);
    return;
  }
  lane.line.push(task);
  if (cached !== undefined) queueOf(lane.cached, cached).push(task);
  const { location } = task.task;
  if (!location) return;
  if (hasPlace(task.task)) lane.isLocated = true;
  for (const node of location.nodes ?? []) queueOf(lane.near.node, node).push(task);
  for (const rack of location.racks ?? []) queueOf(lane.near.rack, rack).push(task);
  for (const pool of location.pools ?? []) queueOf(lane.near.pool, pool).push(task);
}

/** A task of the lane goes: it is launched, or nobody wants it any more. */
export function removeReady(lane: Lane, task: TaskRecord): void {
  lane.size -= 1;
  delete task.lane;
  if (task.avoid) lane.again = lane.again.filter((other) => other !== task);
}

/** The first task in the line that can go anywhere. */
export const nextOf = (lane: Lane): TaskRecord | undefined => head(lane, lane.line);

/** The first task whose input lies on that node, in that rack or pool. */
export const nextNear = (lane: Lane, level: Near, name: string): TaskRecord | undefined =>
  nextIn(lane, lane.near[level], name);

/** The first task whose input was worked on last on that node. */
export const nextCached = (lane: Lane, node: NodeId): TaskRecord | undefined =>
  nextIn(lane, lane.cached, node);

function nextIn(lane: Lane, index: Index, name: string): TaskRecord | undefined {
  const queue = index.get(name);
  const task = queue && head(lane, queue);
  if (queue && !task) index.delete(name);
  return task;
}

function head(lane: Lane, queue: Fifo<TaskRecord>): TaskRecord | undefined {
  for (let task = queue.at(0); task; task = queue.at(0)) {
    if (task.lane === lane && !task.avoid) return task;
    queue.shift();
  }
  return undefined;
}

function queueOf(index: Index, name: string): Fifo<TaskRecord> {
  const queue = index.get(name) ?? new Fifo<TaskRecord>();
  index.set(name, queue);
  return queue;
}
