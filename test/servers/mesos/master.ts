import { randomUUID } from 'node:crypto';

import { Shares, allocate } from './allocator.ts';
import type { Framework, MasterTask, Offer } from './framework.ts';
import type { AgentEntry, Unavailability } from './registry.ts';
import { isNothing, minus, plus, toJson, toUnrefinedJson } from './resources.ts';
import type { Resources } from './resources.ts';
import { can } from './statuses.ts';
import type { ClusterOptions } from './types.ts';

export interface MasterSettings {
  /** Where the leading master listens; the same over its restarts. */
  readonly address: { readonly host: string; readonly port: number };
  readonly allocationIntervalMs: number;
  readonly heartbeatSeconds: number;
  readonly agentPingMs: number;
  readonly timeScale: number;
  readonly offerTimeoutMs: number | undefined;
  readonly credentials: NonNullable<ClusterOptions['credentials']>;
  readonly allowedRoles: readonly string[] | undefined;
  readonly allowedUsers: readonly string[] | undefined;
}

/** What the registry keeps over a restart of the master. */
export interface Remembered {
  readonly admitted: ReadonlySet<string>;
  readonly unreachable: ReadonlyMap<string, number>;
  readonly gone: ReadonlySet<string>;
  readonly agents: number;
}

/** The state of one run of the leading master, and what its parts do to offers and resources. */
export class Master {
  readonly id = randomUUID();
  readonly startedAt = Date.now();
  readonly settings: MasterSettings;
  readonly entries = new Map<string, AgentEntry>();
  /** Registered before a restart of the master and not back yet. */
  readonly recovering: Set<string>;
  /** By agent id, since when (ms). */
  readonly unreachable: Map<string, number>;
  readonly gone: Set<string>;
  readonly frameworks = new Map<string, Framework>();
  readonly completed = new Map<string, Framework>();
  readonly completedTasks: MasterTask[] = [];
  readonly offers = new Map<string, Offer>();
  readonly shares = new Shares();
  /** By machine (`host|ip`). */
  readonly maintenance = new Map<string, Unavailability>();
  isPaused = false;
  /** It has died: what its connections do no longer matters. */
  isStopped = false;
  #frameworkCount = 0;
  #agentCount: number;
  #offerCount = 0;
  #isAsked = false;
  readonly #timer: NodeJS.Timeout;

  constructor(settings: MasterSettings, remembered?: Remembered) {
    this.settings = settings;
    this.recovering = new Set(remembered?.admitted);
    this.unreachable = new Map(remembered?.unreachable);
    this.gone = new Set(remembered?.gone);
    this.#agentCount = remembered?.agents ?? 0;
    this.#timer = setInterval(() => this.#batch(), settings.allocationIntervalMs);
  }

  get remembered(): Remembered {
    return {
      admitted: new Set([...this.entries.keys(), ...this.recovering]),
      unreachable: this.unreachable,
      gone: this.gone,
      agents: this.#agentCount,
    };
  }

  /** Ends all that runs by time; streams and agents are the caller's affair. */
  stop(): void {
    this.isStopped = true;
    clearInterval(this.#timer);
    for (const { silence } of this.entries.values()) clearTimeout(silence);
    for (const { heartbeat, failover } of this.frameworks.values()) {
      clearInterval(heartbeat);
      clearTimeout(failover);
    }
  }

  newFrameworkId(): string {
    return `${this.id}-${String(this.#frameworkCount++).padStart(4, '0')}`;
  }

  newAgentId(): string {
    return `${this.id}-S${this.#agentCount++}`;
  }

  newOfferId(): string {
    return `${this.id}-O${this.#offerCount++}`;
  }

  /** Asks for an allocation in this turn, as a new framework, a new agent and REVIVE do. */
  allocateSoon(): void {
    if (this.#isAsked) return;
    this.#isAsked = true;
    queueMicrotask(() => {
      this.#isAsked = false;
      this.allocate();
    });
  }

  allocate(): void {
    allocate(this, Date.now());
    if (this.maintenance.size > 0) this.#offerInversely();
  }

  makeOffer(framework: Framework, agent: AgentEntry, role: string, resources: Resources): string {
    const id = this.newOfferId();
    const offer: Offer = { id, framework, agent, role, resources, since: Date.now() };
    this.offers.set(id, offer);
    framework.offers.set(id, offer);
    agent.offers.add(offer);
    this.take(framework, agent, role, resources);
    const format = can(framework.info, 'RESERVATION_REFINEMENT') ? toJson : toUnrefinedJson;
    const list = JSON.stringify(format(resources, role));
    return agent.offerJson(id, framework.id, list, role);
  }

  take(framework: Framework, agent: AgentEntry, role: string, resources: Resources): void {
    agent.free = minus(agent.free, resources);
    this.shares.held(framework.id, role, resources, 1);
  }

  /** Gives resources back; they are offered again at the next allocation. */
  recover(framework: Framework, agent: AgentEntry, role: string, resources: Resources): void {
    if (isNothing(resources)) return;
    agent.free = plus(agent.free, resources);
    this.shares.held(framework.id, role, resources, -1);
  }

  /** The offer is no longer valid; what it held is the caller's to recover. */
  removeOffer(offer: Offer): void {
    this.offers.delete(offer.id);
    offer.framework.offers.delete(offer.id);
    offer.agent.offers.delete(offer);
  }

  dropOffer(offer: Offer, isTold: boolean): void {
    this.removeOffer(offer);
    this.recover(offer.framework, offer.agent, offer.role, offer.resources);
    if (isTold) {
      offer.framework.send({ type: 'RESCIND', rescind: { offer_id: { value: offer.id } } });
    }
  }

  /** A factor for what frameworks and operators name in seconds, ms. */
  scaled(seconds: number): number {
    return seconds * 1000 * this.settings.timeScale;
  }

  #batch(): void {
    const { offerTimeoutMs } = this.settings;
    if (offerTimeoutMs !== undefined) {
      const limit = Date.now() - offerTimeoutMs;
      for (const offer of this.offers.values()) {
        if (offer.since <= limit) this.dropOffer(offer, true);
      }
    }
    this.allocate();
  }

  /** One inverse offer to each framework that holds something of an agent in maintenance, unless it declined one. */
  #offerInversely(): void {
    const now = Date.now();
    for (const agent of this.entries.values()) {
      if (!agent.unavailability || !agent.isConnected) continue;
      const holders = new Set([...agent.offers].map(({ framework }) => framework));
      for (const { framework } of agent.tasks) holders.add(framework);
      for (const framework of holders) {
        const isOut = [...agent.inverseOffers].some((inverse) => inverse.framework === framework);
        if (isOut || (framework.inverseAnswers.get(agent.id)?.until ?? 0) > now) continue;
        this.#makeInverseOffer(framework, agent);
      }
    }
  }

  #makeInverseOffer(framework: Framework, agent: AgentEntry): void {
    const inverse = { id: this.newOfferId(), framework, agent };
    framework.inverseOffers.set(inverse.id, inverse);
    agent.inverseOffers.add(inverse);
    const offer = {
      id: { value: inverse.id },
      url: agent.url,
      framework_id: { value: framework.id },
      agent_id: { value: agent.id },
      unavailability: agent.unavailability,
    };
    framework.send({ type: 'INVERSE_OFFERS', inverse_offers: { inverse_offers: [offer] } });
  }
}
