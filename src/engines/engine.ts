import type { EngineEvent } from '../core/change.ts';
import type {
  AttemptId,
  AttemptResult,
  AttemptState,
  EngineId,
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

/** Attempts for one node, and the offers of that node that they use up. */
export interface Launch {
  readonly node: NodeId;
  readonly offerIds: readonly OfferId[];
  readonly attempts: readonly { readonly resources: Resources; readonly assignment: Assignment }[];
}

/**
 * A resource manager that runs attempts: local, Mesos, YARN, Slurm, Kubernetes.
 *
 * An adapter speaks its own system's words inside and only ours here. It keeps no state that `reconcile` could not
 * rebuild. Every adapter passes `contract.ts`.
 */
export interface Engine {
  readonly id: EngineId;
  /** Tells everything that happens to `emit` until `signal` aborts; resolves after a clean end. */
  run(emit: (event: EngineEvent) => void, signal: AbortSignal): Promise<void>;
  /**
   * Starts attempts. What the offers hold beyond them comes back as a new offer. The attempt's id is the
   * idempotency key: launching it twice runs it once. An offer that is gone makes its attempts `lost`.
   */
  launch(launch: Launch): Promise<void>;
  /** Asks for the end of an attempt with all its processes. Unknown or ended attempts are not an error. */
  kill(attemptId: AttemptId): Promise<void>;
  /** The engine's view of these attempts; an attempt that it does not know is `lost`. */
  reconcile(attemptIds: readonly AttemptId[]): Promise<ReadonlyMap<AttemptId, AttemptNews>>;
}
