import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import type { AttemptEnd } from '../../runner/attempt.ts';
import type { Assignment } from '../../runner/assignment.ts';
import type { FromRunner, ToRunner } from '../../runner/messages.ts';
import { killGroup } from '../../runner/program.ts';

/** A runner without work ends after so long, so that an idle service is small. */
const IDLE_MS = 30_000;
/** How long a runner may take to end its attempt before it is ended itself. */
const STOP_MS = 5_000;

// Beside this file unbuilt (.ts) or built (.js).
const RUNNER = fileURLToPath(
  new URL(`../../runner/main${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url),
);

interface Runner {
  readonly process: ChildProcess;
  attemptId?: string;
  group?: number;
  idle?: NodeJS.Timeout;
}

export interface Pool {
  /** Makes the attempt in a process of its own; `undefined` when that process died under it. */
  run(assignment: Assignment): Promise<AttemptEnd | undefined>;
  kill(attemptId: string): void;
  /** Ends all runners with everything they have started. */
  close(): Promise<void>;
}

/** Runner processes, started when they are needed and used again: as many as there are attempts at one time. */
export function createPool(): Pool {
  const runners = new Set<Runner>();
  const free: Runner[] = [];
  const waiting = new Map<string, (end: AttemptEnd | undefined) => void>();

  function start(): Runner {
    const child = fork(RUNNER, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], execArgv: [] });
    const runner: Runner = { process: child };
    runners.add(runner);
    child.on('message', (message: FromRunner) => {
      if (message.type === 'spawned') runner.group = message.group;
      else settle(runner, message.end);
    });
    child.once('exit', () => {
      runners.delete(runner);
      clearTimeout(runner.idle);
      const index = free.indexOf(runner);
      if (index >= 0) free.splice(index, 1);
      // A runner that was killed cannot end what it had started.
      killGroup(runner.group, 'SIGKILL');
      settle(runner, undefined);
    });
    child.on('error', () => undefined);
    return runner;
  }

  function settle(runner: Runner, end: AttemptEnd | undefined): void {
    const { attemptId } = runner;
    if (attemptId === undefined) return;
    delete runner.attemptId;
    delete runner.group;
    if (end && runner.process.connected) {
      free.push(runner);
      runner.idle = setTimeout(() => runner.process.disconnect(), IDLE_MS).unref();
    }
    waiting.get(attemptId)?.(end);
    waiting.delete(attemptId);
  }

  const send = (runner: Runner, message: ToRunner) =>
    runner.process.send(message, (error) => error && runner.process.kill('SIGKILL'));

  return {
    run: (assignment) =>
      new Promise((resolve) => {
        const runner = free.pop() ?? start();
        clearTimeout(runner.idle);
        runner.attemptId = assignment.attemptId;
        waiting.set(assignment.attemptId, resolve);
        send(runner, { type: 'run', assignment });
      }),
    kill: (attemptId) => {
      const runner = [...runners].find((candidate) => candidate.attemptId === attemptId);
      if (runner) send(runner, { type: 'kill', attemptId });
    },
    close: async () => {
      await Promise.all(
        Array.from(runners, async ({ process: child }) => {
          const exited = new Promise((resolve) => child.once('exit', resolve));
          if (child.connected) child.disconnect();
          const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
          await exited;
          clearTimeout(timer);
        }),
      );
    },
  };
}
