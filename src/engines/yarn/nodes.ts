import type { Logger } from 'pino';

import type { EngineId, NodeId } from '../../core/model.ts';
import type { Emit } from '../engine.ts';
import type { ClusterNode } from './answers.ts';
import { NOTHING, resourcesOf, sum } from './capability.ts';
import { excerpt } from './json.ts';
import type { Capability } from './protocol.ts';

export interface NodesOptions {
  readonly engine: EngineId;
  /** Where all of the cluster is. */
  readonly pool?: string;
  /** Only nodes of this partition (exclusive label) are used; without it, only those of the default one. */
  readonly nodeLabel?: string;
  /** Attributes that a node must have, each with one of these values. */
  readonly constraints: Readonly<Record<string, readonly string[]>>;
  readonly logger: Logger;
  readonly emit: Emit;
  /** Whether attempts are out there. */
  readonly isBusy: (node: NodeId) => boolean;
}

/** `NodeState`: why a node of it takes nothing new, and whether it will not come back by itself. */
const AWAY: ReadonlyMap<string, { readonly why: string; readonly isGone?: true }> = new Map([
  ['NEW', { why: 'it is only joining the cluster' }],
  ['UNHEALTHY', { why: 'YARN says that it is unhealthy' }],
  ['DECOMMISSIONING', { why: 'it is being decommissioned' }],
  ['DECOMMISSIONED', { why: 'it was decommissioned', isGone: true }],
  ['LOST', { why: 'YARN has heard nothing of it for too long', isGone: true }],
  ['REBOOTED', { why: 'it is being restarted', isGone: true }],
  ['SHUTDOWN', { why: 'its NodeManager was stopped', isGone: true }],
]);

/** The cluster's NodeManagers as nodes, by their host names. */
export class Nodes {
  readonly #options: NodesOptions;
  readonly #nodes = new Map<NodeId, ClusterNode>();
  readonly #told = new Map<NodeId, string>();

  constructor(options: NodesOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#nodes.size;
  }

  /** Those on which something may be started now. */
  usable = (): ClusterNode[] =>
    Array.from(this.#nodes.values()).filter((node) => this.away(node) === undefined);

  /** Of all that may be used. */
  total = (): Capability => this.usable().reduce((all, { total }) => sum(all, total), NOTHING);

  find = (node: NodeId): ClusterNode | undefined => this.#nodes.get(node);

  /** As the ResourceManager names them: a request under another is never granted. */
  racks = (): Record<string, string> =>
    Object.fromEntries(Array.from(this.#nodes, ([node, { rack }]) => [node, rack]));

  /** All that the ResourceManager knows. */
  learn(listed: readonly ClusterNode[]): void {
    const wanted = new Map(
      listed.filter((node) => this.#isWanted(node)).map((node) => [node.host, node]),
    );
    for (const [id, node] of wanted) {
      if (this.#isGone(node)) this.#gone(node);
      else {
        this.#nodes.set(id, node);
        this.#tell(node);
      }
    }
    for (const [id, node] of this.#nodes) {
      if (!wanted.has(id)) this.#gone({ ...node, state: 'LOST' });
    }
  }

  /** Why nothing may start on a node now. */
  away({ state, healthReport }: ClusterNode): string | undefined {
    if (state === 'RUNNING') return undefined;
    const { why } = AWAY.get(state) ?? { why: `YARN says: ${state}` };
    const report = excerpt(healthReport);
    return report === '' ? why : `${why}: ${report}`;
  }

  /** Everything is told anew to the next who listens. */
  forget(): void {
    this.#nodes.clear();
    this.#told.clear();
  }

  /** Takes all nodes away. */
  leave(): void {
    for (const node of this.#nodes.values()) this.#drop(node);
  }

  #isWanted({ labels, attributes }: ClusterNode): boolean {
    const { nodeLabel, constraints } = this.#options;
    const isOfPartition =
      nodeLabel === undefined ? labels.length === 0 : labels.includes(nodeLabel);
    return (
      isOfPartition &&
      Object.entries(constraints).every(([name, values]) =>
        values.includes(attributes.get(name) ?? ''),
      )
    );
  }

  #isGone = ({ state }: ClusterNode): boolean => AWAY.get(state)?.isGone ?? false;

  /** What ran there is told by YARN, one by one; until then the node is only away. */
  #gone(node: ClusterNode): void {
    const known = this.#nodes.get(node.host);
    if (!known) return;
    if (!this.#options.isBusy(node.host)) return this.#drop(node);
    const away = { ...node, total: known.total };
    this.#nodes.set(node.host, away);
    this.#tell(away);
  }

  #tell(node: ClusterNode): void {
    const { engine, pool, emit, logger } = this.#options;
    const away = this.away(node);
    const event = {
      type: 'nodeUp',
      engine,
      node: node.host,
      resources: resourcesOf(node.total),
      ...(node.rack !== '' && { rack: node.rack }),
      ...(pool !== undefined && { pool }),
      ...(away !== undefined && { away }),
    } as const;
    const text = JSON.stringify(event);
    if (this.#told.get(node.host) === text) return;
    this.#told.set(node.host, text);
    if (away !== undefined) logger.warn({ node: node.host }, `a node takes nothing new: ${away}`);
    void emit(event);
  }

  #drop({ host: node }: ClusterNode): void {
    this.#nodes.delete(node);
    this.#told.delete(node);
    void this.#options.emit({ type: 'nodeDown', engine: this.#options.engine, node });
  }
}
