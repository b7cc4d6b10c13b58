import { readFile, stat } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

import { FAILURE_KINDS } from '../../core/model.ts';
import type { AttemptId } from '../../core/model.ts';
import type { AttemptEnd } from '../../runner/attempt.ts';
import type { RunnerEnd } from '../../runner/sandbox.ts';

/** Milliseconds between looks at a file that should be there: a network file system can be late. */
const PAUSES = [50, 100, 200, 400, 800, 1500];
const ENDS: readonly unknown[] = ['finished', 'failed', 'killed'] satisfies AttemptEnd['to'][];

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

function parseEnd(text: string, attemptId: AttemptId): RunnerEnd | undefined {
  try {
    const said: unknown = JSON.parse(text);
    if (!isObject(said) || said['attemptId'] !== attemptId) return undefined;
    const { to, result, isKept } = said;
    if (!ENDS.includes(to) || !isResult(result)) return undefined;
    return { attemptId, to, result, isKept: isKept === true } as RunnerEnd;
  } catch {
    return undefined;
  }
}

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown): boolean => typeof value === 'string';
const isFigure = (value: unknown): boolean => typeof value === 'number';
const isAbsentOr = (is: (value: unknown) => boolean, value: unknown): boolean =>
  value === undefined || is(value);

const isResult = (value: unknown): boolean =>
  isObject(value) &&
  isAbsentOr(isFigure, value['startedAt']) &&
  isAbsentOr(isFigure, value['exitCode']) &&
  isAbsentOr(isText, value['signal']) &&
  isAbsentOr((list) => Array.isArray(list) && list.every(isOutput), value['outputs']) &&
  isAbsentOr(isUsage, value['usage']) &&
  isAbsentOr(isFailure, value['failure']);

const isOutput = (value: unknown): boolean =>
  isObject(value) &&
  isInside(value['path']) &&
  isFigure(value['size']) &&
  isAbsentOr(isText, value['name']) &&
  isAbsentOr(isText, value['sha256']);

/** Of the task's result. */
const isInside = (path: unknown): boolean =>
  typeof path === 'string' && !path.startsWith('/') && !path.split('/').includes('..');

const isUsage = (value: unknown): boolean =>
  isObject(value) &&
  isFigure(value['wallMs']) &&
  isObject(value['sources']) &&
  Object.values(value['sources']).every(isText) &&
  Object.entries(value).every(([name, figure]) => name === 'sources' || isFigure(figure));

const isFailure = (value: unknown): boolean =>
  isObject(value) &&
  (FAILURE_KINDS as readonly unknown[]).includes(value['kind']) &&
  isText(value['message']);
