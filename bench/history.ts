import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import type { Change } from '../src/core/change.ts';
import { attemptId, jobId } from '../src/core/ids.ts';
import type { Job, Task } from '../src/core/model.ts';
import { timestamp } from '../src/core/time.ts';
import { createLayout } from '../src/layout.ts';
import { openSqlite } from '../src/store/sqlite/sqlite.ts';
import { aJob } from '../test/fixtures/jobs.ts';
import { startPushbroom, temporaryDirectory } from '../test/servers/pushbroom.ts';
import { createClient, percentile } from './measure.ts';
import type { Bench, Row } from './report.ts';

const JOBS = 100_000;
/** Of the oldest job; all others have few, a million together. */
const CAMPAIGN_TASKS = 100_000;
const TASKS = 9;
const JOBS_PER_COMMIT = 200;
const MIN_REQUESTS = 200;
const MAX_REQUESTS = 1200;
const TARGET = 50;
const BEGIN = Date.UTC(2023, 0, 1);
/** A job every ten minutes: about two years. */
const INTERVAL = 600_000;

const REGION = 'POLYGON((22.11 45.18,22.19 45.18,22.19 45.24,22.11 45.24,22.11 45.18))';
const FAILURE = { kind: 'processor', message: 'Indices: exit code 3: no clear pixel' } as const;

/** One portal has half of the jobs; it never dismisses one. */
function historicJob(index: number): Job {
  const acceptedAt = BEGIN + index * INTERVAL;
  const user = index % 2 === 0 ? 'portal' : `scientist-${index % 99}`;
  const processor = `Indices${index % 20}`;
  const parameters = { outputFormat: 'GeoTIFF', regionWKT: REGION };
  return aJob({
    id: jobId(timestamp(acceptedAt), 'L2Plus', index.toString(16).padStart(14, '0')),
    process: `timescan~1.0~${processor}`,
    title: `Indices of a region, order ${index}`,
    user,
    acceptedAt,
    processor: { bundle: 'timescan', version: '1.0', processor, bundleHash: '0'.repeat(64) },
    products: { dataset: 'Sentinel-2 L2A', productType: 'S2_L2A', regionWkt: REGION },
    parameters,
    inputs: { ...parameters, productionName: `order ${index}`, inputDataSetName: 'Sentinel-2 L2A' },
  });
}

function endOf(index: number): 'successful' | 'failed' | 'dismissed' {
  if (index % 50 === 1) return 'dismissed';
  return index % 17 === 7 ? 'failed' : 'successful';
}

/** The whole life of a job, as the scheduler writes it down. */
function* lifeOf(index: number): Generator<Change> {
  const job = historicJob(index);
  const at = job.acceptedAt + 60_000;
  const tasks = Array.from({ length: index === 0 ? CAMPAIGN_TASKS : TASKS }, (_, number) => {
    const key = `/archive/2024/05/17/S2_L2A_${index}_${number}.tif`;
    const task = { jobId: job.id, number, step: 'process', key, input: key } as const;
    return { ...task, firstPeriod: 0, lastPeriod: 0 };
  });
  yield { type: 'addJob', job };
  yield { type: 'addTasks', jobId: job.id, tasks, at };
  yield { type: 'moveJob', jobId: job.id, to: 'running', at };
  yield { type: 'endSplit', jobId: job.id, at };
  const to = endOf(index);
  for (const task of tasks) yield* lifeOfTask(task, at, task.number % 100 === 8);
  const ended = { type: 'moveJob', jobId: job.id, to, at: at + 60_000 } as const;
  yield to === 'successful' ? { ...ended, results: [] } : { ...ended, message: FAILURE.message };
  yield { type: 'forgetJob', jobId: job.id };
}

function* lifeOfTask(task: Task, at: number, hasFailed: boolean): Generator<Change> {
  const attempt = {
    id: attemptId(task.jobId, task.number, 1),
    jobId: task.jobId,
    task: task.number,
    number: 1,
    engine: 'local',
    node: `node-${task.number % 28}`,
    launchedAt: at,
  };
  const to = hasFailed ? 'failed' : 'finished';
  const counts = { failures: hasFailed ? 1 : 0, losses: 0 };
  const outputs = [{ path: 'S2_indices.tif', size: 123_456 }];
  const usage = { wallMs: 1234, cpuUserMs: 1000, sources: { cpu: 'proc-stat-children' } };
  const resources = { cpus: 1, memoryMb: 512 };
  const end = hasFailed ? { failure: FAILURE } : { outputs };
  yield { type: 'addAttempt', attempt, task, resources };
  yield { type: 'moveAttempt', attempt, resources, to, at, result: { exitCode: 0, usage, ...end } };
  yield { type: 'endTask', task, attempts: 1, to, at, ...counts, ...end };
}

async function fill(path: string, say: (line: string) => void): Promise<void> {
  const begun = performance.now();
  const store = openSqlite(path);
  for (let index = 0; index < JOBS; index += JOBS_PER_COMMIT) {
    const jobs = Array.from({ length: JOBS_PER_COMMIT }, (_, offset) => index + offset);
    await store.commit(jobs.flatMap((job) => [...lifeOf(job)]));
  }
  await store[Symbol.asyncDispose]();
  say(`filled in ${((performance.now() - begun) / 1000).toFixed(0)} s`);
}

const CAMPAIGN = historicJob(0).id;
/** What an operator asks for, each with all its pages. */
const QUERIES = {
  'all jobs': '/api/jobs?',
  'failed jobs': '/api/jobs?state=failed&',
  'jobs that run': '/api/jobs?state=running&state=accepted&',
  "a portal's jobs": '/api/jobs?user=portal&',
  "a portal's failed jobs": '/api/jobs?user=portal&state=failed&',
  "a portal's dismissed jobs (none)": '/api/jobs?user=portal&state=dismissed&',
  "a user's jobs of a process": '/api/jobs?user=scientist-7&process=timescan~1.0~Indices3&',
  'one job': `/api/jobs/${historicJob(JOBS / 2).id}?`,
  'tasks of a small job': `/api/jobs/${historicJob(JOBS / 2).id}/tasks?`,
  'tasks of a campaign': `/api/jobs/${CAMPAIGN}/tasks?`,
  'failed tasks of a campaign': `/api/jobs/${CAMPAIGN}/tasks?state=failed&`,
  'ready tasks of a campaign (none)': `/api/jobs/${CAMPAIGN}/tasks?state=ready&`,
  'aggregations of a campaign (none)': `/api/jobs/${CAMPAIGN}/tasks?step=aggregate&`,
  'attempts of a task': `/api/jobs/${CAMPAIGN}/tasks/50000/attempts?`,
};

/** Milliseconds of each page, from the first to the last, and again until there are enough. */
async function pages(ask: ReturnType<typeof createClient>, url: string): Promise<number[]> {
  const times: number[] = [];
  let after = '';
  while (times.length < MAX_REQUESTS && (after !== '' || times.length < MIN_REQUESTS)) {
    const { status, text, milliseconds } = await ask({ url: url + after });
    if (status !== 200) throw new Error(`${url}${after}: ${status} ${text}`);
    times.push(milliseconds);
    const { next } = JSON.parse(text) as { next?: string };
    after = next === undefined ? '' : `after=${next}`;
  }
  return times;
}

async function measure(directory: string): Promise<Row[]> {
  const server = await startPushbroom(directory, { engines: { local: { enabled: false } } });
  try {
    const ask = createClient(1);
    const rows: Row[] = [];
    for (const [what, query] of Object.entries(QUERIES)) {
      const value = percentile(await pages(ask, server.internalUrl + query), 0.99);
      rows.push({ what, value, unit: 'ms p99', target: TARGET, ok: value < TARGET });
    }
    return rows;
  } finally {
    await server.stop();
  }
}

export const history: Bench = {
  title:
    'history: lists, filters and pages of 100 over REST, with 100,000 jobs and 1,000,000 tasks',
  async run(say) {
    await using directory = await temporaryDirectory();
    const data = join(directory.path, 'data');
    await mkdir(data);
    await fill(createLayout(data).database, say);
    return await measure(directory.path);
  },
};
