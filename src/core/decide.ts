import { moveAttempt } from './attempts.ts';
import { ceilingRemedy, ceilingText, isAtCeiling } from './ceiling.ts';
import { NOTHING, refuse } from './change.ts';
import type { Change, Effect, Event, Plan } from './change.ts';
import { isJobEnded } from './lifecycle.ts';
import type { Millis, Task } from './model.ts';
import { attemptsOn, nodePlan } from './nodes.ts';
import { jobGroups } from './policy.ts';
import { brokenQueue } from './shares.ts';
import { nodeKey } from './state.ts';
import type { JobRecord, State } from './state.ts';

/**
 * What an event means: what to write down and what to do then. Together with `advance`, which draws the
 * consequences for the job, and `place`, which fills free nodes, this is the whole scheduler.
 */
export function decide(state: State, event: Event, at: Millis): Plan {
  switch (event.type) {
    case 'jobAccepted':
      return acceptJob(state, event);
    case 'attemptMoved':
      return moveAttempt(state, event, at);
    case 'nodeDown':
      return dropNode(state, event);
    case 'nodeUp':
    case 'offered':
    case 'rescinded':
      return nodePlan(state, event);
    case 'nodeDrained':
      return { changes: [{ ...event, type: 'drainNode', at }], effects: [] };
    case 'policySet':
      return { changes: [{ type: 'setPolicy', policy: event.policy }], effects: [] };
    case 'jobControlled':
    case 'tasksRetried': {
      const record = state.jobs.get(event.jobId);
      if (!record || isJobEnded(record.state)) {
        return refuse('CONFLICT', `Job ${event.jobId} has ended.`);
      }
      return event.type === 'jobControlled'
        ? controlJob(state, record, event, at)
        : retryTasks(record, event, at);
    }
    case 'jobDismissed':
    case 'productsFound':
    case 'splitEnded':
    case 'tasksLoaded':
    case 'staged':
    case 'stagingFailed': {
      const record = state.jobs.get(event.jobId);
      // News of a job that has ended is late, never wrong.
      return record && !isJobEnded(record.state) ? decideForJob(record, event, at) : NOTHING;
    }
  }
}

type Of<T extends Event['type']> = Extract<Event, { readonly type: T }>;

function acceptJob({ shares }: State, { job }: Of<'jobAccepted'>): Plan {
  const full = brokenQueue(shares, { user: job.user, control: job });
  if (full) {
    const message = `The ${full.what} has its limit of ${full.limit}: try again when one has ended.`;
    return refuse('LIMIT_REACHED', message);
  }
  return { changes: [{ type: 'addJob', job }], effects: [] };
}

/** What ran on a node that is gone is lost at once: nobody waits for news that may never come. */
function dropNode(state: State, event: Of<'nodeDown'>): Plan {
  const { engine, node } = event;
  const failure = { kind: 'engine', message: `node ${node} is gone` } as const;
  const events = attemptsOn(state, nodeKey(engine, node)).map((attemptId): Event => ({
    type: 'attemptMoved',
    engine,
    attemptId,
    to: 'lost',
    result: { failure },
  }));
  return { ...nodePlan(state, event), events };
}

function controlJob(
  { policy }: State,
  record: JobRecord,
  { jobId, control }: Of<'jobControlled'>,
  at: Millis,
): Plan {
  const paths = new Set(jobGroups(policy));
  if (control.group !== undefined && !paths.has(control.group)) {
    const known = [...paths].join(', ');
    return refuse(
      'INVALID_PARAMETER',
      `There is no group '${control.group}' for jobs. There are: ${known}.`,
    );
  }
  if (control.priority !== undefined && !Number.isSafeInteger(control.priority)) {
    return refuse('INVALID_PARAMETER', 'A priority is a whole number.');
  }
  if (control.maxCpuHours !== undefined && !(control.maxCpuHours > 0)) {
    return refuse('INVALID_PARAMETER', 'A ceiling of CPU hours is a number above 0.');
  }
  const { pauseReason, ...now } = record.control;
  const isSameReason = control.isPaused === undefined && pauseReason !== undefined;
  const next = { ...now, ...control, ...(isSameReason && { pauseReason }) };
  if (control.isPaused === false && isAtCeiling(record, at, next)) {
    const used = ceilingText(record, at, next);
    return refuse('CONFLICT', `Job ${jobId} stays paused: ${used}. ${ceilingRemedy(jobId)}`);
  }
  return { changes: [{ type: 'controlJob', jobId, control: next, at }], effects: [] };
}

/** Failed tasks become ready again, but not those on whose absence later steps were built. */
function retryTasks(record: JobRecord, event: Of<'tasksRetried'>, at: Millis): Plan {
  const { memoryMb } = event;
  // Whoever names a task twice wants it once.
  const wanted = new Map(event.tasks.map((each) => [each.task.number, each])).values();
  const failed = [...wanted].filter(({ task }) => record.failedTasks.has(task.number));
  const free = failed.filter(({ task }) => isStillOpen(record, task));
  if (free.length === 0) {
    const why =
      failed.length > 0 ? 'the next step has begun without them' : 'none of them has failed';
    return refuse('CONFLICT', `No task of job ${record.job.id} can be tried again: ${why}.`);
  }
  return {
    changes: free.map(({ task, attempts }) => ({
      type: 'reviveTask',
      task,
      attempts,
      at,
      ...(memoryMb !== undefined && { memoryMb }),
    })),
    effects: [],
  };
}

const isStillOpen = ({ job, periods, requested }: JobRecord, task: Task): boolean =>
  !requested.has('stage') &&
  (!job.workflow.aggregate ||
    periods.slice(task.firstPeriod, task.lastPeriod + 1).every(({ step }) => step === task.step));

function decideForJob(
  record: JobRecord,
  event: Of<
    'jobDismissed' | 'productsFound' | 'splitEnded' | 'tasksLoaded' | 'staged' | 'stagingFailed'
  >,
  at: Millis,
): Plan {
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
        ...(product.location && { location: product.location }),
      }));
      return tasks.length > 0
        ? { changes: [{ type: 'addTasks', jobId, tasks, at }], effects: [] }
        : NOTHING;
    }
    case 'tasksLoaded': {
      // Asked for twice, or by a scheduler that has been read anew since.
      const tasks = event.tasks.filter(({ number }) => number > record.loadedTo);
      return { changes: [{ type: 'loadTasks', jobId, tasks, at }], effects: [] };
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

function successMessage({ steps, losses }: JobRecord): string {
  const lost = steps.process.failed + steps.aggregate.failed + steps.format.failed;
  const summary = 'The request has been processed successfully.';
  if (lost === 0) return summary;
  const reasons = losses.map(({ key, failure }) => `${key} (${failure.message})`).join('; ');
  const more = lost > losses.length ? `; and ${lost - losses.length} more` : '';
  return `${summary} ${lost} of ${steps.process.total} products were lost: ${reasons}${more}`;
}
