import { Fifo } from './fifo.ts';
import type { Location, Millis, Resources, Step } from './model.ts';
import type { TaskRecord } from './state.ts';

/** A level of nearness at which ready tasks can be asked for; at `any` every task is one. */
export type Near = 'node' | 'rack' | 'pool';

/** What tasks need of a node. */
export interface Need {
  readonly resources: Resources;
  /** Container image in which they run; only some nodes can do that. */
  readonly image: string | undefined;
}

/**
 * Ready tasks of one job that need the same: of one step, with the same resources. Indexed by where their inputs lie, so
 * that a node finds its own without looking at the others. A task that was taken stays in the indexes until it comes
 * up there.
 */
export interface Lane extends Need {
  readonly step: Step;
  readonly line: Fifo<TaskRecord>;
  readonly near: Readonly<Record<Near, Map<string, Fifo<TaskRecord>>>>;
  /** Tasks that failed somewhere and should not go there again. */
  again: TaskRecord[];
  /** Ready tasks. */
  size: number;
  /** Whether inputs are known to lie somewhere; what is only cached is not worth a wait. */
  isLocated: boolean;
  /** Since when it has had ready tasks. */
  readonly since: Millis;
  /** Since when it has had ready tasks and nothing was launched from it. */
  waitingSince: Millis;
}

export const createLane = (step: Step, { resources, image }: Need, at: Millis): Lane => ({
  step,
  resources,
  image,
  line: new Fifo(),
  near: { node: new Map(), rack: new Map(), pool: new Map() },
  again: [],
  size: 0,
  isLocated: false,
  since: at,
  waitingSince: at,
});

/** @param place where its input is known to lie or to be cached */
export function addReady(lane: Lane, task: TaskRecord, place: Location | undefined): void {
  lane.size += 1;
  task.lane = lane;
  if (task.avoid) {
    lane.again.push(task);
    return;
  }
  lane.line.push(task);
  if (task.task.location) lane.isLocated = true;
  for (const node of place?.nodes ?? []) queueOf(lane.near.node, node).push(task);
  for (const rack of place?.racks ?? []) queueOf(lane.near.rack, rack).push(task);
  if (place?.pool !== undefined) queueOf(lane.near.pool, place.pool).push(task);
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
export function nextNear(lane: Lane, level: Near, name: string): TaskRecord | undefined {
  const queue = lane.near[level].get(name);
  const task = queue && head(lane, queue);
  if (queue && !task) lane.near[level].delete(name);
  return task;
}

function head(lane: Lane, queue: Fifo<TaskRecord>): TaskRecord | undefined {
  for (let task = queue.at(0); task; task = queue.at(0)) {
    if (task.lane === lane && !task.avoid) return task;
    queue.shift();
  }
  return undefined;
}

function queueOf(index: Map<string, Fifo<TaskRecord>>, name: string): Fifo<TaskRecord> {
  const queue = index.get(name) ?? new Fifo<TaskRecord>();
  index.set(name, queue);
  return queue;
}
