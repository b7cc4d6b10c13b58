import { afterEach, beforeEach, expect, test } from 'vitest';

import { aJob, l3, periods } from '../../test/fixtures/jobs.ts';
import {
  aTask,
  addTasks,
  attempt,
  ended,
  failed,
  failure,
  finished,
  launched,
  resources,
  retried,
  revived,
} from './contract-changes.ts';
import type { Store } from './store.ts';

/** What a scheduler gets back when it starts. */
export function loadContract(open: () => Promise<Store>): void {
  let store: Store;
  const job = aJob({ id: '20200101000000_L3_1', workflow: l3(2), periods: periods(3) });
  beforeEach(async () => {
    store = await open();
    await store.commit([{ type: 'addJob', job }]);
  });
  afterEach(() => store[Symbol.asyncDispose]());

  const load = async (window: number) => {
    const [snapshot, ...others] = await store.load(window);
    expect(others).toEqual([]);
    return { ...snapshot!, open: [...snapshot!.open] };
  };
  const numbers = async (window: number) =>
    (await load(window)).open.map(({ task }) => task.number);

  test('loads a job with its open tasks and live attempts', async () => {
    const tasks = [
      aTask(job, 0),
      aTask(job, 1),
      aTask(job, 2, { firstPeriod: 1, lastPeriod: 2 }),
      aTask(job, 3),
    ] as const;
    const control = { group: 'project', priority: 3, isPaused: true };
    await store.commit([addTasks(...tasks), launched(tasks[0]), launched(tasks[1])]);
    await store.commit([
      ended(tasks[0], 'finished'),
      finished(tasks[0]),
      ended(tasks[1], 'lost'),
      retried(tasks[1], { memoryMb: 2048, avoid: 'e/n' }),
      launched(tasks[2], 1, { locality: 'node' }),
      launched(tasks[2], 2, { isSpeculative: true }),
      { type: 'controlJob', jobId: job.id, control, at: 31 },
    ]);
    const none = { attempts: 0, failures: 0, losses: 0 };
    expect(await load(9)).toEqual({
      job,
      control,
      state: 'accepted',
      splitEnded: false,
      usedCpuMs: 20,
      nextTask: 4,
      counts: expect.any(Array),
      failedTasks: [],
      losses: [],
      open: [
        { task: tasks[1], attempts: 1, failures: 0, losses: 1, notBefore: 99, memoryMb: 2048 },
        { ...none, task: tasks[2], attempts: 2 },
        { ...none, task: tasks[3] },
      ],
      unloaded: 0,
      attempts: [
        { attempt: attempt(tasks[2], 1, { locality: 'node' }), resources, state: 'launched' },
        { attempt: attempt(tasks[2], 2, { isSpeculative: true }), resources, state: 'launched' },
      ],
    });
  });

  test('adds up what attempts have used, whatever became of them, and keeps the ceiling', async () => {
    const tasks = [aTask(job, 0), aTask(job, 1), aTask(job, 2)] as const;
    const uses = { cpus: 2.5, memoryMb: 1 };
    const moved = (number: number, to: 'running' | 'failed' | 'killed', at: number) =>
      ({ type: 'moveAttempt', attempt: attempt(tasks[number]!), resources: uses, to, at }) as const;
    await store.commit([
      addTasks(...tasks),
      ...tasks.map((task) => launched(task, 1, {}, uses)),
      moved(0, 'running', 25),
    ]);
    expect((await load(9)).usedCpuMs).toBe(0);
    await store.commit([moved(0, 'failed', 30), moved(1, 'killed', 21)]);
    // A clock that was set back.
    await store.commit([moved(2, 'killed', 10)]);
    const control = {
      group: 'g',
      priority: 1,
      isPaused: true,
      pauseReason: 'it has used 1 of its 0.5 CPU hours',
      maxCpuHours: 0.5,
    };
    await store.commit([{ type: 'controlJob', jobId: job.id, control, at: 31 }]);
    expect(await load(9)).toMatchObject({ usedCpuMs: 27.5, control });
    expect(await store.job(job.id)).toMatchObject({ usedCpuMs: 27.5, control });
    const { maxCpuHours: _, pauseReason: __, ...free } = control;
    await store.commit([{ type: 'controlJob', jobId: job.id, control: free, at: 32 }]);
    expect((await load(9)).control).toEqual(free);
  });

  test('gives a job the ceiling that it asks for', async () => {
    const other = aJob({ id: '20200101000000_L2Plus_2', maxCpuHours: 1.25 });
    await store.commit([{ type: 'addJob', job: other }]);
    expect((await store.job(other.id))?.control).toEqual({
      group: 'default',
      priority: 100,
      isPaused: false,
      maxCpuHours: 1.25,
    });
  });

  test('loads what attempts may use, GPUs too', async () => {
    const tasks = [aTask(job, 0), aTask(job, 1)] as const;
    const withGpus = { ...resources, gpus: 2 };
    await store.commit([
      addTasks(...tasks),
      launched(tasks[0], 1, {}, withGpus),
      launched(tasks[1], 1, {}, { ...resources, gpus: 0 }),
    ]);
    expect((await load(9)).attempts.map((live) => live.resources)).toEqual([withGpus, resources]);
    const [view] = await store.attempts(job.id, 0);
    expect(view!.resources).toEqual(withGpus);
  });

  test('loads an ended job only as long as attempts of it are out', async () => {
    const task = aTask(job, 0);
    await store.commit([
      addTasks(task),
      launched(task),
      { type: 'moveJob', jobId: job.id, to: 'dismissed', at: 9 },
    ]);
    expect(await store.load(9)).toHaveLength(1);
    await store.commit([ended(task, 'lost')]);
    expect(await store.load(9)).toHaveLength(0);
  });

  test('counts tasks by step, extent and what they have come to', async () => {
    const tasks = [
      aTask(job, 0, { lastPeriod: 1 }),
      aTask(job, 1, { lastPeriod: 1 }),
      aTask(job, 2, { lastPeriod: 1 }),
      aTask(job, 3),
      aTask(job, 4),
      aTask(job, 5, { step: 'aggregate' }),
    ] as const;
    await store.commit([addTasks(...tasks), finished(tasks[0]), failed(tasks[3])]);
    await store.commit([finished(tasks[1], []), finished(tasks[2]), failed(tasks[4])]);
    await store.commit([revived(tasks[3])]);
    const { counts, nextTask } = await load(9);
    expect(nextTask).toBe(6);
    const one = { step: 'process', firstPeriod: 0, lastPeriod: 0, productive: false, count: 1 };
    expect(counts).toHaveLength(5);
    expect(counts).toEqual(
      expect.arrayContaining([
        { ...one, state: 'finished', lastPeriod: 1, productive: true, count: 2 },
        { ...one, state: 'finished', lastPeriod: 1 },
        { ...one, state: 'open' },
        { ...one, state: 'failed' },
        { ...one, state: 'open', step: 'aggregate' },
      ]),
    );
  });

  test('says what failed, the first few with the reason', async () => {
    const tasks = Array.from({ length: 30 }, (_, number) => aTask(job, number));
    await store.commit([addTasks(...tasks), ...tasks.slice(1).map((task) => failed(task))]);
    const { failedTasks, losses } = await load(9);
    expect(failedTasks).toEqual(tasks.slice(1).map(({ number }) => number));
    expect(losses.slice(0, 2)).toEqual([
      { key: '/archive/1', step: 'process', failure },
      { key: '/archive/2', step: 'process', failure },
    ]);
    expect(losses.length).toBeLessThan(29);
  });

  test('leaves out what has no room and was not tried, and gives it on demand', async () => {
    const tasks = Array.from({ length: 10 }, (_, number) =>
      aTask(job, number, number === 5 ? { step: 'aggregate' } : {}),
    );
    await store.commit([addTasks(...tasks), finished(tasks[0]!), launched(tasks[2]!)]);
    await store.commit([ended(tasks[2]!, 'lost'), retried(tasks[2]!), launched(tasks[1]!)]);
    expect(await numbers(3)).toEqual([1, 2, 3, 4, 5, 6]);
    expect((await load(3)).unloaded).toBe(3);
    expect(await store.tasksAfter(job.id, 6, 2)).toEqual([tasks[7], tasks[8]]);
    expect(await store.tasksAfter(job.id, 8, 9)).toEqual([tasks[9]]);
    expect(await store.tasksAfter(job.id, 0, 2)).toEqual([tasks[3], tasks[4]]);
    expect(await store.tasksAfter('none', -1, 9)).toEqual([]);
  });

  test('leaves nothing out below a task that was tried', async () => {
    const tasks = Array.from({ length: 10 }, (_, number) => aTask(job, number));
    await store.commit([addTasks(...tasks), launched(tasks[6]!), failed(tasks[4]!)]);
    await store.commit([revived(tasks[4]!)]);
    expect(await numbers(2)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(await numbers(0)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(await numbers(8)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect((await load(2)).unloaded).toBe(3);
  });

  test('loads jobs in the order in which they were accepted', async () => {
    const ids = ['20200101000009_L2Plus_a', '20200101000001_L2Plus_b'];
    await store.commit(ids.map((id) => ({ type: 'addJob', job: aJob({ id }) })));
    const loaded = await store.load(9);
    expect(loaded.map((snapshot) => snapshot.job.id)).toEqual([job.id, ...ids]);
  });
}
