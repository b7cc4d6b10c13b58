import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { EngineEvent } from '../src/core/change.ts';
import type { AttemptId, FailureKind, Job } from '../src/core/model.ts';
import { systemClock } from '../src/scheduler/clock.ts';
import { createChance } from '../src/simulator/chance.ts';
import { SimulatedEngine } from '../src/simulator/engine.ts';
import type { Course, SimulatedNode } from '../src/simulator/engine.ts';
import { openSqlite } from '../src/store/sqlite/sqlite.ts';
import { aJob } from '../test/fixtures/jobs.ts';
import { none } from './report.ts';
import type { Bench } from './report.ts';
import { PRODUCTS_PER_JOB } from './soak-server.ts';
import type { Call, FromServer, ToServer } from './soak-server.ts';

const JOBS = 10;
const TASKS = JOBS * PRODUCTS_PER_JOB;
const KILLS = 20;
const FAILING = 0.03;
const KINDS: readonly FailureKind[] = ['processor', 'engine', 'network', 'memory', 'time'];
const NODES = 50;
const CPUS = 20;
/** Milliseconds. */
const NODE_CHANGES_EVERY = 200;
const LONGEST_ATTEMPT = 100;

/** A cluster that outlives its servers, and counts for itself what ran. */
function createCluster() {
  const chance = createChance(7);
  const starts = new Map<AttemptId, number>();
  const successes = new Map<string, Set<AttemptId>>();
  const nodes = Array.from({ length: NODES }, (_, n): SimulatedNode => ({
    name: `node-${n}`,
    cpus: CPUS,
    memoryMb: 4096 * CPUS,
  }));
  const courseOf = (attemptId: AttemptId): Course => {
    starts.set(attemptId, (starts.get(attemptId) ?? 0) + 1);
    const duration = LONGEST_ATTEMPT * chance.uniform(`${attemptId} duration`);
    if (chance.uniform(`${attemptId} fate`) >= FAILING) {
      const result = { outputs: [{ path: 'a', size: 1 }] };
      return { duration, end: { state: 'finished', result } };
    }
    const kind = KINDS[Math.floor(KINDS.length * chance.uniform(`${attemptId} kind`))]!;
    const failure = { kind, message: `made to fail: ${kind}` };
    return { duration, end: { state: 'failed', result: { exitCode: 1, failure } } };
  };
  const engine = new SimulatedEngine({
    id: 'simulated',
    clock: systemClock,
    heartbeat: 0,
    courseOf: ({ attemptId }) => courseOf(attemptId),
  });
  for (const node of nodes) engine.join(node);
  const away = new Set<SimulatedNode>();
  let changes = 0;
  const churn = setInterval(() => {
    changes += 1;
    const node = nodes[Math.floor(NODES * chance.uniform(`change ${changes}`))]!;
    if (away.delete(node)) engine.join(node);
    else if (away.size < NODES / 4) {
      away.add(node);
      engine.leave(node.name);
    }
  }, NODE_CHANGES_EVERY);
  /** What the cluster tells, also while no server is there to hear it. */
  let forward: (event: EngineEvent) => void = () => undefined;
  const listen = (event: EngineEvent): void => {
    if (event.type === 'attemptMoved' && event.to === 'finished') {
      const task = event.attemptId.slice(0, event.attemptId.lastIndexOf('.'));
      successes.set(task, (successes.get(task) ?? new Set()).add(event.attemptId));
    }
    forward(event);
  };
  return {
    engine,
    starts,
    successes,
    changes: () => changes,
    /** Tells a new server everything anew. */
    serve(to: (event: EngineEvent) => void): void {
      forward = to;
      void engine.run(listen, new AbortController().signal);
    },
    stop: () => clearInterval(churn),
  };
}

type Cluster = ReturnType<typeof createCluster>;

/** A server process on a cluster; what it asks is answered as long as it lives. */
function startServer(
  cluster: Cluster,
  database: string,
  onEnded: (jobId: string, state: string) => void,
) {
  const child = fork(join(import.meta.dirname, 'soak-server.ts'), [database], {
    serialization: 'advanced',
  });
  const ready = Promise.withResolvers<void>();
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.on('error', () => undefined);
  child.on('message', (message: FromServer) => {
    if (message.type === 'ready') ready.resolve();
    else if (message.type === 'ended') onEnded(message.jobId, message.state);
    else if (message.type === 'run') cluster.serve(inBatches(child));
    else void answer(cluster, child, message.number, message.what);
  });
  return { child, ready: ready.promise, gone };
}

const send = (child: ChildProcess, message: ToServer): void => {
  if (child.connected) child.send(message, () => undefined);
};

function inBatches(child: ChildProcess): (event: EngineEvent) => void {
  let events: EngineEvent[] = [];
  return (event) => {
    events.push(event);
    if (events.length > 1) return;
    setImmediate(() => {
      send(child, { type: 'events', events });
      events = [];
    });
  };
}

async function answer(
  { engine }: Cluster,
  child: ChildProcess,
  number: number,
  what: Call,
): Promise<void> {
  try {
    const news = await {
      launch: async () => what.call === 'launch' && engine.launch(what.order),
      kill: async () => what.call === 'kill' && engine.kill(what.attemptId),
      reconcile: async () => what.call === 'reconcile' && engine.reconcile(what.attemptIds),
    }[what.call]();
    send(child, { type: 'answer', number, ...(news instanceof Map && { news: [...news] }) });
  } catch (error) {
    send(child, { type: 'refusal', number, message: String(error) });
  }
}

const jobs: readonly Job[] = Array.from({ length: JOBS }, (_, n) =>
  aJob({
    id: `2026010100000${n}_L2Plus_${n}`,
    user: `user-${n % 3}`,
    acceptedAt: n,
    retry: { maxAttempts: 5, maxLosses: 20, delay: 0.05, maxDelay: 1, failurePercent: 100 },
  }),
);

/** Kills the server again and again until every job has ended. */
async function killAgainAndAgain(cluster: Cluster, database: string, say: (line: string) => void) {
  const states = new Map<string, string>();
  const allEnded = Promise.withResolvers<void>();
  const onEnded = (jobId: string, state: string): void => {
    states.set(jobId, state);
    if (states.size === JOBS) allEnded.resolve();
  };
  let kills = 0;
  for (;;) {
    const server = startServer(cluster, database, onEnded);
    await server.ready;
    send(server.child, { type: 'submit', jobs });
    const nextKill = ((kills + 1) * TASKS) / (KILLS + 1);
    const killer = setInterval(() => {
      if (kills < KILLS && cluster.successes.size >= nextKill) server.child.kill('SIGKILL');
    }, 5);
    await Promise.race([server.gone, allEnded.promise]);
    clearInterval(killer);
    server.child.kill('SIGKILL');
    await server.gone;
    if (states.size === JOBS) return { kills, states };
    kills += 1;
    say(`kill ${kills}: ${cluster.successes.size} tasks have succeeded`);
  }
}

/** What the store says in the end, beside what the cluster has seen. */
async function examine({ starts, successes }: Cluster, database: string) {
  await using store = openSqlite(database);
  let lost = 0;
  let double = 0;
  let retried = 0;
  for (const { id } of jobs) {
    const view = await store.job(id);
    const { total, finished, failed } = view!.steps.process;
    lost += PRODUCTS_PER_JOB - total + (total - finished - failed);
    retried += view!.attempts - total;
  }
  for (const count of starts.values()) if (count > 1) double += 1;
  for (const attempts of successes.values()) if (attempts.size > 1) double += 1;
  return { lost, double, retried };
}

export const soak: Bench = {
  title: `soak: ${TASKS} tasks of which ${100 * FAILING} % fail, nodes that come and go, ${KILLS} times kill -9`,
  async run(say) {
    const directory = await mkdtemp(join(tmpdir(), 'pushbroom-bench-'));
    const database = join(directory, 'pushbroom.db');
    const cluster = createCluster();
    try {
      const begun = performance.now();
      const { kills, states } = await killAgainAndAgain(cluster, database, say);
      const seconds = (performance.now() - begun) / 1000;
      const { lost, double, retried } = await examine(cluster, database);
      if (cluster.engine.defect) throw cluster.engine.defect;
      const unsuccessful = [...states.values()].filter((state) => state !== 'successful').length;
      say(`${retried} attempts were made again; nodes came or went ${cluster.changes()} times`);
      return [
        none('lost', lost, 'tasks'),
        none('run twice to commit', double, 'tasks'),
        none('jobs not successful', unsuccessful, 'jobs'),
        { what: 'kills', value: kills, unit: 'times', target: KILLS, ok: kills >= KILLS },
        { what: 'rate, kills included', value: TASKS / seconds, unit: 'tasks/s' },
      ];
    } finally {
      cluster.stop();
      await rm(directory, { recursive: true, force: true });
    }
  },
};
