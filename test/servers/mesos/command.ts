import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { appendFileSync, closeSync, mkdirSync, openSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { watchHealth } from './checks.ts';
import type { Health } from './checks.ts';
import type { Execution, Executor } from './execution.ts';
import type { Fetcher } from './fetcher.ts';
import { killTree } from './process-tree.ts';
import { can, millisOf } from './statuses.ts';

export interface CommandSettings {
  readonly fetcher: Fetcher;
  readonly timeScale: number;
  readonly killGraceMs: number;
  readonly checkpoint: boolean;
  /** `host:port` of the agent. */
  readonly endpoint: string;
  /** Told each process that leads a group, and when it has ended. */
  readonly onGroup: (leader: number, hasEnded: boolean) => void;
}

/** Mesos's default for `PATH` (`os::host_default_path`). */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Even TERM without grace gets a moment, as the recorded end of a task out of time shows (03). */
const LEAST_GRACE_MS = 100;

interface Command {
  readonly shell?: boolean;
  readonly value?: string;
  readonly arguments?: readonly string[];
  readonly environment?: {
    readonly variables?: readonly { readonly name: string; readonly value?: string }[];
  };
  readonly uris?: readonly { readonly value: string }[];
}

/** Why the executor ends its command, where it is not a plain KILL. */
interface Ending {
  readonly isDraining?: boolean;
  readonly isTimeout?: boolean;
  readonly isUnhealthy?: boolean;
}

/** Does what Mesos's command executor does: fetches, runs the command in a session of its own, tells how it ended. */
export class CommandExecutor implements Executor {
  readonly #execution: Execution;
  readonly #settings: CommandSettings;
  #child: ChildProcess | undefined;
  #hasStarted = false;
  #killed: ({ readonly at: number } & Ending) | undefined;
  #escalation: NodeJS.Timeout | undefined;
  #limit: NodeJS.Timeout | undefined;
  #health: Health | undefined;

  constructor(execution: Execution, settings: CommandSettings) {
    this.#execution = execution;
    this.#settings = settings;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get #command(): Command {
    return this.#execution.info['command'] ?? {};
  }

  start(): void {
    this.#run().catch((error: unknown) => {
      this.#execution.reportByAgent({
        state: 'TASK_FAILED',
        message: `Failed to launch container: ${(error as Error).message}`,
        reason: 'REASON_CONTAINER_LAUNCH_FAILED',
      });
    });
  }

  async #run(): Promise<void> {
    const execution = this.#execution;
    makeSandbox(execution.sandbox);
    try {
      await this.#settings.fetcher.fetch(this.#command.uris ?? [], execution.sandbox);
    } catch (cause) {
      const id = execution.containerId;
      throw new Error(`Failed to fetch all URIs for container '${id}': exited with status 1`, {
        cause,
      });
    }
    // Killed while it was fetched.
    if (execution.isTerminal || execution.isDestroyed) return;
    this.#hasStarted = true;
    this.#log(`Starting task ${execution.id}`);
    this.#spawn();
    const checks = this.#health?.checkStatus;
    execution.report({ state: 'TASK_STARTING', check_status: checks });
    execution.report({ state: 'TASK_RUNNING', check_status: checks });
    this.#health?.start();
    const limit = execution.info['max_completion_time'];
    if (limit) {
      const ms = millisOf(limit) * this.#settings.timeScale;
      this.#limit = setTimeout(() => this.#end(0, { isTimeout: true }), ms);
    }
  }

  /** The executor's own words stand in the sandbox's stderr before those of the task. */
  #log(line: string): void {
    const time = new Date().toISOString().slice(11, 19);
    const stderr = join(this.#execution.sandbox, 'stderr');
    appendFileSync(stderr, `I20261122 ${time}.000000 ${process.pid} executor.cpp:722] ${line}\n`);
  }

  #spawn(): void {
    const { sandbox } = this.#execution;
    const { shell = true, value = '', arguments: args = [] } = this.#command;
    const out = openSync(join(sandbox, 'stdout'), 'a');
    const err = openSync(join(sandbox, 'stderr'), 'a');
    const [file, argv] = shell ? ['/bin/sh', ['sh', '-c', value]] : [value, args];
    const child = spawn(file, argv.slice(1), {
      argv0: argv[0] ?? value,
      cwd: sandbox,
      env: this.#environment(),
      detached: true,
      stdio: ['ignore', out, err],
    });
    closeSync(out);
    closeSync(err);
    this.#child = child;
    const { pid } = child;
    if (pid !== undefined) this.#settings.onGroup(pid, false);
    child.once('error', (error) => {
      this.#log(`Failed to exec: ${error.message}`);
      this.#ended(1, null);
    });
    child.once('exit', (code, signal) => {
      if (pid !== undefined) this.#settings.onGroup(pid, true);
      this.#ended(code, signal);
    });
    this.#health = watchHealth({
      execution: this.#execution,
      environment: this.#environment(),
      timeScale: this.#settings.timeScale,
      onFailure: () => this.#end(this.#grace(undefined), { isUnhealthy: true }),
    });
  }

  /** `MESOS_` variables as documented for executors; nothing of this process. */
  #environment(): Record<string, string> {
    const { frameworkId, id, agentId, containerId, sandbox } = this.#execution;
    const named = (this.#command.environment?.variables ?? []).map(
      ({ name, value = '' }) => [name, value] as const,
    );
    return {
      PATH,
      MESOS_SANDBOX: sandbox,
      MESOS_DIRECTORY: sandbox,
      MESOS_FRAMEWORK_ID: frameworkId,
      MESOS_EXECUTOR_ID: id,
      MESOS_AGENT_ID: agentId,
      MESOS_SLAVE_ID: agentId,
      MESOS_CONTAINER_ID: containerId,
      MESOS_AGENT_ENDPOINT: this.#settings.endpoint,
      MESOS_CHECKPOINT: this.#settings.checkpoint ? '1' : '0',
      ...Object.fromEntries(named),
    };
  }

  kill(graceMs: number | undefined, isDraining: boolean): void {
    // A draining agent names the most that a task may take, not what it takes.
    const most = isDraining ? (graceMs ?? Infinity) : Infinity;
    const grace = Math.min(this.#grace(isDraining ? undefined : graceMs), most);
    if (this.#hasStarted) return this.#end(grace, { isDraining });
    this.#execution.reportByAgent({
      state: 'TASK_KILLED',
      message: 'Killed before delivery to the executor',
      reason: 'REASON_TASK_KILLED_DURING_LAUNCH',
    });
  }

  /** Of the call, of the task, or the agent's own, in this order. */
  #grace(graceMs: number | undefined): number {
    const own = this.#execution.info['kill_policy']?.grace_period;
    if (graceMs !== undefined) return graceMs;
    return own ? millisOf(own) * this.#settings.timeScale : this.#settings.killGraceMs;
  }

  #end(graceMs: number, why: Ending): void {
    const { pid } = this;
    if (this.#execution.isTerminal || pid === undefined) return;
    const first = this.#killed === undefined;
    const { at } = (this.#killed ??= { at: Date.now(), ...why });
    // A later kill may shorten the grace period.
    clearTimeout(this.#escalation);
    const wait = at + Math.max(graceMs, LEAST_GRACE_MS) - Date.now();
    this.#escalation = setTimeout(() => killTree(pid, 'SIGKILL'), Math.max(wait, 0));
    if (!first) return;
    this.#health?.stop();
    if (!why.isTimeout && can(this.#execution.framework, 'TASK_KILLING_STATE')) {
      const reason = why.isDraining ? 'REASON_AGENT_DRAINING' : undefined;
      this.#execution.report({ state: 'TASK_KILLING', reason });
    }
    killTree(pid, 'SIGTERM');
  }

  #ended(code: number | null, signal: NodeJS.Signals | null): void {
    this.#stopTimers();
    const how =
      signal === null ? `exited with status ${code}` : `terminated with signal ${said(signal)}`;
    this.#execution.report({
      ...this.#endState(code),
      message: `Command ${how}`,
      // Told again only where it was the reason.
      healthy: this.#killed?.isUnhealthy ? false : undefined,
      check_status: this.#health?.checkStatus && { type: 'COMMAND', command: {} },
    });
  }

  #endState(code: number | null): { state: string; reason?: string } {
    if (this.#killed?.isTimeout) {
      return { state: 'TASK_FAILED', reason: 'REASON_MAX_COMPLETION_TIME_REACHED' };
    }
    if (this.#killed?.isDraining) return { state: 'TASK_KILLED', reason: 'REASON_AGENT_DRAINING' };
    if (this.#killed) return { state: 'TASK_KILLED' };
    return { state: code === 0 ? 'TASK_FINISHED' : 'TASK_FAILED' };
  }

  destroy(): void {
    this.#stopTimers();
    if (this.pid !== undefined && this.#child?.exitCode === null) killTree(this.pid, 'SIGKILL');
  }

  #stopTimers(): void {
    clearTimeout(this.#escalation);
    clearTimeout(this.#limit);
    this.#health?.stop();
  }
}

function makeSandbox(sandbox: string): void {
  mkdirSync(sandbox, { recursive: true });
  const latest = join(dirname(sandbox), 'latest');
  rmSync(latest, { force: true });
  symlinkSync(sandbox, latest);
  for (const name of ['stdout', 'stderr']) closeSync(openSync(join(sandbox, name), 'a'));
}

/** As `strsignal` names them. */
const SIGNALS: Partial<Record<NodeJS.Signals, string>> = {
  SIGHUP: 'Hangup',
  SIGINT: 'Interrupt',
  SIGQUIT: 'Quit',
  SIGILL: 'Illegal instruction',
  SIGTRAP: 'Trace/breakpoint trap',
  SIGABRT: 'Aborted',
  SIGBUS: 'Bus error',
  SIGFPE: 'Floating point exception',
  SIGKILL: 'Killed',
  SIGUSR1: 'User defined signal 1',
  SIGSEGV: 'Segmentation fault',
  SIGUSR2: 'User defined signal 2',
  SIGPIPE: 'Broken pipe',
  SIGALRM: 'Alarm clock',
  SIGTERM: 'Terminated',
  SIGXCPU: 'CPU time limit exceeded',
  SIGXFSZ: 'File size limit exceeded',
};

const said = (signal: NodeJS.Signals): string => SIGNALS[signal] ?? signal;
