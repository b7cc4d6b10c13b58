import type { Generated } from 'kysely';

import type {
  AttemptState,
  FailureKind,
  JobState,
  Locality,
  Step,
  TaskState,
} from '../core/model.ts';

/** The tables as Kysely sees them; `migrations/` makes them. */
export interface Database {
  jobs: JobsTable;
  tasks: TasksTable;
  task_counts: TaskCountsTable;
  attempts: AttemptsTable;
  failures: FailuresTable;
  failed_inputs: FailedInputsTable;
  drained_nodes: DrainedNodesTable;
}

interface JobsTable {
  seq: Generated<number>;
  id: string;
  process: string;
  user: string;
  share_group: string;
  priority: number;
  is_paused: number;
  pause_reason: string | null;
  used_cpu_ms: number;
  max_cpu_hours: number | null;
  retry_of: string | null;
  state: JobState;
  /** JSON of `Job`. */
  spec: string;
  accepted_at: number;
  started_at: number | null;
  ended_at: number | null;
  updated_at: number;
  split_ended: number;
  message: string | null;
  /** JSON of `JobResult[]`. */
  results: string | null;
  attempts: number;
  process_total: number;
  process_finished: number;
  process_failed: number;
  aggregate_total: number;
  aggregate_finished: number;
  aggregate_failed: number;
  format_total: number;
  format_finished: number;
  format_failed: number;
}

/**
 * What is written of a task's state: `again` was sent back to be tried once more, `new` was not. Whether an open task
 * runs is what its attempts say, so that a launch writes one row only.
 */
export type StoredTaskState = 'new' | 'again' | Extract<TaskState, 'finished' | 'failed'>;

interface TasksTable {
  job: number;
  number: number;
  step: Step;
  key: string;
  /** Null in the `process` step where it is the key, as it always is. */
  input: string | null;
  source: number | null;
  partition: number | null;
  first_period: number;
  last_period: number;
  /** JSON of `Location`. */
  location: string | null;
  state: StoredTaskState;
  failures: number;
  losses: number;
  not_before: number | null;
  memory_mb: number | null;
  /** JSON of `Failure`. */
  failure: string | null;
  cause: string | null;
  /** JSON of `OutputFile[]`. */
  outputs: string | null;
}

/** How many tasks of a step and an extent have come to the same: `TaskCount`, kept so that nobody has to count. */
interface TaskCountsTable {
  job: number;
  step: Step;
  first_period: number;
  last_period: number;
  state: 'open' | 'finished' | 'failed';
  productive: number;
  count: number;
}

interface AttemptsTable {
  job: number;
  task: number;
  number: number;
  engine: string;
  node: string;
  state: AttemptState;
  cpus: number;
  memory_mb: number;
  /** Null for none. */
  gpus: number | null;
  locality: Locality | null;
  is_speculative: number;
  launched_at: number;
  ended_at: number | null;
  /** JSON of `AttemptResult`. */
  result: string | null;
}

interface FailuresTable {
  job: number;
  kind: FailureKind;
  cause: string;
  count: number;
  /** Id of the first attempt that failed so. */
  example: string;
  message: string;
  first_at: number;
  last_at: number;
}

interface FailedInputsTable {
  seq: Generated<number>;
  input: string;
  job: number;
  /** The how-manieth job it is in which the input failed, from 1. */
  nth: number;
  message: string;
  at: number;
}

interface DrainedNodesTable {
  engine: string;
  node: string;
  reason: string;
  at: number;
}
