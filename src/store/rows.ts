import type { Selectable } from 'kysely';

import type { Change } from '../core/change.ts';
import { attemptId } from '../core/ids.ts';
import { isAttemptEnded } from '../core/lifecycle.ts';
import type { Job, JobId, Step, Task } from '../core/model.ts';
import type { Database } from './schema.ts';
import type { AttemptView, JobView, StepCount, TaskView } from './store.ts';

type JobRow = Selectable<Database['jobs']>;
export type TaskRow = Selectable<Database['tasks']>;
export type AttemptRow = Selectable<Database['attempts']>;

const parse = <T>(json: string): T => JSON.parse(json) as T;
const json = (value: unknown): string | null =>
  value === undefined ? null : JSON.stringify(value);

export function jobView(row: JobRow): JobView {
  const count = (step: Step): StepCount => ({
    total: row[`${step}_total`],
    finished: row[`${step}_finished`],
    failed: row[`${step}_failed`],
  });
  return {
    job: parse<Job>(row.spec),
    state: row.state,
    ...(row.started_at !== null && { startedAt: row.started_at }),
    ...(row.ended_at !== null && { endedAt: row.ended_at }),
    updatedAt: row.updated_at,
    splitEnded: row.split_ended === 1,
    steps: { process: count('process'), aggregate: count('aggregate'), format: count('format') },
    attempts: row.attempts,
    ...(row.message !== null && { message: row.message }),
    ...(row.results !== null && { results: parse(row.results) }),
  };
}

export const task = (jobId: JobId, row: TaskRow): Task => ({
  jobId,
  number: row.number,
  step: row.step,
  key: row.key,
  ...(row.input !== null && { input: row.input }),
  ...(row.source !== null && { source: row.source }),
  ...(row.partition !== null && { partition: row.partition }),
  firstPeriod: row.first_period,
  lastPeriod: row.last_period,
});

export const taskView = (jobId: JobId, row: TaskRow): TaskView => ({
  task: task(jobId, row),
  state: row.state,
  attempts: row.attempts,
  ...(row.failure !== null && { failure: parse(row.failure) }),
  ...(row.outputs !== null && { outputs: parse(row.outputs) }),
});

export const attemptView = (jobId: JobId, row: AttemptRow): AttemptView => ({
  id: attemptId(jobId, row.task, row.number),
  task: row.task,
  number: row.number,
  engine: row.engine,
  node: row.node,
  state: row.state,
  launchedAt: row.launched_at,
  ...(row.ended_at !== null && { endedAt: row.ended_at }),
  ...(row.result !== null && { result: parse(row.result) }),
});

type TaskChange = Extract<Change, { type: 'addAttempt' | 'endTask' | 'retryTask' }>;

/** The whole row of a task after a change, so that writing it is one upsert whatever the change. */
export function taskRow(job: number, change: TaskChange): TaskRow {
  const row = newTaskRow(job, change.task);
  const { failures, losses } = change;
  switch (change.type) {
    case 'addAttempt':
      return { ...row, state: 'running', attempts: change.attempt.number, failures, losses };
    case 'retryTask': {
      const { attempts, notBefore, failure } = change;
      return { ...row, attempts, failures, losses, not_before: notBefore, failure: json(failure) };
    }
    case 'endTask': {
      const { attempts, to, outputs, failure } = change;
      const ends = { outputs: json(outputs), failure: json(failure) };
      return { ...row, state: to, attempts, failures, losses, ...ends };
    }
  }
}

export const newTaskRow = (job: number, { number, step, key, ...rest }: Task): TaskRow => ({
  job,
  number,
  step,
  key,
  input: rest.input ?? null,
  source: rest.source ?? null,
  partition: rest.partition ?? null,
  first_period: rest.firstPeriod,
  last_period: rest.lastPeriod,
  state: 'ready',
  attempts: 0,
  failures: 0,
  losses: 0,
  not_before: null,
  failure: null,
  outputs: null,
});

type AttemptChange = Extract<Change, { type: 'addAttempt' | 'moveAttempt' }>;

export function attemptRow(job: number, change: AttemptChange): AttemptRow {
  const { attempt, resources } = change;
  const row: AttemptRow = {
    job,
    task: attempt.task,
    number: attempt.number,
    engine: attempt.engine,
    node: attempt.node,
    state: 'launched',
    cpus: resources.cpus,
    memory_mb: resources.memoryMb,
    launched_at: attempt.launchedAt,
    ended_at: null,
    result: null,
  };
  if (change.type === 'addAttempt') return row;
  const endedAt = isAttemptEnded(change.to) ? change.at : null;
  return { ...row, state: change.to, ended_at: endedAt, result: json(change.result) };
}
