import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { createTestNode, run } from '../../test/fixtures/bundles.ts';
import type { TestNode } from '../../test/fixtures/bundles.ts';
import { aTask, storeEnded } from '../../test/fixtures/ended-tasks.ts';
import { aJob, l3, periods } from '../../test/fixtures/jobs.ts';
import { away } from '../../test/fixtures/storages.ts';
import { createStoredJobs } from '../../test/fixtures/stored-job.ts';
import type { StoredJobs } from '../../test/fixtures/stored-job.ts';
import type { Job, Task } from '../core/model.ts';
import { MANIFEST } from '../runner/result.ts';
import { createReuse } from './reuse.ts';

let jobs: StoredJobs;
let reuse: ReturnType<typeof createReuse>;
beforeEach(async () => {
  jobs = await createStoredJobs();
  reuse = createReuse(jobs);
});
afterEach(() => jobs[Symbol.asyncDispose]());

const L3 = { workflow: l3(2), periods: periods(1) };

const retryOf = (jobId: string) => ({ retryOf: { jobId, without: [] } });

async function store(job: Parameters<typeof aJob>[0]): Promise<Job> {
  const stored = aJob(job);
  await jobs.store.commit([{ type: 'addJob', job: stored }]);
  return stored;
}

/** A finished task with one output, whose content is what it is. */
async function finish(task: Task, content: string): Promise<void> {
  const directory = jobs.pathOf(jobs.layout.result(task.jobId, task.number));
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'out.tif'), content);
  await storeEnded(jobs.store, task, [{ path: 'out.tif', size: content.length }]);
}

const taken = ({ jobId, number }: Task) =>
  readFile(join(jobs.pathOf(jobs.layout.result(jobId, number)), 'out.tif'), 'utf8').catch(
    () => undefined,
  );

test('a task whose product was processed before takes its outputs over, whatever its number', async () => {
  await store({ id: 'old' });
  await finish(aTask('old', 3, { key: '/archive/x' }), 'old outputs');
  const job = await store({ id: 'new', ...retryOf('old') });
  const task = aTask('new', 0, { key: '/archive/x' });
  await reuse(job, task);
  expect(await taken(task)).toBe('old outputs');
  // It can be retried once more.
  expect(await taken(aTask('old', 3))).toBe('old outputs');
  expect(await readdir(jobs.layout.job('new'))).toEqual(['results', 'scratch']);
  expect(await readdir(join(jobs.layout.job('new'), 'scratch'))).toEqual([]);
});

test('the runner finds them committed and does not run the processor', async () => {
  await using node: TestNode = await createTestNode();
  await store({ id: 'old' });
  await finish(aTask('old', 0), 'old outputs');
  const job = await store({ id: 'new', ...retryOf('old') });
  await reuse(job, aTask('new', 0));
  const result = jobs.layout.result('new', 0);
  const end = await run(await node.assign('exit 1', { directories: { result } }));
  expect(end).toMatchObject({ to: 'finished', result: { outputs: [{ path: 'out.tif' }] } });
});

test('a product that left nothing leaves nothing again', async () => {
  await using node: TestNode = await createTestNode();
  await store({ id: 'old' });
  await storeEnded(jobs.store, aTask('old', 0), []);
  const job = await store({ id: 'new', ...retryOf('old') });
  await reuse(job, aTask('new', 0));
  const result = jobs.layout.result('new', 0);
  const end = await run(await node.assign('exit 1', { directories: { result } }));
  expect(end).toMatchObject({ to: 'finished', result: { outputs: [] } });
});

test('what failed before, or is no longer there, is done again', async () => {
  await store({ id: 'old' });
  await storeEnded(jobs.store, aTask('old', 0));
  await finish(aTask('old', 1), 'gone');
  await rm(jobs.layout.results('old'), { recursive: true });
  const job = await store({ id: 'new', ...retryOf('old') });
  for (const number of [0, 1, 2]) await reuse(job, aTask('new', number));
  expect(await readdir(jobs.layout.job('new'))).toEqual(['scratch']);
  expect(await readdir(join(jobs.layout.job('new'), 'scratch'))).toEqual([]);
});

test('a retry of a retry takes over from both', async () => {
  await store({ id: 'first' });
  await finish(aTask('first', 0), 'by the first');
  await finish(aTask('first', 1), 'by the first');
  await store({ id: 'second', ...retryOf('first') });
  await finish(aTask('second', 1), 'by the second');
  const job = await store({ id: 'third', ...retryOf('second') });
  for (const number of [0, 1]) await reuse(job, aTask('third', number));
  expect(await taken(aTask('third', 0))).toBe('by the first');
  expect(await taken(aTask('third', 1))).toBe('by the second');
});

test('doing it twice, or after dying in the middle, gives the same', async () => {
  await store({ id: 'old' });
  await finish(aTask('old', 0), 'old outputs');
  const job = await store({ id: 'new', ...retryOf('old') });
  const half = jobs.layout.scratch('new', 'reuse-0');
  await mkdir(half, { recursive: true });
  await writeFile(join(half, 'other.tif'), '');
  const task = aTask('new', 0);
  await reuse(job, task);
  await reuse(job, task);
  expect((await readdir(jobs.layout.result('new', 0))).toSorted()).toEqual([MANIFEST, 'out.tif']);
});

test('outputs that an attempt has committed stand', async () => {
  await store({ id: 'old' });
  await finish(aTask('old', 0), 'old outputs');
  const job = await store({ id: 'new', ...retryOf('old') });
  await finish(aTask('new', 0), 'new outputs');
  await reuse(job, aTask('new', 0));
  expect(await taken(aTask('new', 0))).toBe('new outputs');
});

test('a job that is no retry is left alone', async () => {
  await reuse(await store({ id: 'new' }), aTask('new', 0));
  expect(await readdir(jobs.layout.directory)).toEqual(['staging']);
});

const aggregate = (jobId: string) =>
  aTask(jobId, 9, { step: 'aggregate', key: '2020-01-01:2020-01-01#0', partition: 0 });

test('an aggregation is taken over only where it is one of the same products', async () => {
  await store({ id: 'old', ...L3 });
  await finish(aTask('old', 0), 'x');
  await finish(aggregate('old'), 'of one product');
  const same = await store({ id: 'same', ...L3, ...retryOf('old') });
  await finish(aTask('same', 0), 'x');
  await reuse(same, aggregate('same'));
  expect(await taken(aggregate('same'))).toBe('of one product');
  const more = await store({ id: 'more', ...L3, ...retryOf('old') });
  await finish(aTask('more', 0), 'x');
  await finish(aTask('more', 1), 'y');
  await reuse(more, aggregate('more'));
  expect(await taken(aggregate('more'))).toBeUndefined();
});

test('an aggregation by another version, or in other partitions, is made anew', async () => {
  await store({ id: 'old', ...L3 });
  await finish(aTask('old', 0), 'x');
  await finish(aggregate('old'), 'of one product');
  const processor = { ...aJob().processor, version: '1.1', bundleHash: '1'.repeat(64) };
  for (const [id, change] of [
    ['version', { processor }],
    ['partitions', { workflow: l3(4) }],
  ] as const) {
    const job = await store({ id, ...L3, ...change, ...retryOf('old') });
    await finish(aTask(id, 0), 'x');
    await reuse(job, aggregate(id));
    expect(await taken(aggregate(id))).toBeUndefined();
  }
});

describe('results on a storage', () => {
  beforeEach(async () => {
    await jobs[Symbol.asyncDispose]();
    jobs = await createStoredJobs({ apart: true });
    reuse = createReuse(jobs);
  });

  const left = (jobId: string) => readdir(jobs.pathOf(jobs.layout.results(jobId))).catch(() => []);

  test('are copied there, and the other job keeps its own', async () => {
    await store({ id: 'old' });
    await finish(aTask('old', 3, { key: '/archive/x' }), 'old outputs');
    const job = await store({ id: 'new', ...retryOf('old') });
    const task = aTask('new', 0, { key: '/archive/x' });
    await reuse(job, task);
    await reuse(job, task);
    expect(await taken(task)).toBe('old outputs');
    expect(await taken(aTask('old', 3))).toBe('old outputs');
    expect(await left('new')).toEqual(['0']);
    const result = jobs.pathOf(jobs.layout.result('new', 0));
    expect((await readdir(result)).toSorted()).toEqual([MANIFEST, 'out.tif']);
    expect(JSON.parse(await readFile(join(result, MANIFEST), 'utf8'))).toEqual([
      { path: 'out.tif', size: 11 },
    ]);
  });

  test('are not taken over where they are gone or are not whole', async () => {
    await store({ id: 'old' });
    await finish(aTask('old', 0), 'gone');
    await finish(aTask('old', 1), 'cut off');
    await rm(jobs.pathOf(jobs.layout.result('old', 0)), { recursive: true });
    await writeFile(join(jobs.pathOf(jobs.layout.result('old', 1)), 'out.tif'), 'cut');
    const job = await store({ id: 'new', ...retryOf('old') });
    for (const number of [0, 1]) await reuse(job, aTask('new', number));
    expect(await left('new')).toEqual([]);
  });

  test('that an attempt has committed stand', async () => {
    await store({ id: 'old' });
    await finish(aTask('old', 0), 'old outputs');
    const job = await store({ id: 'new', ...retryOf('old') });
    await finish(aTask('new', 0), 'new outputs');
    await reuse(job, aTask('new', 0));
    expect(await taken(aTask('new', 0))).toBe('new outputs');
  });

  test('cannot be known while it is away: the task is not made anew for that', async () => {
    await store({ id: 'old' });
    await finish(aTask('old', 0), 'old outputs');
    const job = await store({ id: 'new', ...retryOf('old') });
    jobs.storage.trouble = (_, location) => away(location);
    await expect(reuse(job, aTask('new', 0))).rejects.toThrow('is away');
  });
});
