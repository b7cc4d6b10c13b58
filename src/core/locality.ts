import type { Lane } from './lane.ts';
import type { NodeId } from './model.ts';
import type { LocalityPolicy } from './policy.ts';
import { isUsable } from './state.ts';
import type { JobRecord, State } from './state.ts';

/** Which nodes that may get work are near to each other. */
export interface Places {
  readonly nodes: ReadonlySet<NodeId>;
  /** Those of them that can run container images. */
  readonly withImages: ReadonlySet<NodeId>;
  readonly rack: ReadonlyMap<string, readonly NodeId[]>;
  readonly pool: ReadonlyMap<string, readonly NodeId[]>;
}

export function placesOf(state: State): Places {
  const nodes = new Set<NodeId>();
  const withImages = new Set<NodeId>();
  const rack = new Map<string, NodeId[]>();
  const pool = new Map<string, NodeId[]>();
  const add = (map: Map<string, NodeId[]>, name: string | undefined, node: NodeId): void => {
    if (name === undefined) return;
    const known = map.get(name);
    if (known) known.push(node);
    else map.set(name, [node]);
  };
  for (const [key, record] of state.nodes) {
    if (!isUsable(state, key)) continue;
    nodes.add(record.node);
    if (record.hasImages) withImages.add(record.node);
    add(rack, record.rack, record.node);
    add(pool, record.pool, record.node);
  }
  return { nodes, withImages, rack, pool };
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
 * for nodes that are not there or cannot run its image, and shorter where attempts are short: then waiting costs more
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
  const hasNode = lane.near.node.keys().some((name) => places.nodes.has(name));
  const isAble =
    lane.image === undefined
      ? hasNode
      : lane.near.node.keys().some((name) => places.withImages.has(name));
  const node = wait(nodeWait, isAble);
  const rack = node + wait(rackWait, places.rack.size > 0 && (hasNode || lane.near.rack.size > 0));
  const pool = rack + wait(poolWait, places.pool.size > 0 && (hasNode || lane.near.pool.size > 0));
  return { node, rack, pool };
}
