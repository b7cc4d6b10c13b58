import { randomBytes } from 'node:crypto';

/** `TaskStatus` of mesos.proto. */
export interface Status {
  readonly task_id: { readonly value: string };
  readonly state: string;
  readonly message?: string | undefined;
  readonly source: string;
  readonly reason?: string | undefined;
  readonly agent_id?: { readonly value: string } | undefined;
  readonly executor_id?: { readonly value: string };
  /** Seconds. */
  readonly timestamp: number;
  /** Base64 of 16 bytes; without it nothing is to be acknowledged. */
  readonly uuid?: string;
  readonly healthy?: boolean | undefined;
  readonly container_status?: object | undefined;
  readonly check_status?: object | undefined;
  readonly unreachable_time?: { readonly nanoseconds: number } | undefined;
}

export interface TaskInfo {
  readonly name: string;
  readonly task_id: { readonly value: string };
  readonly agent_id: { readonly value: string };
  // oxlint-disable-next-line typescript/no-explicit-any -- the rest of mesos.proto's TaskInfo
  readonly [field: string]: any;
}

export interface FrameworkInfo {
  readonly id?: { readonly value: string };
  readonly user: string;
  readonly name: string;
  readonly principal?: string;
  readonly role?: string;
  readonly roles?: readonly string[];
  /** Seconds. */
  readonly failover_timeout?: number;
  readonly checkpoint?: boolean;
  readonly capabilities?: readonly { readonly type: string }[];
  readonly [field: string]: unknown;
}

const TERMINAL = new Set([
  'TASK_FINISHED',
  'TASK_FAILED',
  'TASK_KILLED',
  'TASK_ERROR',
  'TASK_LOST',
  'TASK_DROPPED',
  'TASK_GONE',
  'TASK_GONE_BY_OPERATOR',
]);

export const isTerminal = (state: string): boolean => TERMINAL.has(state);

export const can = (info: FrameworkInfo, capability: string): boolean =>
  info.capabilities?.some(({ type }) => type === capability) ?? false;

export const rolesOf = (info: FrameworkInfo): readonly string[] =>
  can(info, 'MULTI_ROLE') ? (info.roles ?? []) : [info.role ?? '*'];

const uuid = randomBytes(16);
let uuids = 0;
/** Base64 of 16 bytes that are different each time; cheaper than a random one. */
export function newUuid(): string {
  uuid.writeUInt32LE(++uuids, 0);
  return uuid.toString('base64');
}

export const nanoseconds = (millis: number): { readonly nanoseconds: number } => ({
  nanoseconds: Math.round(millis * 1e6),
});

/** Of a duration in nanoseconds, as protobuf's `DurationInfo`. */
export const millisOf = (duration: { readonly nanoseconds?: number } | undefined): number =>
  (duration?.nanoseconds ?? 0) / 1e6;

/** A status that the master makes itself: without uuid and executor. */
export const masterStatus = (
  taskId: string,
  agentId: string | undefined,
  fields: Partial<Status> & { readonly state: string },
): Status => ({
  task_id: { value: taskId },
  source: 'SOURCE_MASTER',
  ...(agentId !== undefined && { agent_id: { value: agentId } }),
  timestamp: Date.now() / 1000,
  ...fields,
});

export const updateEvent = (status: Status): object => ({ type: 'UPDATE', update: { status } });
