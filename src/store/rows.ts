import type { Selectable } from 'kysely';

import { attemptId } from '../core/ids.ts';
import type {
  Attempt,
  Control,
  Job,
  JobId,
  Location,
  Resources,
  Step,
  Task,
  TaskState,
} from '../core/model.ts';
import type { OpenTask } from '../core/restore.ts';
import type { AttemptRecord } from '../core/state.ts';
import type { Database } from './schema.ts';
import type { AttemptView, FailureGroup, JobView, StepCount, TaskView } from './store.ts';

/** What rows of the tables mean, whoever read them. */

export type JobRow = Selectable<Database['jobs']>;
export type TaskRow = Selectable<Database['tasks']>;
export type AttemptRow = Selectable<Database['attempts']>;

/** A task together with what its attempts say of it. */
export interface TriedTaskRow extends TaskRow {
  /** Number of its last attempt; null before the first. */
  readonly last_attempt: number | null;
  /** Whether it has one that has not ended: 0 or 1. */
  readonly is_live: number;
}

const parse = <T>(json: string): T => JSON.parse(json) as T;

export const controlOf = (
  row: Pick<JobRow, 'share_group' | 'priority' | 'is_paused' | 'pause_reason' | 'max_cpu_hours'>,
): Control => ({
  group: row.share_group,
  priority: row.priority,
  isPaused: row.is_paused === 1,
  ...(row.pause_reason !== null && { pauseReason: row.pause_reason }),
  ...(row.max_cpu_hours !== null && { maxCpuHours: row.max_cpu_hours }),
});

export function jobView(row: JobRow): JobView {
  const count = (step: Step): StepCount => ({
    total: row[`${step}_total`],
    finished: row[`${step}_finished`],
    failed: row[`${step}_failed`],
  });
  return {
    job: parse<Job>(row.spec),
    control: controlOf(row),
    state: row.state,
    ...(row.started_at !== null && { startedAt: row.started_at }),
    ...(row.ended_at !== null && { endedAt: row.ended_at }),
    updatedAt: row.updated_at,
    splitEnded: row.split_ended === 1,
    steps: { process: count('process'), aggregate: count('aggregate'), format: count('format') },
    attempts: row.attempts,
    usedCpuMs: row.used_cpu_ms,
    ...(row.message !== null && { message: row.message }),
    ...(row.results !== null && { results: parse(row.results) }),
  };
}

export function task(jobId: JobId, row: TaskRow): Task {
  const input = row.input ?? (row.step === 'process' ? row.key : null);
  return {
    jobId,
    number: row.number,
    step: row.step,
    key: row.key,
    ...(input !== null && { input }),
    ...(row.source !== null && { source: row.source }),
    ...(row.partition !== null && { partition: row.partition }),
    firstPeriod: row.first_period,
    lastPeriod: row.last_period,
    ...(row.location !== null && { location: locationOf(row.location) }),
  };
}

/** A place of before there could be several pools names one. */
function locationOf(json: string): Location {
  const { pool, ...location } = parse<Location & { readonly pool?: string }>(json);
  return pool === undefined ? location : { ...location, pools: [pool] };
}

function stateOf({ state, is_live }: TriedTaskRow): TaskState {
  if (state === 'finished' || state === 'failed') return state;
  return is_live === 1 ? 'running' : 'ready';
}

export const taskView = (jobId: JobId, row: TriedTaskRow): TaskView => ({
  task: task(jobId, row),
  state: stateOf(row),
  attempts: row.last_attempt ?? 0,
  ...(row.failure !== null && { failure: parse(row.failure) }),
  ...(row.cause !== null && { cause: row.cause }),
  ...(row.outputs !== null && { outputs: parse(row.outputs) }),
});

export const openTask = (
  jobId: JobId,
  row: TaskRow & Pick<TriedTaskRow, 'last_attempt'>,
): OpenTask => ({
  task: task(jobId, row),
  attempts: row.last_attempt ?? 0,
  failures: row.failures,
  losses: row.losses,
  ...(row.not_before !== null && { notBefore: row.not_before }),
  ...(row.memory_mb !== null && { memoryMb: row.memory_mb }),
});

const attempt = (jobId: JobId, row: AttemptRow): Omit<Attempt, 'jobId'> => ({
  id: attemptId(jobId, row.task, row.number),
  task: row.task,
  number: row.number,
  engine: row.engine,
  node: row.node,
  launchedAt: row.launched_at,
  ...(row.locality !== null && { locality: row.locality }),
  ...(row.is_speculative === 1 && { isSpeculative: true as const }),
});

const resources = (row: AttemptRow): Resources => ({
  cpus: row.cpus,
  memoryMb: row.memory_mb,
  ...(row.gpus !== null && { gpus: row.gpus }),
});

export const attemptView = (jobId: JobId, row: AttemptRow): AttemptView => ({
  ...attempt(jobId, row),
  resources: resources(row),
  state: row.state,
  ...(row.ended_at !== null && { endedAt: row.ended_at }),
  ...(row.result !== null && { result: parse(row.result) }),
});

export const attemptRecord = (jobId: JobId, row: AttemptRow): AttemptRecord => ({
  attempt: { jobId, ...attempt(jobId, row) },
  resources: resources(row),
  state: row.state,
});

export const failureGroup = (row: Selectable<Database['failures']>): FailureGroup => ({
  kind: row.kind,
  cause: row.cause,
  count: row.count,
  example: row.example,
  message: row.message,
  firstAt: row.first_at,
  lastAt: row.last_at,
});
