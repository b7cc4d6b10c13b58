import type { Lane, Near } from './lane.ts';
import type { NodeId } from './model.ts';
import type { LocalityPolicy } from './policy.ts';
import { canReach, canRun, isUsable } from './state.ts';
import type { JobRecord, NodeRecord, State } from './state.ts';

/** Which nodes that may get work are near to each other. */
export interface Places {
  /** A machine may be a node of several engines. */
  readonly node: ReadonlyMap<NodeId, readonly NodeRecord[]>;
  readonly rack: ReadonlyMap<string, readonly NodeRecord[]>;
  readonly pool: ReadonlyMap<string, readonly NodeRecord[]>;
}

export function placesOf(state: State): Places {
  const node = new Map<NodeId, NodeRecord[]>();
  const rack = new Map<string, NodeRecord[]>();
  const pool = new Map<string, NodeRecord[]>();
  const add = (
    map: Map<string, NodeRecord[]>,
    name: string | undefined,
    record: NodeRecord,
  ): void => {
    if (name === undefined) return;
    const known = map.get(name);
    if (known) known.push(record);
    else map.set(name, [record]);
  };
  for (const [key, record] of state.nodes) {
    if (!isUsable(state, key)) continue;
    add(node, record.node, record);
    add(rack, record.rack, record);
    add(pool, record.pool, record);
  }
  return { node, rack, pool };
}

/** Milliseconds of waiting after which a level will no longer be insisted on; each includes the one before. */
export interface Patience {
  readonly node: number;
  readonly rack: number;
  readonly pool: number;
}

export const NO_PATIENCE: Patience = { node: 0, rack: 0, pool: 0 };

/**
 * How long a lane waits for nodes near its data (delay scheduling: Zaharia et al. 2010, EuroSys, section 3). Not at all
 * for nodes that are not there, cannot run its image or do not reach its data, and shorter where attempts are short: then waiting costs more
 * than reading from afar. So does a GPU that stands idle: a lane that wants some waits for nothing.
 */
export function patienceOf(
  { nodeWait, rackWait, poolWait, patience }: LocalityPolicy,
  lane: Lane,
  { steps }: JobRecord,
  places: Places,
): Patience {
  if (lane.resources.gpus) return NO_PATIENCE;
  const { mean } = steps[lane.step].durations;
  const most = mean === undefined ? Infinity : patience * mean;
  const wait = (seconds: number, isOfUse: boolean): number =>
    isOfUse ? Math.ceil(Math.min(1000 * seconds, most)) : 0;
  const isThere = (level: Near, isAble: (record: NodeRecord) => boolean): boolean =>
    lane.near[level].keys().some((name) => places[level].get(name)?.some(isAble));
  const isAble = (record: NodeRecord): boolean => canRun(record, lane);
  const hasNode = isThere('node', (record) => canReach(record, lane));
  const node = wait(nodeWait, isThere('node', isAble));
  const rack = node + wait(rackWait, places.rack.size > 0 && (hasNode || isThere('rack', isAble)));
  const pool = rack + wait(poolWait, places.pool.size > 0 && (hasNode || isThere('pool', isAble)));
  return { node, rack, pool };
}

const NO_POOL: ReadonlySet<string> = new Set();

/**
 * Pools of whose inputs nothing nearer is known than that they lie there: on a storage that all nodes of the pool share.
 * Nobody has to wait for a nearer node of these.
 */
export function wholePools({ near }: Lane, places: Places): ReadonlySet<string> {
  if (near.pool.size === 0) return NO_POOL;
  const isNearer = ({ node, rack }: NodeRecord): boolean =>
    near.node.has(node) || (rack !== undefined && near.rack.has(rack));
  return new Set(
    near.pool.keys().filter((name) => places.pool.get(name)?.some(isNearer) === false),
  );
}
