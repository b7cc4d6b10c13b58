/**
 * What of Mesos's v1 HTTP API is used, in its words but without its nesting (`{ value: … }`, lists in lists).
 * Source: `include/mesos/v1/scheduler/scheduler.proto`, `mesos.proto` and `master.proto` of Apache Mesos 1.11.
 */
import type { Millis } from '../../core/model.ts';

/** As the master gave it, because it has to be given back just so. Scalars have at most three decimals. */
export interface MesosResource {
  readonly name: string;
  readonly type: string;
  readonly scalar?: { readonly value: number };
  readonly ranges?: {
    readonly range: readonly { readonly begin: number; readonly end: number }[];
  };
  readonly allocation_info?: { readonly role?: string };
  /** Each refines the one before it. Without any, the resource is anybody's. */
  readonly reservations?: readonly { readonly role?: string }[];
  /** The same in the older format, which only the operator API adds; `*` is anybody. */
  readonly role?: string;
  /** Can be taken away at any time. */
  readonly revocable?: unknown;
  /** A volume or a disk of its own, if it has a source or persistence. */
  readonly disk?: unknown;
  /** Belongs to a resource provider, not to the agent. */
  readonly provider_id?: unknown;
  /** Used by several tasks at once. */
  readonly shared?: unknown;
}

/** When a machine is not there; without a duration for good. */
export interface Unavailability {
  readonly start: Millis;
  readonly durationMs?: number;
}

export type Attributes = ReadonlyMap<string, string>;

export interface MesosOffer {
  readonly id: string;
  readonly agentId: string;
  readonly host: string;
  /** Of the agent's own API. */
  readonly port: number;
  /** To which it is allocated. */
  readonly role: string;
  readonly resources: readonly MesosResource[];
  readonly attributes: Attributes;
  readonly unavailability?: Unavailability;
}

export interface InverseOffer {
  readonly id: string;
  /** Absent where it is about all of the framework's agents. */
  readonly agentId?: string;
  readonly unavailability: Unavailability;
}

/** An offer that makes no sense. With an id it is held by us all the same, until it is declined. */
export interface BadOffer {
  readonly id?: string;
  /** E.g. `its cpus are -1`. */
  readonly why: string;
}

/** A task's status; `uuid` (base64) is there where it has to be acknowledged. */
export interface TaskStatus {
  readonly taskId: string;
  readonly agentId?: string;
  /** E.g. `TASK_RUNNING`; one that is not known yet may come. */
  readonly state: string;
  /** E.g. `SOURCE_EXECUTOR`. */
  readonly source?: string;
  /** E.g. `REASON_RECONCILIATION`. */
  readonly reason?: string;
  readonly message?: string;
  readonly uuid?: string;
}

export type MasterEvent =
  | {
      readonly type: 'subscribed';
      readonly frameworkId: string;
      /** 15 where the master does not say. */
      readonly heartbeatSeconds: number;
      readonly masterVersion?: string;
    }
  | { readonly type: 'heartbeat' }
  | {
      readonly type: 'offers';
      readonly offers: readonly MesosOffer[];
      /** None where absent. */
      readonly bad?: readonly BadOffer[];
    }
  | { readonly type: 'rescind'; readonly offerId: string }
  | {
      readonly type: 'inverseOffers';
      readonly offers: readonly InverseOffer[];
      readonly bad?: readonly BadOffer[];
    }
  | { readonly type: 'rescindInverse'; readonly offerId: string }
  | { readonly type: 'update'; readonly status: TaskStatus }
  /** An agent is gone, or with an executor's id only that. */
  | { readonly type: 'failure'; readonly agentId?: string; readonly executorId?: string }
  /** The master ends the subscription after it. */
  | { readonly type: 'error'; readonly message: string }
  /** Not known, or of no interest. */
  | { readonly type: 'other'; readonly name: string };

/** An agent as the master's operator API knows it (GET_AGENTS). */
export interface MesosAgent {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly attributes: Attributes;
  readonly total: readonly MesosResource[];
  /** Connected and not being drained or deactivated. */
  readonly isActive: boolean;
  /** In words, where it is not active: `draining`, `drained`, `deactivated`, `disconnected`. */
  readonly why?: string;
}

/** A call of the scheduler API without the framework's id, which the connection adds. */
export interface Call {
  readonly type: string;
  readonly [field: string]: unknown;
}
