import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';

import { messageOf } from '../errors.ts';
import type { Assignment } from './assignment.ts';
import { runAttempt } from './attempt.ts';
import type { AttemptEnd } from './attempt.ts';
import { claimCache, keepNode } from './node-cache.ts';
import { removeScratch } from './scratch.ts';

export interface SandboxOptions {
  /** As it came to the agent. */
  readonly assignment: Assignment;
  /** Real path of the directory that the engine has made for this attempt alone. */
  readonly sandbox: string;
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

/** What an attempt says while it runs, as `attempt.out` and `attempt.err` in its sandbox. */
const LOG = 'attempt';

/** An engine that ends an attempt signals all its processes, and the kernel tells of their ends in any order. */
const SETTLE_MS = 100;

/**
 * Makes an attempt in a sandbox. Its logs and its end are left on the shared file system beside `directories.log`, the
 * end as the last thing and whole or not at all; then the sandbox is left small, because agents keep it for long.
 *
 * @throws Error where there was no attempt, or its end could not be told
 */
export async function attemptInSandbox(options: SandboxOptions): Promise<AttemptEnd> {
  const { assignment, sandbox, signal, say } = options;
  const { result, log } = assignment.directories;
  // The engine has made it: where it is missing, everything would be written to the agent's own disk and be lost.
  if (!existsSync(dirname(result))) {
    throw new Error(
      `the shared file system is not mounted on this agent: there is no ${dirname(result)}`,
    );
  }
  const local = localize(options);
  const { archive, hash } = local.bundle;
  const { cache } = local.directories;
  try {
    keepNode(sandbox, cache);
  } catch (error) {
    say(`Node cannot be kept in ${cache}: ${messageOf(error)}`);
  }
  if (existsSync(join(cache, hash)) && isInside(sandbox, archive)) rmSync(archive, { force: true });
  const isHere = (path: string) => isInside(sandbox, path);
  let trouble: unknown;
  const onEnd = (end: AttemptEnd): void => {
    try {
      mkdirSync(dirname(log), { recursive: true });
      copyLogs(local.directories.log, log, say);
      // What this one had to fetch, another finds where it is kept.
      const isKept = existsSync(join(cache, hash)) && ![cache, process.execPath].some(isHere);
      writeEnd(`${log}.end.json`, { attemptId: assignment.attemptId, ...end, isKept });
    } catch (error) {
      trouble = error;
    }
  };
  const end = await runAttempt({ assignment: local, signal, onEnd, settleMs: SETTLE_MS });
  await tidy(sandbox, local).catch((error: unknown) =>
    say(`the sandbox cannot be tidied up: ${messageOf(error)}`),
  );
  if (trouble === undefined) return end;
  throw new Error(`the end of the attempt (${end.to}) cannot be told: ${messageOf(trouble)}`, {
    cause: trouble,
  });
}

/** The assignment as it is for this agent: all paths absolute, the container there already. */
function localize({ assignment, sandbox, say }: SandboxOptions): Assignment {
  const at = (path: string) => (path.startsWith('./') ? join(sandbox, path) : path);
  const { image: _, ...others } = assignment;
  const { bundle, directories, input } = assignment;
  return {
    ...others,
    bundle: { ...bundle, archive: at(bundle.archive) },
    input: at(input),
    directories: {
      ...directories,
      cache: cacheOf(at(directories.cache), sandbox, say),
      scratch: at(directories.scratch),
      log: join(sandbox, LOG),
    },
  };
}

function cacheOf(wanted: string, sandbox: string, say: (line: string) => void): string {
  const refusal = claimCache(wanted);
  if (refusal === undefined) return wanted;
  say(`the cache ${wanted} cannot be used, the sandbox is used instead: ${refusal}`);
  return join(sandbox, 'cache');
}

/** With what they were before they began anew. That it fails does not make a failure of the attempt. */
function copyLogs(from: string, to: string, say: (line: string) => void): void {
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

function writeEnd(path: string, end: RunnerEnd): void {
  const part = `${path}.part`;
  const file = openSync(part, 'w', 0o640);
  try {
    writeFileSync(file, JSON.stringify(end));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
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
