import type { Change } from '../core/change.ts';
import type { JobSnapshot } from '../core/state.ts';
import type {
  AttemptResult,
  AttemptState,
  Failure,
  Job,
  JobId,
  JobResult,
  JobState,
  Millis,
  OutputFile,
  Step,
  Task,
  TaskState,
} from '../core/model.ts';

export interface StepCount {
  readonly total: number;
  readonly finished: number;
  readonly failed: number;
}

/** A job as the store knows it: what was asked for and how far it has come. */
export interface JobView {
  readonly job: Job;
  readonly state: JobState;
  readonly startedAt?: Millis;
  readonly endedAt?: Millis;
  /** Last change of the state or of a count. */
  readonly updatedAt: Millis;
  /** Whether all products are known. */
  readonly splitEnded: boolean;
  readonly steps: Readonly<Record<Step, StepCount>>;
  readonly attempts: number;
  readonly message?: string;
  /** Present once the job is successful. */
  readonly results?: readonly JobResult[];
}

export interface TaskView {
  readonly task: Task;
  readonly state: TaskState;
  /** Attempts so far. */
  readonly attempts: number;
  /** Why the task's last attempt failed. */
  readonly failure?: Failure;
  readonly outputs?: readonly OutputFile[];
}

export interface AttemptView {
  readonly id: string;
  readonly task: number;
  readonly number: number;
  readonly engine: string;
  readonly node: string;
  readonly state: AttemptState;
  readonly launchedAt: Millis;
  readonly endedAt?: Millis;
  readonly result?: AttemptResult;
}

export interface JobQuery {
  readonly states?: readonly JobState[];
  readonly user?: string;
  readonly process?: string;
  /** 1 to 1000. */
  readonly limit: number;
  /** `next` of the page before. */
  readonly after?: string;
}

export interface TaskQuery {
  readonly states?: readonly TaskState[];
  readonly step?: Step;
  readonly limit: number;
  readonly after?: string;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Where the next page begins; absent on the last one. */
  readonly next?: string;
}

/**
 * What is known for good. One writer, the scheduler, calls `commit`; anyone may read and sees whole commits only.
 * Every adapter passes `contract.ts`.
 */
export interface Store extends AsyncDisposable {
  /** Every job that has not ended or still has attempts out, for a scheduler that starts. */
  load(): Promise<readonly JobSnapshot[]>;
  /** Writes all the changes or none. Rejects with STORAGE_FULL where the disk is full. */
  commit(changes: readonly Change[]): Promise<void>;

  job(id: JobId): Promise<JobView | undefined>;
  /** Newest first. */
  jobs(query: JobQuery): Promise<Page<JobView>>;
  /** In order of their numbers. */
  tasks(jobId: JobId, query: TaskQuery): Promise<Page<TaskView>>;
  task(jobId: JobId, number: number): Promise<TaskView | undefined>;
  attempts(jobId: JobId, task: number): Promise<readonly AttemptView[]>;
  /** Finished tasks of a step that contribute to a period, in order of their keys. */
  finishedTasks(jobId: JobId, step: Step, period: number): Promise<readonly TaskView[]>;
  /** Keys of the tasks of the `process` step, for a split that goes on after a restart. */
  productKeys(jobId: JobId): Promise<ReadonlySet<string>>;
}
