import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { aTask, storeEnded } from '../../test/fixtures/ended-tasks.ts';
import { aJob } from '../../test/fixtures/jobs.ts';
import { away } from '../../test/fixtures/storages.ts';
import { createStoredJobs } from '../../test/fixtures/stored-job.ts';
import type { StoredJobs } from '../../test/fixtures/stored-job.ts';
import type { Job, JobState } from '../core/model.ts';
import { joinLocation } from '../storage/location.ts';
import { createCleaner } from './clean.ts';

const DAY = 86_400_000;
const ENDED_AT = 10;

let jobs: StoredJobs;
let now = ENDED_AT;
beforeEach(async () => {
  jobs = await createStoredJobs();
  now = ENDED_AT;
});
afterEach(() => jobs[Symbol.asyncDispose]());

const cleaner = (keepFailed: number) => createCleaner({ ...jobs, keepFailed, now: () => now });

/** A job in that state, with everything that a job can leave behind. */
async function aJobIn(state: JobState, job: Partial<Omit<Job, 'retry'>> = {}): Promise<Job> {
  const stored = aJob({ id: state, ...job });
  const jobId = stored.id;
  await jobs.store.commit([{ type: 'addJob', job: stored }]);
  if (state !== 'accepted') {
    const results = state === 'successful' ? { results: [] } : {};
    await jobs.store.commit([{ type: 'moveJob', jobId, to: state, at: ENDED_AT, ...results }]);
  }
  await leaveFiles(jobId);
  return stored;
}

async function leaveFiles(id: string): Promise<void> {
  const { layout } = jobs;
  const left = [
    layout.log(id, 0, 1),
    joinLocation(layout.result(id, 0), 'a.tif'),
    join(layout.scratch(id, `${id}.0.1`), 'a'),
    layout.inputs(id, 0),
    join(layout.unstaged(id), 'a.tif'),
    join(layout.staged({ id, user: 'alice' }), 'a.tif'),
  ];
  for (const file of left.map(jobs.pathOf)) {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, '');
  }
}

const left = async (id: string) => (await readdir(jobs.layout.job(id))).toSorted();

test("a successful job's working files go, what its attempts said stays", async () => {
  const job = await aJobIn('successful');
  await aJobIn('running');
  await cleaner(7).clean(job, 'successful');
  expect(await left('successful')).toEqual(['logs']);
  expect(await readdir(join(jobs.layout.staging, '.partial'))).toEqual(['running']);
  expect(await left('running')).toEqual(['inputs', 'logs', 'results', 'scratch']);
});

test('only a job that has succeeded keeps staged results', async () => {
  for (const state of ['successful', 'failed', 'dismissed'] as const) {
    await cleaner(7).clean(await aJobIn(state), state);
  }
  expect(await readdir(join(jobs.layout.staging, 'alice'))).toEqual(['successful']);
});

test('what a job finished is kept where it left something undone', async () => {
  for (const state of ['failed', 'dismissed'] as const) {
    await cleaner(7).clean(await aJobIn(state), state);
    expect(await left(state)).toEqual(['logs', 'results']);
  }
  const lossy = await aJobIn('accepted');
  await storeEnded(jobs.store, aTask('accepted', 0));
  const end = { jobId: 'accepted', to: 'successful', at: 10, results: [] } as const;
  await jobs.store.commit([{ type: 'moveJob', ...end }]);
  await cleaner(7).clean(lossy, 'successful');
  expect(await left('accepted')).toEqual(['logs', 'results']);
});

test('nothing is kept where the configuration says so', async () => {
  await cleaner(0).clean(await aJobIn('failed'), 'failed');
  expect(await left('failed')).toEqual(['logs']);
});

test('with a successful retry goes what the jobs before it kept', async () => {
  await aJobIn('failed', { id: 'first' });
  await aJobIn('failed', { id: 'second', retryOf: { jobId: 'first', without: [] } });
  const third = await aJobIn('successful', { retryOf: { jobId: 'second', without: [] } });
  await cleaner(7).clean(third, 'successful');
  expect(await left('first')).not.toContain('results');
  expect(await left('second')).not.toContain('results');
});

test('a job that has left nothing, or is unknown, is clean', async () => {
  await cleaner(7).clean(aJob({ id: 'a' }), 'successful');
  await cleaner(7).sweep();
});

test('what ended jobs have left is swept; others are left alone', async () => {
  for (const state of ['failed', 'dismissed', 'successful', 'running', 'accepted'] as const) {
    await aJobIn(state);
  }
  await leaveFiles('unknown');
  await cleaner(7).sweep();
  for (const id of ['failed', 'dismissed']) expect(await left(id)).toEqual(['logs', 'results']);
  expect(await left('successful')).toEqual(['logs']);
  for (const id of ['running', 'accepted', 'unknown']) expect(await left(id)).toHaveLength(4);
});

test('what was kept goes after its days, unless it is being done again', async () => {
  await aJobIn('failed', { id: 'wanted' });
  await aJobIn('failed', { id: 'between', retryOf: { jobId: 'wanted', without: [] } });
  await aJobIn('running', { retryOf: { jobId: 'between', without: [] } });
  await aJobIn('failed');
  now = ENDED_AT + 7 * DAY - 1;
  await cleaner(7).sweep();
  expect(await left('failed')).toContain('results');
  now += 1;
  await cleaner(7).sweep();
  expect(await left('failed')).not.toContain('results');
  for (const id of ['wanted', 'between']) expect(await left(id)).toContain('results');
});

describe('with results on a storage', () => {
  beforeEach(async () => {
    await jobs[Symbol.asyncDispose]();
    jobs = await createStoredJobs({ apart: true });
  });

  const apart = async (id: string) => {
    const names = await readdir(jobs.pathOf(jobs.layout.sharedJob(id))).catch(() => []);
    return (names as string[]).toSorted();
  };

  test('both its places are cleaned', async () => {
    for (const state of ['successful', 'failed', 'running'] as const) {
      const job = await aJobIn(state);
      if (state !== 'running') await cleaner(7).clean(job, state);
    }
    expect([await left('successful'), await apart('successful')]).toEqual([['logs'], []]);
    expect([await left('failed'), await apart('failed')]).toEqual([['logs'], ['results']]);
    expect([await left('running'), await apart('running')]).toEqual([
      ['logs', 'scratch'],
      ['inputs', 'results'],
    ]);
  });

  test('what is there is swept, also of jobs that have nothing here, and others are left alone', async () => {
    for (const state of ['failed', 'successful', 'running'] as const) await aJobIn(state);
    await leaveFiles('unknown');
    await rm(jobs.layout.job('successful'), { recursive: true });
    await cleaner(7).sweep();
    expect(await apart('successful')).toEqual([]);
    expect(await apart('failed')).toEqual(['results']);
    for (const id of ['running', 'unknown']) expect(await apart(id)).toEqual(['inputs', 'results']);
    now = ENDED_AT + 7 * DAY;
    await cleaner(7).sweep();
    expect(await apart('failed')).toEqual([]);
    jobs.storage.asked.length = 0;
    await cleaner(7).sweep();
    expect(
      jobs.storage.asked.map(({ deed }) => deed),
      'nothing is removed twice',
    ).toEqual(['stat', 'list']);
  });

  test('while it is away, what is here is cleaned, and the rest with the next sweep', async () => {
    const job = await aJobIn('successful');
    await aJobIn('failed');
    jobs.storage.trouble = (_, location) => away(location);
    await expect(cleaner(7).clean(job, 'successful')).rejects.toThrow('is away');
    await expect(cleaner(7).sweep()).rejects.toThrow('1 jobs were not cleaned');
    expect([await left('successful'), await left('failed')]).toEqual([['logs'], ['logs']]);
    jobs.storage.trouble = () => undefined;
    await cleaner(7).sweep();
    expect([await apart('successful'), await apart('failed')]).toEqual([[], ['results']]);
  });

  test('with a successful retry goes what the job before it kept', async () => {
    await aJobIn('failed', { id: 'first' });
    const second = await aJobIn('successful', { retryOf: { jobId: 'first', without: [] } });
    await cleaner(7).clean(second, 'successful');
    expect(await apart('first')).toEqual([]);
  });
});
