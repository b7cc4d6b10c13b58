import { NOTHING } from './change.ts';
import type { Change, Effect, Event, Plan } from './change.ts';
import { TREATMENTS, causeOf, failureOf, moreMemory, retryDelay } from './failures.ts';
import { parseAttemptId } from './ids.ts';
import { ATTEMPT_MOVES, canMove, isAttemptEnded, isJobEnded } from './lifecycle.ts';
import type { AttemptResult, AttemptState, Failure, Millis, Task } from './model.ts';
import { judge } from './nodes.ts';
import { canRun, needOf, nodeKey, resourcesOf } from './state.ts';
import type { AttemptRecord, JobRecord, State, TaskRecord } from './state.ts';

type AttemptMoved = Extract<Event, { type: 'attemptMoved' }>;

/** What an engine's news of an attempt means for it, its task and the node where it ran. */
export function moveAttempt(state: State, event: AttemptMoved, at: Millis): Plan {
  const { engine, attemptId, to } = event;
  const ids = parseAttemptId(attemptId);
  const record = ids && state.jobs.get(ids.jobId);
  const known = record?.attempts.get(attemptId);
  if (!ids || !record || !known) {
    // We gave it up, or never knew it, and it runs: engines bring back the dead.
    return isAttemptEnded(to)
      ? NOTHING
      : { changes: [], effects: [{ type: 'kill', engine, attemptId }] };
  }
  // Engines repeat and reorder their news; what is not a legal move is old news.
  if (!canMove(ATTEMPT_MOVES, known.state, to)) return NOTHING;
  const task = record.tasks.get(ids.task);
  const isUnwanted = isJobEnded(record.state) || !task;
  if (!isAttemptEnded(to)) {
    // A kill may have overtaken the launch.
    const effects: Effect[] = isUnwanted ? [{ type: 'kill', engine, attemptId }] : [];
    return { changes: [moved(known, event, to, at)], effects };
  }
  // What comes second to its peer has committed nothing.
  if (isUnwanted) return endUnwanted(record, known, event, at);
  if (to === 'finished') return finish(record, task, known, event, at);
  return fail(state, record, task, known, event, at);
}

const moved = (
  { attempt, resources }: AttemptRecord,
  { result }: AttemptMoved,
  to: AttemptState,
  at: Millis,
): Extract<Change, { type: 'moveAttempt' }> => ({
  type: 'moveAttempt',
  attempt,
  resources,
  to,
  at,
  ...(result && { result }),
});

/** An attempt of a job or a task that has ended: with the job's last one, the job leaves the scheduler's memory. */
function endUnwanted(
  record: JobRecord,
  known: AttemptRecord,
  event: AttemptMoved,
  at: Millis,
): Plan {
  const to = event.to === 'finished' ? 'killed' : event.to;
  const move = moved(known, event, to, at);
  const { job, state, attempts } = record;
  if (!isJobEnded(state) || attempts.size > 1) return { changes: [move], effects: [] };
  return {
    changes: [move, { type: 'forgetJob', jobId: job.id }],
    effects: [{ type: 'clean', job, state }],
  };
}

/** The first success of a task ends it; attempts beside it are no longer wanted. */
function finish(
  record: JobRecord,
  { task, attempts, failures, losses, live }: TaskRecord,
  known: AttemptRecord,
  event: AttemptMoved,
  at: Millis,
): Plan {
  const { attempt } = known;
  const outputs = event.result?.outputs ?? [];
  const changes: Change[] = [moved(known, event, 'finished', at)];
  changes.push({ type: 'endTask', task, attempts, to: 'finished', at, failures, losses, outputs });
  const node = nodeKey(attempt.engine, attempt.node);
  const jobId = record.job.id;
  if (record.trouble.has(node)) {
    changes.push({ type: 'judgeNode', jobId, node, hasFailed: false, at });
  }
  const { workflow } = record.job;
  if (task.step === 'process' && workflow.format && !workflow.aggregate && outputs.length > 0) {
    changes.push({ type: 'addTasks', jobId, tasks: [formatTask(record, task)], at });
  }
  return { changes, effects: live > 1 ? killOthers(record, known) : [] };
}

const killOthers = ({ attempts }: JobRecord, { attempt }: AttemptRecord): Effect[] =>
  Array.from(attempts.values())
    .filter((other) => other.attempt.task === attempt.task && other.attempt.id !== attempt.id)
    .map((other) => ({
      type: 'kill',
      engine: other.attempt.engine,
      attemptId: other.attempt.id,
    }));

const formatTask = (record: JobRecord, { jobId, number, key }: Task): Task => ({
  jobId,
  number: record.nextTask,
  step: 'format',
  key,
  source: number,
  firstPeriod: 0,
  lastPeriod: 0,
});

/** An attempt that did not finish: its task is tried again or is given up, unless a peer of it still runs. */
function fail(
  state: State,
  record: JobRecord,
  task: TaskRecord,
  known: AttemptRecord,
  event: AttemptMoved,
  at: Millis,
): Plan {
  const failure = failureOf(event.to, event.result?.failure);
  const cause = causeOf(failure);
  const result: AttemptResult = { ...event.result, failure };
  const move: Change = { ...moved(known, event, event.to, at), result, cause };
  const judged = judgement(state, record, task, known, failure, at);
  const follow =
    task.live > 1 ? [] : [tryAgain(state, record, task, known, { failure, cause }, at)];
  return { changes: [move, ...judged.changes, ...follow], effects: judged.effects };
}

/**
 * What a failure says about the node. Where nothing of a step has ever worked, the program is to blame and not the node;
 * and a node that has gone is past judging.
 */
function judgement(
  state: State,
  record: JobRecord,
  { task }: TaskRecord,
  { attempt }: AttemptRecord,
  { kind }: Failure,
  at: Millis,
): Plan {
  const { isNodeSuspect, budget } = TREATMENTS[kind];
  const isProven = budget === 'losses' || record.steps[task.step].finished > 0;
  const node = nodeKey(attempt.engine, attempt.node);
  return isNodeSuspect && isProven && state.nodes.has(node)
    ? judge(state, record, node, at)
    : NOTHING;
}

/** Losses of one task after which it waits before it is tried again, as anything else does. */
const LOSSES_AT_ONCE = 2;

function tryAgain(
  state: State,
  record: JobRecord,
  held: TaskRecord,
  { attempt }: AttemptRecord,
  { failure, cause }: { readonly failure: Failure; readonly cause: string },
  at: Millis,
): Change {
  const { retry } = record.job;
  const { task, attempts } = held;
  const { budget, most = Infinity, isAtOnce, isNodeSuspect } = TREATMENTS[failure.kind];
  const failures = held.failures + (budget === 'failures' ? 1 : 0);
  const losses = held.losses + (budget === 'losses' ? 1 : 0);
  const common = { task, attempts, at, failures, losses };
  const isSpent =
    budget === 'failures'
      ? failures >= Math.min(retry.maxAttempts, most)
      : budget === 'losses' && losses >= retry.maxLosses;
  const had = resourcesOf(record, held).memoryMb;
  if (isSpent) {
    const end = { ...failure, message: withMemory(failure, had) };
    return { type: 'endTask', to: 'failed', ...common, failure: end, cause };
  }
  const memoryMb =
    failure.kind === 'memory' ? moreMemory(had, mostMemory(state, record, held)) : held.memoryMb;
  const refusals = failure.kind === 'capacity' ? (held.refusals ?? 0) + 1 : undefined;
  const isPaused = !isAtOnce || losses > LOSSES_AT_ONCE;
  const pause = isPaused ? retryDelay(retry, refusals ?? failures + losses) : 0;
  return {
    type: 'retryTask',
    ...common,
    notBefore: at + pause,
    ...(refusals !== undefined && { refusals }),
    failure,
    ...(memoryMb !== undefined && { memoryMb }),
    ...(isNodeSuspect && { avoid: nodeKey(attempt.engine, attempt.node) }),
  };
}

/** What a job may have, but no more than a node has on which it can run: what fits nowhere would wait for ever. */
function mostMemory({ nodes }: State, record: JobRecord, held: TaskRecord): number {
  const need = needOf(record, held);
  const { gpus = 0 } = need.resources;
  const { maxMemoryMb } = record.job.retry;
  let largest = 0;
  for (const node of nodes.values()) {
    const { total } = node;
    if (!total || (total.gpus ?? 0) < gpus || !canRun(node, need)) continue;
    largest = Math.max(largest, total.memoryMb);
  }
  return largest > 0 ? Math.min(maxMemoryMb, largest) : maxMemoryMb;
}

const withMemory = ({ kind, message }: Failure, memoryMb: number): string =>
  kind === 'memory' ? `${message} (it had ${memoryMb} MB)` : message;
