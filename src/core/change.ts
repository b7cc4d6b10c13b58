import type {
  Attempt,
  AttemptId,
  AttemptResult,
  AttemptState,
  Control,
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
import type { Policy } from './policy.ts';

/** What happened. Front doors and adapters make events; only events change the state. */
export type Event =
  | { readonly type: 'jobAccepted'; readonly job: Job }
  | { readonly type: 'jobDismissed'; readonly jobId: JobId }
  | {
      readonly type: 'jobControlled';
      readonly jobId: JobId;
      readonly control: Partial<Control>;
    }
  /** Failed tasks of a job that has not ended are wanted again. */
  | {
      readonly type: 'tasksRetried';
      readonly jobId: JobId;
      readonly tasks: readonly { readonly task: Task; readonly attempts: number }[];
      readonly memoryMb?: number;
    }
  | { readonly type: 'productsFound'; readonly jobId: JobId; readonly products: readonly Product[] }
  | { readonly type: 'splitEnded'; readonly jobId: JobId; readonly failure?: Failure }
  /** Tasks that waited in the store, in the order of their numbers. */
  | { readonly type: 'tasksLoaded'; readonly jobId: JobId; readonly tasks: readonly Task[] }
  | { readonly type: 'staged'; readonly jobId: JobId; readonly results: readonly JobResult[] }
  | { readonly type: 'stagingFailed'; readonly jobId: JobId; readonly failure: Failure }
  | { readonly type: 'policySet'; readonly policy: Policy }
  /** An operator takes a node out of work, or gives it back. */
  | {
      readonly type: 'nodeDrained';
      readonly engine: EngineId;
      readonly node: NodeId;
      readonly isDrained: boolean;
      readonly reason?: string;
    }
  | EngineEvent;

/** What an engine tells. Repeated and reordered news is harmless. */
export type EngineEvent =
  | {
      readonly type: 'nodeUp';
      readonly engine: EngineId;
      readonly node: NodeId;
      readonly resources: Resources;
      readonly rack?: string;
      readonly pool?: string;
      /** Why the engine lets nothing start there for now, e.g. because of maintenance. What runs goes on. */
      readonly away?: string;
      /** The engine can run container images there. */
      readonly hasImages?: true;
    }
  /** The node is gone, and with it all that ran there. */
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
      readonly resources: Resources;
    }
  | {
      readonly type: 'moveAttempt';
      readonly attempt: Attempt;
      readonly resources: Resources;
      readonly to: AttemptState;
      readonly at: Millis;
      readonly result?: AttemptResult;
      /** Why it failed, without what differs from one to the next: failures of a job are counted by it. */
      readonly cause?: string;
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
      /** As that of its last attempt. */
      readonly cause?: string;
    }
  | {
      readonly type: 'retryTask';
      readonly task: Task;
      readonly attempts: number;
      readonly at: Millis;
      readonly notBefore: Millis;
      readonly failures: number;
      readonly losses: number;
      /** How often in a row the cluster had no room for it after all; no store keeps it. */
      readonly refusals?: number;
      readonly failure: Failure;
      /** What its next attempt may use, where that is not what its step says. */
      readonly memoryMb?: number;
      /** Where it should not be tried again. */
      readonly avoid?: NodeKey;
    }
  /** A failed task is ready again, as if it had not been tried. */
  | {
      readonly type: 'reviveTask';
      readonly task: Task;
      readonly attempts: number;
      readonly at: Millis;
      readonly memoryMb?: number;
    }
  | {
      readonly type: 'controlJob';
      readonly jobId: JobId;
      readonly control: Control;
      readonly at: Millis;
    }
  | {
      readonly type: 'drainNode';
      readonly engine: EngineId;
      readonly node: NodeId;
      readonly isDrained: boolean;
      readonly reason?: string;
      readonly at: Millis;
    }
  | Fleeting;

/** The job of which a change is news. */
export function jobIdOf(change: Change): JobId | undefined {
  if ('jobId' in change) return change.jobId;
  if ('job' in change) return change.job.id;
  if ('attempt' in change) return change.attempt.jobId;
  return 'task' in change ? change.task.jobId : undefined;
}

/** `<engine>/<node>` */
export type NodeKey = string;

/** Why a node gets no work for a while. */
export interface CoolingOff {
  readonly until: Millis;
  readonly reason: string;
}

/** What only the running process needs to know; no store keeps it. */
export type Fleeting =
  | {
      readonly type: 'setNode';
      readonly engine: EngineId;
      readonly node: NodeId;
      readonly total?: Resources;
      readonly rack?: string;
      readonly pool?: string;
      readonly away?: string;
      readonly hasImages?: true;
      readonly offers: readonly Offer[];
    }
  | { readonly type: 'dropNode'; readonly engine: EngineId; readonly node: NodeId }
  | { readonly type: 'coolNode'; readonly node: NodeKey; readonly cooling: CoolingOff }
  /** A task failed on a node, or one succeeded there. */
  | {
      readonly type: 'judgeNode';
      readonly jobId: JobId;
      readonly node: NodeKey;
      readonly hasFailed: boolean;
      readonly at: Millis;
    }
  /** What a node has free is let pass by those that wait for a nearer one; without a time: no longer. */
  | { readonly type: 'passNode'; readonly node: NodeKey; readonly at?: Millis }
  | { readonly type: 'setPolicy'; readonly policy: Policy }
  /** Time has come so far. */
  | { readonly type: 'wake'; readonly until: Millis }
  /** Nothing may happen before then, but place anew then. */
  | { readonly type: 'lookAgain'; readonly at: Millis }
  | { readonly type: 'request'; readonly jobId: JobId; readonly what: Wish }
  | {
      readonly type: 'loadTasks';
      readonly jobId: JobId;
      readonly tasks: readonly Task[];
      readonly at: Millis;
    }
  | { readonly type: 'settlePeriods'; readonly jobId: JobId; readonly periods: readonly number[] }
  | { readonly type: 'forgetJob'; readonly jobId: JobId };

/** What a job asks of the world, each once. */
export type Wish = 'split' | 'load' | 'stage';

/** What to do once the changes are safe. Doing one twice must be harmless. */
export type Effect =
  /** Resumed: some of its products are tasks already. */
  | { readonly type: 'split'; readonly job: Job; readonly isResumed: boolean }
  | { readonly type: 'stage'; readonly job: Job }
  /** Tasks of the first step that wait in the store, those after a number. */
  | { readonly type: 'load'; readonly jobId: JobId; readonly after: number; readonly limit: number }
  | {
      readonly type: 'launch';
      readonly engine: EngineId;
      readonly node: NodeId;
      readonly offerIds: readonly OfferId[];
      readonly attempts: readonly {
        readonly job: Job;
        /** Of the job, now. */
        readonly control: Control;
        readonly task: Task;
        readonly attempt: Attempt;
        readonly resources: Resources;
      }[];
    }
  | { readonly type: 'kill'; readonly engine: EngineId; readonly attemptId: AttemptId }
  /** Offers that nothing has used for so long that their engine wants them back. */
  | { readonly type: 'decline'; readonly engine: EngineId; readonly offerIds: readonly OfferId[] }
  /** The job has ended and nothing of it runs any more: its working files may go. */
  | { readonly type: 'clean'; readonly job: Job; readonly state: JobState }
  /** A line for the operator. */
  | { readonly type: 'say'; readonly level: 'info' | 'warn'; readonly message: string };

export interface Plan {
  readonly changes: readonly Change[];
  readonly effects: readonly Effect[];
  /** What has happened by that, to be decided next. */
  readonly events?: readonly Event[];
  /** Why nothing came of it, for whoever asked. */
  readonly refusal?: Refusal;
}

export interface Refusal {
  readonly code: 'LIMIT_REACHED' | 'INVALID_PARAMETER' | 'CONFLICT';
  readonly message: string;
}

export const refuse = (code: Refusal['code'], message: string): Plan => ({
  ...NOTHING,
  refusal: { code, message },
});

export const NOTHING: Plan = { changes: [], effects: [] };
