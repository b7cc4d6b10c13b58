/** The part of the composition root that knows the engines. */
import { mkdir, readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';

import type { Logger } from 'pino';

import type { Config } from './config.ts';
import { parseAttemptId } from './core/ids.ts';
import type { AttemptId } from './core/model.ts';
import type { Engine } from './engines/engine.ts';
import { createLocal } from './engines/local/local.ts';
import type { MesosOptions } from './engines/mesos/mesos.ts';
import type { TaskSettings } from './engines/mesos/task.ts';
import type { Layout } from './layout.ts';
import type { Storages } from './storage/storage.ts';

export interface EngineParts {
  readonly config: Config;
  readonly layout: Layout;
  readonly logger: Logger;
  readonly storages: Storages;
  readonly now: () => number;
  /** Called when the service ends. */
  readonly closers: (() => unknown)[];
}

export async function createEngines(parts: EngineParts): Promise<Engine[]> {
  const { config, layout } = parts;
  const { local, mesos, yarn } = config.engines;
  const engines: Engine[] = [];
  if (local.enabled) {
    engines.push(
      createLocal({
        resources: { cpus: local.cpus, memoryMb: local.memoryMb },
        codeCache: layout.code,
        directory: layout.runners,
        keepRunning: local.keepRunning,
      }),
    );
  }
  if (mesos.masters.length > 0) engines.push(await createMesos(parts));
  if (yarn.resourceManagers.length > 0) {
    const { createYarn } = await import('./create-yarn.ts');
    engines.push(await createYarn(parts));
  }
  return engines;
}

const seconds = (value: number): number => 1000 * value;

/** Loaded only where there is a cluster. */
async function createMesos(parts: EngineParts): Promise<Engine> {
  const { config, layout, logger, now, closers } = parts;
  const { mesos } = config.engines;
  const { Mesos } = await import('./engines/mesos/mesos.ts');
  const { createMasters } = await import('./engines/mesos/masters.ts');
  const { createMemory } = await import('./engines/mesos/memory.ts');
  const { createTasks } = await import('./engines/mesos/tasks.ts');
  const { runnerProgram } = await import('./runner/program-file.ts');
  const { serveNodeFiles } = await import('./engines/node-files.ts');
  const memory = layout.engine('mesos');
  await mkdir(dirname(memory), { recursive: true });
  await mkdir(layout.jobs, { recursive: true });
  const files = await serveNodeFiles({ ...config.nodeFiles, logger });
  closers.push(() => files.close());
  const runner = await runnerProgram(layout.code);
  const settings: TaskSettings = {
    ...(mesos.node !== undefined && { nodePath: mesos.node }),
    cacheDirectory: mesos.cacheDirectory,
    killGraceSeconds: mesos.killGrace,
    containerizer: mesos.containerizer === 'docker' ? 'docker' : 'mesos',
    cacheInputs: mesos.cacheInputs,
    isolation: mesos.isolation,
    sharedDirectories: [layout.jobs, ...mesos.sharedDirectories],
  };
  const { name, roles, principal, failoverTimeout: failoverTimeoutSeconds } = mesos;
  const { user = userInfo().username } = mesos;
  return new Mesos({
    ...(await mesosAccess(mesos, logger)),
    masters: createMasters(mesos.masters, { isSecure: mesos.caFile !== undefined }),
    logger,
    now,
    framework: { name, user, roles, failoverTimeoutSeconds, ...(principal && { principal }) },
    memory: createMemory(memory),
    patience: {
      launch: seconds(60),
      silence: seconds(mesos.silence),
      unreachable: seconds(mesos.unreachable),
      recheck: seconds(900),
      killAgain: seconds(30),
    },
    killGrace: mesos.killGrace,
    hold: seconds(mesos.hold),
    refuse: mesos.refuse,
    attributes: mesos.attributes,
    constraints: mesos.constraints,
    agentPort: mesos.agentPort,
    ...(mesos.containerizer !== 'none' && { hasImages: true }),
    maintenanceLead: seconds(mesos.maintenanceLead),
    logOf: (attemptId) => logPrefix(layout, attemptId),
    tasks: createTasks({ files, runner: runner.path, settings }),
  });
}

async function mesosAccess(
  { principal, secretFile, caFile, certFile, keyFile }: Config['engines']['mesos'],
  logger: Logger,
): Promise<Pick<MesosOptions, 'credentials' | 'tls'>> {
  const text = async (file: string | undefined) => (file ? readFile(file, 'utf8') : undefined);
  const [ca, cert, key] = await Promise.all([caFile, certFile, keyFile].map(text));
  const tls = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
  if (principal === undefined || secretFile === undefined) return { tls };
  const { readSecret } = await import('./engines/mesos/credentials.ts');
  const secret = await readSecret(secretFile, (message) => logger.warn(message));
  return { tls, credentials: { principal, secret } };
}

function logPrefix(layout: Layout, attemptId: AttemptId): string {
  const ids = parseAttemptId(attemptId)!;
  return layout.log(ids.jobId, ids.task, ids.attempt);
}
