import { execFile } from 'node:child_process';

import type { Execution } from './execution.ts';

interface Check {
  readonly type: string;
  readonly interval_seconds?: number;
  readonly delay_seconds?: number;
  readonly timeout_seconds?: number;
  readonly grace_period_seconds?: number;
  readonly consecutive_failures?: number;
  readonly command?: { readonly value?: string; readonly command?: { readonly value: string } };
}

export interface Health {
  readonly checkStatus: object | undefined;
  start(): void;
  stop(): void;
}

interface Watch {
  readonly execution: Execution;
  readonly environment: Record<string, string>;
  readonly timeScale: number;
  /** After so many failures of the health check that the task has to end. */
  readonly onFailure: () => void;
}

/** Command checks and health checks, as recorded: a failed one is told each time, a good one when that is news. */
export function watchHealth({ execution, environment, timeScale, onFailure }: Watch): Health {
  const health = execution.info['health_check'] as Check | undefined;
  const check = execution.info['check'] as Check | undefined;
  const timers = new Set<NodeJS.Timeout>();
  let healthy: boolean | undefined;
  let exitCode: number | undefined;
  let failures = 0;
  let startedAt = 0;
  let isStopped = false;
  const checkStatus = () =>
    check && { type: 'COMMAND', command: exitCode === undefined ? {} : { exit_code: exitCode } };

  const after = (seconds: number, then: () => void) => {
    const timer = setTimeout(
      () => {
        timers.delete(timer);
        then();
      },
      seconds * 1000 * timeScale,
    );
    timers.add(timer);
  };
  const repeat = (one: Check, command: string, tell: (code: number) => void) => {
    const options = { cwd: execution.sandbox, env: environment };
    execFile('/bin/sh', ['-c', command], options, (error) => {
      if (isStopped || execution.isTerminal || execution.isDestroyed) return;
      tell(error ? Number(error.code ?? 1) : 0);
      startHealth();
      after(one.interval_seconds ?? 10, () => repeat(one, command, tell));
    });
  };
  let hasHealth = false;
  /** After the first check, so that they are told in the recorded order (22). */
  const startHealth = () => {
    const line = health?.command?.value;
    if (!health || !line || hasHealth) return;
    hasHealth = true;
    after(health.delay_seconds ?? 15, () => repeat(health, line, tellHealth));
  };
  const tellHealth = (code: number) => {
    const wasHealthy = healthy;
    const grace = (health?.grace_period_seconds ?? 10) * 1000 * timeScale;
    if (code !== 0 && wasHealthy === undefined && Date.now() - startedAt < grace) return;
    healthy = code === 0;
    failures = healthy ? 0 : failures + 1;
    if (healthy && wasHealthy) return;
    const reason = 'REASON_TASK_HEALTH_CHECK_STATUS_UPDATED';
    execution.report({ state: 'TASK_RUNNING', reason, healthy, check_status: checkStatus() });
    if (failures >= (health?.consecutive_failures ?? 3)) onFailure();
  };
  const tellCheck = (code: number) => {
    if (code === exitCode) return;
    exitCode = code;
    const reason = 'REASON_TASK_CHECK_STATUS_UPDATED';
    execution.report({ state: 'TASK_RUNNING', reason, healthy, check_status: checkStatus() });
  };
  return {
    get checkStatus() {
      return checkStatus();
    },
    start() {
      startedAt = Date.now();
      const command = check?.command?.command?.value;
      if (!check || !command) return startHealth();
      after(check.delay_seconds ?? 15, () => repeat(check, command, tellCheck));
    },
    stop() {
      isStopped = true;
      for (const timer of timers) clearTimeout(timer);
      timers.clear();
    },
  };
}
