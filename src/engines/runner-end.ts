/** What a runner has left to say of an attempt's end, however its cluster brings it to us. */
import { FAILURE_KINDS } from '../core/model.ts';
import type { AttemptId, Failure, FailureKind } from '../core/model.ts';
import type { AttemptEnd } from '../runner/attempt.ts';
import type { RunnerEnd } from '../runner/sandbox.ts';
import type { AttemptNews } from './engine.ts';

const ENDS: readonly unknown[] = ['finished', 'failed', 'killed'] satisfies AttemptEnd['to'][];

/**
 * Programs that a runner ran could have written it too, so it is taken for nothing where a runner would not have said
 * it.
 */
export function parseEnd(text: string, attemptId: AttemptId): RunnerEnd | undefined {
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

/** Ends that a cluster brings about by itself: then it knows why, and the runner only that. */
const BY_CLUSTER: ReadonlySet<FailureKind> = new Set<FailureKind>([
  'memory',
  'disk',
  'time',
  'capacity',
  'operator',
]);

/**
 * Whose word counts. The runner's does, and always where it finished: then the outputs are there. But where the cluster
 * or somebody by its means ended the attempt, what the runner saw is the effect of that, such as a program that TERM
 * ended.
 *
 * @param news what the cluster says
 */
export function wins({ to, result }: AttemptEnd, news: AttemptNews): AttemptNews {
  if (to === 'finished') return { state: to, result };
  const { failure: seen, ...rest } = result;
  const { state } = news;
  const failure = news.result?.failure;
  if (!failure) return { state, result: rest };
  if (to === 'killed') return { state, result: { ...news.result, ...rest, failure } };
  if (!BY_CLUSTER.has(failure.kind) || failure.kind === seen?.kind) return { state: to, result };
  return { state, result: { ...rest, failure: both(failure, seen) } };
}

const both = ({ kind, message }: Failure, seen: Failure | undefined): Failure => ({
  kind,
  message: seen ? `${message}; the runner says: ${seen.message}` : message,
});
