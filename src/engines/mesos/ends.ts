import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

import type { AttemptId } from '../../core/model.ts';
import type { AttemptEnd } from '../../runner/attempt.ts';
import type { RunnerEnd } from '../../runner/sandbox.ts';

/** Milliseconds between looks at a file that should be there: a network file system can be late. */
const PAUSES = [50, 100, 200, 400, 800, 1500];
const ENDS: readonly string[] = ['finished', 'failed', 'killed'] satisfies AttemptEnd['to'][];

/**
 * Reads what a runner has left to say of an attempt's end.
 *
 * @param isDue the runner has ended, so its word should be there
 * @returns undefined where there is none, or what is there is not one
 */
export async function readEnd(
  file: string,
  attemptId: AttemptId,
  isDue: boolean,
): Promise<RunnerEnd | undefined> {
  for (const ms of isDue ? [...PAUSES, 0] : [0]) {
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text !== undefined) return parseEnd(text, attemptId);
    if (ms > 0) await pause(ms);
  }
  return undefined;
}

function parseEnd(text: string, attemptId: AttemptId): RunnerEnd | undefined {
  try {
    const said = JSON.parse(text) as Partial<RunnerEnd>;
    if (said.attemptId !== attemptId || !ENDS.includes(said.to!)) return undefined;
    if (typeof said.result !== 'object' || said.result === null) return undefined;
    return { attemptId, to: said.to!, result: said.result, isKept: said.isKept === true };
  } catch {
    return undefined;
  }
}
