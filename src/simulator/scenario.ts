import { dirname, resolve } from 'node:path';

import { Type } from 'typebox';
import type { Static, TProperties } from 'typebox';

import { createCheck, keyText, schedulingProblems } from '../config-problems.ts';
import type { Problem } from '../config-problems.ts';
import { SCHEDULING, policyOf } from '../config-schema.ts';
import { prune, readYaml } from '../config.ts';
import { DEFAULT_GROUP, leavesOf } from '../core/policy.ts';
import { PushbroomError } from '../errors.ts';
import { readHistory } from './history.ts';

const MOST_NODES = 10_000;
const MOST_JOBS = 200_000;
const MOST_TASKS = 5_000_000;

const group = <T extends TProperties>(properties: T) =>
  Type.Object(properties, { additionalProperties: false });
const section = <T extends TProperties>(properties: T) =>
  Type.Object(properties, { additionalProperties: false, default: {} });
const text = Type.String({ minLength: 1 });
const count = (maximum: number, fallback = 1) =>
  Type.Integer({ minimum: 1, maximum, default: fallback });
const seconds = (fallback: number) => Type.Number({ minimum: 0, maximum: 1e9, default: fallback });
const optionalSeconds = Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1e9 }));
const percent = Type.Number({ minimum: 0, maximum: 100, default: 0 });
const cpus = Type.Number({ exclusiveMinimum: 0, maximum: 1e6, default: 1 });
const memoryMb = Type.Integer({ minimum: 1, default: 1024 });
const gpus = Type.Integer({ minimum: 0, maximum: 10_000, default: 0 });

const NODES = group({
  count: count(MOST_NODES),
  name: Type.String({ minLength: 1, default: 'node' }),
  cpus: Type.Number({ exclusiveMinimum: 0, maximum: 1e6 }),
  memoryMb: Type.Integer({ minimum: 1 }),
  gpus,
  speed: Type.Number({ exclusiveMinimum: 0, maximum: 1000, default: 1 }),
  engine: Type.String({ minLength: 1, default: 'simulated' }),
  rack: Type.Optional(text),
  pool: Type.Optional(text),
  joins: seconds(0),
  leaves: optionalSeconds,
  meanTimeBetweenFailures: optionalSeconds,
  repairTime: seconds(600),
  failurePercent: percent,
});

const ROOT = group({
  pool: text,
  replicas: Type.Integer({ minimum: 0, maximum: 100, default: 3 }),
  engines: Type.Optional(Type.Array(text, { minItems: 1 })),
});

const DURATION = group({
  median: Type.Number({ exclusiveMinimum: 0, maximum: 1e8 }),
  sigma: Type.Number({ minimum: 0, maximum: 3, default: 0.3 }),
});

const JOBS = group({
  at: seconds(0),
  every: optionalSeconds,
  count: count(MOST_JOBS),
  user: Type.String({ minLength: 1, default: 'anonymous' }),
  group: Type.Optional(text),
  priority: Type.Integer({ default: 0 }),
  tasks: Type.Integer({ minimum: 1, maximum: 1_000_000 }),
  cpus,
  memoryMb,
  gpus,
  duration: DURATION,
  aggregate: Type.Optional(
    group({
      periods: count(1000),
      partitions: count(1000),
      cpus,
      memoryMb,
      duration: DURATION,
    }),
  ),
  format: Type.Optional(group({ cpus, memoryMb, duration: DURATION })),
});

export const SCENARIO = group({
  seed: Type.Integer({ minimum: 0, maximum: 2 ** 31, default: 1 }),
  heartbeat: Type.Number({ minimum: 0, maximum: 3600, default: 1 }),
  nodes: Type.Array(NODES, { minItems: 1, maxItems: MOST_NODES }),
  data: section({
    products: count(100_000_000, 1_000_000),
    replicas: Type.Integer({ minimum: 0, maximum: 100, default: 3 }),
    placement: Type.Enum(['random', 'round-robin'], { default: 'random' }),
    pool: Type.Optional(text),
    roots: Type.Array(ROOT, { default: [], maxItems: 100 }),
    remoteRead: section({ rack: seconds(0), pool: seconds(0), any: seconds(0) }),
  }),
  failures: section({
    input: percent,
    processor: percent,
    memory: percent,
    disk: percent,
    time: percent,
    network: percent,
    engine: percent,
  }),
  slow: section({
    percent,
    factor: Type.Number({ minimum: 1, maximum: 1000, default: 10 }),
  }),
  scheduling: SCHEDULING,
  retries: section({
    maxAttempts: count(1000, 3),
    maxLosses: count(1000, 10),
    retryDelay: seconds(1),
    maxRetryDelay: seconds(60),
    maxMemoryMb: Type.Optional(Type.Integer({ minimum: 1 })),
    failurePercent: percent,
  }),
  jobs: Type.Array(JOBS, { default: [], maxItems: MOST_JOBS }),
  history: Type.Optional(text),
});

/** What is simulated, with its defaults: described in docs/simulator.md. All times are seconds. */
export type Scenario = Static<typeof SCENARIO>;
export type NodesSpec = Scenario['nodes'][number];
export type JobsSpec = Scenario['jobs'][number];
export type Duration = JobsSpec['duration'];

const check = createCheck<Scenario>(SCENARIO);

/**
 * Reads and checks a scenario. A history's jobs are added to its own.
 *
 * @throws INVALID_PARAMETER with a line for each thing that is wrong: file, line, column, key and reason
 */
export async function loadScenario(file: string): Promise<Scenario> {
  const source = await readYaml(file);
  const refuse = (problems: readonly Problem[]): void => {
    if (problems.length === 0) return;
    const lines = problems.map(({ path, reason }) =>
      [file, source.placeOf(path), ...(path.length > 0 ? [keyText(path)] : []), reason].join(': '),
    );
    throw new PushbroomError('INVALID_PARAMETER', lines.join('\n'));
  };
  const read = parse(prune(source.content ?? {}), refuse);
  const { history } = read;
  const past = history === undefined ? [] : await readHistory(resolve(dirname(file), history));
  refuse(contradictions(read, past));
  return { ...read, jobs: [...read.jobs, ...past] };
}

/** A scenario that a program made up. */
export function createScenario(content: unknown): Scenario {
  const refuse = (problems: readonly Problem[]): void => {
    if (problems.length > 0) throw new Error(JSON.stringify(problems));
  };
  const scenario = parse(content, refuse);
  refuse(contradictions(scenario));
  return scenario;
}

function parse(value: unknown, refuse: (problems: readonly Problem[]) => void): Scenario {
  const content = structuredClone(value);
  if (!check.accepts(content)) refuse(check.problems(content));
  return content as Scenario;
}

/**
 * What the schema allows but makes no sense.
 *
 * @param past jobs of its history
 */
function contradictions(scenario: Scenario, past: readonly JobsSpec[] = []): Problem[] {
  const { nodes, jobs, scheduling } = scenario;
  const problems: Problem[] = schedulingProblems(scheduling);
  const add = (reason: string | false, ...path: readonly string[]) =>
    reason && problems.push({ path, reason });
  const limit = (most: number, what: string, counts: readonly number[]) => {
    const sum = counts.reduce((total, each) => total + each, 0);
    return sum > most && `has ${sum} ${what}; at most ${most} can be simulated`;
  };
  add(
    limit(
      MOST_NODES,
      'nodes',
      nodes.map((spec) => spec.count),
    ),
    'nodes',
  );
  nodes.forEach(({ leaves = Infinity, joins }, index) =>
    add(leaves <= joins && 'is not after joins', 'nodes', String(index), 'leaves'),
  );
  problems.push(...dataProblems(scenario));
  const engines = new Set(nodes.map(({ engine }) => engine));
  for (const engine of Object.keys(scheduling.costs)) {
    const isUnknown = !engines.has(engine);
    add(isUnknown && `no node is of the engine ${engine}`, 'scheduling', 'costs', engine);
  }
  const all = [...jobs, ...past];
  add(all.length === 0 && 'there is nothing to do: give jobs or a history', 'jobs');
  add(
    limit(
      MOST_JOBS,
      'jobs',
      all.map((spec) => spec.count),
    ),
    'jobs',
  );
  add(
    limit(
      MOST_TASKS,
      'tasks',
      all.map((spec) => spec.count * spec.tasks),
    ),
    'jobs',
  );
  const problemsOf = jobChecker(scenario);
  jobs.forEach((spec, index) => {
    for (const { key, reason } of problemsOf(spec)) add(reason, 'jobs', String(index), key);
  });
  const ofPast = past.flatMap(problemsOf).map(({ key, reason }) => `${key} ${reason}`);
  for (const reason of new Set(ofPast)) add(reason, 'history');
  return problems;
}

function dataProblems({ nodes, data: { pool, roots } }: Scenario): Problem[] {
  const pools = new Set(nodes.map((node) => node.pool));
  const engines = new Set(nodes.map(({ engine }) => engine));
  const problems: Problem[] = [];
  const add = (reason: string | false, ...path: readonly string[]) =>
    reason && problems.push({ path: ['data', ...path], reason });
  const isHome = pool === undefined || pools.has(pool);
  add(!isHome && `no node is in the pool ${pool}`, 'pool');
  add(pool !== undefined && roots.length > 0 && 'has no meaning beside roots', 'pool');
  roots.forEach((root, index) => {
    const key = ['roots', String(index)];
    add(!pools.has(root.pool) && `no node is in the pool ${root.pool}`, ...key, 'pool');
    const unknown = root.engines?.find((engine) => !engines.has(engine));
    add(unknown !== undefined && `no node is of the engine ${unknown}`, ...key, 'engines');
  });
  return problems;
}

function jobChecker({ data, scheduling }: Scenario) {
  const groups = [DEFAULT_GROUP, ...leavesOf(policyOf(scheduling).groups).map(({ path }) => path)];
  return (spec: JobsSpec): { key: string; reason: string }[] => [
    ...(spec.group !== undefined && !groups.includes(spec.group)
      ? [{ key: 'group', reason: `'${spec.group}' is none of ${groups.join(', ')}` }]
      : []),
    ...(spec.count > 1 && spec.every === undefined
      ? [{ key: 'count', reason: 'needs every, the time between its jobs' }]
      : []),
    ...(spec.tasks > data.products
      ? [{ key: 'tasks', reason: `${spec.tasks} are more than data.products (${data.products})` }]
      : []),
  ];
}
