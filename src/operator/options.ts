import type { FastifyBaseLogger } from 'fastify';
import type { Gate } from '../access/gate.ts';
import type { Policy } from '../core/policy.ts';
import type { Engine } from '../engines/engine.ts';
import type { Jobs, Operations } from '../jobs/jobs.ts';
import type { Registry } from '../processes/registry.ts';
import type { Dataset } from '../products/dataset.ts';
import type { Scheduler } from '../scheduler/scheduler.ts';
import type { Bundles } from '../uploads/bundles.ts';
import type { JobChange } from './events.ts';

export interface OperatorOptions {
  readonly gate: Pick<Gate, 'guard' | 'audit' | 'shares'>;
  /** Whether only operators who have logged in may ask; else everybody may. */
  readonly authentication: boolean;
  readonly jobs: Jobs;
  /**
   * Reads a WPS Execute document: its process and its inputs as jobs take them.
   *
   * @throws MALFORMED_REQUEST, NO_SUCH_PROCESS, MISSING_PARAMETER, INVALID_PARAMETER
   */
  readonly readExecute: (document: string) => Promise<{
    readonly process: string;
    readonly inputs: Readonly<Record<string, string>>;
  }>;
  readonly registry: Pick<Registry, 'bundles'>;
  readonly bundles: Bundles;
  readonly datasets: readonly Dataset[];
  readonly operations: Operations;
  readonly scheduler: Pick<Scheduler, 'nodes' | 'engineUse' | 'groups' | 'policy' | 'drain'>;
  readonly engines: readonly Pick<Engine, 'id' | 'status' | 'teardown'>[];
  /**
   * Reads the configuration anew and applies its section on scheduling. Tells which other keys have changed, for which
   * it would have to be started again. Rejects with INVALID_PARAMETER: then all stays as it is.
   */
  readonly reloadScheduling: () => Promise<{
    readonly policy: Policy;
    readonly unapplied: readonly string[];
  }>;
  /** Bytes of an attempt's log from `offset`, at most `limit` of them, and the offset after them. */
  readonly readLog: (
    attemptId: string,
    stream: 'out' | 'err',
    offset: number,
    limit: number,
  ) => Promise<{ readonly text: string; readonly next: number }>;
  /** Calls the listener with every change of a job until the returned function is called. */
  readonly subscribe: (listener: (change: JobChange) => void) => () => void;
  readonly state: () => 'ready' | 'stopping';
  /** Base URL of the public listener, without a slash at its end; known once it listens. */
  readonly publicUrl: () => string;
  /** Where uploads wait for their deployment. */
  readonly uploadDirectory: string;
  /** Bytes of an uploaded bundle. */
  readonly uploadLimit?: number;
  readonly heartbeatMs?: number;
  readonly logger: FastifyBaseLogger;
  readonly version: string;
}
