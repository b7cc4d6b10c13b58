import type { Change } from './change.ts';
import {
  ATTEMPT_MOVES,
  JOB_MOVES,
  TASK_MOVES,
  isAttemptEnded,
  isJobEnded,
  legalMove,
} from './lifecycle.ts';
import type { Millis } from './model.ts';
import { addTask, createJobRecord, endTask, hasReady, nodeKey } from './state.ts';
import type { JobRecord, State } from './state.ts';

/** Writes a plan's changes into the state, as the store writes them into its tables. */
export function apply(state: State, changes: readonly Change[]): void {
  for (const change of changes) applyOne(state, change);
}

function applyOne(state: State, change: Change): void {
  switch (change.type) {
    case 'addJob':
      state.jobs.set(change.job.id, createJobRecord(change.job));
      return;
    case 'setNode': {
      const { type: _, ...node } = change;
      state.nodes.set(nodeKey(change.engine, change.node), node);
      return;
    }
    case 'dropNode':
      state.nodes.delete(nodeKey(change.engine, change.node));
      return;
    case 'wake':
      wake(state, change.until);
      return;
    case 'forgetJob':
      state.jobs.delete(change.jobId);
      state.waiting.delete(change.jobId);
      return;
    case 'addTasks':
    case 'endSplit':
    case 'moveJob':
    case 'request':
    case 'settlePeriods':
      applyToJob(state, jobRecord(state, change.jobId), change);
      return;
    case 'addAttempt':
    case 'moveAttempt':
      applyToJob(state, jobRecord(state, change.attempt.jobId), change);
      return;
    case 'endTask':
    case 'retryTask':
      applyToJob(state, jobRecord(state, change.task.jobId), change);
  }
}

type JobChange = Exclude<
  Change,
  { type: 'addJob' | 'setNode' | 'dropNode' | 'wake' | 'forgetJob' }
>;

function applyToJob(state: State, record: JobRecord, change: JobChange): void {
  switch (change.type) {
    case 'addTasks':
      for (const task of change.tasks) {
        addTask(record, task);
        record.steps[task.step].ready.push(task.number);
      }
      state.waiting.add(record.job.id);
      return;
    case 'endSplit':
      record.splitEnded = true;
      record.periods.forEach((period, index) => {
        if (period.open === 0) record.due.add(index);
      });
      return;
    case 'moveJob':
      record.state = legalMove(JOB_MOVES, record.state, change.to);
      if (isJobEnded(change.to)) state.waiting.delete(record.job.id);
      return;
    case 'addAttempt':
      addAttempt(state, record, change);
      return;
    case 'moveAttempt':
      moveAttempt(record, change);
      return;
    case 'endTask':
      endTask(record, change.task, { ...change, productive: (change.outputs?.length ?? 0) > 0 });
      return;
    case 'retryTask': {
      const task = record.tasks.get(change.task.number)!;
      legalMove(TASK_MOVES, task.state, 'ready');
      task.state = 'ready';
      task.failures = change.failures;
      task.losses = change.losses;
      state.delayed.push({ until: change.notBefore, jobId: record.job.id, task: task.task.number });
      return;
    }
    case 'request':
      record.requested.add(change.what);
      return;
    case 'settlePeriods':
      for (const period of change.periods) record.due.delete(period);
  }
}

/** A task is launched in the order in which it became ready, so the queue's head is the one. */
function addAttempt(
  state: State,
  record: JobRecord,
  { attempt, task: { step }, resources }: Extract<Change, { type: 'addAttempt' }>,
): void {
  const ready = record.steps[step].ready;
  if (ready.shift() !== attempt.task) throw new Error(`task ${attempt.task} is not the next one`);
  if (!hasReady(record)) state.waiting.delete(record.job.id);
  const task = record.tasks.get(attempt.task)!;
  legalMove(TASK_MOVES, task.state, 'running');
  task.state = 'running';
  task.attempts = attempt.number;
  record.attempts.set(attempt.id, { attempt, resources, state: 'launched' });
  record.usedCpus += resources.cpus;
}

function moveAttempt(record: JobRecord, change: Extract<Change, { type: 'moveAttempt' }>): void {
  const attempt = record.attempts.get(change.attempt.id)!;
  attempt.state = legalMove(ATTEMPT_MOVES, attempt.state, change.to);
  if (!isAttemptEnded(change.to)) return;
  record.attempts.delete(change.attempt.id);
  record.usedCpus -= attempt.resources.cpus;
}

/** Makes delayed tasks ready; those of jobs that have ended meanwhile are dropped. */
function wake(state: State, until: Millis): void {
  for (let next = state.delayed.peek(); next && next.until <= until; next = state.delayed.peek()) {
    state.delayed.pop();
    const record = state.jobs.get(next.jobId);
    const woken = record?.tasks.get(next.task);
    if (!record || !woken || isJobEnded(record.state)) continue;
    record.steps[woken.task.step].ready.push(next.task);
    state.waiting.add(next.jobId);
  }
}

function jobRecord(state: State, id: string): JobRecord {
  const record = state.jobs.get(id);
  if (!record) throw new Error(`a change for job ${id}, which is not known`);
  return record;
}
