/** The part of the composition root that knows YARN; loaded only where there is a cluster. */
import { mkdir, readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';

import type { Config } from './config.ts';
import type { EngineParts } from './create-engines.ts';
import { parseAttemptId } from './core/ids.ts';
import type { Engine } from './engines/engine.ts';
import { createSidecar } from './engines/yarn/channel.ts';
import type { Channel } from './engines/yarn/channel.ts';
import { createMasterChannel, readKey } from './engines/yarn/master-channel.ts';
import { createPlaces } from './engines/yarn/places.ts';
import { amProgram } from './engines/yarn/program.ts';
import { programFiles } from './engines/yarn/program-files.ts';
import { Publisher } from './engines/yarn/publisher.ts';
import { createResourceManager } from './engines/yarn/resource-manager.ts';
import type { ResourceManager } from './engines/yarn/resource-manager.ts';
import { createStarts } from './engines/yarn/starts.ts';
import { Yarn } from './engines/yarn/yarn.ts';
import { runnerProgram } from './runner/program-file.ts';
import { committedOutputs } from './runner/result.ts';
import { storedOutputs } from './runner/stored-result.ts';
import { isUrl, joinLocation } from './storage/location.ts';

type YarnSettings = Config['engines']['yarn'];

/** Of what goes wrong between the cluster's heartbeats, whose times are its own. */
const PATIENCE = {
  stopAgain: 15_000,
  stop: 120_000,
  margin: 900_000,
  silence: 10_000,
};
/** About two heartbeats of a node. */
const LOOK_AHEAD = 2_000;

const seconds = (value: number): number => 1000 * value;

export async function createYarn(parts: EngineParts): Promise<Engine> {
  const { config, layout, logger, storages, now } = parts;
  const { yarn } = config.engines;
  const own = join(layout.directory, 'work', 'engines', 'yarn');
  await mkdir(own, { recursive: true, mode: 0o700 });
  const cache = joinLocation(cacheRoot(config), yarn.cacheDirectory);
  const logOf = (attemptId: string): string => {
    const { jobId, task, attempt } = parseAttemptId(attemptId)!;
    return layout.log(jobId, task, attempt);
  };
  const publisher = new Publisher({ storages, cache, directory: join(own, 'bundles'), logger });
  const resourceManager = createResourceManager({
    urls: yarn.resourceManagers,
    user: userInfo().username,
    logger,
  });
  const runner = await runnerProgram(layout.code);
  return new Yarn({
    name: yarn.name,
    channel:
      yarn.applicationMaster === 'managed'
        ? await createManaged(parts, own, resourceManager, publisher)
        : createUnmanaged(parts, own),
    resourceManager,
    starts: createStarts({
      publisher,
      storages,
      cache,
      runner: runner.path,
      ...(yarn.node !== undefined && { nodePath: yarn.node }),
      isolation: yarn.isolation,
      logger,
    }),
    places: createPlaces(logOf, logger),
    queueOf: (group) => queueOf(yarn, group),
    queueNames: [...new Set([yarn.queue, ...Object.values(yarn.queues)])],
    ...(yarn.nodeLabel !== undefined && { nodeLabel: yarn.nodeLabel }),
    ...(yarn.pool !== undefined && { pool: yarn.pool }),
    constraints: yarn.constraints,
    idle: seconds(yarn.idle),
    lookAhead: LOOK_AHEAD,
    runnerMemoryMb: yarn.runnerMemoryMb,
    patience: { ...PATIENCE, wait: seconds(yarn.wait), start: seconds(yarn.startWait) },
    logger,
    now,
    async outputsOf(attemptId) {
      const { jobId, task } = parseAttemptId(attemptId)!;
      const result = layout.result(jobId, task);
      return isUrl(result) ? storedOutputs(storages.of(result), result) : committedOutputs(result);
    },
  });
}

/** The cluster's default file system. */
function cacheRoot({ engines, storage }: Config): string {
  const [first] = storage.hdfs;
  return `hdfs://${engines.yarn.storage ?? first!.name}`;
}

/** Of the group, or of the nearest one above it that has one: `project/tep` is below `project`. */
function queueOf({ queue, queues }: YarnSettings, group: string): string {
  for (let name = group; name !== ''; name = name.slice(0, Math.max(0, name.lastIndexOf('/')))) {
    const own = queues[name];
    if (own !== undefined) return own;
  }
  return queue;
}

function createUnmanaged({ config, logger }: EngineParts, directory: string): Channel {
  const { java, hadoopConfiguration, principal, keytab } = config.engines.yarn;
  return createSidecar({
    logger,
    async program() {
      const { classPath, mainClass, javaOptions } = await amProgram();
      return {
        command: java,
        arguments: [
          ...javaOptions,
          '-cp',
          `${hadoopConfiguration}:${classPath}`,
          mainClass,
          'beside',
          '--state',
          join(directory, 'applications'),
          ...(principal === undefined ? [] : ['--principal', principal]),
          ...(keytab === undefined ? [] : ['--keytab', keytab]),
        ],
      };
    },
  });
}

async function createManaged(
  { config, logger }: EngineParts,
  directory: string,
  resourceManager: ResourceManager,
  publisher: Publisher,
): Promise<Channel> {
  const { hadoopConfiguration, managed } = config.engines.yarn;
  const { host, port, baseUrl, certFile, keyFile, caFile = certFile, java, memoryMb } = managed;
  const [cert, key, ca] = await Promise.all(
    [certFile, keyFile, caFile].map((file) => readFile(file!, 'utf8')),
  );
  const { directory: program, javaOptions, mainClass } = await amProgram();
  return createMasterChannel({
    host,
    port,
    ...(baseUrl !== undefined && { baseUrl }),
    tls: { cert: cert!, key: key! },
    ca: ca!,
    key: await readKey(join(directory, 'key')),
    java,
    javaOptions,
    mainClass,
    memoryMb,
    user: userInfo().username,
    resources: () => programFiles(publisher, program, hadoopConfiguration!),
    resourceManager,
    logger,
  });
}
