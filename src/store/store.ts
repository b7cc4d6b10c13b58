import type { Change } from '../core/change.ts';
import type {
  AttemptId,
  AttemptResult,
  AttemptState,
  Control,
  EngineId,
  Failure,
  FailureKind,
  Job,
  JobId,
  JobResult,
  JobState,
  Locality,
  Millis,
  NodeId,
  OutputFile,
  Resources,
  Step,
  Task,
  TaskState,
  Usage,
} from '../core/model.ts';
import type { JobSnapshot } from '../core/restore.ts';

export interface StepCount {
  readonly total: number;
  readonly finished: number;
  readonly failed: number;
}

/** A job as the store knows it: what was asked for and how far it has come. */
export interface JobView {
  readonly job: Job;
  /** As it is now; the job says what was asked for. */
  readonly control: Control;
  readonly state: JobState;
  readonly startedAt?: Millis;
  readonly endedAt?: Millis;
  /** Last change of the state or of a count. */
  readonly updatedAt: Millis;
  /** Whether all products are known. */
  readonly splitEnded: boolean;
  readonly steps: Readonly<Record<Step, StepCount>>;
  readonly attempts: number;
  /** CPUs times milliseconds for which they were kept for attempts that have ended. */
  readonly usedCpuMs: number;
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
  /** What its failure has in common with others. */
  readonly cause?: string;
  readonly outputs?: readonly OutputFile[];
}

export interface AttemptView {
  readonly id: AttemptId;
  readonly task: number;
  readonly number: number;
  readonly engine: EngineId;
  readonly node: NodeId;
  /** What it may use. */
  readonly resources: Resources;
  readonly state: AttemptState;
  readonly locality?: Locality;
  readonly isSpeculative?: true;
  readonly launchedAt: Millis;
  readonly endedAt?: Millis;
  readonly result?: AttemptResult;
}

/** Failures of one job that have the same cause. */
export interface FailureGroup {
  readonly kind: FailureKind;
  readonly cause: string;
  /** Attempts that failed so. */
  readonly count: number;
  /** The first of them, and what it said. */
  readonly example: AttemptId;
  readonly message: string;
  readonly firstAt: Millis;
  readonly lastAt: Millis;
}

/** An input that failed in so many jobs that it is the likely culprit. */
export interface SuspectInput {
  readonly input: string;
  /** In how many jobs it failed. */
  readonly jobs: number;
  /** The latest few of them, the last one first. */
  readonly jobIds: readonly JobId[];
  /** What it failed with in the last one. */
  readonly message: string;
  readonly lastAt: Millis;
}

/** A job as whoever learns from it wants to know it: without its results, which may be very many. */
export interface SuccessfulJob {
  readonly id: JobId;
  readonly acceptedAt: Millis;
  /** Whether it did an ended job again, and so maybe a part of it only. */
  readonly isRetry: boolean;
}

/** A node that an operator has taken out of work. */
export interface Drain {
  readonly engine: EngineId;
  readonly node: NodeId;
  /** Empty where none was given. */
  readonly reason: string;
  readonly at: Millis;
}

/** All that is given has to be met. */
export interface JobQuery {
  /** One at least. */
  readonly states?: readonly JobState[];
  readonly user?: string;
  readonly process?: string;
  /** One of these; one at least. */
  readonly processes?: readonly string[];
  /** When it was accepted, both inclusive. */
  readonly accepted?: { readonly from?: Millis; readonly to?: Millis };
  /** How long it took, or has taken until `now`, both inclusive. What has not started is left out. */
  readonly duration?: { readonly min?: Millis; readonly max?: Millis; readonly now: Millis };
  /** The group in which it is now. */
  readonly group?: string;
  /** Jobs that do that one again. */
  readonly retryOf?: JobId;
  /** 1 to 1000. */
  readonly limit: number;
  /** `next` of the page before. */
  readonly after?: string;
}

export interface TaskQuery {
  /** One at least. */
  readonly states?: readonly TaskState[];
  readonly step?: Step;
  readonly limit: number;
  readonly after?: string;
}

export interface FailedTaskQuery {
  readonly cause?: string;
  /** Of these tasks only. */
  readonly numbers?: readonly number[];
  readonly limit: number;
}

export interface SuspectQuery {
  /** That one only. */
  readonly input?: string;
  /** 100 where none is given. */
  readonly limit?: number;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Where the next page begins; absent on the last one. */
  readonly next?: string;
}

/** An input that failed in so many different jobs is suspect. */
export const SUSPECT_JOBS = 3;

/**
 * What is known for good. One writer, the scheduler, calls `commit`; anyone may read and sees whole commits only. What is
 * asked about a job that is not there is answered with nothing. Every adapter passes `contract.ts`.
 */
export interface Store extends AsyncDisposable {
  /**
   * Every job that has not ended or still has attempts out, for a scheduler that starts.
   *
   * @param window how many tasks of a job's first step that were not tried yet come with it
   */
  load(window: number): Promise<readonly JobSnapshot[]>;
  drains(): Promise<readonly Drain[]>;
  /** Writes all the changes or none. Rejects with STORAGE_FULL where the disk is full. */
  commit(changes: readonly Change[]): Promise<void>;

  job(id: JobId): Promise<JobView | undefined>;
  /** Newest first. */
  jobs(query: JobQuery): Promise<Page<JobView>>;
  /** In order of their numbers. */
  tasks(jobId: JobId, query: TaskQuery): Promise<Page<TaskView>>;
  task(jobId: JobId, number: number): Promise<TaskView | undefined>;
  attempts(jobId: JobId, task: number): Promise<readonly AttemptView[]>;

  /** Finished tasks of a step that contribute to a period, in order of their keys or partitions. */
  finishedTasks(jobId: JobId, step: Step, period: number): Promise<readonly TaskView[]>;
  /** The task of that key, if it has finished. */
  finishedByKey(jobId: JobId, step: Step, key: string): Promise<TaskView | undefined>;
  /** Ready tasks of the `process` step that were not tried yet, with higher numbers than that, in their order. */
  tasksAfter(jobId: JobId, number: number, limit: number): Promise<readonly Task[]>;
  /** The last successful jobs of a process, the newest first. */
  lastSuccessful(process: string, limit: number): Promise<readonly SuccessfulJob[]>;
  /** What the finished attempts of a step's first tasks have used, as far as that is known: at most `limit` of them. */
  usages(jobId: JobId, step: Step, limit: number): Promise<readonly Usage[]>;
  /** Which of these are keys of tasks of the `process` step, for a split that goes on after a restart. */
  knownKeys(jobId: JobId, keys: readonly string[]): Promise<ReadonlySet<string>>;

  /** The 100 most frequent ones, the most frequent first. */
  failures(jobId: JobId): Promise<readonly FailureGroup[]>;
  /** In order of their numbers. */
  failedTasks(jobId: JobId, query: FailedTaskQuery): Promise<readonly TaskView[]>;
  /** Inputs that failed in `SUSPECT_JOBS` jobs or more, the last one found first. */
  suspectInputs(query?: SuspectQuery): Promise<readonly SuspectInput[]>;
}
