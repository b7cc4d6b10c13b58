import { getEventListeners, once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { aJob } from '../../test/fixtures/jobs.ts';
import { DEFAULT_LIMITS } from '../processes/archive.ts';
import { createRegistry } from '../processes/registry.ts';
import { systemClock } from '../scheduler/clock.ts';
import { startScheduler } from '../scheduler/scheduler.ts';
import type { Scheduler } from '../scheduler/scheduler.ts';
import { openSqlite } from '../store/sqlite/sqlite.ts';
import type { Store } from '../store/store.ts';
import type { Jobs } from './jobs.ts';
import { createJobs } from './service.ts';
import type { JobsOptions } from './service.ts';

let directory: string;
let store: Store;
let scheduler: Scheduler;
let jobs: Jobs;
let listeners = 0;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'service-'));
  store = openSqlite(':memory:');
  const logger = pino({ level: 'silent' });
  const never = () => Promise.reject(new Error('there is no engine'));
  scheduler = await startScheduler({
    store,
    engines: [],
    clock: systemClock,
    logger,
    // The products of these jobs take for ever to be found.
    findProducts: async function* (_, signal) {
      yield [];
      await once(signal, 'abort');
    },
    assign: never,
    stage: never,
    clean: async () => undefined,
  });
  const { now } = systemClock;
  const limits = DEFAULT_LIMITS;
  jobs = createJobs({
    store,
    scheduler: { ...scheduler, onCommit: countListeners },
    registry: await createRegistry({ directory, limits, now, log: logger }),
    datasets: [],
    defaults: {} as JobsOptions['defaults'],
    now,
    archive: { allowed: [], storages: [] },
    builtins: [],
    quote: never,
    unique: () => 'f',
  });
});
afterEach(async () => {
  await scheduler.stop();
  await store[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

function countListeners(listener: Parameters<Scheduler['onCommit']>[0]): () => void {
  const stop = scheduler.onCommit(listener);
  listeners += 1;
  return () => {
    stop();
    listeners -= 1;
  };
}

const abortListeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length;

test('waiting for the end of a job ends with it, and leaves no listener', async () => {
  const [one, other] = [aJob({ id: 'one' }), aJob({ id: 'other' })];
  await scheduler.submit(one);
  await scheduler.submit(other);
  const { signal } = new AbortController();
  const ended = jobs.ended('one', signal);
  await jobs.dismiss('other');
  await jobs.dismiss('one');
  expect(await ended).toMatchObject({ state: 'dismissed', percent: 0 });
  expect(listeners).toBe(0);
  expect(abortListeners(signal)).toBe(0);
});

test('the end of a job that has ended before is told at once', async () => {
  await scheduler.submit(aJob({ id: 'one' }));
  await jobs.dismiss('one');
  expect(await jobs.ended('one')).toMatchObject({ state: 'dismissed' });
  expect(listeners).toBe(0);
});

test('waiting can be given up, before and meanwhile', async () => {
  await scheduler.submit(aJob({ id: 'one' }));
  await expect(jobs.ended('one', AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
  const stop = new AbortController();
  const ended = jobs.ended('one', stop.signal);
  stop.abort(new Error('client went away'));
  await expect(ended).rejects.toThrow('client went away');
  expect(listeners).toBe(0);
  expect(abortListeners(stop.signal)).toBe(0);
});

test('nobody waits for a job that is not there', async () => {
  const question = { code: 'NO_SUCH_JOB', message: "There is no job 'x'.", locator: 'x' };
  await expect(jobs.ended('x')).rejects.toMatchObject(question);
  expect(listeners).toBe(0);
  await expect(jobs.status('x')).rejects.toMatchObject(question);
  await expect(jobs.dismiss('x')).rejects.toMatchObject(question);
  await expect(jobs.tasks('x', { limit: 1 })).rejects.toMatchObject(question);
  await expect(jobs.attempts('x', 0)).rejects.toMatchObject(question);
});

test('results are told for successful jobs, and why there are none for others', async () => {
  await scheduler.submit(aJob({ id: 'one' }));
  await expect(jobs.results('one')).rejects.toMatchObject({ code: 'RESULT_NOT_READY' });
  await jobs.dismiss('one');
  await expect(jobs.results('one')).rejects.toMatchObject({ code: 'JOB_DISMISSED' });
  await store.commit([
    { type: 'addJob', job: aJob({ id: 'bad' }) },
    { type: 'moveJob', jobId: 'bad', to: 'failed', at: 1, message: 'band 7 is missing' },
  ]);
  await expect(jobs.results('bad')).rejects.toMatchObject({
    code: 'JOB_FAILED',
    message: 'Job bad has failed: band 7 is missing',
  });
});

test('dismissing twice changes nothing', async () => {
  await scheduler.submit(aJob({ id: 'one' }));
  const first = await jobs.dismiss('one');
  expect(first.state).toBe('dismissed');
  expect(await jobs.dismiss('one')).toEqual(first);
});
