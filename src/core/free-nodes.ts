import type { Effect, NodeKey } from './change.ts';
import type { Lane } from './lane.ts';
import { isUsable } from './state.ts';
import type { NodeRecord, State } from './state.ts';

/** A node with something free, as it is while tasks are given to it. */
export interface FreeNode {
  readonly key: NodeKey;
  readonly record: NodeRecord;
  cpus: number;
  memoryMb: number;
  /** Kept for what has waited too long. */
  reservedFor?: Lane;
  readonly launches: Extract<Effect, { type: 'launch' }>['attempts'][number][];
}

export function freeNodes(state: State): FreeNode[] {
  const nodes: FreeNode[] = [];
  for (const [key, record] of state.nodes) {
    if (record.offers.length === 0 || !isUsable(state, key)) continue;
    const node: FreeNode = { key, record, cpus: 0, memoryMb: 0, launches: [] };
    for (const { resources } of record.offers) {
      node.cpus += resources.cpus;
      node.memoryMb += resources.memoryMb;
    }
    nodes.push(node);
  }
  return nodes;
}

export const hasRoom = ({ cpus, memoryMb }: FreeNode): boolean => cpus > 0 && memoryMb > 0;

/** Books an attempt on a node. */
export function take(node: FreeNode, order: FreeNode['launches'][number]): void {
  node.launches.push(order);
  node.cpus -= order.resources.cpus;
  node.memoryMb -= order.resources.memoryMb;
}
