import type {
  Attempt,
  AttemptId,
  AttemptResult,
  AttemptState,
  EngineId,
  Failure,
  Job,
  JobId,
  JobResult,
  JobState,
  Millis,
  NodeId,
  Offer,
  OfferId,
  OutputFile,
  Product,
  Resources,
  Task,
} from './model.ts';

/** What happened. Front doors and adapters make events; only events change the state. */
export type Event =
  | { readonly type: 'jobAccepted'; readonly job: Job }
  | { readonly type: 'jobDismissed'; readonly jobId: JobId }
  | { readonly type: 'productsFound'; readonly jobId: JobId; readonly products: readonly Product[] }
  | { readonly type: 'splitEnded'; readonly jobId: JobId; readonly failure?: Failure }
  | { readonly type: 'staged'; readonly jobId: JobId; readonly results: readonly JobResult[] }
  | { readonly type: 'stagingFailed'; readonly jobId: JobId; readonly failure: Failure }
  | EngineEvent;

/** What an engine tells. Repeated and reordered news is harmless. */
export type EngineEvent =
  | {
      readonly type: 'nodeUp';
      readonly engine: EngineId;
      readonly node: NodeId;
      readonly resources: Resources;
    }
  | { readonly type: 'nodeDown'; readonly engine: EngineId; readonly node: NodeId }
  | { readonly type: 'offered'; readonly offers: readonly Offer[] }
  | {
      readonly type: 'rescinded';
      readonly engine: EngineId;
      readonly offerIds: readonly OfferId[];
    }
  | {
      readonly type: 'attemptMoved';
      readonly engine: EngineId;
      readonly attemptId: AttemptId;
      readonly to: AttemptState;
      readonly result?: AttemptResult;
    };

/** What to write down, in one transaction, before anything is done. */
export type Change =
  | { readonly type: 'addJob'; readonly job: Job }
  | {
      readonly type: 'addTasks';
      readonly jobId: JobId;
      readonly tasks: readonly Task[];
      readonly at: Millis;
    }
  | { readonly type: 'endSplit'; readonly jobId: JobId; readonly at: Millis }
  | {
      readonly type: 'moveJob';
      readonly jobId: JobId;
      readonly to: JobState;
      readonly at: Millis;
      readonly message?: string;
      readonly results?: readonly JobResult[];
    }
  | {
      readonly type: 'addAttempt';
      readonly attempt: Attempt;
      readonly task: Task;
      readonly failures: number;
      readonly losses: number;
      readonly resources: Resources;
    }
  | {
      readonly type: 'moveAttempt';
      readonly attempt: Attempt;
      readonly resources: Resources;
      readonly to: AttemptState;
      readonly at: Millis;
      readonly result?: AttemptResult;
    }
  | {
      readonly type: 'endTask';
      readonly task: Task;
      readonly attempts: number;
      readonly to: 'finished' | 'failed';
      readonly at: Millis;
      readonly failures: number;
      readonly losses: number;
      readonly outputs?: readonly OutputFile[];
      readonly failure?: Failure;
    }
  | {
      readonly type: 'retryTask';
      readonly task: Task;
      readonly attempts: number;
      readonly at: Millis;
      readonly notBefore: Millis;
      readonly failures: number;
      readonly losses: number;
      readonly failure: Failure;
    }
  | Fleeting;

/** What only the running process needs to know; no store keeps it. */
export type Fleeting =
  | {
      readonly type: 'setNode';
      readonly engine: EngineId;
      readonly node: NodeId;
      readonly total?: Resources;
      readonly offers: readonly Offer[];
    }
  | { readonly type: 'dropNode'; readonly engine: EngineId; readonly node: NodeId }
  | { readonly type: 'wake'; readonly until: Millis }
  | { readonly type: 'request'; readonly jobId: JobId; readonly what: 'split' | 'stage' }
  | { readonly type: 'settlePeriods'; readonly jobId: JobId; readonly periods: readonly number[] }
  | { readonly type: 'forgetJob'; readonly jobId: JobId };

/** What to do once the changes are safe. Doing one twice must be harmless. */
export type Effect =
  | { readonly type: 'split'; readonly job: Job }
  | { readonly type: 'stage'; readonly job: Job }
  | {
      readonly type: 'launch';
      readonly engine: EngineId;
      readonly node: NodeId;
      readonly offerIds: readonly OfferId[];
      readonly attempts: readonly {
        readonly job: Job;
        readonly task: Task;
        readonly attempt: Attempt;
        readonly resources: Resources;
      }[];
    }
  | { readonly type: 'kill'; readonly engine: EngineId; readonly attemptId: AttemptId }
  /** The job has ended and nothing of it runs any more: its working files may go. */
  | { readonly type: 'clean'; readonly job: Job; readonly state: JobState };

export interface Plan {
  readonly changes: readonly Change[];
  readonly effects: readonly Effect[];
}

export const NOTHING: Plan = { changes: [], effects: [] };
