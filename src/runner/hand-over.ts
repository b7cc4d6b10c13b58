import { readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';

import { messageOf } from '../errors.ts';
import type { Assignment } from './assignment.ts';

/** An assignment reaches the runner on an agent as JSON in this variable of its environment, … */
export const ASSIGNMENT_VARIABLE = 'PUSHBROOM_ASSIGNMENT';
/** … or in this one, gzipped and in base64, where the engine pastes values into a shell's text, … */
export const ASSIGNMENT_GZIP_VARIABLE = 'PUSHBROOM_ASSIGNMENT_GZIP';
/** … or in the file that this one names, where it is too large: one variable has at most 128 KiB on Linux. */
export const ASSIGNMENT_FILE_VARIABLE = 'PUSHBROOM_ASSIGNMENT_FILE';
/** Whether the environment of a process may hold an assignment. */
export const isAssigned = (environment: NodeJS.ProcessEnv): boolean =>
  [ASSIGNMENT_VARIABLE, ASSIGNMENT_GZIP_VARIABLE, ASSIGNMENT_FILE_VARIABLE].some(
    (variable) => variable in environment,
  );

/**
 * Names the directory in which the cluster itself keeps what an attempt says, as YARN does: `attempt.out` and
 * `attempt.err` are written there as they come, and `attempt.end.json` at the very end.
 */
export const LOG_DIRECTORY_VARIABLE = 'PUSHBROOM_LOG_DIRECTORY';

/** What the runner on an agent ends with. */
export const AGENT_EXIT = {
  finished: 0,
  /** Or killed; which of them, its end file says. */
  failed: 1,
  /** There was no attempt, or its end could not be told: the agent's fault, in a line on stderr. */
  trouble: 120,
} as const;

/** Bytes, of an assignment that was packed. */
const LARGEST = 64 * 1024 ** 2;

/** Rejects with an Error in words for an operator. */
export async function readAssignment(environment: NodeJS.ProcessEnv): Promise<Assignment> {
  const {
    [ASSIGNMENT_VARIABLE]: text,
    [ASSIGNMENT_GZIP_VARIABLE]: packed,
    [ASSIGNMENT_FILE_VARIABLE]: file,
  } = environment;
  if (text !== undefined) return parse(text, ASSIGNMENT_VARIABLE);
  if (packed !== undefined) return parse(await unpack(packed), ASSIGNMENT_GZIP_VARIABLE);
  if (file !== undefined) return parse(read(file), file);
  throw new Error(
    `there is no assignment: neither ${ASSIGNMENT_VARIABLE} nor ${ASSIGNMENT_GZIP_VARIABLE} nor ${ASSIGNMENT_FILE_VARIABLE} is set`,
  );
}

async function unpack(packed: string): Promise<string> {
  const { gunzipSync } = await import('node:zlib');
  try {
    return gunzipSync(Buffer.from(packed, 'base64'), { maxOutputLength: LARGEST }).toString();
  } catch (error) {
    throw new Error(
      `the assignment in ${ASSIGNMENT_GZIP_VARIABLE} cannot be unpacked: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const hint = isAbsolute(file) ? ': is the shared file system mounted on this agent?' : '';
    throw new Error(`the assignment cannot be read: ${messageOf(error)}${hint}`, {
      cause: error,
    });
  }
}

function parse(text: string, place: string): Assignment {
  let said: Partial<Assignment> | null;
  try {
    said = JSON.parse(text) as Partial<Assignment> | null;
  } catch (error) {
    throw new Error(`the assignment in ${place} is not JSON: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const isComplete =
    typeof said?.attemptId === 'string' &&
    typeof said.input === 'string' &&
    typeof said.bundle?.archive === 'string' &&
    [
      said.directories?.cache,
      said.directories?.scratch,
      said.directories?.result,
      said.directories?.log,
    ].every((path) => typeof path === 'string');
  if (!isComplete) throw new Error(`the assignment in ${place} is not complete`);
  return said as Assignment;
}
