import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';

import { messageOf } from '../errors.ts';
import { isUrl } from '../storage/location.ts';
import type { Assignment } from './assignment.ts';
import { runAttempt } from './attempt.ts';
import type { AttemptEnd } from './attempt.ts';
import { createGuard } from './guard.ts';
import { claimCache, keepNode } from './node-cache.ts';
import { removeScratch } from './scratch.ts';

export interface SandboxOptions {
  /** As it came to the agent. */
  readonly assignment: Assignment;
  /** Real path of the directory that the engine has made for this attempt alone. */
  readonly sandbox: string;
  /**
   * Absolute path of the directory in which the cluster keeps what an attempt says. Absent where that is left on the
   * shared file system, beside `directories.log`.
   */
  readonly logDirectory?: string;
  readonly signal: AbortSignal;
  /** Told in a line what an operator should know. */
  say(line: string): void;
}

/** What is left for the engine. */
export interface RunnerEnd extends AttemptEnd {
  readonly attemptId: string;
  /** Whether the bundle and Node stay in the node's cache. */
  readonly isKept: boolean;
}

/** What an attempt says while it runs, as `attempt.out` and `attempt.err` in its sandbox or its log directory. */
const LOG = 'attempt';

/** An engine that ends an attempt signals all its processes, and the kernel tells of their ends in any order. */
const SETTLE_MS = 100;

/**
 * Makes an attempt in the directory that its engine has made for it alone, and leaves its end for that, as the last thing
 * and whole or not at all.
 *
 * @throws Error where there was no attempt, or its end could not be told
 */
export async function attemptInSandbox(options: SandboxOptions): Promise<AttemptEnd> {
  let trouble: unknown;
  const onEnd = (write: () => void): void => {
    try {
      write();
      trouble = undefined;
    } catch (error) {
      trouble = error;
    }
  };
  const { logDirectory } = options;
  const end =
    logDirectory === undefined
      ? await onAgent(options, onEnd)
      : await inContainer(options, logDirectory, onEnd);
  if (trouble === undefined) return end;
  throw new Error(`the end of the attempt (${end.to}) cannot be told: ${messageOf(trouble)}`, {
    cause: trouble,
  });
}

type TellEnd = (write: () => void) => void;
type Say = SandboxOptions['say'];

/**
 * Logs and the end are left on the shared file system beside `directories.log`; then the sandbox is left small, because
 * agents keep it for long.
 */
async function onAgent(options: SandboxOptions, onEnd: TellEnd): Promise<AttemptEnd> {
  const { assignment, sandbox, signal, say } = options;
  const { attemptId, directories } = assignment;
  const { result, log } = directories;
  // The engine has made it: where it is missing, everything would be written to the agent's own disk and be lost.
  const shared = dirname(isUrl(result) ? log : result);
  if (!existsSync(shared)) {
    throw new Error(`the shared file system is not mounted on this agent: there is no ${shared}`);
  }
  const local = localize(options, join(sandbox, LOG));
  prepareCache(local, sandbox, say);
  const { hash } = local.bundle;
  const { cache } = local.directories;
  const isHere = (path: string) => isInside(sandbox, path);
  const end = await runAttempt({
    assignment: local,
    signal,
    settleMs: SETTLE_MS,
    onEnd: (it) =>
      onEnd(() => {
        mkdirSync(dirname(log), { recursive: true });
        copyLogs(local.directories.log, log, say);
        // What this one had to fetch, another finds where it is kept.
        const isKept = existsSync(join(cache, hash)) && ![cache, process.execPath].some(isHere);
        writeEnd(log, { attemptId, ...it, isKept }, { flush: true });
      }),
  });
  await tidy(sandbox, local).catch((error: unknown) =>
    say(`the sandbox cannot be tidied up: ${messageOf(error)}`),
  );
  return end;
}

/**
 * The cluster brings the bundle and keeps the logs, and removes the directory afterwards. It may give a quarter of a
 * second between asking for the end and killing (`yarn.nodemanager.sleep-delay-before-sigkill.ms` in Hadoop's
 * yarn-default.xml), so that the end is told before anything else is done for it, and once more when it has come.
 */
async function inContainer(
  options: SandboxOptions,
  logDirectory: string,
  onEnd: TellEnd,
): Promise<AttemptEnd> {
  const { assignment, signal } = options;
  const { attemptId } = assignment;
  const log = join(logDirectory, LOG);
  const tell = (end: AttemptEnd) => writeEnd(log, { attemptId, ...end, isKept: false });
  const tellAbort = () => onEnd(() => tell({ to: 'killed', result: {} }));
  signal.addEventListener('abort', tellAbort);
  if (signal.aborted) tellAbort();
  const guard = createGuard(attemptId);
  return runAttempt({
    assignment: localize(options, log),
    signal,
    abortGraceMs: 0,
    onEnd: (end) => {
      guard.release();
      signal.removeEventListener('abort', tellAbort);
      onEnd(() => tell(end));
    },
  });
}

function prepareCache({ bundle, directories }: Assignment, sandbox: string, say: Say): void {
  const { cache } = directories;
  try {
    keepNode(sandbox, cache);
  } catch (error) {
    say(`Node cannot be kept in ${cache}: ${messageOf(error)}`);
  }
  const isNeeded = !existsSync(join(cache, bundle.hash));
  if (!isNeeded && isInside(sandbox, bundle.archive)) rmSync(bundle.archive, { force: true });
}

/** The assignment as it is for this agent: all paths absolute, the container there already. */
function localize({ assignment, sandbox, say }: SandboxOptions, log: string): Assignment {
  const at = (path: string) => (path.startsWith('./') ? join(sandbox, path) : path);
  const { image: _, ...others } = assignment;
  const { bundle, directories, input } = assignment;
  const { unpacked } = bundle;
  const isCached = unpacked === undefined;
  return {
    ...others,
    bundle: {
      ...bundle,
      archive: at(bundle.archive),
      ...(!isCached && { unpacked: at(unpacked) }),
    },
    input: at(input),
    directories: {
      ...directories,
      cache: isCached ? cacheOf(at(directories.cache), sandbox, say) : at(directories.cache),
      scratch: at(directories.scratch),
      log,
    },
  };
}

function cacheOf(wanted: string, sandbox: string, say: Say): string {
  const refusal = claimCache(wanted);
  if (refusal === undefined) return wanted;
  say(`the cache ${wanted} cannot be used, the sandbox is used instead: ${refusal}`);
  return join(sandbox, 'cache');
}

/** With what they were before they began anew. That it fails does not make a failure of the attempt. */
function copyLogs(from: string, to: string, say: Say): void {
  for (const name of ['.out.1', '.out', '.err.1', '.err']) {
    if (!existsSync(from + name)) continue;
    try {
      // A reader takes it for the log once it is there.
      copyFileSync(from + name, `${to + name}.part`);
      renameSync(`${to + name}.part`, to + name);
    } catch (error) {
      say(`the log cannot be kept: ${messageOf(error)}`);
    }
  }
}

/** @param flush whether it is on the disk for certain then; a network file system shows it to others no earlier */
function writeEnd(log: string, end: RunnerEnd, { flush = false } = {}): void {
  const path = `${log}.end.json`;
  const part = `${path}.part`;
  writeFileSync(part, JSON.stringify(end), { mode: 0o640, flush });
  renameSync(part, path);
}

/** Removes what was fetched for the attempt, with the directories made for it; what it has said stays. */
async function tidy(sandbox: string, { bundle, input, directories }: Assignment): Promise<void> {
  for (const path of [bundle.archive, input, process.execPath]) {
    if (!isInside(sandbox, path)) continue;
    const [name] = relative(sandbox, path).split(sep);
    rmSync(join(sandbox, name!), { recursive: true, force: true });
  }
  if (isInside(sandbox, directories.cache)) await removeScratch(directories.cache);
}

const isInside = (directory: string, path: string): boolean => path.startsWith(directory + sep);
