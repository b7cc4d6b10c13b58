import type { NodeKey } from './change.ts';
import { hasRoomFor } from './free-nodes.ts';
import type { FreeNode } from './free-nodes.ts';
import { nextCached, nextNear, nextOf } from './lane.ts';
import type { Lane, Near, Need } from './lane.ts';
import { NO_PATIENCE, patienceOf, wholePools } from './locality.ts';
import type { Patience, Places } from './locality.ts';
import type { Locality, Millis } from './model.ts';
import { brokenLimit } from './shares.ts';
import { canRun, consumerOf, isUsable } from './state.ts';
import type { JobRecord, NodeRecord, State, TaskRecord } from './state.ts';
import type { Tier } from './tiers.ts';

/** Which task of a job goes to which of the free nodes. */

/** One placing of everything that waits. */
export interface Round {
  readonly state: State;
  readonly at: Millis;
  /** The first choice first where nothing else decides. */
  readonly nodes: readonly FreeNode[];
  /** The same by their kind. */
  readonly tiers: readonly Tier[];
  readonly places: Places;
  /** Nodes that were let pass, and when somebody will no longer do so. */
  readonly passes: Map<FreeNode, Millis>;
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
  /** How long it lets nodes pass. */
  readonly patience: Patience;
  /** Pools in which its inputs lie as a whole. */
  readonly pools: ReadonlySet<string>;
  /** Per level, how many of the free nodes have been looked at in vain; those of any level: of this tier, twice each. */
  readonly seen: Record<Locality, number>;
  tier: number;
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

export const mayRun = (
  state: State,
  record: JobRecord,
  { resources }: Pick<Need, 'resources'>,
): boolean => !brokenLimit(state.shares, consumerOf(record), resources, state.total);

export function viewOf(round: Round, { record, views }: Candidate, lane: Lane): LaneView {
  const known = views.get(lane);
  if (known) return known;
  const { state, at, places } = round;
  const view: LaneView = {
    avoided: avoidedNodes(state, record, lane, at),
    patience: lane.isLocated
      ? patienceOf(state.policy.locality, lane, record, places)
      : NO_PATIENCE,
    pools: wholePools(lane, places),
    seen: { node: 0, rack: 0, pool: 0, any: 0 },
    tier: 0,
    hasTriedAgain: false,
    isClosed: false,
  };
  views.set(lane, view);
  return view;
}

const NOWHERE: ReadonlySet<NodeKey> = new Set();

/** Nodes that a job avoids, for a while, unless there is no other one. */
export function avoidedNodes(
  state: State,
  { trouble }: JobRecord,
  need: Need,
  now: Millis,
): ReadonlySet<NodeKey> {
  if (trouble.size === 0) return NOWHERE;
  const { failures, coolOff, maxCoolOff } = state.policy.avoid;
  const avoided = new Set<NodeKey>();
  for (const [node, known] of trouble) {
    // Longer each time that it has been tried again in vain.
    const times = Math.floor(known.failures / failures);
    const wait = Math.min(coolOff * 2 ** (times - 1), maxCoolOff);
    if (times > 0 && now < known.at + 1000 * wait) avoided.add(node);
  }
  return avoided.size > 0 && hasOtherThan(state, need, avoided) ? avoided : NOWHERE;
}

const hasOtherThan = (state: State, need: Need, avoided: ReadonlySet<NodeKey>): boolean =>
  state.nodes
    .entries()
    .some(([key, node]) => !avoided.has(key) && isUsable(state, key) && suits(node, need));

/** The next task of a job and a node for it. */
export function find(round: Round, candidate: Candidate): Found | undefined {
  const { record } = candidate;
  for (const lane of record.lanes) {
    const view = viewOf(round, candidate, lane);
    if (view.isClosed) continue;
    const found = mayRun(round.state, record, lane) && findIn(round, candidate, lane);
    if (found) return found;
    view.isClosed = true;
  }
  return undefined;
}

/** The next task of a lane and a node for it: near its data, or one that has been let pass for long enough. */
export function findIn(round: Round, candidate: Candidate, lane: Lane): Found | undefined {
  const view = viewOf(round, candidate, lane);
  const again = findAgain(round, view, lane);
  if (again) return again;
  if (!nextOf(lane)) return undefined;
  const found =
    findNear(round, view, lane, 'node') ??
    (lane.isLocated ? findNear(round, view, lane, 'rack') : undefined) ??
    (lane.isLocated ? findNear(round, view, lane, 'pool') : undefined) ??
    findAny(round, view, lane, candidate);
  if (!found && lane.isLocated) notePasses(round, view, lane);
  return found;
}

/** How much patience a level needs of a node that is not the data's. */
const NEEDED = { node: undefined, rack: 'node', pool: 'rack', any: 'pool' } as const;

/** Whether a node has been free for so long that a lane takes it although its data lies elsewhere. */
function isPatienceOver(
  { state, at }: Round,
  { patience }: LaneView,
  lane: Lane,
  node: FreeNode,
  level: Locality,
): boolean {
  const needed = NEEDED[level];
  return needed === undefined || at - passedSince(state, lane, node, at) >= patience[needed];
}

/** A lane lets a node pass since that became free or, if that is later, since it has had something to run there. */
const passedSince = ({ passed }: State, lane: Lane, { key }: FreeNode, at: Millis): Millis =>
  Math.max(passed.get(key) ?? at, lane.since);

/** What has room and was not taken waits for something nearer. */
function notePasses(round: Round, view: LaneView, lane: Lane): void {
  const { state, at, nodes, passes } = round;
  const { patience } = view;
  for (const node of nodes) {
    if (!fits(view, lane, node)) continue;
    const since = passedSince(state, lane, node, at);
    const next = [patience.node, patience.rack, patience.pool].find((wait) => since + wait > at);
    passes.set(node, Math.min(passes.get(node) ?? Infinity, since + (next ?? Infinity)));
  }
}

const fits = ({ avoided }: LaneView, lane: Lane, node: FreeNode): boolean =>
  hasRoomFor(lane, node) && !avoided.has(node.key);

/** Of the tasks that failed before, so many are tried to be placed. */
const AGAIN_TRIED = 32;

/** A task that failed before goes where neither it nor too many others of its job have failed, if there is such a node. */
function findAgain({ state, nodes }: Round, view: LaneView, lane: Lane): Found | undefined {
  if (view.hasTriedAgain || lane.again.length === 0) return undefined;
  for (const task of lane.again.slice(0, AGAIN_TRIED)) {
    const avoid = view.avoided.union(new Set(task.avoid));
    const free = nodes.filter((each) => hasRoomFor(lane, each) && !avoid.has(each.key));
    const node =
      free.find(({ record }) => task.task.location?.nodes?.includes(record.node)) ??
      free[0] ??
      (hasOtherThan(state, lane, avoid) ? undefined : nodes.find((each) => hasRoomFor(lane, each)));
    if (node) return { lane, task, node, locality: 'any' };
  }
  view.hasTriedAgain = true;
  return undefined;
}

/** The first of the nodes not looked at yet that has room and near which the data of a task lies. */
function findNear(round: Round, view: LaneView, lane: Lane, level: Near): Found | undefined {
  const { nodes } = round;
  const { seen, pools } = view;
  const { near, cached } = lane;
  const known = near.node.size + near[level].size + pools.size + cached.size;
  if (known === 0) return undefined;
  for (; seen[level] < nodes.length; seen[level] += 1) {
    const node = nodes[seen[level]]!;
    if (!fits(view, lane, node) || !isPatienceOver(round, view, lane, node, level)) continue;
    const task = nearTo(round, view, lane, level, node);
    if (task) return { ...task, lane, node };
  }
  return undefined;
}

function nearTo(
  { places }: Round,
  { pools }: LaneView,
  lane: Lane,
  level: Near,
  { record }: FreeNode,
): Pick<Found, 'task' | 'locality'> | undefined {
  const name = record[level];
  if (name === undefined) return undefined;
  const task =
    nextNear(lane, level, name) ??
    (level === 'node' ? nextCached(lane, name) : nextBeside(lane, places[level].get(name)));
  if (task) return { task, locality: level };
  const isWhole = level === 'node' && record.pool !== undefined && pools.has(record.pool);
  const shared = isWhole ? nextNear(lane, 'pool', record.pool) : undefined;
  return shared && { task: shared, locality: 'pool' };
}

/** The first task whose input lies on one of the nodes that are together in a rack or pool. */
function nextBeside(lane: Lane, nodes: readonly NodeRecord[] = []): TaskRecord | undefined {
  for (const { node } of nodes) {
    const task = nextNear(lane, 'node', node);
    if (task) return task;
  }
  return undefined;
}

/** The first node with room, of each kind one that has the job's bundle before one that would have to fetch it. */
function findAny(
  round: Round,
  view: LaneView,
  lane: Lane,
  { record: { job } }: Candidate,
): Found | undefined {
  const { state, tiers } = round;
  const { bundles } = state.caches;
  const { seen } = view;
  for (; view.tier < tiers.length; view.tier += 1, seen.any = 0) {
    const tier = tiers[view.tier]!;
    for (; seen.any < 2 * tier.length; seen.any += 1) {
      const node = tier[seen.any % tier.length]!;
      if (!fits(view, lane, node)) continue;
      const isCachedOnly = seen.any < tier.length;
      if (isCachedOnly && !bundles.get(node.key)?.has(job.processor.bundleHash)) continue;
      if (lane.isLocated && !isPatienceOver(round, view, lane, node, 'any')) continue;
      return { lane, task: nextOf(lane)!, node, locality: 'any' };
    }
  }
  return undefined;
}

/** Whether tasks can run on a node at all, when nothing else does. */
export const suits = (node: NodeRecord, need: Need): boolean =>
  node.total !== undefined &&
  node.total.cpus >= need.resources.cpus &&
  node.total.memoryMb >= need.resources.memoryMb &&
  (node.total.gpus ?? 0) >= (need.resources.gpus ?? 0) &&
  canRun(node, need);
