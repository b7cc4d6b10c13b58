import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Job } from '../../src/core/model.ts';
import { createGroupPolicy, DEFAULT_POLICY } from '../../src/core/policy.ts';
import type { Policy } from '../../src/core/policy.ts';
import { createOperations } from '../../src/jobs/control.ts';
import { createQuoter } from '../../src/jobs/quote.ts';
import { createJobs } from '../../src/jobs/service.ts';
import { createOperatorServer } from '../../src/operator/server.ts';
import { DEFAULT_LIMITS } from '../../src/processes/archive.ts';
import { createRegistry } from '../../src/processes/registry.ts';
import { createUploads } from '../../src/uploads/uploads.ts';
import { systemClock } from '../../src/scheduler/clock.ts';
import type { Clock } from '../../src/scheduler/clock.ts';
import { startScheduler } from '../../src/scheduler/scheduler.ts';
import { openSqlite } from '../../src/store/sqlite/sqlite.ts';
import { createTestGate } from '../fixtures/gate.ts';
import { aJob, product } from '../fixtures/jobs.ts';
import { createManualEngine } from './manual-engine.ts';
import type { ManualNode } from './manual-engine.ts';
import { callAsPromised } from './openapi.ts';

export const POLICY: Policy = {
  ...DEFAULT_POLICY,
  groups: [
    createGroupPolicy({
      name: 'project',
      weight: 3,
      groups: [
        createGroupPolicy({ name: 'tep', users: ['utep'], limits: { queuedJobs: 5 } }),
        createGroupPolicy({ name: 'other' }),
      ],
    }),
  ],
  stragglers: { ...DEFAULT_POLICY.stragglers, isEnabled: false },
};

const DATASET = {
  name: 'scenes',
  productType: 'ANY',
  patterns: ['/archive/.*'],
  minDate: '2020-01-01',
  maxDate: '2020-12-31',
};

const descriptor = (version: string) => `<bundleDescriptor>
  <bundleName>test</bundleName><bundleVersion>${version}</bundleVersion>
  <processorDescriptors><processorDescriptor>
    <executableName>Copy</executableName><processorName>Copies</processorName>
    <processorVersion>${version}</processorVersion><inputProductTypes>*</inputProductTypes>
    <outputFormats>GeoTIFF</outputFormats>
  </processorDescriptor></processorDescriptors>
</bundleDescriptor>`;

/** In place of a job's id, for the products of all that is quoted. */
export const QUOTED = 'quoted';

export type Centre = Awaited<ReturnType<typeof startCentre>>;

/**
 * The real operator server, store, registry and scheduler over an engine whose attempts end when a test says so. The
 * bundle `test` is there in versions 1.0 and 1.1. A second engine, `plain`, can do nothing that is optional.
 */
export async function startCentre(
  nodes: Readonly<Record<string, ManualNode>> = { n1: { cpus: 4, memoryMb: 4096 } },
  clock: Clock = systemClock,
) {
  const directory = await mkdtemp(join(tmpdir(), 'centre-'));
  const logger = pino({ level: 'silent' });
  const { now } = clock;
  const store = openSqlite(':memory:');
  const engine = createManualEngine(nodes);
  const products = new Map<string, readonly string[]>();
  const submitted: Job[] = [];
  let jobCount = 0;
  const scheduler = await startScheduler({
    store,
    engines: [engine.port],
    clock,
    logger,
    policy: POLICY,
    findProducts: async function* ({ id, retryOf }) {
      const names = products.get(id) ?? products.get(retryOf?.jobId ?? '') ?? [];
      yield names.map((name) => product(name));
    },
    assign: async (_job, _task, { id }) => ({ attemptId: id }) as never,
    stage: async () => [],
    clean: async () => undefined,
  });
  const registry = await createRegistry({
    directory: join(directory, 'bundles'),
    limits: DEFAULT_LIMITS,
    now,
    log: logger,
  });
  for (const version of ['1.0', '1.1']) {
    const bundle = join(directory, `test-${version}`);
    await mkdir(bundle);
    await writeFile(join(bundle, 'bundle-descriptor.xml'), descriptor(version));
    await writeFile(join(bundle, 'Copy-process'), '#!/bin/sh\n', { mode: 0o755 });
    await registry.deploy(bundle, 'test');
  }
  const options = {
    store,
    scheduler: {
      ...scheduler,
      submit: async (job: Job) => {
        await scheduler.submit(job);
        submitted.push(job);
      },
    },
    registry,
    datasets: [DATASET],
    defaults: {
      maxAttempts: 1,
      maxLosses: 3,
      failurePercent: 100,
      retryDelay: 0,
      maxRetryDelay: 0,
      wallTimeLimit: 60,
      silenceLimit: 60,
      cpus: 1,
      memoryMb: 512,
      priority: 100,
    },
    archive: { allowed: [], storages: [] },
    now,
    builtins: [],
    quote: createQuoter({
      store,
      registry,
      findProducts: async function* () {
        yield (products.get(QUOTED) ?? []).map((name) => product(name));
      },
      assumedTaskSeconds: 60,
      patience: 60_000,
      now,
    }),
    unique: () => (jobCount++).toString(16),
  };
  const jobs = createJobs(options);
  const app = await createOperatorServer({
    gate: createTestGate(jobs),
    authentication: false,
    jobs,
    readExecute: async () => ({ process: '', inputs: {} }),
    operations: createOperations(options),
    scheduler,
    engines: [engine.port, { id: 'plain' }],
    reloadScheduling: async () => {
      await scheduler.setPolicy({ ...POLICY, agingLimit: 7 });
      return { policy: scheduler.policy(), unapplied: ['jobs.maxAttempts'] };
    },
    registry,
    bundles: createUploads({
      registry,
      directory: join(directory, 'users'),
      userBytes: 1_000_000,
      check: async () => undefined,
      isRunning: async (processes) =>
        (await store.jobs({ states: ['accepted', 'running'], processes, limit: 1 })).items.length >
        0,
    }).bundles,
    datasets: [DATASET],
    readLog: async () => ({ text: '', next: 0 }),
    subscribe: () => () => undefined,
    state: () => 'ready',
    publicUrl: () => 'http://public.example',
    uploadDirectory: join(directory, 'uploads'),
    logger,
    version: '1.2.3',
  });
  const url = await app.listen({ port: 0, host: '127.0.0.1' });

  return {
    app,
    url,
    store,
    scheduler,
    engine,
    jobs,
    submitted,
    products,
    /** A job over these products, each tried once; it has as many attempts out as nodes have room for. */
    async submit(id: string, names: readonly string[], job: Parameters<typeof aJob>[0] = {}) {
      products.set(id, names);
      const bundleHash = registry.bundle('test', '1.0')!.hash;
      await scheduler.submit(
        aJob({
          id,
          group: 'default',
          inputs: { inputDataSetName: 'scenes' },
          ...job,
          processor: {
            ...job.processor,
            bundle: 'test',
            version: '1.0',
            processor: 'Copy',
            bundleHash,
          },
          retry: { maxAttempts: 1, failurePercent: 100, ...job.retry },
        }),
      );
      await scheduler.settled();
    },
    settled: () => scheduler.settled(),
    /** Calls the API, which has to answer as its OpenAPI document promises. */
    call: async (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, payload?: object) => {
      const request = { method, url: path, ...(payload && { payload }) };
      const response = await callAsPromised(app, request);
      return { status: response.statusCode, body: response.json() };
    },
    async [Symbol.asyncDispose]() {
      await app.close();
      await scheduler.stop();
      await store[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}
