/** Everything that can be wrong with a configuration, in words. */
import { Ajv } from 'ajv';
import type { ErrorObject } from 'ajv';
import type { TSchema } from 'typebox';
import { CONFIG_SCHEMA, policyOf } from './config-schema.ts';
import type { DatasetSettings, Settings } from './config-schema.ts';
import { policyProblems } from './core/policy-problems.ts';
import { parseRegion } from './core/region.ts';
import { dayNumber } from './core/time.ts';
import { masterProblems } from './engines/mesos/masters.ts';
import { messageOf } from './errors.ts';
import { checkPlacePattern } from './products/location.ts';
import {
  checkPattern,
  checkStorage,
  isRegionName,
  resolvePattern,
  splitPatterns,
} from './products/patterns.ts';
import { isUrl } from './storage/location.ts';

type Tree = Readonly<Record<string, unknown>>;
type Path = readonly string[];

export const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const valueAt = (tree: unknown, path: Path): unknown =>
  path.reduce<unknown>(
    (node, key) =>
      (Array.isArray(node) || isTree(node)) && Object.hasOwn(node, key)
        ? Reflect.get(node, key)
        : undefined,
    tree,
  );

/** `datasets[0].minDate` */
export const keyText = (path: Path): string =>
  path.map((key, index) => (/^\d+$/.test(key) ? `[${key}]` : index > 0 ? `.${key}` : key)).join('');

export interface Problem {
  readonly path: Path;
  readonly reason: string;
}

export interface Check<T> {
  /** Fills in defaults, in place, and checks the rest. */
  accepts(value: unknown): value is T;
  /** What was not allowed when `accepts` looked last. */
  problems(value: unknown): Problem[];
}

/** A check of what is written in YAML against a schema. */
export function createCheck<T>(schema: TSchema): Check<T> {
  // It is used once or twice: to optimise it would take longer than it saves.
  const code = { optimize: false };
  const ajv = new Ajv({ allErrors: true, useDefaults: true, verbose: true, code });
  const validate = ajv.compile<T>(schema);
  return {
    accepts: (value): value is T => validate(value),
    problems: (value) => problemsOf(validate.errors ?? [], value),
  };
}

const settingsCheck = createCheck<Settings>(CONFIG_SCHEMA);
export const isSettings = settingsCheck.accepts;
export const schemaProblems = settingsCheck.problems;

/** One problem for each key: a value of several types has an error for each of them. */
function problemsOf(errors: readonly ErrorObject[], settings: unknown): Problem[] {
  const reasons = new Map<string, { path: Path; texts: Set<string> }>();
  for (const { path, reason } of errors.flatMap(explain)) {
    const known = reasons.get(keyText(path)) ?? { path, texts: new Set() };
    reasons.set(keyText(path), { path, texts: known.texts.add(reason) });
  }
  return Array.from(reasons.values(), ({ path, texts }) => {
    const reason = [...texts].join(' or ');
    const value = valueAt(settings, path);
    const given = reason.startsWith('must') && typeof value !== 'object';
    return { path, reason: given ? `${reason}, is ${JSON.stringify(value)}` : reason };
  });
}

function explain({ instancePath, parentSchema, keyword, params, message }: ErrorObject): Problem[] {
  // No key of a schema has a character that JSON pointers escape.
  const path = instancePath.split('/').slice(1);
  switch (keyword) {
    case 'additionalProperties': {
      const key = String(params['additionalProperty']);
      const known = Object.keys(parentSchema?.['properties'] ?? {});
      return [{ path: [...path, key], reason: `unknown key, ${suggestion(key, known)}` }];
    }
    case 'required':
      return [{ path, reason: `has no ${params['missingProperty']}` }];
    case 'enum':
      return [{ path, reason: `must be one of ${params['allowedValues'].join(', ')}` }];
    // It only says that others failed.
    case 'anyOf':
      return [];
    default:
      return [{ path, reason: message ?? keyword }];
  }
}

function suggestion(key: string, known: readonly string[]): string {
  const near = known.find((candidate) => distance(key.toLowerCase(), candidate.toLowerCase()) <= 2);
  return near === undefined ? `there are ${known.join(', ')}` : `did you mean ${near}?`;
}

/** Letters to insert, remove or replace to make one word of the other (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}

/** What the schema allows but makes no sense. */
export const contradictions = (settings: Settings): Problem[] => [
  ...listenerProblems(settings),
  ...mesosProblems(settings),
  ...(settings.jobs.maxRetryDelay < settings.jobs.retryDelay
    ? [{ path: ['jobs', 'maxRetryDelay'], reason: 'is less than jobs.retryDelay' }]
    : []),
  ...((settings.jobs.maxMemoryMb ?? Infinity) < settings.jobs.memoryMb
    ? [{ path: ['jobs', 'maxMemoryMb'], reason: 'is less than jobs.memoryMb' }]
    : []),
  ...schedulingProblems(settings.scheduling),
  ...costProblems(settings),
  ...settings.datasets.flatMap((dataset, index) =>
    datasetProblems(dataset, settings.datasets.slice(0, index), storagesOf(settings)).map(
      ({ path, reason }) => ({ path: ['datasets', String(index), ...path], reason }),
    ),
  ),
];

/** How URLs of the configured storages begin. */
export const storagesOf = ({ storage }: Pick<Settings, 'storage'>): string[] =>
  storage.hdfs.map(({ name }) => `hdfs://${name}`);

/** What the schema of the section `scheduling` allows but makes no sense. */
export const schedulingProblems = (scheduling: Settings['scheduling']): Problem[] =>
  policyProblems(policyOf(scheduling)).map(({ path, reason }) => ({
    path: ['scheduling', ...path],
    reason,
  }));

const costProblems = ({ scheduling }: Settings): Problem[] =>
  Object.keys(scheduling.costs)
    .filter((engine) => !ENGINES.includes(engine))
    .map((engine) => ({
      path: ['scheduling', 'costs', engine],
      reason: `there is no engine "${engine}", there are ${ENGINES.join(', ')}`,
    }));

function listenerProblems(settings: Settings): Problem[] {
  const problems: Problem[] = [];
  for (const key of ['public', 'nodeFiles'] as const) {
    const { baseUrl } = settings[key];
    problems.push(...baseUrlProblems([key, 'baseUrl'], baseUrl));
  }
  const { yarn } = settings.engines;
  const listeners = [
    ...(['public', 'internal', 'nodeFiles'] as const).map((key) => ({
      ...settings[key],
      path: [key],
    })),
    ...(yarn.applicationMaster === 'managed'
      ? [{ ...yarn.managed, path: ['engines', 'yarn', 'managed'] }]
      : []),
  ];
  listeners.forEach(({ host, port, path }, index) => {
    const other = listeners
      .slice(0, index)
      .find((each) => each.port === port && overlap(host, each.host));
    if (port === 0 || other === undefined) return;
    const reason = `is the port of the ${keyText(other.path)} listener (${port}) on the same host`;
    problems.push({ path: [...path, 'port'], reason });
  });
  return problems;
}

/** That an agent's user, runner and files cannot be reached is only seen there. */
function mesosProblems({ engines: { mesos } }: Settings): Problem[] {
  const { masters, principal, secretFile, certFile, keyFile } = mesos;
  if (masters.length === 0) return [];
  const problems = masterProblems(masters).map((reason) => ({ path: ['masters'], reason }));
  if (secretFile !== undefined && principal === undefined) {
    problems.push({ path: ['secretFile'], reason: 'needs engines.mesos.principal, too' });
  }
  if ((certFile === undefined) !== (keyFile === undefined)) {
    problems.push({ path: ['certFile'], reason: 'and keyFile go together' });
  }
  return problems.map(({ path, reason }) => ({ path: ['engines', 'mesos', ...path], reason }));
}

/** Of the URL under which a web service is found. */
export function baseUrlProblems(path: Path, text: string | undefined): Problem[] {
  if (text === undefined) return [];
  const url = URL.parse(text);
  if (url !== null && /^https?:$/.test(url.protocol) && !/[?#@]/.test(text)) return [];
  const shown = JSON.stringify(text.replace(/^(\w+:\/\/)?.*@/, '$1…@'));
  const reason = `must be an http or https URL without user, query and fragment, is ${shown}`;
  return [{ path, reason }];
}

function overlap(host: string, other: string): boolean {
  const [a, b] = [host, other].map((name) => (name === 'localhost' ? '127.0.0.1' : name));
  return a === b || [a, b].some((name) => name === '0.0.0.0' || name === '::');
}

function datasetProblems(
  dataset: DatasetSettings,
  before: readonly DatasetSettings[],
  storages: readonly string[],
): Problem[] {
  const { name, productType, path, minDate, maxDate, regionName, region, location } = dataset;
  const place = location?.pattern;
  const twice = before.some((other) => other.name === name && other.productType === productType);
  const backwards = minDate !== undefined && maxDate !== undefined && minDate > maxDate;
  const checkPaths = dataset.roots ? checkRelative : checkAbsolute;
  const checks: readonly (readonly [Path, string | false | undefined])[] = [
    [['name'], twice && `is that of another dataset of the type ${productType}`],
    ...[path].flat().map((text, index) => {
      const key = Array.isArray(path) ? ['path', String(index)] : ['path'];
      return [key, failureOf(() => checkPaths(splitPatterns(text), storages))] as const;
    }),
    [['minDate'], minDate && failureOf(() => dayNumber(minDate))],
    [['maxDate'], maxDate && failureOf(() => dayNumber(maxDate))],
    [['maxDate'], backwards && `${maxDate} is before minDate ${minDate}`],
    [['regionName'], regionName && !isRegionName(regionName) && 'cannot be part of a file name'],
    [['region'], region && failureOf(() => parseRegion(region))],
    [
      ['location', 'pattern'],
      place && failureOf(() => checkPlacePattern(resolvePattern(place, '/'))),
    ],
  ];
  return [
    ...checks.flatMap(([key, reason]) => (reason ? [{ path: key, reason }] : [])),
    ...(dataset.roots ?? []).flatMap((root, index) => rootProblems(root, index, storages)),
  ];
}

/** By what names the configuration knows engines. */
const ENGINES = ['local', 'mesos', 'yarn'];

function rootProblems(
  { path, engines = [] }: NonNullable<DatasetSettings['roots']>[number],
  index: number,
  storages: readonly string[],
): Problem[] {
  const place = ['roots', String(index)];
  const failure = failureOf(() => checkStorage(path, storages));
  const known = ENGINES.join(', ');
  const unknown = engines.flatMap((engine, at) => {
    if (ENGINES.includes(engine)) return [];
    const key = [...place, 'engines', String(at)];
    return [{ path: key, reason: `there is no engine "${engine}", there are ${known}` }];
  });
  return [...(failure ? [{ path: [...place, 'path'], reason: failure }] : []), ...unknown];
}

function checkAbsolute(patterns: readonly string[], storages: readonly string[]): void {
  if (patterns.length === 0) throw new Error('names no file');
  for (const pattern of patterns) checkPattern(resolvePattern(pattern, '/'), storages);
}

function checkRelative(patterns: readonly string[]): void {
  if (patterns.length === 0) throw new Error('names no file');
  for (const pattern of patterns) {
    if (pattern.startsWith('/') || isUrl(pattern)) {
      throw new Error(`"${pattern}" is absolute; of a dataset with roots, it is relative to each`);
    }
    checkPattern(`/${pattern}`);
  }
}

export function failureOf(check: () => unknown): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}
