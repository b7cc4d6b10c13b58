import type { InverseOffer, MasterTask, Offer } from './framework.ts';
import type { Resources } from './resources.ts';
import type { FrameworkInfo, Status, TaskInfo } from './statuses.ts';

/** What an agent tells when it registers. */
export interface Registration {
  readonly frameworks: readonly FrameworkInfo[];
  readonly tasks: readonly {
    readonly frameworkId: string;
    readonly info: TaskInfo;
    readonly status: Status;
  }[];
}

/** An agent's process, as far as the master talks to it. */
export interface AgentLink {
  readonly host: string;
  readonly port: number;
  readonly total: Resources;
  readonly attributes: readonly object[];
  launch(framework: FrameworkInfo, task: TaskInfo): void;
  killTask(frameworkId: string, taskId: string, graceMs?: number): void;
  acknowledge(frameworkId: string, taskId: string, uuid: string): void;
  /** Sends unacknowledged updates again, of one framework or all. */
  resendUpdates(frameworkId?: string): void;
  shutdownFramework(frameworkId: string): void;
  drain(graceMs: number | undefined): void;
  /** It ends itself with all executors. */
  shutdown(): void;
}

export interface Unavailability {
  readonly start: { readonly nanoseconds: number };
  readonly duration?: { readonly nanoseconds: number };
}

export interface Drain {
  readonly graceMs: number | undefined;
  readonly markGone: boolean;
  readonly since: number;
}

/** An agent as the master knows it. */
export class AgentEntry {
  readonly id: string;
  readonly link: AgentLink;
  readonly registeredAt = Date.now();
  reregisteredAt: number | undefined;
  total: Resources;
  free: Resources;
  isConnected = true;
  isDeactivated = false;
  drain: Drain | undefined;
  unavailability: Unavailability | undefined;
  /** Runs while it is disconnected, until it is unreachable. */
  silence: NodeJS.Timeout | undefined;
  readonly offers = new Set<Offer>();
  readonly inverseOffers = new Set<InverseOffer>();
  readonly tasks = new Set<MasterTask>();
  /** The parts of an offer's JSON before and after its resources. */
  readonly #url: string;
  readonly #attributes: string;

  constructor(id: string, link: AgentLink) {
    this.id = id;
    this.link = link;
    this.total = link.total;
    this.free = link.total;
    this.#url = JSON.stringify(this.url);
    this.#attributes = link.attributes.length
      ? `,"attributes":${JSON.stringify(link.attributes)}`
      : '';
  }

  get isActive(): boolean {
    return this.isConnected && !this.isDeactivated;
  }

  get url(): object {
    const { host, port } = this.link;
    return {
      scheme: 'http',
      address: { hostname: host, ip: ipOf(host), port },
      path: '/slave(1)',
    };
  }

  /** An offer as JSON text; thousands are made in a second. */
  offerJson(id: string, frameworkId: string, resources: string, role: string): string {
    const unavailability = this.unavailability
      ? `,"unavailability":${JSON.stringify(this.unavailability)}`
      : '';
    return (
      `{"id":{"value":"${id}"},"framework_id":{"value":"${frameworkId}"},` +
      `"agent_id":{"value":"${this.id}"},"hostname":${JSON.stringify(this.link.host)},` +
      `"url":${this.#url},"resources":${resources}${this.#attributes}` +
      `,"allocation_info":{"role":${JSON.stringify(role)}}${unavailability}}`
    );
  }
}

/** Where an agent of that name really listens. */
export const ipOf = (host: string): string =>
  /^127\.\d+\.\d+\.\d+$/.test(host) ? host : '127.0.0.1';
