import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { aJob, l3, periods } from '../../test/fixtures/jobs.ts';
import type { Change } from '../core/change.ts';
import type { Attempt, Job, Task } from '../core/model.ts';
import type { Store } from './store.ts';

const attempt = (job: Job, task: number, number = 1): Attempt => ({
  id: `${job.id}.${task}.${number}`,
  jobId: job.id,
  task,
  number,
  engine: 'e',
  node: 'n',
  launchedAt: 20,
});

const aTask = (job: Job, number: number, task: Partial<Task> = {}): Task => ({
  jobId: job.id,
  number,
  step: 'process',
  key: `/archive/${number}`,
  input: `/archive/${number}`,
  firstPeriod: 0,
  lastPeriod: 0,
  ...task,
});

const resources = { cpus: 1, memoryMb: 512 };
const launched = (task: Task, job: Job, number = 1): Change => ({
  type: 'addAttempt',
  attempt: attempt(job, task.number, number),
  task,
  failures: number - 1,
  losses: 0,
  resources,
});
const ended = (task: Task, job: Job, to: 'finished' | 'failed' | 'lost', number = 1): Change => ({
  type: 'moveAttempt',
  attempt: attempt(job, task.number, number),
  resources,
  to,
  at: 30,
  result: { exitCode: 0 },
});
const finished = (task: Task): Change => ({
  type: 'endTask',
  task,
  attempts: 1,
  to: 'finished',
  at: 30,
  failures: 0,
  losses: 0,
  outputs: [{ path: 'a.tif', size: 7 }],
});
const failure = { kind: 'processor', message: 'exit code 1' } as const;

/** What every store has to do. @param open an empty store */
export function storeContract(name: string, open: () => Promise<Store>): void {
  describe(`the ${name} store`, () => {
    let store: Store;
    const job = aJob({ id: '20200101000000_L3_1', workflow: l3(2), periods: periods(3) });
    beforeEach(async () => {
      store = await open();
      await store.commit([{ type: 'addJob', job }]);
    });
    afterEach(() => store[Symbol.asyncDispose]());
    const addTasks = (...tasks: Task[]): Change => ({
      type: 'addTasks',
      jobId: job.id,
      tasks,
      at: 10,
    });

    test('gives back a job as it was accepted', async () => {
      const view = await store.job(job.id);
      expect(view).toMatchObject({ job, state: 'accepted', attempts: 0, splitEnded: false });
      expect(view).not.toHaveProperty('endedAt');
      expect(await store.job('20200101000000_L3_none')).toBeUndefined();
    });

    test('counts tasks by step and attempts as they come and go', async () => {
      const tasks = [aTask(job, 0), aTask(job, 1), aTask(job, 2)] as const;
      await store.commit([
        addTasks(...tasks),
        { type: 'moveJob', jobId: job.id, to: 'running', at: 11 },
      ]);
      await store.commit([launched(tasks[0], job), launched(tasks[1], job)]);
      await store.commit([
        ended(tasks[0], job, 'finished'),
        finished(tasks[0]),
        ended(tasks[1], job, 'failed'),
        {
          type: 'endTask',
          task: tasks[1],
          attempts: 1,
          to: 'failed',
          at: 40,
          failures: 1,
          losses: 0,
          failure,
        },
        { type: 'endSplit', jobId: job.id, at: 40 },
      ]);
      await store.commit([
        {
          type: 'retryTask',
          task: tasks[2],
          attempts: 0,
          at: 41,
          notBefore: 50,
          failures: 0,
          losses: 1,
          failure,
        },
        { type: 'addTasks', jobId: job.id, tasks: [aTask(job, 3, { step: 'format' })], at: 41 },
      ]);
      expect(await store.job(job.id)).toMatchObject({
        state: 'running',
        startedAt: 11,
        updatedAt: 41,
        attempts: 2,
        splitEnded: true,
        steps: {
          process: { total: 3, finished: 1, failed: 1 },
          aggregate: { total: 0 },
          format: { total: 1 },
        },
      });
    });

    test('writes all the changes of a commit or none', async () => {
      const task = aTask(job, 0);
      await expect(
        store.commit([addTasks(task), addTasks(aTask(job, 1, { key: task.key }))]),
      ).rejects.toThrow();
      expect(await store.job(job.id)).toMatchObject({ steps: { process: { total: 0 } } });
      expect(await store.task(job.id, 0)).toBeUndefined();
      await store.commit([addTasks(task)]);
      expect(await store.job(job.id)).toMatchObject({ steps: { process: { total: 1 } } });
    });

    test('refuses a job of an id that is taken, and a second end of a job', async () => {
      await expect(store.commit([{ type: 'addJob', job }])).rejects.toThrow();
      await store.commit([{ type: 'moveJob', jobId: job.id, to: 'dismissed', at: 5 }]);
      await expect(
        store.commit([{ type: 'moveJob', jobId: job.id, to: 'successful', at: 6, results: [] }]),
      ).rejects.toThrow();
      expect(await store.job(job.id)).toMatchObject({ state: 'dismissed', endedAt: 5 });
    });

    test('refuses a second live attempt and a second success of one task', async () => {
      const task = aTask(job, 0);
      await store.commit([addTasks(task), launched(task, job)]);
      await expect(store.commit([launched(task, job, 2)])).rejects.toThrow();
      await store.commit([ended(task, job, 'finished'), launched(task, job, 2)]);
      await expect(store.commit([ended(task, job, 'finished', 2)])).rejects.toThrow();
    });

    test('refuses success without results and counts that cannot be', async () => {
      await expect(
        store.commit([{ type: 'moveJob', jobId: job.id, to: 'successful', at: 5 }]),
      ).rejects.toThrow();
      await expect(store.commit([finished(aTask(job, 0))])).rejects.toThrow();
    });

    test('keeps the start of a job that starts and ends in one commit', async () => {
      await store.commit([
        { type: 'moveJob', jobId: job.id, to: 'running', at: 5 },
        { type: 'moveJob', jobId: job.id, to: 'failed', at: 6, message: 'why' },
      ]);
      expect(await store.job(job.id)).toMatchObject({
        state: 'failed',
        startedAt: 5,
        endedAt: 6,
        message: 'why',
      });
    });

    test('loads what has not ended with its tasks and live attempts', async () => {
      const tasks = [
        aTask(job, 0),
        aTask(job, 1),
        aTask(job, 2, { firstPeriod: 1, lastPeriod: 2 }),
      ] as const;
      await store.commit([addTasks(...tasks), launched(tasks[0], job), launched(tasks[1], job)]);
      await store.commit([
        ended(tasks[0], job, 'finished'),
        finished(tasks[0]),
        ended(tasks[1], job, 'lost'),
        {
          type: 'retryTask',
          task: tasks[1],
          attempts: 1,
          at: 30,
          notBefore: 99,
          failures: 0,
          losses: 1,
          failure,
        },
        launched(tasks[2], job),
      ]);
      const [snapshot, ...others] = await store.load();
      expect(others).toEqual([]);
      expect(snapshot).toMatchObject({ job, state: 'accepted', splitEnded: false });
      expect([...snapshot!.tasks]).toMatchObject([
        { task: tasks[0], state: 'finished', productive: true },
        {
          task: tasks[1],
          state: 'ready',
          attempts: 1,
          losses: 1,
          notBefore: 99,
          productive: false,
        },
        { task: tasks[2], state: 'running', attempts: 1 },
      ]);
      expect(snapshot!.attempts).toEqual([
        { attempt: attempt(job, 2), resources, state: 'launched' },
      ]);
    });

    test('loads an ended job only as long as attempts of it are out', async () => {
      const task = aTask(job, 0);
      await store.commit([
        addTasks(task),
        launched(task, job),
        { type: 'moveJob', jobId: job.id, to: 'dismissed', at: 9 },
      ]);
      expect(await store.load()).toHaveLength(1);
      await store.commit([ended(task, job, 'lost')]);
      expect(await store.load()).toHaveLength(0);
    });

    test('lists jobs newest first, filtered and in pages', async () => {
      const ids = Array.from({ length: 5 }, (_, index) => `20200101000001_L2Plus_${index}`);
      await store.commit(
        ids.map((id, index) => ({
          type: 'addJob',
          job: aJob({ id, user: index % 2 ? 'bob' : 'alice' }),
        })),
      );
      await store.commit([{ type: 'moveJob', jobId: ids[4]!, to: 'failed', at: 5 }]);
      const first = await store.jobs({ limit: 4 });
      expect(first.items.map((view) => view.job.id)).toEqual(ids.slice(1).toReversed());
      const second = await store.jobs({ limit: 4, after: first.next! });
      expect(second.items.map((view) => view.job.id)).toEqual([ids[0], job.id]);
      expect(second.next).toBeUndefined();
      const filtered = await store.jobs({ limit: 9, user: 'alice', states: ['accepted'] });
      expect(filtered.items.map((view) => view.job.id)).toEqual([ids[2], ids[0], job.id]);
      const process = await store.jobs({ limit: 9, process: 'other~1~x' });
      expect(process).toEqual({ items: [] });
      await expect(store.jobs({ limit: 1, after: '1; DROP TABLE jobs' })).rejects.toThrow('next');
    });

    test('lists tasks and attempts with what became of them', async () => {
      const tasks = [aTask(job, 0), aTask(job, 1), aTask(job, 2)] as const;
      await store.commit([addTasks(...tasks), launched(tasks[0], job)]);
      await store.commit([ended(tasks[0], job, 'finished'), finished(tasks[0])]);
      const page = await store.tasks(job.id, { limit: 2 });
      expect(page.items.map(({ task, state }) => [task.number, state])).toEqual([
        [0, 'finished'],
        [1, 'ready'],
      ]);
      const rest = await store.tasks(job.id, { limit: 2, after: page.next! });
      expect(rest.items.map(({ task }) => task.number)).toEqual([2]);
      expect((await store.tasks(job.id, { limit: 9, states: ['finished'] })).items).toMatchObject([
        { task: tasks[0], attempts: 1, outputs: [{ path: 'a.tif', size: 7 }] },
      ]);
      expect(await store.attempts(job.id, 0)).toEqual([
        {
          id: `${job.id}.0.1`,
          task: 0,
          number: 1,
          engine: 'e',
          node: 'n',
          state: 'finished',
          launchedAt: 20,
          endedAt: 30,
          result: { exitCode: 0 },
        },
      ]);
    });

    test('finds the finished tasks of a period in the order of their keys', async () => {
      const tasks = [
        aTask(job, 0, { key: 'c', lastPeriod: 1 }),
        aTask(job, 1, { key: 'b', firstPeriod: 1, lastPeriod: 1 }),
        aTask(job, 2, { key: 'a', firstPeriod: 2, lastPeriod: 2 }),
      ];
      await store.commit([addTasks(...tasks), ...tasks.map((task) => finished(task))]);
      const keys = async (period: number) =>
        (await store.finishedTasks(job.id, 'process', period)).map(({ task }) => task.key);
      expect([await keys(0), await keys(1), await keys(2)]).toEqual([['c'], ['b', 'c'], ['a']]);
    });

    test('finds the finished partitions of a period in their order', async () => {
      const tasks = Array.from({ length: 12 }, (_, number) =>
        aTask(job, number, { step: 'aggregate', key: `p#${11 - number}`, partition: 11 - number }),
      );
      await store.commit([addTasks(...tasks), ...tasks.map((task) => finished(task))]);
      const found = await store.finishedTasks(job.id, 'aggregate', 0);
      expect(found.map(({ task }) => task.partition)).toEqual(
        Array.from({ length: 12 }, (_, index) => index),
      );
    });

    test('knows the keys of the products it has', async () => {
      await store.commit([addTasks(aTask(job, 0), aTask(job, 1, { step: 'format' }))]);
      expect(await store.productKeys(job.id)).toEqual(new Set(['/archive/0']));
    });

    test('lets through what only the running scheduler needs to know', async () => {
      await store.commit([
        { type: 'setNode', engine: 'e', node: 'n', offers: [] },
        { type: 'wake', until: 1 },
        { type: 'forgetJob', jobId: job.id },
      ]);
      expect(await store.job(job.id)).toBeDefined();
    });
  });
}
