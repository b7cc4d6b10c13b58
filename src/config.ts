import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { stringify } from 'yaml';
import { accessProblems } from './config-access.ts';
import { reachProblems, resolveLocation, storageProblems } from './config-places.ts';
import {
  contradictions,
  isSettings,
  isTree,
  keyText,
  schemaProblems,
  valueAt,
} from './config-problems.ts';
import type { Problem } from './config-problems.ts';
import { policyOf } from './config-schema.ts';
import type { DatasetSettings, Settings } from './config-schema.ts';
import type { Policy } from './core/policy.ts';
import { parseRegion } from './core/region.ts';
import { messageOf, PushbroomError } from './errors.ts';
import type { Dataset } from './products/dataset.ts';
import { resolvePattern, splitPatterns } from './products/patterns.ts';
import { parseYaml } from './yaml.ts';
import type { YamlDocument } from './yaml.ts';

/** All settings with their defaults; paths are absolute. */
export interface Config extends Omit<Settings, 'datasets' | 'scheduling'> {
  readonly datasets: readonly Dataset[];
  readonly scheduling: Policy;
}

type Partially<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { readonly [K in keyof T]?: Partially<T[K]> | undefined }
    : T;

export interface ConfigSource {
  /** Path of the YAML file. */
  readonly file?: string;
  /** What the command line says; it wins over the file. Its paths are relative to the current directory. */
  readonly overrides?: Partially<Settings>;
}

/**
 * Reads and checks the configuration. Paths in the file are relative to its directory; a key without a value is taken
 * as absent.
 *
 * @throws INVALID_PARAMETER with a line for each thing that is wrong: file, line, column, key and reason
 */
export async function loadConfig({ file, overrides = {} }: ConfigSource): Promise<Config> {
  const source = file === undefined ? undefined : await readYaml(file);
  const settings = merge(prune(source?.content ?? {}), prune(overrides));
  const refusal = (problems: readonly Problem[]) => {
    const lines = problems.map(({ path, reason }) => {
      const place = source ? `${file}: ${source.placeOf(path)}` : 'configuration';
      const said = valueAt(overrides, path);
      const origin = said === undefined || isTree(said) ? place : 'command line';
      return [origin, ...(path.length > 0 ? [keyText(path)] : []), reason].join(': ');
    });
    return new PushbroomError('INVALID_PARAMETER', lines.join('\n'));
  };
  if (!isSettings(settings)) throw refusal(schemaProblems(settings));
  const problems = [
    ...contradictions(settings),
    ...storageProblems(settings),
    ...accessProblems(settings),
  ];
  if (problems.length > 0) throw refusal(problems);
  const config = configOf(settings, overrides, file === undefined ? '.' : dirname(file));
  const outOfReach = reachProblems(config);
  if (outOfReach.length > 0) throw refusal(outOfReach);
  return config;
}

export interface Reload {
  readonly policy: Policy;
  /** Keys outside of `scheduling` that have changed too, such as `jobs.maxAttempts`; they wait for a restart. */
  readonly unapplied: readonly string[];
}

/**
 * Reads the configuration again for what can change while the service runs: the scheduling.
 *
 * @param running what the service was started with
 * @throws INVALID_PARAMETER as `loadConfig`; the policy that is there should stay
 */
export async function reloadPolicy(source: ConfigSource, running: Config): Promise<Reload> {
  const { scheduling: policy, ...others } = await loadConfig(source);
  const { scheduling: _, ...before } = running;
  return { policy, unapplied: differences(before, others).toSorted() };
}

/** Keys whose values differ; lists are compared as a whole. */
function differences(before: unknown, after: unknown, path: readonly string[] = []): string[] {
  if (!isTree(before) || !isTree(after)) {
    return isDeepStrictEqual(before, after) ? [] : [keyText(path)];
  }
  const keys = Object.keys({ ...before, ...after });
  return keys.flatMap((key) => differences(before[key], after[key], [...path, key]));
}

const SECRET = /password|secret|token|credential/i;

/** The configuration as YAML, to be logged or printed: secrets are hidden. */
export const describeConfig = (config: object): string =>
  stringify(config, (key, value: unknown) =>
    typeof key === 'string' && SECRET.test(key) ? '(hidden)' : value,
  );

/** @throws INVALID_PARAMETER with file, line and reason */
export async function readYaml(file: string): Promise<YamlDocument> {
  try {
    return parseYaml(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new PushbroomError('INVALID_PARAMETER', `${file}: ${messageOf(cause)}`, { cause });
  }
}

function configOf(settings: Settings, overrides: Partially<Settings>, directory: string): Config {
  const { access, log, archive, datasets, engines, staging, storage, workDir } = settings;
  const { mesos, yarn } = engines;
  const logFile = overrides.log?.file ?? (log.file && resolve(directory, log.file));
  const absolute = <K extends string>(key: K, path: string | undefined) =>
    (path === undefined ? {} : { [key]: resolveLocation(directory, path) }) as {
      readonly [P in K]?: string;
    };
  return {
    ...settings,
    dataDir: resolve(overrides.dataDir ?? resolve(directory, settings.dataDir)),
    ...absolute('workDir', workDir),
    access: {
      ...access,
      ...absolute('usersFile', access.usersFile),
      ...absolute('auditFile', access.auditFile),
    },
    staging: { ...staging, ...absolute('directory', staging.directory) },
    engines: {
      ...engines,
      mesos: {
        ...mesos,
        ...absolute('secretFile', mesos.secretFile),
        ...absolute('caFile', mesos.caFile),
        ...absolute('certFile', mesos.certFile),
        ...absolute('keyFile', mesos.keyFile),
      },
      yarn: {
        ...yarn,
        ...absolute('hadoopConfiguration', yarn.hadoopConfiguration),
        ...absolute('keytab', yarn.keytab),
        managed: {
          ...yarn.managed,
          ...absolute('certFile', yarn.managed.certFile),
          ...absolute('keyFile', yarn.managed.keyFile),
          ...absolute('caFile', yarn.managed.caFile),
        },
        // A command is looked for where commands are.
        ...(yarn.java.includes('/') && { java: resolve(directory, yarn.java) }),
      },
    },
    storage: {
      hdfs: storage.hdfs.map((hdfs) => ({
        ...hdfs,
        ...absolute('tokenFile', hdfs.tokenFile),
        ...absolute('keytab', hdfs.keytab),
        ...absolute('caFile', hdfs.caFile),
      })),
    },
    archive: {
      ...absolute('root', archive.root),
      ...(archive.allowed && {
        allowed: archive.allowed.map((place) => resolveLocation(directory, place)),
      }),
    },
    bundles: settings.bundles.map((path) => resolve(directory, path)),
    datasets: datasets.map((dataset) => datasetOf(dataset, directory)),
    scheduling: policyOf(settings.scheduling),
    log: { ...log, ...(logFile && { file: resolve(logFile) }) },
  };
}

function datasetOf(
  { path, region, location, roots, ...rest }: DatasetSettings,
  directory: string,
): Dataset {
  const absolute = (pattern: string) => resolvePattern(pattern, directory);
  const patterns = [path].flat().flatMap(splitPatterns);
  return {
    ...rest,
    patterns: roots ? patterns : patterns.map(absolute),
    ...(roots && {
      roots: roots.map(({ path: root, ...others }) => ({
        location: resolveLocation(directory, root),
        ...others,
      })),
    }),
    ...(region !== undefined && { regionWkt: parseRegion(region).wkt }),
    ...(location && {
      location: { ...location, ...(location.pattern && { pattern: absolute(location.pattern) }) },
    }),
  };
}

/** Leaves out keys without a value, as `jobs:` is when all its lines are commented out. */
export function prune(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(prune);
  if (!isTree(value)) return value;
  const present = Object.entries(value).filter(
    ([, child]) => child !== undefined && child !== null,
  );
  return Object.fromEntries(present.map(([key, child]) => [key, prune(child)]));
}

/** `over` wins, but not with a section over something that is wrongly none. */
function merge(base: unknown, over: unknown): unknown {
  if (over === undefined || (isTree(over) && base !== undefined && !isTree(base))) return base;
  if (!isTree(over) || !isTree(base)) return over;
  const keys = Object.keys({ ...base, ...over });
  return Object.fromEntries(keys.map((key) => [key, merge(base[key], over[key])]));
}
