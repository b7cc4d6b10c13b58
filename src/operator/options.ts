import type { FastifyBaseLogger } from 'fastify';
import type { Resources } from '../core/model.ts';
import type { Jobs } from '../jobs/jobs.ts';
import type { Registry } from '../processes/registry.ts';
import type { Dataset } from '../products/dataset.ts';
import type { JobChange } from './events.ts';

interface NodeView {
  readonly engine: string;
  readonly node: string;
  readonly resources: Resources;
  readonly free?: Resources;
}

export interface OperatorOptions {
  readonly jobs: Jobs;
  readonly registry: Pick<Registry, 'bundles' | 'deploy'>;
  readonly datasets: readonly Dataset[];
  readonly nodes: () => readonly NodeView[];
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
