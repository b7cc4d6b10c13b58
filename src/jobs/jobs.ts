import type { Estimate } from '../core/estimate.ts';
import type { Explanation } from '../core/explain.ts';
import type { Job, JobId, JobResult, JobState, Millis, ResponseWish } from '../core/model.ts';
import { PushbroomError } from '../errors.ts';
import type {
  AttemptView,
  FailureGroup,
  JobQuery,
  JobView,
  Page,
  SuspectInput,
  TaskQuery,
  TaskView,
} from '../store/store.ts';

/** Each may what the one before may: a user sees his own jobs, an operator all, an administrator who may what. */
export type Role = 'user' | 'operator' | 'administrator';

/** On whose behalf a front door speaks. */
export interface Caller {
  /** Effective user: names the staging directory. */
  readonly user: string;
  readonly role: Role;
  /** By which processes and datasets are made visible. */
  readonly groups: readonly string[];
  /** The portal's reference of the operation, kept for accounting. */
  readonly reference?: string;
}

/** How complex data are written. */
export interface Format {
  readonly mediaType: string;
  /** Absent for text. */
  readonly encoding?: 'base64';
  readonly schema?: string;
}

/**
 * One input of a process. Jobs take all values as texts, and `type` says how a text is read: `wkt` also as
 * `lon0,lat0,lon1,lat1`, `bbox` as `x0,y0,x1,y1[,crs]`, `complex` as a `data:` URL (RFC 2397). Of an input that may be
 * given several times, the text is a JSON array of such texts.
 */
export interface ProcessInput {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly type: 'string' | 'boolean' | 'integer' | 'number' | 'date' | 'wkt' | 'bbox' | 'complex';
  readonly allowed?: readonly string[];
  readonly range?: { readonly min: number; readonly max: number };
  readonly defaultValue?: string;
  /** Whether Execute refuses a request without it. */
  readonly required: boolean;
  /** How often it may be given; once where absent. */
  readonly maxOccurs?: number;
  /** Of complex data; the first is the default. */
  readonly formats?: readonly Format[];
}

export interface ProcessOutput {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly type: 'string' | 'boolean' | 'integer' | 'number' | 'bbox' | 'complex';
  readonly formats?: readonly Format[];
  /** Whether there can be more than one file of it. */
  readonly isList?: true;
}

/** What can be executed: `bundle~version~processor`. */
export interface Process {
  readonly id: string;
  readonly title: string;
  readonly description: string;
  readonly version: string;
  /** In the order in which a form shows them. */
  readonly inputs: readonly ProcessInput[];
  readonly outputs: readonly ProcessOutput[];
  /** Takes whatever input is given, and one that is given several times as a list joined by commas (specification B.1). */
  readonly isOpen?: true;
}

export interface ExecuteRequest {
  readonly process: string;
  /** By the identifiers of `Process.inputs`; names that are not among them are refused, aliases are resolved. */
  readonly inputs: Readonly<Record<string, string>>;
  readonly caller: Caller;
  /** Kept with the job. */
  readonly response?: ResponseWish;
}

/** How far a job has come, as the front doors tell it. */
export interface JobStatus extends JobView {
  /** 0 to 100, never falling; 100 only when successful. */
  readonly percent: number;
}

/** What a request would cost if it were run now. */
export interface Quote extends Estimate {
  readonly job: Job;
  /** What the estimate rests on. */
  readonly history: {
    /** How many jobs were looked at; none where all is assumed. */
    readonly jobs: number;
    /** What they ran: another version where this one has never run. */
    readonly process: string;
  };
  /** When it was made. */
  readonly at: Millis;
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
  /**
   * Says what a job would cost, from what its process has used so far. Nothing is run and nothing stored.
   *
   * @throws what `submit` throws, INVALID_PARAMETER for no products or too many
   */
  quote(request: ExecuteRequest): Promise<Quote>;
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

/** What an operator may do to a job. */
export type Action =
  | { readonly type: 'pause' | 'cancel' }
  | {
      readonly type: 'resume';
      /** For a job that has used what it may: a higher ceiling. */
      readonly maxCpuHours?: number;
    }
  | { readonly type: 'prioritise'; readonly priority?: number; readonly group?: string }
  | ({ readonly type: 'retry' } & RetryWish);

/** Which failed tasks are done again, and how; all of them as they were where nothing is said. */
export interface RetryWish {
  /** Part of a cause as `failures` tells it, or its kind. */
  readonly cause?: string;
  /** Numbers of tasks. */
  readonly tasks?: readonly number[];
  /** For each attempt from now on. */
  readonly memoryMb?: number;
  /** Of the bundle; only for a job that has ended. */
  readonly version?: string;
}

/** Some jobs: by their ids, or all that match. */
export interface Selection {
  readonly ids?: readonly JobId[];
  /** Those that the action can be meant for, unless others are named. */
  readonly states?: readonly JobState[];
  readonly user?: string;
  readonly group?: string;
  readonly process?: string;
}

export interface Outcome {
  readonly jobId: JobId;
  readonly isDone: boolean;
  /** What was done, or why not. */
  readonly message: string;
  /** The job that does an ended one again. */
  readonly newJobId?: JobId;
}

export interface Report {
  /** `3 of 5 jobs were paused; 2 not: ...` */
  readonly message: string;
  readonly items: readonly Outcome[];
}

export interface FullExplanation extends Explanation {
  /** What an operator can do about it. */
  readonly remedies: readonly string[];
}

/** What operators may do and see beyond front doors. */
export interface Operations {
  /** @throws NO_SUCH_JOB, CONFLICT (its state does not allow it), INVALID_PARAMETER, LIMIT_REACHED */
  act(id: JobId, action: Action): Promise<Outcome>;
  /**
   * Does as much as can be done, and says of every job what became of it.
   *
   * @param isDryRun nothing is done, only told
   * @throws INVALID_PARAMETER (too many or no jobs named, no such group), NOT_FOUND (none matches)
   */
  actOnAll(selection: Selection, action: Action, isDryRun: boolean): Promise<Report>;
  /** Why a job, task or attempt is as it is. @throws NO_SUCH_JOB, NOT_FOUND, INVALID_PARAMETER (no id) */
  explain(id: string): Promise<FullExplanation>;
  /** Failed attempts of a job by cause, the most frequent first. @throws NO_SUCH_JOB */
  failures(id: JobId): Promise<readonly FailureGroup[]>;
  /** Inputs that failed in several jobs. */
  suspectInputs(): Promise<readonly SuspectInput[]>;
}

/** Of processes on a cluster: `true` where an Execute asks for its price, and is not meant to run (specification B.9). */
export const QUOTATION = 'quotation';

/**
 * Whether that input asks for a quotation. The portal takes "Yes" for "true" (specification A.3.5).
 *
 * @throws INVALID_PARAMETER
 */
export function isQuotation(text = ''): boolean {
  const word = text.trim().toLowerCase();
  if (word === 'true' || word === 'yes') return true;
  if (word === 'false' || word === 'no' || word === '') return false;
  const message = `The input '${QUOTATION}': '${word.slice(0, 100)}' is neither true nor false.`;
  throw new PushbroomError('INVALID_PARAMETER', message, { locator: QUOTATION });
}

export function noSuchJob(id: JobId): never {
  throw new PushbroomError('NO_SUCH_JOB', `There is no job '${id}'.`, { locator: id });
}

/** Public path of a result below the base URL. */
export const stagingPath = (user: string, id: JobId, file = ''): string =>
  `/staging/${encodeURIComponent(user)}/${id}/${file.split('/').map(encodeURIComponent).join('/')}`;
