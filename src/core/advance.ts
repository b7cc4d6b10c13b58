import { ceilingText, isAtCeiling } from './ceiling.ts';
import { NOTHING } from './change.ts';
import type { Change, Effect, Plan } from './change.ts';
import { endJob } from './decide.ts';
import { isJobEnded } from './lifecycle.ts';
import { STEPS } from './model.ts';
import type { JobId, Millis, Step, Task } from './model.ts';
import { hasOpenTasks } from './state.ts';
import type { JobRecord, State } from './state.ts';

/**
 * What follows for a job from the state it is in, whatever event brought it there: that its products are to be found,
 * that a period's next step can begin, that it has failed, that its results can be staged, or that it has used all that
 * it may. Because only the state
 * counts, a scheduler that starts again finds the same consequences.
 */
export function advance(state: State, jobId: JobId, at: Millis): Plan {
  const record = state.jobs.get(jobId);
  if (!record || isJobEnded(record.state)) return NOTHING;
  const failed = STEPS.find((step) => isBeyondTolerance(record, step));
  if (failed) return endJob(record, { to: 'failed', message: failureMessage(record, failed) }, at);

  const changes: Change[] = [];
  const effects: Effect[] = [];
  const isLocal = record.job.workflow.type === 'Local';
  if (record.state === 'accepted' && (record.nextTask > 0 || isLocal)) {
    changes.push({ type: 'moveJob', jobId, to: 'running', at });
  }
  if (!isLocal && !record.splitEnded && !record.requested.has('split')) {
    changes.push({ type: 'request', jobId, what: 'split' });
    effects.push({ type: 'split', job: record.job, isResumed: record.nextTask > 0 });
  }
  if (
    record.unloaded > 0 &&
    record.tasks.size <= state.window / 2 &&
    !record.requested.has('load')
  ) {
    changes.push({ type: 'request', jobId, what: 'load' });
    effects.push({
      type: 'load',
      jobId,
      after: record.loadedTo,
      limit: state.window - record.tasks.size,
    });
  }
  const tasks = tasksOfDuePeriods(record);
  if (record.due.size > 0) {
    changes.push({ type: 'settlePeriods', jobId, periods: [...record.due] });
  }
  if (tasks.length > 0) changes.push({ type: 'addTasks', jobId, tasks, at });

  const isDone = isLocal || (record.splitEnded && !hasOpenTasks(record) && tasks.length === 0);
  if (isDone && record.nextTask === 0 && !isLocal) {
    return endJob(record, { to: 'failed', message: 'No products were found for the request.' }, at);
  }
  if (isDone && !record.requested.has('stage')) {
    changes.push({ type: 'request', jobId, what: 'stage' });
    effects.push({ type: 'stage', job: record.job });
  }
  if (!isDone && !record.control.isPaused && isAtCeiling(record, at)) {
    const pauseReason = ceilingText(record, at);
    const control = { ...record.control, isPaused: true, pauseReason };
    changes.push({ type: 'controlJob', jobId, control, at });
    effects.push({ type: 'say', level: 'warn', message: `job ${jobId} is paused: ${pauseReason}` });
  }
  return { changes, effects };
}

/** The next step's tasks of every period whose present step has no open task left. */
function tasksOfDuePeriods(record: JobRecord): Task[] {
  const tasks: Task[] = [];
  for (const index of record.due) {
    const isSplit = record.splitEnded || index < record.splitUpTo;
    if (!isSplit || record.periods[index]!.open > 0) continue;
    for (const next of nextTasks(record, index)) {
      const { step, partition } = next;
      const { from, to } = record.job.periods[index]!;
      tasks.push({
        jobId: record.job.id,
        number: record.nextTask + tasks.length,
        step,
        key: partition === undefined ? `${from}:${to}` : `${from}:${to}#${partition}`,
        ...(partition !== undefined && { partition }),
        firstPeriod: index,
        lastPeriod: index,
      });
    }
  }
  return tasks;
}

/** A step without anything to work on is left out, and so is all that would follow. */
function nextTasks(record: JobRecord, index: number): { step: Step; partition?: number }[] {
  const { aggregate, format } = record.job.workflow;
  const { step, productive } = record.periods[index]!;
  if (step === 'process' && aggregate && productive.process > 0) {
    return Array.from({ length: aggregate.partitions }, (_, partition) => ({
      step: 'aggregate',
      partition,
    }));
  }
  if (step === 'aggregate' && format && productive.aggregate > 0) return [{ step: 'format' }];
  return [];
}

/** As long as more products may come, only a job that tolerates nothing can be given up. */
function isBeyondTolerance(record: JobRecord, step: Step): boolean {
  const { failed, total } = record.steps[step];
  const { failurePercent } = record.job.retry;
  if (failed === 0) return false;
  const isTotalKnown = step !== 'process' || record.splitEnded;
  return failurePercent === 0 || (isTotalKnown && failed * 100 > failurePercent * total);
}

function failureMessage({ steps, losses, job }: JobRecord, step: Step): string {
  const { failed, total } = steps[step];
  const first = losses.find((loss) => loss.step === step)!;
  const tolerated =
    job.retry.failurePercent === 0 ? '' : `, more than the tolerated ${job.retry.failurePercent} %`;
  const known =
    failed === 1 ? '' : ` ${failed} of ${total} tasks of step ${step} failed${tolerated}.`;
  return `${first.failure.message} (${step} of ${first.key})${known}`;
}
