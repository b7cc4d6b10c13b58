import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { DEFAULT_POLICY } from '../../src/core/policy.ts';
import { createExecuteReader } from '../../src/create-execute-reader.ts';
import { PushbroomError } from '../../src/errors.ts';
import type { Operations } from '../../src/jobs/jobs.ts';
import type { OperatorOptions } from '../../src/operator/options.ts';
import { createOperatorServer } from '../../src/operator/server.ts';
import { DEFAULT_LIMITS } from '../../src/processes/archive.ts';
import { createRegistry } from '../../src/processes/registry.ts';
import type { NodeStatus } from '../../src/scheduler/status.ts';
import { createUploads } from '../../src/uploads/uploads.ts';
import { createTestGate } from '../fixtures/gate.ts';
import { createMemoryJobs } from './memory-jobs.ts';
import type { MemoryJobs } from './memory-jobs.ts';

export interface TestServer extends AsyncDisposable {
  readonly app: FastifyInstance;
  readonly jobs: MemoryJobs;
  /** Bytes by `<attempt id>.<stream>`. */
  readonly logs: Map<string, Buffer>;
  /** A directory of its own. */
  readonly directory: string;
}

export const DATASET = {
  name: 'Sentinel-2 L2A Romania 20 m',
  productType: 'S2_L2A',
  patterns: ['${yyyy}/.*[.]tif'],
  roots: [
    { location: 'hdfs://calvalus/scenes', pool: 'calvalus', engines: ['yarn'] },
    { location: '/scenes' },
  ],
  minDate: '2015-08-01',
  maxDate: '2021-01-01',
};

const NODE: NodeStatus = {
  key: 'local/here',
  engine: 'local',
  node: 'here',
  total: { cpus: 2, memoryMb: 4096 },
  offers: [{ id: '1', engine: 'local', node: 'here', resources: { cpus: 1, memoryMb: 3584 } }],
  use: { cpus: 1, memoryMb: 512 },
  attempts: 1,
};

const NO_REFERENCES = { allow: [], maxBytes: 1, seconds: 1, maxRedirects: 0 };

const refuse = async (): Promise<never> => {
  throw new PushbroomError('NO_SUCH_JOB', 'There are no jobs in a store here');
};
/** What operators do to jobs is tested with a real store, see `centre.ts`. */
const NO_OPERATIONS: Operations = {
  act: refuse,
  actOnAll: refuse,
  explain: refuse,
  failures: refuse,
  suspectInputs: async () => [],
};

/** The real operator server over jobs in memory and a real registry, not listening yet. */
export async function createTestServer(change: Partial<OperatorOptions> = {}): Promise<TestServer> {
  const directory = await mkdtemp(join(tmpdir(), 'pushbroom-operator-'));
  const jobs = createMemoryJobs();
  const logs = new Map<string, Buffer>();
  const logger = pino({ level: 'silent' });
  const registry = await createRegistry({
    directory: join(directory, 'bundles'),
    limits: DEFAULT_LIMITS,
    now: () => Date.UTC(2026, 0, 31),
    log: logger,
  });
  const uploads = createUploads({
    registry,
    directory: join(directory, 'users'),
    userBytes: 1_000_000,
    check: async () => undefined,
    isRunning: async () => false,
  });
  const app = await createOperatorServer({
    gate: createTestGate(jobs),
    authentication: false,
    jobs,
    readExecute: createExecuteReader(jobs, NO_REFERENCES, []),
    registry,
    bundles: uploads.bundles,
    datasets: [DATASET],
    operations: NO_OPERATIONS,
    scheduler: {
      nodes: () => [NODE],
      engineUse: () => ({ nodes: 1, attempts: 1 }),
      groups: () => [],
      policy: () => DEFAULT_POLICY,
      drain: async () => undefined,
    },
    engines: [],
    reloadScheduling: async () => ({ policy: DEFAULT_POLICY, unapplied: [] }),
    async readLog(attemptId, stream, offset, limit) {
      const part = (logs.get(`${attemptId}.${stream}`) ?? Buffer.alloc(0)).subarray(
        offset,
        offset + limit,
      );
      return { text: part.toString(), next: offset + part.length };
    },
    subscribe: jobs.subscribe,
    state: () => 'ready',
    publicUrl: () => 'http://public.example',
    uploadDirectory: join(directory, 'uploads'),
    logger,
    version: '1.2.3',
    ...change,
  });
  return {
    app,
    jobs,
    logs,
    directory,
    async [Symbol.asyncDispose]() {
      await app.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export const DESCRIPTOR = `<bundleDescriptor>
  <bundleName>echo</bundleName><bundleVersion>1.0</bundleVersion>
  <processorDescriptors><processorDescriptor>
    <executableName>Echo</executableName><processorName>Says it again</processorName>
    <processorVersion>1.0</processorVersion><inputProductTypes>*</inputProductTypes>
    <outputFormats>GeoTIFF</outputFormats>
  </processorDescriptor></processorDescriptors>
</bundleDescriptor>`;
