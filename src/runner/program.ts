import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';

import type { Failure } from '../core/model.ts';
import { createListener } from './announcements.ts';
import type { Announcements } from './announcements.ts';
import type { Assignment } from './assignment.ts';
import { watch } from './measure.ts';

export interface ProgramOptions {
  /** Absolute path. */
  readonly file: string;
  readonly arguments: readonly string[];
  readonly directory: string;
  readonly assignment: Assignment;
  /** Looks at a running process; returns its resident memory in bytes. */
  readonly look: (pid: number) => number;
  readonly log: { readonly out: (chunk: Buffer) => void; readonly err: (chunk: Buffer) => void };
  /** Told the process group as soon as there is one. */
  readonly onSpawn: (group: number) => void;
  readonly signal: AbortSignal;
}

export interface ProgramEnd {
  readonly exitCode?: number;
  readonly signal?: string;
  readonly announced: Announcements;
  /** Last line on stderr that says something. */
  readonly lastWords: string;
  /** Why we ended it. */
  readonly ended?: Failure | 'aborted';
}

/** Between asking a program to end and ending it. */
const GRACE_MS = 2_000;
/** How long output may still arrive after a program's end: its own children can hold the pipe open for ever. */
const DRAIN_MS = 500;
const LAST_WORDS = 400;

/**
 * Runs one program of a processor in its own process group, within its limits. Never rejects for what the program does.
 */
export async function runProgram(options: ProgramOptions): Promise<ProgramEnd> {
  const { assignment, signal, log } = options;
  const [file, ...args] = isolated(options);
  const child = spawn(file!, args, {
    cwd: options.directory,
    env: environment(options),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const group = child.pid;
  if (group !== undefined) options.onSpawn(group);
  const ending = createEnding(group);
  const limits = createLimits(assignment, ending.end);
  const listener = createListener();
  const tail = createTail();
  child.stdout.on('data', (chunk: Buffer) => {
    limits.said(chunk.length);
    log.out(chunk);
    listener.hear(chunk);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    limits.said(chunk.length);
    log.err(chunk);
    tail.hear(chunk);
  });
  const stopWatching = watch(() => {
    limits.time();
    if (group !== undefined) limits.memory(options.look(group));
  });
  const onAbort = () => ending.end('aborted');
  signal.addEventListener('abort', onAbort);
  if (signal.aborted) onAbort();
  const exit = await exitOf(child, group);
  stopWatching();
  ending.clear();
  signal.removeEventListener('abort', onAbort);
  const why = ending.why();
  return {
    ...(exit.code !== null && { exitCode: exit.code }),
    ...(exit.signal !== null && { signal: exit.signal }),
    announced: listener.end(),
    lastWords: exit.error?.message ?? tail.last(),
    ...(why !== undefined && { ended: why }),
  };
}

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The program could not be started. */
  readonly error?: Error;
}

function exitOf(child: ChildProcessByStdio<null, Readable, Readable>, group: number | undefined) {
  return new Promise<Exit>((resolve) => {
    child.once('error', (error) => {
      if (group === undefined) resolve({ code: null, signal: null, error });
    });
    child.once('exit', (code, signal) => {
      // What it left running in the background ends with it.
      killGroup(group, 'SIGKILL');
      const drained = setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, DRAIN_MS);
      child.once('close', () => {
        clearTimeout(drained);
        resolve({ code, signal });
      });
    });
  });
}

/** Ends a program once, for the first reason given: it is asked to, and made to when it does not. */
function createEnding(group: number | undefined) {
  let reason: ProgramEnd['ended'];
  let graceOver: NodeJS.Timeout | undefined;
  return {
    end(why: Failure | 'aborted'): void {
      if (reason !== undefined) return;
      reason = why;
      killGroup(group, 'SIGTERM');
      graceOver = setTimeout(() => killGroup(group, 'SIGKILL'), GRACE_MS);
    },
    clear: () => clearTimeout(graceOver),
    why: () => reason,
  };
}

/** Ends a process group; one that is gone already is no error. */
export function killGroup(group: number | undefined, signal: NodeJS.Signals): void {
  if (group === undefined) return;
  try {
    process.kill(-group, signal);
  } catch {
    // ESRCH: nobody is left.
  }
}

/** A program sees no more of the service's environment than it needs, and finds the runner's own Node first. */
const environment = ({ directory, assignment }: ProgramOptions): NodeJS.ProcessEnv => ({
  PATH: `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`,
  HOME: directory,
  TMPDIR: directory,
  LANG: 'C.UTF-8',
  PUSHBROOM_ATTEMPT: assignment.attemptId,
});

/** With bubblewrap the whole machine is read-only but for the attempt's own directory, and nothing outlives it. */
function isolated({ file, arguments: args, directory, assignment }: ProgramOptions): string[] {
  if (assignment.isolation === 'none') return [file, ...args];
  const readOnly = ['--ro-bind', '/', '/', '--dev', '/dev', '--proc', '/proc'];
  const writable = ['--bind', directory, directory];
  return [
    'bwrap',
    ...readOnly,
    ...writable,
    '--unshare-pid',
    '--die-with-parent',
    '--',
    file,
    ...args,
  ];
}

function createLimits({ limits }: Assignment, end: (failure: Failure) => void) {
  const begun = performance.now();
  let heard = begun;
  let said = 0;
  const seconds = (since: number) => (performance.now() - since) / 1000;
  return {
    time(): void {
      if (seconds(begun) > limits.wallTime) {
        end({ kind: 'timeout', message: `took longer than its limit of ${limits.wallTime} s` });
      } else if (seconds(heard) > limits.silence) {
        end({
          kind: 'timeout',
          message: `said nothing for ${limits.silence} s and was taken to hang`,
        });
      }
    },
    memory(bytes: number): void {
      const used = Math.ceil(bytes / 1024 ** 2);
      if (used > limits.memoryMb) {
        end({
          kind: 'memory',
          message: `used ${used} MB of memory, more than its ${limits.memoryMb} MB`,
        });
      }
    },
    said(bytes: number): void {
      heard = performance.now();
      said += bytes;
      if (said > limits.outputBytes) {
        end({
          kind: 'output',
          message: `wrote more than ${limits.outputBytes} bytes to stdout and stderr`,
        });
      }
    },
  };
}

/** Keeps the end of what is said, for the one line that explains a failure. */
function createTail() {
  let text = '';
  return {
    hear(chunk: Buffer): void {
      text = (text + chunk.toString('utf8')).slice(-4 * LAST_WORDS);
    },
    last: (): string =>
      text
        .split('\n')
        .map((line) => line.trim())
        .findLast((line) => line !== '')
        ?.slice(0, LAST_WORDS) ?? '',
  };
}
