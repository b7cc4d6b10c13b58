import { NOTHING } from './change.ts';
import type { Change, Effect, Event, Plan } from './change.ts';
import { parseAttemptId } from './ids.ts';
import { ATTEMPT_MOVES, canMove, isAttemptEnded, isJobEnded } from './lifecycle.ts';
import type { AttemptResult, Failure, Millis, RetryPolicy, Task } from './model.ts';
import { nodeKey } from './state.ts';
import type { AttemptRecord, JobRecord, State, TaskRecord } from './state.ts';

/**
 * What an event means: what to write down and what to do then. Together with `advance`, which draws the
 * consequences for the job, and `place`, which fills free nodes, this is the whole scheduler.
 */
export function decide(state: State, event: Event, at: Millis): Plan {
  switch (event.type) {
    case 'jobAccepted':
      return { changes: [{ type: 'addJob', job: event.job }], effects: [] };
    case 'attemptMoved':
      return moveAttempt(state, event, at);
    case 'nodeUp':
    case 'nodeDown':
    case 'offered':
    case 'rescinded':
      return { changes: nodeChanges(state, event), effects: [] };
    case 'jobDismissed':
    case 'productsFound':
    case 'splitEnded':
    case 'staged':
    case 'stagingFailed': {
      const record = state.jobs.get(event.jobId);
      // News of a job that has ended is late, never wrong.
      return record && !isJobEnded(record.state) ? decideForJob(record, event, at) : NOTHING;
    }
  }
}

type JobEvent = Extract<Event, { readonly jobId: string }>;

function decideForJob(record: JobRecord, event: JobEvent, at: Millis): Plan {
  const jobId = record.job.id;
  switch (event.type) {
    case 'jobDismissed':
      return endJob(record, { to: 'dismissed', message: 'The job was dismissed.' }, at);
    case 'productsFound': {
      const tasks = event.products.map((product, index): Task => ({
        jobId,
        number: record.nextTask + index,
        step: 'process',
        key: product.path,
        input: product.path,
        firstPeriod: product.firstPeriod,
        lastPeriod: product.lastPeriod,
      }));
      return tasks.length > 0
        ? { changes: [{ type: 'addTasks', jobId, tasks, at }], effects: [] }
        : NOTHING;
    }
    case 'splitEnded':
      if (event.failure)
        return endJob(record, { to: 'failed', message: event.failure.message }, at);
      return record.splitEnded
        ? NOTHING
        : { changes: [{ type: 'endSplit', jobId, at }], effects: [] };
    case 'staged':
      return endJob(
        record,
        { to: 'successful', message: successMessage(record), results: event.results },
        at,
      );
    case 'stagingFailed':
      return endJob(
        record,
        { to: 'failed', message: `The results could not be staged: ${event.failure.message}` },
        at,
      );
  }
}

type JobEnd = Pick<Extract<Change, { type: 'moveJob' }>, 'to' | 'message' | 'results'>;

/** A job gets exactly one terminal state, and all that still runs of it is ended. */
export function endJob(record: JobRecord, end: JobEnd, at: Millis): Plan {
  const { job } = record;
  const changes: Change[] = [{ type: 'moveJob', jobId: job.id, at, ...end }];
  const effects: Effect[] = Array.from(record.attempts.values(), ({ attempt }) => ({
    type: 'kill',
    engine: attempt.engine,
    attemptId: attempt.id,
  }));
  if (record.attempts.size === 0) {
    changes.push({ type: 'forgetJob', jobId: job.id });
    effects.push({ type: 'clean', job, state: end.to });
  }
  return { changes, effects };
}

type AttemptMoved = Extract<Event, { type: 'attemptMoved' }>;

function moveAttempt(state: State, event: AttemptMoved, at: Millis): Plan {
  const { engine, attemptId, to, result } = event;
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
  const move: Change = {
    type: 'moveAttempt',
    attempt: known.attempt,
    resources: known.resources,
    to,
    at,
    ...(result && { result }),
  };
  if (!isAttemptEnded(to)) {
    // A kill may have overtaken the launch.
    const isUnwanted = isJobEnded(record.state);
    return { changes: [move], effects: isUnwanted ? [{ type: 'kill', engine, attemptId }] : [] };
  }
  if (isJobEnded(record.state)) return endLastAttempt(record, known, move);
  const task = record.tasks.get(ids.task)!;
  return { changes: [move, ...endAttempt(record, task, to, result, at)], effects: [] };
}

/** An attempt of a job that has ended: with the last one, the job leaves the scheduler's memory. */
function endLastAttempt(record: JobRecord, { attempt }: AttemptRecord, move: Change): Plan {
  const isLast = record.attempts.size === 1 && record.attempts.has(attempt.id);
  return isLast
    ? {
        changes: [move, { type: 'forgetJob', jobId: record.job.id }],
        effects: [{ type: 'clean', job: record.job, state: record.state }],
      }
    : { changes: [move], effects: [] };
}

/** What the end of its attempt means for a task: done, failed for good, or once more. */
function endAttempt(
  record: JobRecord,
  { task, attempts, failures, losses }: TaskRecord,
  to: AttemptRecord['state'],
  result: AttemptResult | undefined,
  at: Millis,
): Change[] {
  if (to === 'finished') {
    const outputs = result?.outputs ?? [];
    const changes: Change[] = [
      { type: 'endTask', task, attempts, to: 'finished', at, failures, losses, outputs },
    ];
    const { workflow } = record.job;
    if (task.step === 'process' && workflow.format && !workflow.aggregate && outputs.length > 0) {
      changes.push({
        type: 'addTasks',
        jobId: record.job.id,
        tasks: [formatTask(record, task)],
        at,
      });
    }
    return changes;
  }
  const { retry } = record.job;
  const failed = failures + (to === 'failed' ? 1 : 0);
  const lost = losses + (to === 'failed' ? 0 : 1);
  const failure = result?.failure ?? unexplained(to);
  if (failed >= retry.maxAttempts || lost >= retry.maxLosses) {
    return [
      {
        type: 'endTask',
        task,
        attempts,
        to: 'failed',
        at,
        failures: failed,
        losses: lost,
        failure,
      },
    ];
  }
  const notBefore = at + 1000 * retryDelay(retry, failed + lost);
  return [
    { type: 'retryTask', task, attempts, at, notBefore, failures: failed, losses: lost, failure },
  ];
}

const formatTask = (record: JobRecord, { jobId, number, key }: Task): Task => ({
  jobId,
  number: record.nextTask,
  step: 'format',
  key,
  source: number,
  firstPeriod: 0,
  lastPeriod: 0,
});

/** Seconds before attempt `tries + 1`. */
export const retryDelay = (retry: RetryPolicy, tries: number): number =>
  Math.min(retry.delay * 2 ** (tries - 1), retry.maxDelay);

const unexplained = (to: string): Failure => ({
  kind: 'engine',
  message:
    to === 'killed' ? 'The attempt was killed.' : `The attempt was ${to} without a word why.`,
});

function successMessage({ steps, losses }: JobRecord): string {
  const lost = steps.process.failed + steps.aggregate.failed + steps.format.failed;
  const summary = 'The request has been processed successfully.';
  if (lost === 0) return summary;
  const reasons = losses.map(({ key, failure }) => `${key} (${failure.message})`).join('; ');
  const more = lost > losses.length ? `; and ${lost - losses.length} more` : '';
  return `${summary} ${lost} of ${steps.process.total} products were lost: ${reasons}${more}`;
}

type NodeEvent = Extract<Event, { type: 'nodeUp' | 'nodeDown' | 'offered' | 'rescinded' }>;

function nodeChanges(state: State, event: NodeEvent): Change[] {
  switch (event.type) {
    case 'nodeUp': {
      const { engine, node, resources } = event;
      const offers = state.nodes.get(nodeKey(engine, node))?.offers ?? [];
      return [{ type: 'setNode', engine, node, total: resources, offers }];
    }
    case 'nodeDown':
      return [{ type: 'dropNode', engine: event.engine, node: event.node }];
    case 'offered': {
      const changes = new Map<string, Extract<Change, { type: 'setNode' }>>();
      for (const offer of event.offers) {
        const { engine, node } = offer;
        const key = nodeKey(engine, node);
        const known = changes.get(key) ?? state.nodes.get(key);
        const offers = [...(known?.offers ?? []).filter(({ id }) => id !== offer.id), offer];
        changes.set(key, {
          type: 'setNode',
          engine,
          node,
          ...(known?.total && { total: known.total }),
          offers,
        });
      }
      return [...changes.values()];
    }
    case 'rescinded':
      return Array.from(state.nodes.values())
        .filter(({ engine }) => engine === event.engine)
        .map(({ engine, node, total, offers }) => ({
          type: 'setNode',
          engine,
          node,
          ...(total && { total }),
          offers: offers.filter(({ id }) => !event.offerIds.includes(id)),
        }));
  }
}
