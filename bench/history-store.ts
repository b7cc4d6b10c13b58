import type { Change } from '../src/core/change.ts';
import { attemptId, jobId } from '../src/core/ids.ts';
import type { Job, Task } from '../src/core/model.ts';
import { timestamp } from '../src/core/time.ts';
import { openSqlite } from '../src/store/sqlite/sqlite.ts';
import { aJob } from '../test/fixtures/jobs.ts';

export const JOBS = 100_000;
/** Of the oldest job; all others have few, a million together. */
const CAMPAIGN_TASKS = 100_000;
const TASKS = 9;
const JOBS_PER_COMMIT = 200;
const BEGIN = Date.UTC(2023, 0, 1);
/** A job every ten minutes: about two years. */
const INTERVAL = 600_000;

const REGION = 'POLYGON((22.11 45.18,22.19 45.18,22.19 45.24,22.11 45.24,22.11 45.18))';
const FAILURE = { kind: 'processor', message: 'Indices: exit code 3: no clear pixel' } as const;

/** One portal has half of the jobs; it never dismisses one. */
export function historicJob(index: number): Job {
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

/** A store with two years of jobs and a million tasks. */
export async function fillHistory(path: string, say: (line: string) => void): Promise<void> {
  const begun = performance.now();
  const store = openSqlite(path);
  for (let index = 0; index < JOBS; index += JOBS_PER_COMMIT) {
    const jobs = Array.from({ length: JOBS_PER_COMMIT }, (_, offset) => index + offset);
    await store.commit(jobs.flatMap((job) => [...lifeOf(job)]));
  }
  await store[Symbol.asyncDispose]();
  say(`filled in ${((performance.now() - begun) / 1000).toFixed(0)} s`);
}
