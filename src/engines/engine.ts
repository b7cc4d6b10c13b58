import type { EngineEvent } from '../core/change.ts';
import type {
  Attempt,
  AttemptId,
  AttemptResult,
  AttemptState,
  EngineId,
  Job,
  NodeId,
  OfferId,
  Resources,
} from '../core/model.ts';
import type { Assignment } from '../runner/assignment.ts';

export type { EngineEvent };

export interface AttemptNews {
  readonly state: AttemptState;
  readonly result?: AttemptResult;
}

/** Resolves once what the event changes is stored; an engine may wait for that before it lets its cluster forget. */
export type Emit = (event: EngineEvent) => Promise<void>;

/**
 * What `launch` rejects with where its offers are gone, or hold less than it needs: the attempts are `lost` for want of
 * room, which costs their tasks nothing.
 */
export class OfferGone extends Error {}

export interface EngineStatus {
  readonly isConnected: boolean;
  /** For an operator, e.g. to which master it is connected since when, or why it is not. */
  readonly detail: string;
}

export interface LogPart {
  readonly stream: 'out' | 'err';
  /** Of a byte. */
  readonly offset: number;
  /** Bytes. */
  readonly limit: number;
}

export interface LogText {
  readonly text: string;
  /** The offset after it. */
  readonly next: number;
}

/** Attempts for one node, and the offers of that node that they use up. */
export interface Launch {
  readonly node: NodeId;
  readonly offerIds: readonly OfferId[];
  readonly attempts: readonly {
    readonly resources: Resources;
    readonly assignment: Assignment;
    /** On whose behalf, for clusters that divide themselves; its group and priority are those of now. */
    readonly job: JobLabel;
  }[];
}

export type JobLabel = Pick<Job, 'id' | 'user' | 'group' | 'priority'>;

/**
 * A resource manager that runs attempts: local, Mesos, YARN, Slurm, Kubernetes.
 *
 * An adapter speaks its own system's words inside and only ours here. It keeps no state that `reconcile` could not
 * rebuild. Every adapter passes `contract.ts`.
 */
export interface Engine {
  readonly id: EngineId;
  /** Tells everything that happens to `emit` until `signal` aborts; resolves after a clean end. */
  run(emit: Emit, signal: AbortSignal): Promise<void>;
  /**
   * Starts attempts. What the offers hold beyond them comes back as a new offer. The attempt's id is the
   * idempotency key: launching it twice runs it once. An offer that is gone makes its attempts `lost` for want of
   * room, or rejects with OfferGone.
   */
  launch(launch: Launch): Promise<void>;
  /** Takes offers back whose time is over; they come again, perhaps much later. Unknown ones are not an error. */
  decline?(offerIds: readonly OfferId[]): Promise<void>;
  /** Whether any task waits that reaches its input there; offers are wanted only then. Told at each change. */
  demand?(isWaiting: boolean): void;
  /** Asks for the end of an attempt with all its processes. Unknown or ended attempts are not an error. */
  kill(attemptId: AttemptId): Promise<void>;
  /**
   * The engine's view of these attempts; one that it does not know is `lost`. Where it cannot know yet, because its
   * cluster is away, it says `launched`, asks on by itself and tells what it learns. May be asked before `run`.
   */
  reconcile(attemptIds: readonly AttemptId[]): Promise<ReadonlyMap<AttemptId, AttemptNews>>;
  /** Part of what an attempt says, from its node, where it lies there: for how long it does is the cluster's affair. */
  readLog?(attempt: Attempt, part: LogPart): Promise<LogText | undefined>;
  /** Whether it can do its work now, and why not; an engine without it always can. */
  status?(): EngineStatus;
  /** Gives up all that runs and the engine's name in its cluster, at an operator's wish only. */
  teardown?(): Promise<void>;
}
