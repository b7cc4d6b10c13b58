import { isAtCeiling } from './ceiling.ts';
import type { Change, Effect, NodeKey, Plan } from './change.ts';
import { Heap } from './heap.ts';
import { find, findIn, suits, mayRun, viewOf } from './find.ts';
import type { Candidate, Found, Round } from './find.ts';
import { freeNodes, hasRoom, hasRoomFor, launchOn } from './free-nodes.ts';
import type { FreeNode } from './free-nodes.ts';
import { returnIdle } from './idle.ts';
import { hasPlace } from './lane.ts';
import type { Lane } from './lane.ts';
import { placesOf } from './locality.ts';
import type { Locality, Millis } from './model.ts';
import { isBefore, rankOf } from './rank.ts';
import type { Rank } from './rank.ts';
import { dominantShare, leafOf, servedOf } from './shares.ts';
import type { ShareGroup } from './shares.ts';
import type { JobRecord, State, TaskRecord } from './state.ts';
import { stragglerPlans } from './stragglers.ts';
import { tiersOf } from './tiers.ts';

/** A job in the line of its group. */
interface Waiting extends Candidate {
  readonly leaf: ShareGroup;
  rank: Rank;
}

/**
 * Gives ready tasks to free nodes, one after the other, until nothing that waits fits anywhere or may run. Who is next:
 * what has waited beyond the aging limit; then the group that is served least for its weight, level by level of the
 * share tree; in a group the highest priority, then the user and the job that use least, then the oldest. An offer is
 * never exceeded.
 *
 * Each plan has to be applied before the next one is asked for.
 */
export function* place(state: State, at: Millis): Generator<Plan> {
  const nodes = freeNodes(state);
  if (nodes.length > 0) yield* fill(state, nodes, at);
  yield returnIdle(state, keptNodes(nodes), at);
}

function* fill(state: State, free: readonly FreeNode[], at: Millis): Generator<Plan> {
  const tiers = tiersOf(state, free);
  const nodes = tiers.flat();
  const round: Round = {
    state,
    at,
    nodes,
    tiers,
    places: placesOf(state),
    passes: new Map(),
  };
  if (state.waiting.size > 0) {
    const candidates = candidatesOf(state, at);
    yield* placeStarving(round, candidates);
    yield* placeFairly(round, candidates);
  }
  yield* stragglerPlans(state, nodes, at);
  yield launchPlan(round);
}

/** Where something free is kept for tasks that wait. */
const keptNodes = (nodes: readonly FreeNode[]): ReadonlySet<NodeKey> =>
  new Set(nodes.filter(({ reservedFor }) => reservedFor).map(({ key }) => key));

function candidatesOf(state: State, at: Millis): Waiting[] {
  const candidates: Waiting[] = [];
  for (const id of state.waiting) {
    const record = state.jobs.get(id)!;
    if (record.control.isPaused || isAtCeiling(record, at)) continue;
    const leaf = leafOf(state.shares, record.control.group);
    const rank = rankOf(state, record, leaf);
    candidates.push({ record, leaf, views: new Map(), rank });
  }
  return candidates;
}

/** What has waited too long goes first, and where it fits nowhere now, a node is kept free for it. */
function* placeStarving(round: Round, candidates: readonly Candidate[]): Generator<Plan> {
  const { state, at } = round;
  const limit = at - 1000 * state.policy.agingLimit;
  const starving = candidates
    .flatMap((candidate) =>
      candidate.record.lanes
        .filter(({ waitingSince }) => waitingSince <= limit)
        .map((lane) => ({ candidate, lane })),
    )
    .toSorted((a, b) => a.lane.waitingSince - b.lane.waitingSince);
  for (const { candidate, lane } of starving) {
    if (!mayRun(state, candidate.record, lane)) continue;
    const found = findIn(round, candidate, lane);
    if (found) yield launch(round, candidate.record, found);
    else reserve(round, candidate, lane);
  }
}

/** Of the free nodes that are large enough as a whole, the one that has the most left is kept. */
function reserve(round: Round, candidate: Candidate, lane: Lane): void {
  const { avoided } = viewOf(round, candidate, lane);
  const { cpus, memoryMb, gpus = 0 } = lane.resources;
  const room = (node: FreeNode): number =>
    Math.min(node.cpus / cpus, node.memoryMb / memoryMb, gpus > 0 ? node.gpus / gpus : Infinity);
  const [best] = round.nodes
    .filter((node) => !node.reservedFor && !avoided.has(node.key) && suits(node.record, lane))
    .toSorted((a, b) => room(b) - room(a));
  if (best) best.reservedFor = lane;
}

/** Turns down the share tree, one task at a time. */
function* placeFairly(round: Round, candidates: readonly Waiting[]): Generator<Plan> {
  const queues = new Map<ShareGroup, Heap<Waiting>>();
  for (const [leaf, waiting] of Map.groupBy(candidates, (candidate) => candidate.leaf)) {
    queues.set(leaf, new Heap(isBefore, waiting));
  }
  /** Candidates below each group. */
  const open = new Map<ShareGroup, number>();
  const count = (leaf: ShareGroup, by: number): void => {
    for (let group: ShareGroup | undefined = leaf; group; group = group.parent) {
      open.set(group, (open.get(group) ?? 0) + by);
    }
  };
  for (const { leaf } of candidates) count(leaf, 1);
  const { root } = round.state.shares;
  while ((open.get(root) ?? 0) > 0 && round.nodes.some(hasRoom)) {
    const leaf = leastServed(round.state, root, open);
    const queue = queues.get(leaf)!;
    const candidate = queue.pop()!;
    if (isOvertaken(round.state, queue, candidate)) {
      queue.push(candidate);
      continue;
    }
    const found = find(round, candidate);
    if (found) yield launch(round, candidate.record, found);
    else if (open.get(root)! > 1) reserveFor(round, candidate);
    if (found && candidate.record.lanes.length > 0) queue.push(candidate);
    else count(leaf, -1);
  }
}

/** For a job that is next but needs more of a node than anyone has left, nodes are kept until it has as much as others. */
function reserveFor(round: Round, candidate: Candidate): void {
  const { state, at } = round;
  const { record } = candidate;
  const since = at - 1000 * state.policy.reserveAfter;
  for (const lane of record.lanes) {
    if (lane.since > since || lane.size === 0 || !mayRun(state, record, lane)) continue;
    if (round.nodes.some((node) => hasRoomFor(lane, node))) continue;
    const behind = largestShare(state) - dominantShare(record.use, state.total);
    const tasks = Math.floor(behind / 2 / dominantShare(lane.resources, state.total));
    for (let n = 0; n < Math.min(tasks, lane.size); n += 1) reserve(round, candidate, lane);
  }
}

/** What the job that uses most uses of the cluster. */
const largestShare = ({ jobs, total }: State): number =>
  jobs.values().reduce((most, { use }) => Math.max(most, dominantShare(use, total)), 0);

/** Whether a job or its user has got so much since it was put in line that another one goes first. */
function isOvertaken(state: State, queue: Heap<Waiting>, candidate: Waiting): boolean {
  candidate.rank = rankOf(state, candidate.record, candidate.leaf);
  const next = queue.peek();
  return next !== undefined && isBefore(next, candidate);
}

function leastServed(
  { total }: State,
  root: ShareGroup,
  open: ReadonlyMap<ShareGroup, number>,
): ShareGroup {
  let group = root;
  while (group.children.length > 0) {
    let best: ShareGroup | undefined;
    let least = Infinity;
    for (const child of group.children) {
      if ((open.get(child) ?? 0) === 0) continue;
      const served = servedOf(child, total);
      if (best && served >= least) continue;
      best = child;
      least = served;
    }
    group = best!;
  }
  return group;
}

const launch = ({ at }: Round, record: JobRecord, found: Found): Plan =>
  launchOn(found.node, record, found.task, found.lane.resources, {
    launchedAt: at,
    ...(hasPlace(found.task.task) && {
      locality: localityOf(found.task, found.node, found.locality),
    }),
  });

/** A task that goes anywhere may have come near its data by chance. */
function localityOf({ task }: TaskRecord, { record }: FreeNode, found: Locality): Locality {
  const { nodes = [], racks = [], pools = [] } = task.location!;
  if (nodes.includes(record.node)) return 'node';
  if (found !== 'any') return found;
  if (record.rack !== undefined && racks.includes(record.rack)) return 'rack';
  return record.pool !== undefined && pools.includes(record.pool) ? 'pool' : 'any';
}

/** A launch uses up all offers of its node; the engine offers again what is left. */
function launchPlan({ state, nodes, passes, at }: Round): Plan {
  const changes: Change[] = [];
  const effects: Effect[] = [];
  for (const { record, launches } of nodes) {
    if (launches.length === 0) continue;
    const { engine, node, offers } = record;
    changes.push({ type: 'setNode', ...record, offers: [] });
    const offerIds = offers.map(({ id }) => id);
    effects.push({ type: 'launch', engine, node, offerIds, attempts: launches });
  }
  for (const node of nodes) {
    const until = passes.get(node);
    if (until !== undefined && hasRoom(node)) {
      changes.push({ type: 'passNode', node: node.key, at });
      if (until < Infinity) changes.push({ type: 'lookAgain', at: until });
    } else if (state.passed.has(node.key)) changes.push({ type: 'passNode', node: node.key });
  }
  return { changes, effects };
}
