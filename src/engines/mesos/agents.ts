import type { Logger } from 'pino';

import type { EngineId, Millis, NodeId, Resources } from '../../core/model.ts';
import type { Emit } from '../engine.ts';
import type { Attributes, MesosAgent, MesosOffer, Unavailability } from './protocol.ts';
import { capacityOf, isForRole } from './resources.ts';

export interface AgentsOptions {
  readonly engine: EngineId;
  readonly roles: readonly string[];
  /** Names of the attributes that tell an agent's rack and pool. */
  readonly attributes: { readonly rack: string; readonly pool: string };
  /** Attributes that an agent must have, each with one of these values; others' offers are declined. */
  readonly constraints: Readonly<Record<string, readonly string[]>>;
  /** Whether agents can run container images. */
  readonly hasImages?: true;
  /** Agents on this port are called by their host alone, so that products can name them as the places they lie. */
  readonly agentPort: number;
  /** Nothing is started so many milliseconds before a machine is taken away. */
  readonly maintenanceLead: number;
  /** An agent out of reach for so many milliseconds is gone. */
  readonly unreachable: number;
  readonly logger: Logger;
  readonly now: () => Millis;
  readonly emit: Emit;
  /** Whether attempts are out there. */
  readonly isBusy: (agentId: string) => boolean;
}

export interface Agent {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly node: NodeId;
  readonly attributes: Attributes;
  readonly total: Resources;
  /** In Mesos's words, where it takes no tasks. */
  readonly why?: string;
  readonly unavailability?: Unavailability;
  /** Since when it has been out of reach. */
  readonly lostAt?: Millis;
}

/** The cluster's agents as nodes. */
export class Agents {
  readonly #options: AgentsOptions;
  readonly #agents = new Map<string, Agent>();
  /** The agent that a node's name stands for now: one that has lost its memory comes back with another id. */
  readonly #nodes = new Map<NodeId, string>();
  readonly #told = new Map<NodeId, string>();

  constructor(options: AgentsOptions) {
    this.#options = options;
  }

  find = (agentId: string): Agent | undefined => this.#agents.get(agentId);

  all = (): readonly Agent[] => [...this.#agents.values()];

  ofNode(node: NodeId): Agent | undefined {
    const id = this.#nodes.get(node);
    return id === undefined ? undefined : this.#agents.get(id);
  }

  /** Whether an agent may be used at all. */
  isWanted = (attributes: Attributes): boolean =>
    Object.entries(this.#options.constraints).every(([name, values]) =>
      values.includes(attributes.get(name) ?? ''),
    );

  /** All that the master knows; what is missing may only not have come back to a new master yet. */
  learn(agents: readonly MesosAgent[]): void {
    const { roles } = this.#options;
    const listed = new Set(agents.map(({ id }) => id));
    for (const { total, isActive, why, ...agent } of agents) {
      const ours = total.filter((resource) => isForRole(resource, roles));
      this.#meet({
        ...agent,
        total: capacityOf(ours),
        ...(!isActive && { why: why ?? 'not active' }),
      });
    }
    for (const { id } of this.all()) if (!listed.has(id)) this.lost(id);
  }

  /** Where the master tells nothing about agents: what is offered is the least that there is. */
  meet({ agentId, host, port, attributes, resources }: MesosOffer): void {
    if (this.#agents.has(agentId)) return;
    this.#meet({ id: agentId, host, port, attributes, total: capacityOf(resources) });
  }

  /** When an agent's machine is taken away; not at all where absent. */
  plan(agentId: string, unavailability: Unavailability | undefined): void {
    const agent = this.#agents.get(agentId);
    if (!agent || isSame(agent.unavailability, unavailability)) return;
    const { unavailability: _, ...rest } = agent;
    this.#set({ ...rest, ...(unavailability && { unavailability }) });
  }

  /** What ran there may run on; it is waited for. */
  lost(agentId: string): void {
    const agent = this.#agents.get(agentId);
    if (!agent || agent.lostAt !== undefined) return;
    this.#options.logger.warn({ node: agent.node }, 'an agent is out of reach');
    this.#set({ ...agent, lostAt: this.#options.now() });
  }

  /** It has been heard of again. */
  back(agentId: string): void {
    const agent = this.#agents.get(agentId);
    if (!agent || agent.lostAt === undefined) return;
    const { lostAt: _, ...rest } = agent;
    this.#set(rest);
  }

  /** What time brings: maintenance comes near, an agent stays away for too long. */
  tick(): void {
    const { now, unreachable, isBusy } = this.#options;
    for (const agent of this.all()) {
      const { id, lostAt = Infinity } = agent;
      const isLost = lostAt < Infinity && (now() - lostAt > unreachable || !isBusy(id));
      if (isLost) this.#gone(agent);
      else this.#tell(agent);
    }
  }

  /** Why nothing may start on an agent now. */
  away({ why, lostAt, unavailability }: Agent): string | undefined {
    const { now, maintenanceLead } = this.#options;
    if (lostAt !== undefined) return `out of reach since ${timeText(lostAt)}`;
    if (why !== undefined) return `Mesos says: ${why}`;
    if (!unavailability || unavailability.start - now() > maintenanceLead) return undefined;
    const { start, durationMs = Infinity } = unavailability;
    if (start + durationMs < now()) return undefined;
    return `maintenance from ${timeText(start)}`;
  }

  /** Everything is told anew to the next who listens. */
  forget(): void {
    this.#agents.clear();
    this.#nodes.clear();
    this.#told.clear();
  }

  /** Takes all nodes away. */
  leave(): void {
    for (const agent of this.all()) this.#gone(agent);
  }

  #meet(agent: Omit<Agent, 'node' | 'unavailability' | 'lostAt'>): void {
    if (!this.isWanted(agent.attributes)) return;
    const { agentPort } = this.#options;
    const node = agent.port === agentPort ? agent.host : `${agent.host}:${agent.port}`;
    const unavailability = this.#agents.get(agent.id)?.unavailability;
    this.#set({ ...agent, node, ...(unavailability && { unavailability }) });
  }

  #set(agent: Agent): void {
    this.#agents.set(agent.id, agent);
    const current = this.ofNode(agent.node);
    // One that has come back with a new id: the old one will never be heard of again.
    if (current && current.id !== agent.id && agent.lostAt === undefined) {
      this.#agents.delete(current.id);
      this.#told.delete(agent.node);
    }
    if (!current || agent.lostAt === undefined) this.#nodes.set(agent.node, agent.id);
    this.#tell(agent);
  }

  #tell(agent: Agent): void {
    const { engine, attributes, hasImages, emit } = this.#options;
    if (this.#nodes.get(agent.node) !== agent.id) return;
    const rack = agent.attributes.get(attributes.rack);
    const pool = agent.attributes.get(attributes.pool);
    const away = this.away(agent);
    const event = {
      type: 'nodeUp',
      engine,
      node: agent.node,
      resources: agent.total,
      ...(rack !== undefined && { rack }),
      ...(pool !== undefined && { pool }),
      ...(away !== undefined && { away }),
      ...(hasImages && { hasImages }),
    } as const;
    const text = JSON.stringify(event);
    if (this.#told.get(agent.node) === text) return;
    this.#told.set(agent.node, text);
    void emit(event);
  }

  #gone({ id, node }: Agent): void {
    this.#agents.delete(id);
    if (this.#nodes.get(node) !== id) return;
    this.#nodes.delete(node);
    this.#told.delete(node);
    void this.#options.emit({ type: 'nodeDown', engine: this.#options.engine, node });
  }
}

/** What JavaScript has for a time: a master can say any. */
const LATEST = 8.64e15;

export const timeText = (at: Millis): string =>
  new Date(Math.min(Math.max(at, -LATEST), LATEST)).toISOString();

const isSame = (a: Unavailability | undefined, b: Unavailability | undefined): boolean =>
  a?.start === b?.start && a?.durationMs === b?.durationMs;
