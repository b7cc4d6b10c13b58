import { add, nothing } from './amount.ts';
import type { Amount } from './amount.ts';
import { hasGpus } from './free-nodes.ts';
import type { FreeNode } from './free-nodes.ts';
import type { EngineId } from './model.ts';
import { isUsable } from './state.ts';
import type { State } from './state.ts';

/** Free nodes of one kind, in the order in which they are looked at. */
export type Tier = readonly FreeNode[];

/**
 * Free nodes, the first choice first where nothing else decides. Those without GPUs before those that have any, so that
 * a task which needs none leaves these to others; then those of a cheaper engine before those of a dearer one.
 */
export function tiersOf(state: State, nodes: readonly FreeNode[]): Tier[] {
  if (isUniform(nodes)) return [nodes];
  const { costs } = state.policy;
  const costOf = ({ record }: FreeNode): number => costs[record.engine] ?? 1;
  return [false, true].flatMap((isWithGpus) => {
    const kind = nodes.filter((node) => hasGpus(node) === isWithGpus);
    return [...Map.groupBy(kind, costOf)]
      .toSorted(([a], [b]) => a - b)
      .map(([, tier]) => balanced(state, tier));
  });
}

const isUniform = (nodes: readonly FreeNode[]): boolean =>
  nodes.every(
    (node) =>
      node.record.engine === nodes[0]!.record.engine && hasGpus(node) === hasGpus(nodes[0]!),
  );

/** What an engine has left, as far as its nodes are not in line yet. */
interface Rest {
  readonly nodes: readonly FreeNode[];
  next: number;
  readonly total: Amount;
  readonly free: Amount;
}

/** In an order in which engines, filled node by node, come to have an equal part of them left. */
function balanced(state: State, nodes: readonly FreeNode[]): Tier {
  const byEngine = Map.groupBy(nodes, ({ record }) => record.engine);
  if (byEngine.size === 1) return nodes;
  const rests = Array.from(byEngine, ([engine, its]) => restOf(state, engine, its));
  return nodes.map(() => {
    const rest = rests.reduce((most, each) => (partLeft(each) > partLeft(most) ? each : most));
    const node = rest.nodes[rest.next]!;
    rest.next += 1;
    add(rest.free, node, -1);
    return node;
  });
}

function restOf(state: State, engine: EngineId, nodes: readonly FreeNode[]): Rest {
  const [total, free] = [nothing(), nothing()];
  for (const [key, record] of state.nodes) {
    if (record.engine === engine && record.total && isUsable(state, key)) {
      add(total, record.total, 1);
    }
  }
  for (const node of nodes) add(free, node, 1);
  return { nodes, next: 0, total, free };
}

/** The part of the resource of which the least is left; nothing once all its nodes are in line. */
const partLeft = ({ nodes, next, total, free }: Rest): number =>
  next === nodes.length
    ? -1
    : Math.max(0, Math.min(free.cpus / (total.cpus || 1), free.memoryMb / (total.memoryMb || 1)));
