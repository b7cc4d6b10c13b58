import { readFile, stat } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

import type { AttemptId } from '../../core/model.ts';
import type { RunnerEnd } from '../../runner/sandbox.ts';
import { parseEnd } from '../runner-end.ts';

/** Milliseconds between looks at a file that should be there: a network file system can be late. */
const PAUSES = [50, 100, 200, 400, 800, 1500];

/** Bytes. Lists of outputs are long, but not so long. */
const LARGEST = 64 * 1024 * 1024;

/**
 * Reads what a runner has left to say of an attempt's end. Programs that it ran could have written it too, so it is
 * taken for nothing where a runner would not have said it.
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
    const text = await readSmall(file).catch(() => undefined);
    if (text !== undefined) return parseEnd(text, attemptId);
    if (ms > 0) await pause(ms);
  }
  return undefined;
}

async function readSmall(file: string): Promise<string> {
  const { size } = await stat(file);
  return size > LARGEST ? '' : readFile(file, 'utf8');
}
