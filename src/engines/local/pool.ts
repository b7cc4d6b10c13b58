import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import type { AttemptEnd } from '../../runner/attempt.ts';
import type { Assignment } from '../../runner/assignment.ts';
import type { FromRunner, ToRunner } from '../../runner/messages.ts';
import { killGroup } from '../../runner/program.ts';

/** How long a runner may take to end its attempt before it is ended itself. */
const STOP_MS = 5_000;

// Beside this file unbuilt (.ts) or built (.js).
const RUNNER = fileURLToPath(
  new URL(`../../runner/main${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url),
);

interface Runner {
  readonly process: ChildProcess;
  /** Resolves when the process has ended and all that it said was heard. */
  readonly gone: Promise<void>;
  attemptId?: string;
  group?: number;
  idle?: NodeJS.Timeout;
}

export interface PoolOptions {
  /** A runner that has had no work for so many milliseconds ends, so that an idle service is small. */
  readonly idleMs: number;
  /** Directory where Node keeps the runner's code, ready to be loaded; without it each runner makes it again. */
  readonly codeCache?: string;
}

export interface Pool {
  /** Makes the attempt in a process of its own; `undefined` when that process died under it. */
  run(assignment: Assignment): Promise<AttemptEnd | undefined>;
  kill(attemptId: string): void;
  /** Ends all runners with everything they have started. */
  close(): Promise<void>;
}

/** Runner processes, started when they are needed and used again: as many as there are attempts at one time. */
export function createPool({ idleMs, codeCache }: PoolOptions): Pool {
  const runners = new Set<Runner>();
  const free = new Set<Runner>();
  const waiting = new Map<string, (end: AttemptEnd | undefined) => void>();

  function start(): Runner {
    const runner = startRunner(codeCache, (end) => settle(runner, end));
    runners.add(runner);
    void runner.gone.then(() => {
      runners.delete(runner);
      free.delete(runner);
      clearTimeout(runner.idle);
      // A runner that was killed cannot end what it had started.
      killGroup(runner.group, 'SIGKILL');
      settle(runner, undefined);
    });
    return runner;
  }

  function settle(runner: Runner, end: AttemptEnd | undefined): void {
    const { attemptId } = runner;
    if (attemptId === undefined) return;
    delete runner.attemptId;
    delete runner.group;
    if (end && runner.process.connected) {
      free.add(runner);
      runner.idle = setTimeout(() => {
        free.delete(runner);
        runner.process.disconnect();
      }, idleMs).unref();
    }
    waiting.get(attemptId)?.(end);
    waiting.delete(attemptId);
  }

  return {
    run: (assignment) =>
      new Promise((resolve) => {
        const [runner = start()] = free;
        free.delete(runner);
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
        Array.from(runners, async ({ process: child, gone }) => {
          if (child.connected) child.disconnect();
          const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
          await gone;
          clearTimeout(timer);
        }),
      );
    },
  };
}

function startRunner(codeCache: string | undefined, onEnd: (end: AttemptEnd) => void): Runner {
  const child = fork(RUNNER, {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    // Starting a program copies the page tables of its runner: a runner that is half as large starts half again as many.
    execArgv: ['--max-semi-space-size=1', '--single-threaded'],
    // A processor can read what its runner was started with: no secret of the service may be there.
    env: codeCache === undefined ? {} : { NODE_COMPILE_CACHE: codeCache },
  });
  const { promise: gone, resolve: go } = Promise.withResolvers<void>();
  const runner: Runner = { process: child, gone };
  child.on('message', (message: FromRunner) => {
    if (message.type === 'spawned') runner.group = message.group;
    else onEnd(message.end);
  });
  // Its end may be known before its last message is read.
  child.once('exit', () => (child.connected ? child.once('disconnect', go) : go()));
  child.on('error', () => child.pid === undefined && go());
  return runner;
}

/** Where that fails, the runner has died or will. */
const send = ({ process: child }: Runner, message: ToRunner): void => {
  if (child.pid !== undefined) child.send(message, (error) => error && child.kill('SIGKILL'));
};
