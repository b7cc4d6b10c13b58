import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { aJob } from '../../test/fixtures/jobs.ts';
import { createStoredJobs } from '../../test/fixtures/stored-job.ts';
import type { StoredJobs } from '../../test/fixtures/stored-job.ts';
import { cleanJob, sweep } from './clean.ts';

let jobs: StoredJobs;
beforeEach(async () => {
  jobs = await createStoredJobs();
});
afterEach(() => jobs[Symbol.asyncDispose]());

async function leaveFiles(id: string): Promise<void> {
  const { layout } = jobs;
  const left = [
    layout.log(id, 0, 1),
    join(layout.result(id, 0), 'a.tif'),
    join(layout.scratch(id, `${id}.0.1`), 'a'),
    layout.inputs(id, 0),
    join(layout.unstaged(id), 'a.tif'),
  ];
  for (const file of left) {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, '');
  }
}

const left = async (id: string) => (await readdir(jobs.layout.job(id))).toSorted();

test("a job's working files go, what its attempts said stays", async () => {
  await leaveFiles('a');
  await leaveFiles('b');
  await cleanJob(jobs.layout, aJob({ id: 'a' }), 'successful');
  expect(await left('a')).toEqual(['logs']);
  expect(await readdir(join(jobs.layout.staging, '.partial'))).toEqual(['b']);
  expect(await left('b')).toEqual(['inputs', 'logs', 'results', 'scratch']);
});

test('only a job that has succeeded keeps results', async () => {
  for (const state of ['successful', 'failed', 'dismissed'] as const) {
    const job = aJob({ id: state });
    const staged = jobs.layout.staged(job);
    await mkdir(staged, { recursive: true });
    await cleanJob(jobs.layout, job, state);
  }
  expect(await readdir(dirname(jobs.layout.staged(aJob())))).toEqual(['successful']);
});

test('a job that has left nothing, or is unknown, is clean', async () => {
  await cleanJob(jobs.layout, aJob({ id: 'a' }), 'successful');
  await sweep(jobs.store, jobs.layout);
});

test('what ended jobs have left is swept; others are left alone', async () => {
  const ended = ['failed', 'dismissed', 'successful'] as const;
  for (const id of [...ended, 'running', 'accepted']) {
    const job = aJob({ id });
    await jobs.store.commit([{ type: 'addJob', job }]);
    if (id !== 'accepted') {
      const to = id as 'running' | (typeof ended)[number];
      const results = to === 'successful' ? { results: [] } : {};
      await jobs.store.commit([{ type: 'moveJob', jobId: id, to, at: 10, ...results }]);
    }
    await leaveFiles(id);
  }
  await leaveFiles('unknown');
  await sweep(jobs.store, jobs.layout);
  for (const id of ended) expect(await left(id)).toEqual(['logs']);
  for (const id of ['running', 'accepted', 'unknown']) expect(await left(id)).toHaveLength(4);
});
