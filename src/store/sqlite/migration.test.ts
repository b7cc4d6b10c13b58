import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { aJob, l3, periods } from '../../../test/fixtures/jobs.ts';
import { aTask, finished, launched } from '../contract-changes.ts';
import * as jobs from '../migrations/001-jobs.ts';
import type { Store } from '../store.ts';
import { openSqlite } from './sqlite.ts';

const job = aJob({ workflow: l3(2), periods: periods(2) });
let directory: string;
let store: Store;

/** A job as it was, and with tasks and attempts in every state, as schema 1 had them. */
function writeFirstSchema(path: string): void {
  const database = new DatabaseSync(path);
  database.exec(`${jobs.sqlite}; PRAGMA user_version = 1`);
  const { group: _, priority: __, retry, ...rest } = job;
  const { maxMemoryMb: ___, ...oldRetry } = retry;
  const addJob = database.prepare(
    `INSERT INTO jobs (seq, id, process, user, state, spec, accepted_at, updated_at, attempts,
       process_total, process_finished, process_failed) VALUES (?, ?, 'p', 'u', 'running', ?, 1, 2, 4, 6, 2, 1)`,
  );
  for (const [seq, id] of [job.id, 'second', 'third'].entries()) {
    addJob.run(seq + 1, id, JSON.stringify({ ...rest, id, retry: oldRetry }));
  }
  const addTask = database.prepare(
    `INSERT INTO tasks (job, number, step, key, input, first_period, last_period, state, attempts, failures, losses,
       not_before, failure, outputs) VALUES (?, ?, ?, ?, ?, 0, 1, ?, ?, ?, 0, ?, ?, ?)`,
  );
  const timeout = JSON.stringify({ kind: 'timeout', message: 'too slow' });
  const key = (number: number) => `/archive/${number}`;
  addTask.run(
    1,
    0,
    'process',
    key(0),
    key(0),
    'finished',
    1,
    0,
    null,
    null,
    '[{"path":"a","size":1}]',
  );
  addTask.run(1, 1, 'process', key(1), key(1), 'finished', 1, 0, null, null, '[]');
  addTask.run(1, 2, 'process', key(2), key(2), 'running', 1, 0, null, null, null);
  addTask.run(1, 3, 'process', key(3), key(3), 'ready', 1, 1, 99, timeout, null);
  addTask.run(1, 4, 'process', key(4), key(4), 'ready', 0, 0, null, null, null);
  addTask.run(1, 6, 'aggregate', 'p#0', null, 'ready', 0, 0, null, null, null);
  for (const seq of [1, 2, 3]) {
    addTask.run(seq, 5, 'process', key(5), key(5), 'failed', 1, 1, null, timeout, null);
  }
  const addAttempt = database.prepare(
    `INSERT INTO attempts (job, task, number, engine, node, state, cpus, memory_mb, launched_at, ended_at, result)
     VALUES (1, ?, 1, 'e', 'n', ?, 1, 512, 20, ?, ?)`,
  );
  addAttempt.run(0, 'finished', 30, '{"exitCode":0}');
  addAttempt.run(2, 'running', null, null);
  addAttempt.run(3, 'failed', 30, JSON.stringify({ failure: JSON.parse(timeout) }));
  addAttempt.run(5, 'failed', 30, '{"failure":{"kind":"input","message":"no scene"}}');
  database.close();
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pushbroom-migration-'));
  const path = join(directory, 'old.db');
  writeFirstSchema(path);
  store = openSqlite(path);
});
afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

test('jobs of the first schema behave as they were accepted', async () => {
  const view = await store.job(job.id);
  expect(view!.job).toEqual({ ...job, retry: { ...job.retry, maxMemoryMb: 512 } });
  expect(view).toMatchObject({
    control: { group: 'default', priority: 100, isPaused: false },
    attempts: 4,
    steps: { process: { total: 6, finished: 2, failed: 1 } },
  });
  expect((await store.jobs({ group: 'default', limit: 9 })).items).toHaveLength(3);
});

test('their tasks and attempts are what they were, with the new names of failures', async () => {
  const { items } = await store.tasks(job.id, { limit: 9 });
  expect(items.map(({ task: { number }, state, attempts }) => [number, state, attempts])).toEqual([
    [0, 'finished', 1],
    [1, 'finished', 0],
    [2, 'running', 1],
    [3, 'ready', 1],
    [4, 'ready', 0],
    [5, 'failed', 1],
    [6, 'ready', 0],
  ]);
  expect(items[0]!.task).toEqual(aTask(job, 0, { lastPeriod: 1 }));
  expect(items[5]!.failure).toEqual({ kind: 'time', message: 'too slow' });
  const [attempt] = await store.attempts(job.id, 3);
  expect(attempt).toMatchObject({ state: 'failed', result: { failure: { kind: 'time' } } });
  expect(attempt!.resources).toEqual({ cpus: 1, memoryMb: 512 });
  const [other] = await store.attempts(job.id, 5);
  expect(other).toMatchObject({ result: { failure: { kind: 'input', message: 'no scene' } } });
});

test('where an input lies was in one pool at most', async () => {
  const database = new DatabaseSync(join(directory, 'old.db'));
  const place = database.prepare('UPDATE tasks SET location = ? WHERE job = 1 AND number = ?');
  place.run(JSON.stringify({ nodes: ['n1'], pool: 'p' }), 4);
  place.run(JSON.stringify({ racks: ['r'] }), 3);
  database.close();
  const [snapshot] = await store.load(9);
  const places = Array.from(snapshot!.open, ({ task: { number, location } }) => [number, location]);
  expect(Object.fromEntries(places)).toMatchObject({
    3: { racks: ['r'] },
    4: { nodes: ['n1'], pools: ['p'] },
  });
  expect((await store.task(job.id, 4))!.task.location).toEqual({ nodes: ['n1'], pools: ['p'] });
});

test('a scheduler goes on with them', async () => {
  const [snapshot] = await store.load(9);
  const timesOf = Array.from(snapshot!.open, ({ task, attempts, failures, notBefore }) => [
    task.number,
    attempts,
    failures,
    notBefore,
  ]);
  expect(timesOf).toEqual([
    [2, 1, 0, undefined],
    [3, 1, 1, 99],
    [4, 0, 0, undefined],
    [6, 0, 0, undefined],
  ]);
  const [tried] = await store.load(0);
  expect(Array.from(tried!.open, ({ task }) => task.number)).toEqual([2, 3, 6]);
  const extent = { step: 'process', firstPeriod: 0, lastPeriod: 1, productive: false };
  expect(snapshot!.counts).toEqual(
    expect.arrayContaining([
      { ...extent, state: 'finished', productive: true, count: 1 },
      { ...extent, state: 'finished', count: 1 },
      { ...extent, state: 'failed', count: 1 },
      { ...extent, state: 'open', count: 3 },
      { ...extent, step: 'aggregate', state: 'open', count: 1 },
    ]),
  );
  // Three attempts have ended, after ten milliseconds each.
  const rest = { failedTasks: [5], nextTask: 7, unloaded: 0, usedCpuMs: 30 };
  expect(snapshot).toMatchObject(rest);
  const task = aTask(job, 4, { lastPeriod: 1 });
  await store.commit([launched(task), finished(task)]);
  expect(await store.task(job.id, 4)).toMatchObject({ state: 'finished' });
});

test('an input that failed in three of them is suspect', async () => {
  expect(await store.suspectInputs()).toMatchObject([
    { input: '/archive/5', jobs: 3, jobIds: ['third', 'second', job.id], message: 'too slow' },
  ]);
});
