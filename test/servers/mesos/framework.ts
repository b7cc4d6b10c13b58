import { contains } from './resources.ts';
import type { Resources } from './resources.ts';
import { masterStatus, rolesOf, updateEvent } from './statuses.ts';
import type { FrameworkInfo, Status, TaskInfo } from './statuses.ts';
import type { AgentEntry } from './registry.ts';
import type { RecordStream } from './wire.ts';

/** A task as the master knows it: from its launch until its terminal state is acknowledged. */
export interface MasterTask {
  readonly framework: Framework;
  readonly id: string;
  readonly info: TaskInfo;
  readonly agentId: string;
  readonly role: string;
  readonly resources: Resources;
  state: string;
  statuses: Status[];
  /** Whether its resources are free again. */
  isRecovered: boolean;
  /** Since when its agent is unreachable, ms. */
  unreachableSince?: number;
}

export interface Offer {
  readonly id: string;
  readonly framework: Framework;
  readonly agent: AgentEntry;
  readonly role: string;
  readonly resources: Resources;
  readonly since: number;
}

export interface InverseOffer {
  readonly id: string;
  readonly framework: Framework;
  readonly agent: AgentEntry;
}

interface Filter {
  readonly resources: Resources;
  /** ms. */
  readonly until: number;
}

/** A framework that the master knows. */
export class Framework {
  readonly id: string;
  info: FrameworkInfo;
  stream: RecordStream | undefined;
  heartbeat: NodeJS.Timeout | undefined;
  failover: NodeJS.Timeout | undefined;
  readonly registeredAt = Date.now();
  reregisteredAt = Date.now();
  unregisteredAt: number | undefined;
  /** Known from agents only, after a restart of the master. */
  isRecovered = false;
  readonly suppressed = new Set<string>();
  readonly offers = new Map<string, Offer>();
  readonly inverseOffers = new Map<string, InverseOffer>();
  /** By agent id: until when inverse offers are declined, and what was said last. */
  readonly inverseAnswers = new Map<string, { status: string; at: number; until: number }>();
  readonly tasks = new Map<string, MasterTask>();
  /** Tasks of unreachable agents and of agents marked gone, with the state that reconciliation tells. */
  readonly away = new Map<string, MasterTask>();
  #filters = new Map<string, Filter[]>();

  constructor(id: string, info: FrameworkInfo) {
    this.id = id;
    this.info = info;
  }

  get isConnected(): boolean {
    return this.stream !== undefined;
  }

  wantsRole(role: string): boolean {
    return !this.suppressed.has(role) && rolesOf(this.info).includes(role);
  }

  send(event: object): void {
    this.stream?.event(event);
  }

  update(status: Status): void {
    this.send(updateEvent(status));
  }

  tell(taskId: string, agentId: string | undefined, fields: Partial<Status> & { state: string }) {
    this.update(masterStatus(taskId, agentId, fields));
  }

  refuse(role: string, agentId: string, resources: Resources, until: number): void {
    const key = `${role}|${agentId}`;
    this.#filters.set(key, [...(this.#filters.get(key) ?? []), { resources, until }]);
  }

  refuses(role: string, agentId: string, resources: Resources, now: number): boolean {
    if (this.#filters.size === 0) return false;
    const key = `${role}|${agentId}`;
    const had = this.#filters.get(key);
    if (!had) return false;
    const left = had.filter(({ until }) => until > now);
    if (left.length === 0) this.#filters.delete(key);
    else if (left.length < had.length) this.#filters.set(key, left);
    return left.some((filter) => contains(filter.resources, resources));
  }

  clearFilters(roles: readonly string[]): void {
    for (const key of this.#filters.keys()) {
      if (roles.includes(key.slice(0, key.lastIndexOf('|')))) this.#filters.delete(key);
    }
  }
}
