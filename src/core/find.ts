import type { NodeKey } from './change.ts';
import type { FreeNode } from './free-nodes.ts';
import { nextNear, nextOf } from './lane.ts';
import type { Lane, Near } from './lane.ts';
import { patienceOf } from './locality.ts';
import type { Places } from './locality.ts';
import type { JobId, Locality, Millis } from './model.ts';
import { brokenLimit } from './shares.ts';
import { consumerOf, isUsable } from './state.ts';
import type { JobRecord, NodeRecord, State, TaskRecord } from './state.ts';

/** Which task of a job goes to which of the free nodes. */

/** One placing of everything that waits. */
export interface Round {
  readonly state: State;
  readonly at: Millis;
  readonly nodes: readonly FreeNode[];
  readonly places: Places;
  /** Lanes that let free nodes pass, and when they no longer will. */
  readonly passes: { readonly jobId: JobId; readonly lane: Lane; readonly until: Millis }[];
}

/** A job whose turn may come. */
export interface Candidate {
  readonly record: JobRecord;
  readonly views: Map<Lane, LaneView>;
}

/** What is known of a lane while tasks are placed. Nodes only get fuller, so what was in vain once stays so. */
interface LaneView {
  /** Nodes on which too many of the job's tasks have failed. */
  readonly avoided: ReadonlySet<NodeKey>;
  /** Per level, how many of the free nodes have been looked at in vain. */
  readonly seen: Record<Locality, number>;
  /** Whether tasks that failed before have been tried in vain. */
  hasTriedAgain: boolean;
  isClosed: boolean;
}

export interface Found {
  readonly lane: Lane;
  readonly task: TaskRecord;
  readonly node: FreeNode;
  readonly locality: Locality;
}

export const mayRun = (state: State, record: JobRecord, { resources }: Lane): boolean =>
  !brokenLimit(state.shares, consumerOf(record), resources, state.total);

export function viewOf({ state }: Round, { record, views }: Candidate, lane: Lane): LaneView {
  const known = views.get(lane);
  if (known) return known;
  const view: LaneView = {
    avoided: avoidedNodes(state, record, lane),
    seen: { node: 0, rack: 0, pool: 0, any: 0 },
    hasTriedAgain: false,
    isClosed: false,
  };
  views.set(lane, view);
  return view;
}

const NOWHERE: ReadonlySet<NodeKey> = new Set();

/** Nodes that a job avoids, unless there is no other one. */
export function avoidedNodes(
  state: State,
  { trouble }: JobRecord,
  lane: Lane,
): ReadonlySet<NodeKey> {
  if (trouble.size === 0) return NOWHERE;
  const { failures } = state.policy.avoid;
  const avoided = new Set([...trouble].filter(([, n]) => n >= failures).map(([key]) => key));
  return hasOtherThan(state, lane, avoided) ? avoided : NOWHERE;
}

const hasOtherThan = (state: State, lane: Lane, avoided: ReadonlySet<NodeKey>): boolean =>
  state.nodes
    .entries()
    .some(([key, node]) => !avoided.has(key) && isUsable(state, key) && isLargeEnough(node, lane));

/** The next task of a job and a node for it. */
export function find(round: Round, candidate: Candidate): Found | undefined {
  const { state, at } = round;
  const { record } = candidate;
  for (const lane of record.lanes) {
    const view = viewOf(round, candidate, lane);
    if (view.isClosed) continue;
    const waited = at - (lane.passingSince ?? at);
    const found = mayRun(state, record, lane) && findIn(round, candidate, lane, waited);
    if (found) return found;
    view.isClosed = true;
  }
  return undefined;
}

/** @param waited milliseconds for which nodes far from the data were let pass */
export function findIn(
  round: Round,
  candidate: Candidate,
  lane: Lane,
  waited: number,
): Found | undefined {
  const view = viewOf(round, candidate, lane);
  const again = findAgain(round, view, lane);
  if (again) return again;
  if (!nextOf(lane)) return undefined;
  if (!lane.isLocated)
    return findNear(round, view, lane, 'node') ?? findAny(round, view, lane, candidate);
  const { locality } = round.state.policy;
  const patience = patienceOf(locality, lane, candidate.record, round.places);
  const found =
    findNear(round, view, lane, 'node') ??
    (waited >= patience.node ? findNear(round, view, lane, 'rack') : undefined) ??
    (waited >= patience.rack ? findNear(round, view, lane, 'pool') : undefined) ??
    (waited >= patience.pool ? findAny(round, view, lane, candidate) : undefined);
  if (!found && waited < patience.pool && round.nodes.some((node) => fits(view, lane, node))) {
    const next = [patience.node, patience.rack, patience.pool].find((until) => until > waited)!;
    const until = (lane.passingSince ?? round.at) + next;
    round.passes.push({ jobId: candidate.record.job.id, lane, until });
  }
  return found;
}

const hasRoomFor = (lane: Lane, node: FreeNode): boolean =>
  node.cpus >= lane.resources.cpus &&
  node.memoryMb >= lane.resources.memoryMb &&
  (node.reservedFor === undefined || node.reservedFor === lane);

const fits = ({ avoided }: LaneView, lane: Lane, node: FreeNode): boolean =>
  hasRoomFor(lane, node) && !avoided.has(node.key);

/** Of the tasks that failed before, so many are tried to be placed. */
const AGAIN_TRIED = 32;

/** A task that failed before goes where neither it nor too many others of its job have failed, if there is such a node. */
function findAgain({ state, nodes }: Round, view: LaneView, lane: Lane): Found | undefined {
  if (view.hasTriedAgain || lane.again.length === 0) return undefined;
  for (const task of lane.again.slice(0, AGAIN_TRIED)) {
    const avoid = view.avoided.union(new Set(task.avoid));
    const node =
      nodes.find((each) => hasRoomFor(lane, each) && !avoid.has(each.key)) ??
      (hasOtherThan(state, lane, avoid) ? undefined : nodes.find((each) => hasRoomFor(lane, each)));
    if (node) return { lane, task, node, locality: 'any' };
  }
  view.hasTriedAgain = true;
  return undefined;
}

/** The first of the nodes not looked at yet that has room and near which the data of a task lies. */
function findNear(
  { nodes, places }: Round,
  view: LaneView,
  lane: Lane,
  level: Near,
): Found | undefined {
  const { seen } = view;
  if (lane.near.node.size === 0 && lane.near[level].size === 0) return undefined;
  for (; seen[level] < nodes.length; seen[level] += 1) {
    const node = nodes[seen[level]]!;
    if (!fits(view, lane, node)) continue;
    const task = nearTo(lane, level, node, places);
    if (task) return { lane, task, node, locality: level };
  }
  return undefined;
}

function nearTo(
  lane: Lane,
  level: Near,
  { record }: FreeNode,
  places: Places,
): TaskRecord | undefined {
  if (level === 'node') return nextNear(lane, 'node', record.node);
  const name = record[level];
  if (name === undefined) return undefined;
  const known = nextNear(lane, level, name);
  if (known) return known;
  for (const neighbour of places[level].get(name) ?? []) {
    const task = nextNear(lane, 'node', neighbour);
    if (task) return task;
  }
  return undefined;
}

/** The first node with room, one that has the job's bundle before one that would have to fetch it. */
function findAny(
  { state, nodes }: Round,
  view: LaneView,
  lane: Lane,
  { record: { job } }: Candidate,
): Found | undefined {
  const { bundles } = state.caches;
  const { seen } = view;
  for (; seen.any < 2 * nodes.length; seen.any += 1) {
    const node = nodes[seen.any % nodes.length]!;
    if (!fits(view, lane, node)) continue;
    const isCachedOnly = seen.any < nodes.length;
    if (isCachedOnly && !bundles.get(node.key)?.has(job.processor.bundleHash)) continue;
    return { lane, task: nextOf(lane)!, node, locality: 'any' };
  }
  return undefined;
}

export const isLargeEnough = ({ total }: NodeRecord, { resources }: Lane): boolean =>
  total !== undefined && total.cpus >= resources.cpus && total.memoryMb >= resources.memoryMb;
