import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { StringDecoder } from 'node:string_decoder';

import type { Failure } from '../core/model.ts';
import { messageOf } from '../errors.ts';
import { createListener } from './announcements.ts';
import type { Announcements } from './announcements.ts';
import type { Assignment } from './assignment.ts';
import { failureOf } from './failure.ts';
import type { Limits } from './limits.ts';
import type { Log } from './log.ts';
import { watch } from './measure.ts';
import type { Measure } from './measure.ts';
import { ATTEMPT_VARIABLE, killGroup } from './process.ts';
import type { Hear, StartError, Started } from './process.ts';
import { startProcess } from './start.ts';

export interface ProgramOptions {
  /** Absolute path. */
  readonly file: string;
  readonly arguments: readonly string[];
  readonly directory: string;
  readonly assignment: Assignment;
  readonly limits: Limits;
  readonly measure: Pick<Measure, 'look' | 'ended'>;
  readonly log: { readonly out: Log; readonly err: Log };
  /** Told the process group as soon as there is one. */
  readonly onSpawn: ((group: number) => void) | undefined;
  /** Between asking a program to end and ending it, after an abort; 0: it is not asked. */
  readonly abortGraceMs?: number | undefined;
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
const LAST_WORDS = 400;

/**
 * Runs one program of a processor in its own process group, within its limits. Never rejects for what the program
 * does. What it has left running in its group is dead afterwards; a process that has made a group of its own (setsid)
 * is ended by bubblewrap only.
 */
export async function runProgram(options: ProgramOptions): Promise<ProgramEnd> {
  const { limits, signal, log, measure } = options;
  const listener = createListener();
  const tail = createTail();
  const ending = createEnding(options.abortGraceMs ?? GRACE_MS);
  const hear = (stream: 'out' | 'err', chunk: Buffer): void => {
    ending.endFor(limits.said(chunk.length));
    try {
      log[stream].write(chunk);
    } catch (error) {
      const { kind, message } = failureOf(error);
      ending.endFor({ kind, message: `was ended because its log cannot be written: ${message}` });
    }
    if (stream === 'out') listener.hear(chunk);
    else tail.hear(chunk);
  };
  const started = await start(options, hear);
  if (!('pid' in started)) return { announced: listener.end(), lastWords: '', ended: started };
  const { pid } = started;
  options.onSpawn?.(pid);
  ending.of(pid);
  const stopWatching = watch(() => {
    ending.endFor(limits.time() ?? limits.memory(measure.look(pid)));
  });
  const onAbort = () => ending.endFor('aborted');
  signal.addEventListener('abort', onAbort);
  if (signal.aborted) onAbort();
  const { usage, ...how } = await started.ended;
  stopWatching();
  ending.clear();
  signal.removeEventListener('abort', onAbort);
  measure.ended(usage);
  const ended = ending.why();
  return {
    ...how,
    announced: listener.end(),
    lastWords: tail.last(),
    ...(ended !== undefined && { ended }),
  };
}

/** @returns why there is no process, in words: the node's fault unless the file itself cannot be executed */
async function start(options: ProgramOptions, hear: Hear): Promise<Started | Failure> {
  const { file, directory, assignment } = options;
  const because = (kind: Failure['kind'], reason: string): Failure => ({
    kind,
    message: `could not be started: ${reason}`,
  });
  try {
    const command = { argv: isolated(options), directory, environment: environment(options) };
    return await startProcess(command, hear);
  } catch (error) {
    const { code } = error as StartError;
    if (assignment.isolation !== 'none') return because('engine', messageOf(error));
    if (code === 'EACCES') return because('processor', 'it is not executable');
    if (code === 'ENOENT' && existsSync(file)) {
      return because('processor', 'the node has no interpreter as its first line names it');
    }
    return because('engine', messageOf(error));
  }
}

/** Ends a program once, for the first reason given: it is asked to, and made to when it does not. */
function createEnding(abortGraceMs: number) {
  let group: number | undefined;
  let reason: ProgramEnd['ended'];
  let graceOver: NodeJS.Timeout | undefined;
  const graceFor = (why: Failure | 'aborted'): number => {
    if (why === 'aborted') return abortGraceMs;
    // While it is asked, others would have to do without the memory.
    return why.kind === 'memory' ? 0 : GRACE_MS;
  };
  return {
    of(startedGroup: number): void {
      group = startedGroup;
    },
    endFor(why: Failure | 'aborted' | undefined): void {
      if (why === undefined || reason !== undefined) return;
      reason = why;
      const graceMs = graceFor(why);
      killGroup(group, graceMs === 0 ? 'SIGKILL' : 'SIGTERM');
      graceOver = setTimeout(() => killGroup(group, 'SIGKILL'), graceMs);
    },
    clear: () => clearTimeout(graceOver),
    why: () => reason,
  };
}

/** A program sees no more of the service's environment than it needs, and finds the runner's own Node first. */
const environment = ({ directory, assignment }: ProgramOptions) => ({
  PATH: `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`,
  HOME: directory,
  TMPDIR: directory,
  LANG: 'C.UTF-8',
  [ATTEMPT_VARIABLE]: assignment.attemptId,
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
