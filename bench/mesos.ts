import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';

import { pino } from 'pino';
import { stringify } from 'yaml';

import type { Attempt, Job, Task } from '../src/core/model.ts';
import { messageOf } from '../src/errors.ts';
import { createMasters } from '../src/engines/mesos/masters.ts';
import { createMemory } from '../src/engines/mesos/memory.ts';
import { Mesos } from '../src/engines/mesos/mesos.ts';
import { taskInfo } from '../src/engines/mesos/task.ts';
import type { Assignment } from '../src/runner/assignment.ts';
import { systemClock } from '../src/scheduler/clock.ts';
import { startScheduler } from '../src/scheduler/scheduler.ts';
import { serve } from '../src/serve.ts';
import { openSqlite } from '../src/store/sqlite/sqlite.ts';
import { aJob } from '../test/fixtures/jobs.ts';
import { operator } from '../test/servers/pushbroom.ts';
import { runLoop } from './peers/mesos-loop.ts';
import { median } from './report.ts';
import type { Bench, Row } from './report.ts';

const AGENTS = 300;
const SLOTS = 4_300;
const LIVES = 20_000;
const ROUNDS = 3;
/** How long a task takes where all slots are busy, and for how long that is watched. */
const BUSY_MS = 10_000;
const WATCH_MS = 20_000;
/** On a real cluster: tasks of a job, small enough that programs are started all the time. */
const REAL_TASKS = 200;
const SHARE = { cpus: 0.1, memoryMb: 96 };

const logger = pino({ level: 'error' });

interface Cluster extends AsyncDisposable {
  readonly url: string;
}

/** The replayed cluster in a process of its own, whose tasks only take their time. */
async function startReplay(pretendMs: number): Promise<Cluster> {
  const program = join(import.meta.dirname, '../test/servers/mesos/main.ts');
  const cpus = Math.ceil((10 * SLOTS) / AGENTS) / 10;
  const options = { agents: AGENTS, cpus, 'memory-mb': 65_536, 'pretend-ms': pretendMs };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const { url } = JSON.parse(line) as { url: string };
  return {
    url,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

function assignmentOf(directory: string, task: Task, { id }: Attempt): Assignment {
  const path = (...names: string[]) => join(directory, ...names);
  return {
    attemptId: id,
    bundle: { name: 'bench', version: '1.0', hash: 'f'.repeat(64), archive: path('bundle.zip') },
    executables: { main: 'true-process' },
    step: 'process',
    input: task.input!,
    parameters: {},
    directories: {
      cache: path('cache'),
      scratch: path('scratch', id),
      result: path('results', String(task.number)),
      log: path('logs', String(task.number % 100), id),
    },
    limits: { wallTime: 3600, silence: 600, memoryMb: 1024, outputBytes: 1024 ** 2 },
    isolation: 'none',
    checksum: false,
  };
}

const taskSettings = {
  cacheDirectory: '/var/tmp/pushbroom',
  killGraceSeconds: 10,
  containerizer: 'mesos',
  cacheInputs: false,
  isolation: 'none',
  sharedDirectories: [],
} as const;

const FILES = `http://127.0.0.1:1/files/${'0'.repeat(64)}`;

const createEngine = (url: string, directory: string) =>
  new Mesos({
    masters: createMasters([url]),
    logger,
    now: Date.now,
    framework: { name: 'bench', user: 'root', roles: ['eo'], failoverTimeoutSeconds: 60 },
    memory: createMemory(join(directory, 'framework.json')),
    patience: {
      launch: 60_000,
      silence: 600_000,
      unreachable: 300_000,
      recheck: 900_000,
      killAgain: 30_000,
    },
    killGrace: 10,
    hold: 5_000,
    refuse: 5,
    attributes: { rack: 'rack', pool: 'site' },
    constraints: {},
    agentPort: 5051,
    maintenanceLead: 3_600_000,
    logOf: (id) => join(directory, 'logs', String(Number(id.split('.')[1]) % 100), id),
    tasks: {
      describe: async (assignment, agentId, resources) =>
        taskInfo({
          assignment,
          agentId,
          resources,
          settings: taskSettings,
          bundleUrl: `${FILES}/bundle.zip`,
          files: { runner: `${FILES}/runner.cjs`, node: `${FILES}/node` },
        }),
      learn: () => undefined,
    },
  });

/** The scheduler with its store over a cluster, and one job. */
async function run<T>(
  url: string,
  tasks: number,
  watch: (ended: Promise<void>, directory: string) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'pushbroom-bench-'));
  const store = openSqlite(join(directory, 'pushbroom.db'));
  const ended = Promise.withResolvers<void>();
  ended.promise.catch(() => undefined);
  const scheduler = await startScheduler({
    store,
    engines: [createEngine(url, directory)],
    clock: systemClock,
    gather: 5,
    logger,
    async *findProducts() {
      for (let from = 0; from < tasks; from += 1000) {
        yield Array.from({ length: Math.min(1000, tasks - from) }, (_, index) => ({
          path: `/archive/${from + index}`,
          firstPeriod: 0,
          lastPeriod: 0,
        }));
      }
    },
    assign: async (_job: Job, task, attempt) => assignmentOf(directory, task, attempt),
    stage: async () => [],
    clean: async (_job, state) =>
      state === 'successful' ? ended.resolve() : ended.reject(new Error(`the job is ${state}`)),
  });
  try {
    await scheduler.submit(aJob({ acceptedAt: Date.now() }));
    return await watch(ended.promise, directory);
  } finally {
    await scheduler.stop();
    await store[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  }
}

/** Whole lives a second: offer, launch, three updates stored and acknowledged, the runner's word. */
async function lives(say: (line: string) => void): Promise<Row> {
  const rates: number[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    await using cluster = await startReplay(0);
    const cpu = process.cpuUsage();
    const begun = performance.now();
    await run(cluster.url, LIVES, (ended) => ended);
    const seconds = (performance.now() - begun) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    rates.push(LIVES / seconds);
    const share = (user + system) / 1e6 / seconds;
    say(`round ${round}: ${rates.at(-1)!.toFixed(0)} lives/s, ${share.toFixed(2)} cores`);
  }
  const value = median(rates);
  const target = 2_000;
  return { what: 'whole lives, replayed', value, unit: 'tasks/s', target, ok: value >= target };
}

/** Processor time that the service takes while all slots are busy. */
async function busy(say: (line: string) => void): Promise<Row> {
  await using cluster = await startReplay(BUSY_MS);
  const tasks = SLOTS * Math.ceil((3 * BUSY_MS + WATCH_MS) / BUSY_MS);
  const cores = await run(cluster.url, tasks, async () => {
    // Until the first are done, and begin and end no longer all together.
    await pause(1.5 * BUSY_MS);
    const cpu = process.cpuUsage();
    const begun = performance.now();
    await pause(WATCH_MS);
    const { user, system } = process.cpuUsage(cpu);
    return (user + system) / 1000 / (performance.now() - begun);
  });
  say(
    `${SLOTS} slots on ${AGENTS} agents, tasks of ${BUSY_MS / 1000} s: ${cores.toFixed(2)} cores`,
  );
  return { what: `${SLOTS} slots busy`, value: cores, unit: 'cores', target: 1, ok: cores < 1 };
}

const DESCRIPTOR = `<bundleDescriptor><bundleName>bench</bundleName><bundleVersion>1.0</bundleVersion>
<processorDescriptors><processorDescriptor><executableName>True</executableName><processorName>True</processorName>
<formatting>IMPLICIT</formatting></processorDescriptor></processorDescriptors></bundleDescriptor>`;

/** A service over a real cluster, with a processor that is `/bin/true` itself. */
async function prepare(directory: string, master: string): Promise<string> {
  await mkdir(join(directory, 'bench'));
  await mkdir(join(directory, 'archive'));
  await writeFile(join(directory, 'bench/bundle-descriptor.xml'), DESCRIPTOR);
  await copyFile('/bin/true', join(directory, 'bench/True-process'));
  for (let index = 0; index < REAL_TASKS; index += 1) {
    await writeFile(join(directory, 'archive', `${index}.dat`), '');
  }
  const listen = { host: '127.0.0.1', port: 0 };
  const { PUSHBROOM_TEST_HOST: host = '127.0.0.1' } = process.env;
  const config = {
    dataDir: './data',
    public: listen,
    internal: listen,
    nodeFiles: { host, port: 0 },
    bundles: ['./bench'],
    datasets: [{ name: 'empty', productType: 'ANY', path: './archive/.*[.]dat' }],
    jobs: { cpus: SHARE.cpus, memoryMb: SHARE.memoryMb },
    engines: {
      local: { enabled: false },
      mesos: {
        masters: [master],
        roles: ['eo'],
        node: process.execPath,
        cacheDirectory: join(directory, 'cache'),
      },
    },
    log: { level: 'warn' },
  };
  const file = join(directory, 'pushbroom.yaml');
  await writeFile(file, stringify(config));
  return file;
}

/** Tasks per second of one job on a real cluster from its Execute to its end. */
async function ours(master: string): Promise<number> {
  const { PUSHBROOM_TEST_SHARED: shared = tmpdir() } = process.env;
  const directory = await mkdtemp(join(shared, 'pushbroom-bench-'));
  const server = await serve({ config: await prepare(directory, master), overrides: {} });
  try {
    const api = operator(server.internalUrl);
    const submit = () => api.submit('bench~1.0~True', { inputDataSetName: 'empty' });
    // The first fetches and unpacks.
    await api.ended(await submit());
    const begun = performance.now();
    const job = await api.ended(await submit());
    if (job.state !== 'successful') throw new Error(`the job is ${job.state}: ${job.message}`);
    return REAL_TASKS / ((performance.now() - begun) / 1000);
  } finally {
    await server.close();
    await rm(directory, { recursive: true, force: true });
  }
}

async function real(say: (line: string) => void): Promise<Row> {
  const { PUSHBROOM_TEST_MESOS: master } = process.env;
  const row = { what: '/bin/true, real cluster', unit: 'tasks/s', target: 0.9 };
  const peer = 'a loop that only launches true';
  if (master === undefined) {
    say('no real cluster: set PUSHBROOM_TEST_MESOS=http://host:port');
    return { ...row, value: 0, peer: `${peer}, not run: no PUSHBROOM_TEST_MESOS`, ok: false };
  }
  const rounds: { ours: number; peer: number }[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    const mine = await ours(master);
    const theirs = await runLoop(master, REAL_TASKS, SHARE);
    rounds.push({ ours: mine, peer: theirs });
    say(`round ${round}: ${mine.toFixed(1)}/s, the loop ${theirs.toFixed(1)}/s`);
  }
  const ratio = median(rounds.map((round) => round.ours / round.peer));
  return {
    ...row,
    value: median(rounds.map((round) => round.ours)),
    peer,
    peerValue: median(rounds.map((round) => round.peer)),
    ratio,
    ok: ratio >= row.target,
  };
}

export const mesos: Bench = {
  title: `mesos: ${LIVES} lives, and ${SLOTS} busy slots, over ${AGENTS} replayed agents; beside a minimal framework on a real cluster`,
  async run(say) {
    const rows: Row[] = [];
    for (const part of [lives, busy, real]) {
      try {
        rows.push(await part(say));
      } catch (error) {
        say(`${part.name}: ${messageOf(error)}`);
        throw error;
      }
    }
    return rows;
  },
};
