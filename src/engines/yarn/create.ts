import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';

import type { Logger } from 'pino';

import type { AttemptId, Millis } from '../../core/model.ts';
import { PushbroomError } from '../../errors.ts';
import type { Assignment } from '../../runner/assignment.ts';
import { runnerProgram } from '../../runner/program-file.ts';
import { committedOutputs } from '../../runner/result.ts';
import { storedOutputs } from '../../runner/stored-result.ts';
import { isUrl } from '../../storage/location.ts';
import type { Storages } from '../../storage/storage.ts';
import { createSidecar } from './channel.ts';
import type { Channel, Program } from './channel.ts';
import { createPlaces } from './places.ts';
import { amProgram } from './program.ts';
import { Publisher } from './publisher.ts';
import { queueFinder } from './queues.ts';
import { createResourceManager } from './resource-manager.ts';
import { createStarts } from './starts.ts';
import { Yarn } from './yarn.ts';

/** As it is configured (`engines.yarn`); times in seconds. */
export interface YarnSettings {
  readonly resourceManagers: readonly string[];
  readonly hadoopConfiguration?: string;
  readonly java: string;
  readonly principal?: string;
  readonly keytab?: string;
  readonly storage?: string;
  readonly cacheDirectory: string;
  readonly name: string;
  readonly queue: string;
  readonly queues: Readonly<Record<string, string>>;
  readonly nodeLabel?: string;
  readonly constraints: Readonly<Record<string, readonly string[]>>;
  readonly pool?: string;
  readonly wait: number;
  readonly idle: number;
  readonly startWait: number;
  readonly runnerMemoryMb: number;
  readonly node?: string;
  readonly isolation: Assignment['isolation'];
}

export interface YarnParts {
  readonly settings: YarnSettings;
  readonly storages: Storages;
  /** Names of the Hadoop file systems that are configured. */
  readonly fileSystems: readonly string[];
  /** Of what the engine and its program keep; made if it is not there. */
  readonly directory: string;
  /** Of programs that are built from a checkout. */
  readonly code: string;
  readonly logger: Logger;
  readonly now: () => Millis;
  /** Prefix of the files that are kept of an attempt's log. */
  logOf(attemptId: AttemptId): string;
  /** Where the result of an attempt's task is committed. */
  resultOf(attemptId: AttemptId): string;
}

const seconds = (value: number): Millis => 1000 * value;

/**
 * The YARN engine as it is configured.
 *
 * @throws PushbroomError INVALID_PARAMETER that names the setting
 */
export async function createYarn(parts: YarnParts): Promise<Yarn> {
  const { settings, storages, directory, code, logger, now, logOf, resultOf } = parts;
  const cache = `hdfs://${storageOf(parts)}${settings.cacheDirectory}`;
  const runner = await runnerProgram(code);
  const publisher = new Publisher({
    storages,
    cache,
    directory: join(directory, 'unpacking'),
    logger,
  });
  const { name, nodeLabel, constraints, pool, queue, queues, isolation, runnerMemoryMb } = settings;
  return new Yarn({
    name,
    channel: channelOf(parts),
    resourceManager: createResourceManager({
      urls: settings.resourceManagers,
      user: userInfo().username,
      logger,
    }),
    starts: createStarts({
      publisher,
      storages,
      cache,
      runner: runner.path,
      isolation,
      logger,
      ...(settings.node !== undefined && { nodePath: settings.node }),
    }),
    places: createPlaces(logOf, logger),
    queueOf: queueFinder(queue, queues),
    queueNames: [...new Set([queue, ...Object.values(queues)])],
    ...(nodeLabel !== undefined && { nodeLabel }),
    ...(pool !== undefined && { pool }),
    constraints,
    idle: seconds(settings.idle),
    lookAhead: seconds(2),
    runnerMemoryMb,
    patience: {
      wait: seconds(settings.wait),
      start: seconds(settings.startWait),
      stopAgain: seconds(15),
      stop: seconds(120),
      margin: seconds(900),
      silence: seconds(75),
    },
    logger,
    now,
    async outputsOf(attemptId) {
      const result = resultOf(attemptId);
      return isUrl(result)
        ? storedOutputs(storages.of(result), result)
        : committedOutputs(result);
    },
  });
}

/** Where nodes find what they need: the default file system of the cluster. */
function storageOf({ settings: { storage }, fileSystems }: YarnParts): string {
  const wanted = storage ?? (fileSystems.length === 1 ? fileSystems[0] : undefined);
  if (wanted !== undefined && fileSystems.includes(wanted)) return wanted;
  const known = fileSystems.length === 0 ? 'there is none' : `there are ${fileSystems.join(', ')}`;
  const message =
    storage === undefined
      ? `engines.yarn.storage has to name the cluster's own of storage.hdfs: ${known}`
      : `engines.yarn.storage is '${storage}', which is none of storage.hdfs: ${known}`;
  throw new PushbroomError('INVALID_PARAMETER', message, { locator: 'engines.yarn.storage' });
}

function channelOf({ settings, directory, code, logger }: YarnParts): Channel {
  const { hadoopConfiguration } = settings;
  const locator = 'engines.yarn.hadoopConfiguration';
  if (hadoopConfiguration === undefined || !existsSync(join(hadoopConfiguration, 'yarn-site.xml'))) {
    const message = `${locator} has to name the directory with the cluster's core-site.xml, hdfs-site.xml and yarn-site.xml`;
    throw new PushbroomError('INVALID_PARAMETER', message, { locator });
  }
  const state = join(directory, 'program');
  const program = () => programOf({ ...settings, hadoopConfiguration }, code, state);
  return createSidecar({ program, logger });
}

/** The application-master program beside the service. */
async function programOf(
  { java, hadoopConfiguration, principal, keytab }: YarnSettings,
  code: string,
  state: string,
): Promise<Program> {
  const { javaOptions, classPath, mainClass } = await amProgram(code);
  const login =
    principal !== undefined && keytab !== undefined
      ? ['--principal', principal, '--keytab', keytab]
      : [];
  const path = `${hadoopConfiguration}:${classPath}`;
  return {
    command: java,
    arguments: [...javaOptions, '-cp', path, mainClass, 'beside', '--state', state, ...login],
  };
}
