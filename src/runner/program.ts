import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

import type { Failure } from '../core/model.ts';
import { createListener } from './announcements.ts';
import type { Announcements } from './announcements.ts';
import type { Assignment } from './assignment.ts';
import { failureOf } from './failure.ts';
import type { Limits } from './limits.ts';
import type { Log } from './log.ts';
import { watch } from './measure.ts';

export interface ProgramOptions {
  /** Absolute path. */
  readonly file: string;
  readonly arguments: readonly string[];
  readonly directory: string;
  readonly assignment: Assignment;
  readonly limits: Limits;
  /** Looks at a running process; returns its resident memory in bytes. */
  readonly look: (pid: number) => number;
  readonly log: { readonly out: Log; readonly err: Log };
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
  /** Why it was not started or we ended it. */
  readonly ended?: Failure | 'aborted';
}

/** Between asking a program to end and ending it. */
const GRACE_MS = 2_000;
/** How long output may still arrive after a program's end: its own children can hold the pipe open for ever. */
const DRAIN_MS = 500;
const LAST_WORDS = 400;

/**
 * Runs one program of a processor in its own process group, within its limits. Never rejects for what the program
 * does. What it has left running in its group is dead afterwards; a process that has made a group of its own (setsid)
 * is ended by bubblewrap only.
 */
export async function runProgram(options: ProgramOptions): Promise<ProgramEnd> {
  const { limits, signal, log } = options;
  const [file, ...args] = isolated(options);
  const child = spawn(file!, args, {
    cwd: options.directory,
    env: environment(options),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const group = child.pid;
  const listener = createListener();
  const tail = createTail();
  if (group === undefined) {
    const ended = await startFailure(child, options);
    return { announced: listener.end(), lastWords: '', ended };
  }
  options.onSpawn(group);
  const ending = createEnding(group);
  const hear = (kept: Log, heard: (chunk: Buffer) => void) => (chunk: Buffer) => {
    ending.endFor(limits.said(chunk.length));
    try {
      kept.write(chunk);
    } catch (error) {
      const { kind, message } = failureOf(error);
      ending.endFor({ kind, message: `was ended because its log cannot be written: ${message}` });
    }
    heard(chunk);
  };
  child.stdout.on('data', hear(log.out, listener.hear));
  child.stderr.on('data', hear(log.err, tail.hear));
  const stopWatching = watch(() => {
    ending.endFor(limits.time() ?? limits.memory(options.look(group)));
  });
  const onAbort = () => ending.endFor('aborted');
  signal.addEventListener('abort', onAbort);
  if (signal.aborted) onAbort();
  const exit = await exitOf(child, group);
  stopWatching();
  ending.clear();
  signal.removeEventListener('abort', onAbort);
  const ended = ending.why();
  return {
    ...(exit.code !== null && { exitCode: exit.code }),
    ...(exit.signal !== null && { signal: exit.signal }),
    announced: listener.end(),
    lastWords: tail.last(),
    ...(ended !== undefined && { ended }),
  };
}

type Child = ChildProcessByStdio<null, Readable, Readable>;

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Resolves when the program has ended, its whole group with it, and all that it said was heard. */
const exitOf = (child: Child, group: number) =>
  new Promise<Exit>((resolve) => {
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
    // Without a listener, a failed `kill` would throw.
    child.on('error', () => undefined);
  });

/** Why there is no process, in words: the node's fault unless the file itself cannot be executed. */
async function startFailure(child: Child, { file, assignment }: ProgramOptions): Promise<Failure> {
  const error = await new Promise<NodeJS.ErrnoException>((resolve) => child.once('error', resolve));
  const because = (kind: Failure['kind'], reason: string): Failure => ({
    kind,
    message: `could not be started: ${reason}`,
  });
  if (assignment.isolation !== 'none') return because('engine', error.message);
  if (error.code === 'EACCES') return because('processor', 'it is not executable');
  if (error.code === 'ENOENT' && existsSync(file)) {
    return because('processor', 'the node has no interpreter as its first line names it');
  }
  return because('engine', error.message);
}

/** Ends a program once, for the first reason given: it is asked to, and made to when it does not. */
function createEnding(group: number) {
  let reason: ProgramEnd['ended'];
  let graceOver: NodeJS.Timeout | undefined;
  return {
    endFor(why: Failure | 'aborted' | undefined): void {
      if (why === undefined || reason !== undefined) return;
      reason = why;
      // While it is asked, others would have to do without the memory.
      const isUrgent = why !== 'aborted' && why.kind === 'memory';
      killGroup(group, isUrgent ? 'SIGKILL' : 'SIGTERM');
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

/**
 * With bubblewrap the whole machine is read-only but for the attempt's own directory, and nothing outlives it. Without
 * capabilities not even root can undo that. The network stays open.
 */
function isolated({ file, arguments: args, directory, assignment }: ProgramOptions): string[] {
  if (assignment.isolation === 'none') return [file, ...args];
  return [
    ['bwrap', '--ro-bind', '/', '/', '--dev', '/dev', '--proc', '/proc'],
    ['--bind', directory, directory],
    ['--unshare-pid', '--die-with-parent', '--cap-drop', 'ALL'],
    ['--', file, ...args],
  ].flat();
}

/** Keeps the end of what is said, for the one line that explains a failure. */
function createTail() {
  const decoder = new StringDecoder('utf8');
  let text = '';
  return {
    hear(chunk: Buffer): void {
      text = (text + decoder.write(chunk)).slice(-4 * LAST_WORDS);
    },
    last: (): string =>
      text
        .split('\n')
        .map((line) => line.trim())
        .findLast((line) => line !== '')
        ?.slice(0, LAST_WORDS) ?? '',
  };
}
