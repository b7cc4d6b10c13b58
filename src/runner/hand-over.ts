import { readFileSync } from 'node:fs';

import { messageOf } from '../errors.ts';
import type { Assignment } from './assignment.ts';

/** An assignment reaches the runner on an agent as JSON in this variable of its environment, … */
export const ASSIGNMENT_VARIABLE = 'PUSHBROOM_ASSIGNMENT';
/** … or in the file that this one names, where it is too large: one variable has at most 128 KiB on Linux. */
export const ASSIGNMENT_FILE_VARIABLE = 'PUSHBROOM_ASSIGNMENT_FILE';

/** What the runner on an agent ends with. */
export const AGENT_EXIT = {
  finished: 0,
  /** Or killed; which of them, its end file says. */
  failed: 1,
  /** There was no attempt, or its end could not be told: the agent's fault, in a line on stderr. */
  trouble: 120,
} as const;

/** @throws Error in words for an operator */
export function readAssignment(environment: NodeJS.ProcessEnv): Assignment {
  const { [ASSIGNMENT_VARIABLE]: text, [ASSIGNMENT_FILE_VARIABLE]: file } = environment;
  if (text !== undefined) return parse(text, ASSIGNMENT_VARIABLE);
  if (file !== undefined) return parse(read(file), file);
  throw new Error(
    `there is no assignment: neither ${ASSIGNMENT_VARIABLE} nor ${ASSIGNMENT_FILE_VARIABLE} is set`,
  );
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const hint = 'is the shared file system mounted on this agent?';
    throw new Error(`the assignment cannot be read: ${messageOf(error)}: ${hint}`, {
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
