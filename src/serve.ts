/** The composition root: the only file that knows every adapter. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { resolve } from 'node:path';

import type { FastifyInstance } from 'fastify';
import { destination, pino } from 'pino';
import type { Logger } from 'pino';

import { describeConfig, loadConfig, reloadPolicy } from './config.ts';
import type { Config, ConfigSource, Reload } from './config.ts';
import { archiveOf, sightsOf } from './config-places.ts';
import type { RunningServer, ServeOptions } from './cli/deps.ts';
import type { Job, ProductQuery } from './core/model.ts';
import { productLimit } from './core/policy.ts';
import type { Policy } from './core/policy.ts';
import { createEngines } from './create-engines.ts';
import { createExecuteReader } from './create-execute-reader.ts';
import { createGate } from './create-gate.ts';
import type { ReloadableGate } from './create-gate.ts';
import { createStorages } from './create-storages.ts';
import type { Engine } from './engines/engine.ts';
import { PushbroomError, messageOf } from './errors.ts';
import { createPublicServer } from './gateways/public.ts';
import { createAssigner } from './jobs/assign.ts';
import type { AssignOptions } from './jobs/assign.ts';
import { createCleaner } from './jobs/clean.ts';
import type { Cleaner } from './jobs/clean.ts';
import { createOperations } from './jobs/control.ts';
import type { Jobs, Operations } from './jobs/jobs.ts';
import { createLogReader } from './jobs/log.ts';
import type { LogReaderOptions } from './jobs/log.ts';
import { createQuoter } from './jobs/quote.ts';
import type { Quoter } from './jobs/quote.ts';
import { withoutUnwanted } from './jobs/retry.ts';
import { createReuse } from './jobs/reuse.ts';
import { createJobs } from './jobs/service.ts';
import type { JobsOptions } from './jobs/service.ts';
import { createLayout } from './layout.ts';
import type { Layout } from './layout.ts';
import { lock } from './lock.ts';
import { createOperatorServer } from './operator/server.ts';
import { watchJobs } from './operator/watch.ts';
import { DEFAULT_LIMITS } from './processes/archive.ts';
import { BUILTINS } from './processes/builtin.ts';
import { createRegistry } from './processes/registry.ts';
import type { Registry } from './processes/registry.ts';
import { adHocDataset } from './products/ad-hoc.ts';
import type { Dataset } from './products/dataset.ts';
import { findProducts } from './products/find.ts';
import { pathFor } from './products/roots.ts';
import { createLocalStager } from './publication/stage-local.ts';
import { createStager } from './publication/stage.ts';
import type { Assignment } from './runner/assignment.ts';
import { systemClock } from './scheduler/clock.ts';
import { startScheduler } from './scheduler/scheduler.ts';
import type { Scheduler, SchedulerOptions } from './scheduler/scheduler.ts';
import type { Storages } from './storage/storage.ts';
import { openSqlite } from './store/sqlite/sqlite.ts';
import type { Store } from './store/store.ts';
import { createCheck } from './uploads/check.ts';
import { createUploads } from './uploads/uploads.ts';
import type { Uploads } from './uploads/uploads.ts';
import { version } from './version.ts';

/** Starts the service; resolves when both listeners answer. */
export async function serve({ config: file, overrides }: ServeOptions): Promise<RunningServer> {
  const source: ConfigSource = {
    ...(file !== undefined && { file }),
    overrides: {
      ...(overrides.dataDir !== undefined && { dataDir: overrides.dataDir }),
      public: { host: overrides.host, port: overrides.port },
      internal: { host: overrides.internalHost, port: overrides.internalPort },
      log: { file: overrides.logFile },
    },
  };
  const config = await loadConfig(source);
  const logger = pino({ level: config.log.level }, destination(config.log.file ?? 2));
  if (logger.isLevelEnabled('debug')) logger.debug(`configuration:\n${describeConfig(config)}`);
  const { workDir, staging } = config;
  const layout = createLayout(resolve(config.dataDir), { workDir, staging: staging.directory });
  await mkdir(layout.uploads, { recursive: true });
  await mkdir(layout.staging, { recursive: true });
  const unlock = lock(layout.lock, `process ${process.pid}, started ${new Date().toISOString()}`);
  const closers: (() => unknown)[] = [unlock];
  const close = async () => {
    for (const closer of closers.splice(0).toReversed()) await closer();
  };
  try {
    return { ...(await start(source, config, layout, logger, closers)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function start(
  source: ConfigSource,
  config: Config,
  layout: Layout,
  logger: Logger,
  closers: (() => unknown)[],
): Promise<Omit<RunningServer, 'close'>> {
  // What a crash has left of uploads.
  await rm(layout.uploads, { recursive: true, force: true });
  await mkdir(layout.uploads);
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
  const { keepFailed } = config.jobs;
  const { storages, access } = await createStorages(config, logger, closers);
  const { now } = systemClock;
  const cleaner = createCleaner({ store, layout, storages, keepFailed, now });
  const engines = await createEngines({ config, layout, logger, storages, now, closers });
  const common = { config, layout, logger, store, registry, cleaner, baseUrl, engines };
  const parts = { ...common, storages, access };
  const scheduler = await createScheduler(parts);
  closers.push(() => scheduler.stop());
  const jobsOptions: JobsOptions = {
    store,
    scheduler,
    registry,
    datasets: config.datasets,
    builtins: BUILTINS.filter(({ id }) => config.service.builtins.includes(id)),
    defaults: config.jobs,
    archive: archiveOf(config),
    quote: quoterOf(parts, scheduler),
    now: systemClock.now,
    unique: () => randomBytes(7).toString('hex'),
  };
  const jobs = createJobs(jobsOptions);
  const jobsOver = (datasets: readonly Dataset[]) => createJobs({ ...jobsOptions, datasets });
  const gate = await createGate({ config, layout, logger, closers, jobsOver, registry });
  const operations = createOperations(jobsOptions);
  const reload = createReload(source, config, scheduler, gate, logger);
  closers.push(onHangup(reload, logger));
  const deps = { ...parts, scheduler, jobs, operations, gate, reload, uploads: takeUploads(parts) };
  const publicServer = await createPublic(deps);
  const operator = await createOperator(deps, closers);
  closers.push(() => Promise.all([publicServer.close(), operator.close()]));
  urls.publicUrl = await listen(publicServer, config.public);
  urls.internalUrl = await listen(operator, config.internal);
  logger.info(urls, 'ready');
  closers.push(sweepDaily(cleaner, logger));
  return urls;
}

const DAY = 86_400_000;
/** Adds so much to an attempt's life at most, and only in a large cluster. */
const GATHER_MS = 5;
/** Products are counted for so long for a quotation. */
const QUOTE_MS = 5000;

/** Now and once a day. */
function sweepDaily({ sweep }: Cleaner, logger: Logger): () => void {
  const sweepOnce = () =>
    void sweep().catch((error: unknown) => logger.warn({ err: error }, 'sweep failed'));
  sweepOnce();
  const timer = setInterval(sweepOnce, DAY).unref();
  return () => clearInterval(timer);
}

/** Applies what of the configuration can change while the service runs. */
function createReload(
  source: ConfigSource,
  config: Config,
  scheduler: Scheduler,
  gate: ReloadableGate,
  logger: Logger,
): () => Promise<Reload> {
  return async () => {
    // Its old file was moved away: that must not wait for a configuration that is right.
    await gate.audit.reopen();
    const reload = await reloadPolicy(source, config);
    await gate.reload();
    await scheduler.setPolicy(reload.policy);
    logger.info({ unapplied: reload.unapplied }, 'scheduling and users were configured anew');
    return reload;
  };
}

function onHangup(reload: () => Promise<Reload>, logger: Logger): () => void {
  const onSignal = () =>
    void reload().catch((error: unknown) =>
      logger.error(`the configuration stays as it was: ${messageOf(error)}`),
    );
  process.on('SIGHUP', onSignal);
  return () => process.off('SIGHUP', onSignal);
}

interface Parts {
  readonly config: Config;
  readonly layout: Layout;
  readonly logger: Logger;
  readonly store: Store;
  readonly registry: Registry;
  readonly cleaner: Cleaner;
  readonly baseUrl: () => string;
  readonly engines: readonly Engine[];
  readonly storages: Storages;
  readonly access: AssignOptions['access'];
}

async function createScheduler(parts: Parts): Promise<Scheduler> {
  const { config, layout, logger, store, storages, cleaner, baseUrl, engines } = parts;
  const { local } = config.engines;
  const assign = createAssigner({
    ...parts,
    pathFor: createPathFinder(config),
    isolation: chooseIsolation(local.isolation, logger),
    outputLimit: local.outputLimit,
  });
  const reuse = createReuse({ store, layout, storages });
  const publisher = {
    centre: config.service.provider.name,
    platform: config.service.title,
    baseUrl,
  };
  const stage = createStager({ store, layout, storages, publisher, now: systemClock.now });
  const stageLocal = createLocalStager(layout);
  // A split that a crash has interrupted goes on before there is a scheduler to ask.
  let policy = () => config.scheduling;
  const scheduler = await startScheduler({
    store,
    policy: config.scheduling,
    engines,
    clock: systemClock,
    gather: GATHER_MS,
    logger,
    findProducts: createFinder(parts, () => policy()),
    assign: async (job, task, attempt, resources) => {
      if (job.retryOf) await reuse(job, task);
      return assign(job, task, attempt, resources);
    },
    stage: (job, signal) => (job.workflow.type === 'Local' ? stageLocal(job, signal) : stage(job)),
    clean: cleaner.clean,
  });
  policy = scheduler.policy;
  return scheduler;
}

const takeUploads = ({ config, layout, logger, registry, store }: Parts): Uploads =>
  createUploads({
    registry,
    directory: layout.users,
    userBytes: config.uploads.userBytes,
    check: createCheck({
      command: config.uploads.check,
      seconds: config.uploads.checkSeconds,
      warn: (message) => logger.warn(message),
    }),
    isRunning: async (processes) => {
      const states = ['accepted', 'running'] as const;
      return (await store.jobs({ states, processes, limit: 1 })).items.length > 0;
    },
  });

const datasetOf = ({ datasets }: Config, wanted: ProductQuery): Dataset | undefined =>
  adHocDataset(wanted) ??
  datasets.find(
    ({ name, productType }) => name === wanted.dataset && productType === wanted.productType,
  );

/** Finds what a job is over; the policy is asked each time, as it can change. */
const createFinder =
  ({ config, storages, logger }: Parts, policy: () => Policy): SchedulerOptions['findProducts'] =>
  (job, signal) => {
    const dataset = datasetOf(config, job.products);
    if (!dataset) {
      const message = `the dataset '${job.products.dataset}' is no longer configured`;
      throw new PushbroomError('NO_SUCH_DATASET', message);
    }
    const { products: query, periods } = job;
    const { productsPerRequest } = config.jobs;
    const limit = productLimit(policy(), job.user, job.group, productsPerRequest);
    const warn = (message: string) => logger.warn({ job: job.id }, message);
    const engines = sightsOf(config);
    const options = { dataset, query, periods, limit, signal, storages, engines, warn };
    return withoutUnwanted(job, findProducts(options));
  };

const quoterOf = (parts: Parts, { policy }: Scheduler): Quoter =>
  createQuoter({
    ...parts,
    findProducts: createFinder(parts, policy),
    assumedTaskSeconds: parts.config.jobs.assumedTaskSeconds,
    patience: QUOTE_MS,
    now: systemClock.now,
  });

/** Where an engine's nodes read a product; a dataset that is no longer configured may still be known under its path. */
function createPathFinder(config: Config): AssignOptions['pathFor'] {
  const engines = new Map(sightsOf(config).map((engine) => [engine.id, engine]));
  return ({ products }: Job, engineId, path) => {
    const dataset = datasetOf(config, products);
    const engine = engines.get(engineId);
    return dataset && engine ? pathFor(dataset, engine, path) : path;
  };
}

interface ServerParts extends Parts {
  readonly scheduler: Scheduler;
  readonly jobs: Jobs;
  readonly operations: Operations;
  readonly gate: ReloadableGate;
  readonly reload: () => Promise<Reload>;
  readonly uploads: Uploads;
}

const createPublic = ({ config, layout, logger, uploads, gate }: ServerParts) =>
  createPublicServer({
    gate,
    logger,
    service: config.service,
    uploads,
    stagingDir: layout.staging,
    tempDir: layout.uploads,
    callbackDir: layout.callbacks,
    uploadLimit: config.uploads.compressedBytes,
    bodyLimit: config.public.bodyLimit,
    trustedProxies: config.public.trustedProxies,
    references: config.references,
    exceptionStatus: 'ok',
    draft2: config.ogcapi.draft2,
    ...(config.public.baseUrl !== undefined && { baseUrl: config.public.baseUrl }),
  });

const createOperator = (parts: ServerParts, closers: (() => unknown)[]) => {
  const { config, layout, logger, store, registry, engines, scheduler } = parts;
  const { jobs, operations, gate, reload, baseUrl, uploads } = parts;
  const readRemote: LogReaderOptions['readRemote'] = async (attempt, part) =>
    engines.find(({ id }) => id === attempt.engine)?.readLog?.(attempt, part);
  return createOperatorServer({
    gate,
    authentication: config.internal.authentication,
    jobs,
    readExecute: createExecuteReader(jobs, config.references, closers),
    registry,
    bundles: uploads.bundles,
    datasets: config.datasets,
    operations,
    scheduler,
    engines,
    reloadScheduling: reload,
    readLog: createLogReader({ store, layout, readRemote }),
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
