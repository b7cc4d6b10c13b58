/** The composition root: the only file that knows every adapter. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';

import type { FastifyInstance } from 'fastify';
import { destination, pino } from 'pino';
import type { Logger } from 'pino';

import { describeConfig, loadConfig } from './config.ts';
import type { Config } from './config.ts';
import type { RunningServer, ServeOptions } from './cli/deps.ts';
import { createLocal } from './engines/local/local.ts';
import { PushbroomError } from './errors.ts';
import { createPublicServer } from './gateways/public.ts';
import { createAssigner } from './jobs/assign.ts';
import { cleanJob, sweep } from './jobs/clean.ts';
import type { Jobs } from './jobs/jobs.ts';
import { createLogReader } from './jobs/log.ts';
import { createJobs } from './jobs/service.ts';
import { createLayout } from './layout.ts';
import type { Layout } from './layout.ts';
import { lock } from './lock.ts';
import { createOperatorServer } from './operator/server.ts';
import { watchJobs } from './operator/watch.ts';
import { DEFAULT_LIMITS } from './processes/archive.ts';
import { createRegistry } from './processes/registry.ts';
import type { Registry } from './processes/registry.ts';
import { findProducts } from './products/find.ts';
import { createStager } from './publication/stage.ts';
import type { Assignment } from './runner/assignment.ts';
import { systemClock } from './scheduler/clock.ts';
import { startScheduler } from './scheduler/scheduler.ts';
import type { Scheduler } from './scheduler/scheduler.ts';
import { openSqlite } from './store/sqlite/sqlite.ts';
import type { Store } from './store/store.ts';
import { version } from './version.ts';

/** Starts the service; resolves when both listeners answer. */
export async function serve({ config: file, overrides }: ServeOptions): Promise<RunningServer> {
  const config = await loadConfig({
    ...(file !== undefined && { file }),
    overrides: {
      ...(overrides.dataDir !== undefined && { dataDir: overrides.dataDir }),
      public: { host: overrides.host, port: overrides.port },
      internal: { host: overrides.internalHost, port: overrides.internalPort },
      log: { file: overrides.logFile },
    },
  });
  const logger = pino({ level: config.log.level }, destination(config.log.file ?? 2));
  logger.debug(`configuration:\n${describeConfig(config)}`);
  const layout = createLayout(resolve(config.dataDir));
  await mkdir(layout.uploads, { recursive: true });
  await mkdir(layout.staging, { recursive: true });
  const unlock = lock(layout.lock, `process ${process.pid}, started ${new Date().toISOString()}`);
  const closers: (() => unknown)[] = [unlock];
  const close = async () => {
    for (const closer of closers.splice(0).toReversed()) await closer();
  };
  try {
    return { ...(await start(config, layout, logger, closers)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function start(
  config: Config,
  layout: Layout,
  logger: Logger,
  closers: (() => unknown)[],
): Promise<Omit<RunningServer, 'close'>> {
  const store = openSqlite(layout.database);
  closers.push(() => store[Symbol.asyncDispose]());
  const registry = await createRegistry({
    directory: layout.bundles,
    limits: { ...DEFAULT_LIMITS, ...config.uploads },
    now: systemClock.now,
    log: logger,
  });
  for (const bundle of config.bundles) await registry.deploy(bundle, 'configuration');
  const urls = { publicUrl: '', internalUrl: '' };
  const baseUrl = () => config.public.baseUrl ?? urls.publicUrl;
  const scheduler = await createScheduler({ config, layout, logger, store, registry, baseUrl });
  closers.push(() => scheduler.stop());
  const jobs = createJobs({
    store,
    scheduler,
    registry,
    datasets: config.datasets,
    defaults: config.jobs,
    now: systemClock.now,
    unique: () => randomBytes(7).toString('hex'),
  });
  const deps = { config, layout, logger, store, registry, scheduler, jobs, baseUrl };
  const publicServer = await createPublic(deps);
  const operator = await createOperator(deps);
  closers.push(() => Promise.all([publicServer.close(), operator.close()]));
  urls.publicUrl = await listen(publicServer, config.public);
  urls.internalUrl = await listen(operator, config.internal);
  logger.info(urls, 'ready');
  void sweep(store, layout).catch((error: unknown) => logger.warn({ err: error }, 'sweep failed'));
  return urls;
}

interface Parts {
  readonly config: Config;
  readonly layout: Layout;
  readonly logger: Logger;
  readonly store: Store;
  readonly registry: Registry;
  readonly baseUrl: () => string;
}

function createScheduler(parts: Parts): Promise<Scheduler> {
  const { config, layout, logger, store, registry, baseUrl } = parts;
  const { local } = config.engines;
  const assign = createAssigner({
    store,
    registry,
    layout,
    isolation: chooseIsolation(local.isolation, logger),
    outputLimit: local.outputLimit,
  });
  const publisher = {
    centre: config.service.provider.name,
    platform: config.service.title,
    baseUrl,
  };
  return startScheduler({
    store,
    engines: local.enabled
      ? [
          createLocal({
            resources: { cpus: local.cpus, memoryMb: local.memoryMb },
            codeCache: layout.code,
          }),
        ]
      : [],
    clock: systemClock,
    logger,
    findProducts: (job, signal) => {
      const { dataset: wanted, productType } = job.products;
      const dataset = config.datasets.find(
        (each) => each.name === wanted && each.productType === productType,
      );
      if (!dataset) {
        const message = `the dataset '${wanted}' is no longer configured`;
        throw new PushbroomError('NO_SUCH_DATASET', message);
      }
      const { products: query, periods } = job;
      return findProducts({
        dataset,
        query,
        periods,
        limit: config.jobs.productsPerRequest,
        signal,
      });
    },
    assign,
    stage: createStager({ store, layout, publisher, now: systemClock.now }),
    clean: (job, state) => cleanJob(layout, job, state),
  });
}

type ServerParts = Parts & { readonly scheduler: Scheduler; readonly jobs: Jobs };

const createPublic = ({ config, layout, logger, registry, jobs }: ServerParts) =>
  createPublicServer({
    jobs,
    logger,
    service: config.service,
    deploy: (path, by) => registry.deploy(path, by),
    stagingDir: layout.staging,
    tempDir: layout.uploads,
    uploadLimit: config.uploads.compressedBytes,
    bodyLimit: config.public.bodyLimit,
    exceptionStatus: 'ok',
    userPrefix: config.staging.userPrefix,
    defaultUser: config.staging.user,
    ...(config.public.baseUrl !== undefined && { baseUrl: config.public.baseUrl }),
  });

const createOperator = (parts: ServerParts) => {
  const { config, layout, logger, store, registry, scheduler, jobs, baseUrl } = parts;
  return createOperatorServer({
    jobs,
    registry,
    datasets: config.datasets,
    nodes: () =>
      scheduler.nodes().map(({ engine, node, total, offers }) => ({
        engine,
        node,
        resources: total ?? { cpus: 0, memoryMb: 0 },
        free: {
          cpus: offers.reduce((sum, { resources }) => sum + resources.cpus, 0),
          memoryMb: offers.reduce((sum, { resources }) => sum + resources.memoryMb, 0),
        },
      })),
    readLog: createLogReader({ store, layout }),
    subscribe: watchJobs(scheduler, jobs),
    state: () => 'ready',
    publicUrl: baseUrl,
    uploadDirectory: layout.uploads,
    uploadLimit: config.uploads.compressedBytes,
    logger,
    version,
  });
};

async function listen(
  server: FastifyInstance,
  { host, port }: { host: string; port: number },
): Promise<string> {
  try {
    return await server.listen({ host, port });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error;
    throw new PushbroomError('UNAVAILABLE', `${host}:${port} is in use: choose another port`);
  }
}

/** Whether attempts can be kept from writing outside their directory is found out by trying. */
function chooseIsolation(
  wanted: 'auto' | 'none' | 'bubblewrap',
  logger: Logger,
): Assignment['isolation'] {
  if (wanted === 'none') return 'none';
  const probe = spawnSync('bwrap', ['--ro-bind', '/', '/', '--unshare-pid', 'true']);
  if (probe.status === 0) return 'bubblewrap';
  const reason = probe.error?.message ?? probe.stderr.toString().trim();
  if (wanted === 'bubblewrap') {
    throw new PushbroomError(
      'UNAVAILABLE',
      `engines.local.isolation: bubblewrap does not work here: ${reason}`,
    );
  }
  logger.warn(
    { reason },
    'no isolation: processors can write wherever the service can; install bubblewrap to prevent it',
  );
  return 'none';
}
