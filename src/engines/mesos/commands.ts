/**
 * Calls of the v1 scheduler API (`Call` in scheduler.proto). A 202 says only that a call was well-formed, not that it
 * did anything (recorded from a 1.12 master).
 */
import type { Call, TaskStatus } from './protocol.ts';

/**
 * What we can do with (`FrameworkInfo.Capability` in mesos.proto): without them the master gives reserved resources in
 * another format, no offers of machines with GPUs, TASK_LOST for what is only out of reach, and no word of a kill that
 * takes its time.
 */
const CAPABILITIES: readonly string[] = [
  'MULTI_ROLE',
  'PARTITION_AWARE',
  'RESERVATION_REFINEMENT',
  'TASK_KILLING_STATE',
  'GPU_RESOURCES',
];

export interface SubscribeOptions {
  readonly name: string;
  /** The Unix user that tasks run as. It cannot be changed while the framework lives. */
  readonly user: string;
  readonly roles: readonly string[];
  /** As in the credentials, where there are any. */
  readonly principal?: string;
  /** After so long without a subscription the master ends all tasks and forgets the framework. */
  readonly failoverTimeoutSeconds: number;
  /** As the master's own console shows them. */
  readonly hostname?: string;
  readonly webuiUrl?: string;
  /** All that we can do with by default. */
  readonly capabilities?: readonly string[];
  /** Of which no offers are wanted for now. */
  readonly suppressedRoles?: readonly string[];
  /** Given by the master at the first subscription; with it, the framework goes on. */
  readonly frameworkId?: string;
}

/** Checkpointing always: what runs outlives a restart of its agent. */
export function subscribe(options: SubscribeOptions): Call {
  const { name, user, roles, principal, failoverTimeoutSeconds, hostname, webuiUrl } = options;
  const { capabilities = CAPABILITIES, suppressedRoles = [], frameworkId } = options;
  const id = frameworkId === undefined ? undefined : { value: frameworkId };
  return {
    type: 'SUBSCRIBE',
    ...(id && { framework_id: id }),
    subscribe: {
      framework_info: {
        user,
        name,
        ...(principal !== undefined && { principal }),
        roles,
        failover_timeout: failoverTimeoutSeconds,
        checkpoint: true,
        ...(hostname !== undefined && { hostname }),
        ...(webuiUrl !== undefined && { webui_url: webuiUrl }),
        capabilities: capabilities.map((type) => ({ type })),
        // In both places (recorded).
        ...(id && { id }),
      },
      ...(suppressedRoles.length > 0 && { suppressed_roles: suppressedRoles }),
    },
  };
}

/**
 * Starts tasks with offers of one agent and one role; others are refused, and their tasks dropped. Without tasks it
 * declines.
 *
 * @param taskInfos as `TaskInfo` in mesos.proto
 * @param refuseSeconds for which what is left over is not offered to us again
 */
export const accept = (
  offerIds: readonly string[],
  taskInfos: readonly object[],
  refuseSeconds: number,
): Call => ({
  type: 'ACCEPT',
  accept: {
    offer_ids: offerIds.map(wrapped),
    operations:
      taskInfos.length === 0 ? [] : [{ type: 'LAUNCH', launch: { task_infos: taskInfos } }],
    filters: { refuse_seconds: refuseSeconds },
  },
});

/** @param refuseSeconds for which the same is not offered to us again; of a negative number Mesos makes 5 */
export const decline = (offerIds: readonly string[], refuseSeconds: number): Call => ({
  type: 'DECLINE',
  decline: { offer_ids: offerIds.map(wrapped), filters: { refuse_seconds: refuseSeconds } },
});

/** Wants offers again and clears the filters of roles: of all our roles where none is named. */
export const revive = (roles: readonly string[]): Call => ({
  type: 'REVIVE',
  ...(roles.length > 0 && { revive: { roles } }),
});

/** Wants no more offers for roles: for all our roles where none is named. */
export const suppress = (roles: readonly string[]): Call => ({
  type: 'SUPPRESS',
  ...(roles.length > 0 && { suppress: { roles } }),
});

/**
 * Of a task that the master does not know, it answers as to `reconcile`.
 *
 * @param graceSeconds between TERM and KILL; as the task or its agent says where absent
 */
export const kill = (taskId: string, agentId?: string, graceSeconds?: number): Call => ({
  type: 'KILL',
  kill: {
    task_id: wrapped(taskId),
    ...(agentId !== undefined && { agent_id: wrapped(agentId) }),
    ...(graceSeconds !== undefined && {
      kill_policy: { grace_period: { nanoseconds: Math.round(graceSeconds * 1e9) } },
    }),
  },
});

/** Only of a status with a uuid, and only once what it means is stored. */
export const acknowledge = ({ taskId, agentId, uuid }: TaskStatus): Call => ({
  type: 'ACKNOWLEDGE',
  acknowledge: {
    ...(agentId !== undefined && { agent_id: wrapped(agentId) }),
    task_id: wrapped(taskId),
    uuid,
  },
});

/**
 * Asks for the state of these tasks, or of all that have not ended where none is named. Until all agents are back after
 * a master's restart, no answer may come (recorded).
 */
export const reconcile = (
  tasks: readonly { readonly taskId: string; readonly agentId?: string }[],
): Call => ({
  type: 'RECONCILE',
  reconcile: {
    tasks: tasks.map(({ taskId, agentId }) => ({
      task_id: wrapped(taskId),
      ...(agentId !== undefined && { agent_id: wrapped(agentId) }),
    })),
  },
});

/** The machine will have been left in time. */
export const acceptInverse = (offerIds: readonly string[]): Call => ({
  type: 'ACCEPT_INVERSE_OFFERS',
  accept_inverse_offers: { inverse_offer_ids: offerIds.map(wrapped) },
});

/** The machine may not have been left in time; it is taken away all the same. */
export const declineInverse = (offerIds: readonly string[], refuseSeconds?: number): Call => ({
  type: 'DECLINE_INVERSE_OFFERS',
  decline_inverse_offers: {
    inverse_offer_ids: offerIds.map(wrapped),
    ...(refuseSeconds !== undefined && { filters: { refuse_seconds: refuseSeconds } }),
  },
});

/** Ends all tasks and the framework's life. */
export const teardown = (): Call => ({ type: 'TEARDOWN' });

/** Mesos wraps its ids. */
const wrapped = (value: string) => ({ value });
