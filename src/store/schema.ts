import type { Generated } from 'kysely';

import type { AttemptState, JobState, Step, TaskState } from '../core/model.ts';

/** The tables as Kysely sees them; `migrations/` makes them. */
export interface Database {
  jobs: JobsTable;
  tasks: TasksTable;
  attempts: AttemptsTable;
}

interface JobsTable {
  seq: Generated<number>;
  id: string;
  process: string;
  user: string;
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

interface TasksTable {
  job: number;
  number: number;
  step: Step;
  key: string;
  input: string | null;
  source: number | null;
  partition: number | null;
  first_period: number;
  last_period: number;
  state: TaskState;
  attempts: number;
  failures: number;
  losses: number;
  not_before: number | null;
  /** JSON of `Failure`. */
  failure: string | null;
  /** JSON of `OutputFile[]`. */
  outputs: string | null;
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
  launched_at: number;
  ended_at: number | null;
  /** JSON of `AttemptResult`. */
  result: string | null;
}
