import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { stringify } from 'yaml';
import {
  contradictions,
  isSettings,
  isTree,
  keyText,
  schemaProblems,
  valueAt,
} from './config-problems.ts';
import type { Problem } from './config-problems.ts';
import type { DatasetSettings, Settings } from './config-schema.ts';
import { parseRegion } from './core/region.ts';
import { messageOf, PushbroomError } from './errors.ts';
import type { Dataset } from './products/dataset.ts';
import { resolvePattern, splitPatterns } from './products/patterns.ts';
import { parseYaml } from './yaml.ts';
import type { YamlDocument } from './yaml.ts';

/** All settings with their defaults; paths are absolute. */
export interface Config extends Omit<Settings, 'datasets'> {
  readonly datasets: readonly Dataset[];
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
  const source = file === undefined ? undefined : await readSource(file);
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
  const problems = contradictions(settings);
  if (problems.length > 0) throw refusal(problems);
  return resolvePaths(settings, overrides, file === undefined ? '.' : dirname(file));
}

const SECRET = /password|secret|token|credential/i;

/** The configuration as YAML, to be logged or printed: secrets are hidden. */
export const describeConfig = (config: object): string =>
  stringify(config, (key, value: unknown) =>
    typeof key === 'string' && SECRET.test(key) ? '(hidden)' : value,
  );

async function readSource(file: string): Promise<YamlDocument> {
  try {
    return parseYaml(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new PushbroomError('INVALID_PARAMETER', `${file}: ${messageOf(cause)}`, { cause });
  }
}

function resolvePaths(
  settings: Settings,
  overrides: Partially<Settings>,
  directory: string,
): Config {
  const { log, datasets } = settings;
  const logFile = overrides.log?.file ?? (log.file && resolve(directory, log.file));
  return {
    ...settings,
    dataDir: resolve(overrides.dataDir ?? resolve(directory, settings.dataDir)),
    bundles: settings.bundles.map((path) => resolve(directory, path)),
    datasets: datasets.map((dataset) => datasetOf(dataset, directory)),
    log: { ...log, ...(logFile && { file: resolve(logFile) }) },
  };
}

const datasetOf = ({ path, region, ...rest }: DatasetSettings, directory: string): Dataset => ({
  ...rest,
  patterns: [path]
    .flat()
    .flatMap(splitPatterns)
    .map((pattern) => resolvePattern(pattern, directory)),
  ...(region !== undefined && { regionWkt: parseRegion(region).wkt }),
});

/** Leaves out keys without a value, as `jobs:` is when all its lines are commented out. */
function prune(value: unknown): unknown {
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
