import type { JobId, JobResult } from '../core/model.ts';
import type { AttemptView, JobQuery, JobView, Page, TaskQuery, TaskView } from '../store/store.ts';

/** On whose behalf a front door speaks. */
export interface Caller {
  /** Effective user: names the staging directory. */
  readonly user: string;
  /** The portal's reference of the operation, kept for accounting. */
  readonly reference?: string;
}

/** One input of a process. All values are texts; `type` says how the text is read. */
export interface ProcessInput {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly type: 'string' | 'boolean' | 'integer' | 'number' | 'date' | 'wkt';
  readonly allowed?: readonly string[];
  readonly range?: { readonly min: number; readonly max: number };
  readonly defaultValue?: string;
  /** Whether Execute refuses a request without it. */
  readonly required: boolean;
}

/** What can be executed: `bundle~version~processor`. */
export interface Process {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly version: string;
  /** In the order in which a form shows them. */
  readonly inputs: readonly ProcessInput[];
}

export interface ExecuteRequest {
  readonly process: string;
  /** By the identifiers of `Process.inputs`; names that are not among them are refused, aliases are resolved. */
  readonly inputs: Readonly<Record<string, string>>;
  readonly caller: Caller;
}

/** How far a job has come, as the front doors tell it. */
export interface JobStatus extends JobView {
  /** 0 to 100, never falling; 100 only when successful. */
  readonly percent: number;
}

/** What front doors may ask. All of them end here, whatever language they speak outside. */
export interface Jobs {
  processes(): Promise<readonly Process[]>;
  /** @throws NO_SUCH_PROCESS */
  process(id: string): Promise<Process>;
  /**
   * Accepts a job. Resolves after it is stored, so that no crash can lose what the caller was told.
   *
   * @throws NO_SUCH_PROCESS, MISSING_PARAMETER, INVALID_PARAMETER (locator: the input), NO_SUCH_DATASET, STORAGE_FULL
   */
  submit(request: ExecuteRequest): Promise<JobStatus>;
  /** @throws NO_SUCH_JOB */
  status(id: JobId): Promise<JobStatus>;
  /** Newest first. */
  list(query: JobQuery): Promise<Page<JobStatus>>;
  /** Resolves with the status once the job has ended. @throws NO_SUCH_JOB; rejects when the signal aborts. */
  ended(id: JobId, signal?: AbortSignal): Promise<JobStatus>;
  /** @throws NO_SUCH_JOB, RESULT_NOT_READY, JOB_FAILED, JOB_DISMISSED */
  results(id: JobId): Promise<readonly JobResult[]>;
  /** Ends a job and all its attempts. Dismissing an ended job changes nothing. @throws NO_SUCH_JOB */
  dismiss(id: JobId): Promise<JobStatus>;
  tasks(id: JobId, query: TaskQuery): Promise<Page<TaskView>>;
  attempts(id: JobId, task: number): Promise<readonly AttemptView[]>;
}

/** Public path of a result below the base URL. */
export const stagingPath = (user: string, id: JobId, file = ''): string =>
  `/staging/${encodeURIComponent(user)}/${id}/${file.split('/').map(encodeURIComponent).join('/')}`;
