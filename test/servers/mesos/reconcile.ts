import type { Framework } from './framework.ts';
import type { Master } from './master.ts';
import { can, isTerminal, nanoseconds } from './statuses.ts';

interface Asked {
  readonly task_id: { readonly value: string };
  readonly agent_id?: { readonly value: string };
}

/** Implicit without tasks: all that are not terminal. */
export function reconcile(master: Master, framework: Framework, tasks: readonly Asked[]): void {
  if (tasks.length > 0) {
    for (const { task_id: id, agent_id: agent } of tasks) {
      reconcileTask(master, framework, id.value, agent?.value);
    }
    return;
  }
  for (const task of framework.tasks.values()) {
    if (!isTerminal(task.state)) tellLatest(framework, task.id);
  }
  for (const task of framework.away.values()) {
    if (task.unreachableSince !== undefined) tellUnreachable(framework, task.id);
  }
}

/**
 * The rules of `Master::reconcileTasks`: nothing at all is said while the agent may still come back after a restart of
 * the master, nor about a task without agent while any of them may (10).
 */
export function reconcileTask(
  master: Master,
  framework: Framework,
  taskId: string,
  agentId: string | undefined,
): void {
  if (framework.tasks.has(taskId)) return tellLatest(framework, taskId);
  if (agentId === undefined ? master.recovering.size > 0 : master.recovering.has(agentId)) return;
  const isAware = can(framework.info, 'PARTITION_AWARE');
  const tell = (state: string, message: string) =>
    framework.tell(taskId, agentId, {
      state: isAware ? state : 'TASK_LOST',
      message: `Reconciliation: ${message}`,
      reason: 'REASON_RECONCILIATION',
    });
  const away = framework.away.get(taskId);
  if (away?.unreachableSince !== undefined) return tellUnreachable(framework, taskId);
  if (agentId === undefined) return tell('TASK_UNKNOWN', 'Task is unknown');
  if (master.entries.has(agentId)) return tell('TASK_GONE', 'Task is unknown to the agent');
  if (master.gone.has(agentId)) return tell('TASK_GONE_BY_OPERATOR', 'Task is gone');
  if (master.unreachable.has(agentId)) return tell('TASK_UNREACHABLE', 'Task is unreachable');
  return tell('TASK_UNKNOWN', 'Task is unknown');
}

function tellLatest(framework: Framework, taskId: string): void {
  const task = framework.tasks.get(taskId)!;
  const latest = task.statuses.at(-1);
  framework.tell(taskId, task.agentId, {
    state: task.state,
    message: 'Reconciliation: Latest task state',
    reason: 'REASON_RECONCILIATION',
    healthy: latest?.healthy,
    container_status: latest?.container_status,
  });
}

function tellUnreachable(framework: Framework, taskId: string): void {
  const task = framework.away.get(taskId)!;
  framework.tell(taskId, task.agentId, {
    state: can(framework.info, 'PARTITION_AWARE') ? 'TASK_UNREACHABLE' : 'TASK_LOST',
    message: 'Reconciliation: Task is unreachable',
    reason: 'REASON_RECONCILIATION',
    unreachable_time: nanoseconds(task.unreachableSince!),
  });
}
