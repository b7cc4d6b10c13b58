import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { aJob, l3, periods } from '../../test/fixtures/jobs.ts';
import type { Change } from '../core/change.ts';
import { failureContract } from './contract-failures.ts';
import { loadContract } from './contract-load.ts';
import { timesContract } from './contract-times.ts';
import { usagesContract } from './contract-usages.ts';
import {
  aTask,
  addTasks,
  attempt,
  ended,
  failed,
  finished,
  launched,
  resources,
  retried,
} from './contract-changes.ts';
import type { JobQuery, Store, TaskQuery } from './store.ts';

/** What every store has to do. @param open an empty store */
export function storeContract(name: string, open: () => Promise<Store>): void {
  describe(`the ${name} store`, () => {
    writeContract(open);
    listContract(open);
    loadContract(open);
    failureContract(open);
    timesContract(open);
    usagesContract(open);
  });
}

function writeContract(open: () => Promise<Store>): void {
  let store: Store;
  const job = aJob({ id: '20200101000000_L3_1', workflow: l3(2), periods: periods(3) });
  beforeEach(async () => {
    store = await open();
    await store.commit([{ type: 'addJob', job }]);
  });
  afterEach(() => store[Symbol.asyncDispose]());

  test('gives back a job as it was accepted', async () => {
    const view = await store.job(job.id);
    expect(view).toMatchObject({ job, state: 'accepted', attempts: 0, splitEnded: false });
    expect(view!.control).toEqual({ group: 'default', priority: 100, isPaused: false });
    expect(view).not.toHaveProperty('endedAt');
    expect(await store.job('20200101000000_L3_none')).toBeUndefined();
  });

  test('counts tasks by step and attempts as they come and go', async () => {
    const tasks = [aTask(job, 0), aTask(job, 1), aTask(job, 2)] as const;
    await store.commit([
      addTasks(...tasks),
      { type: 'moveJob', jobId: job.id, to: 'running', at: 11 },
    ]);
    await store.commit([launched(tasks[0]), launched(tasks[1])]);
    await store.commit([
      ended(tasks[0], 'finished'),
      finished(tasks[0]),
      ended(tasks[1], 'failed'),
      failed(tasks[1]),
      { type: 'endSplit', jobId: job.id, at: 40 },
    ]);
    await store.commit([
      retried(tasks[2], { at: 41 }),
      { ...addTasks(aTask(job, 3, { step: 'format' })), at: 41 } as Change,
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

  test('takes the whole life of many tasks in one commit', async () => {
    const tasks = Array.from({ length: 100 }, (_, number) => aTask(job, number));
    const life = (task: (typeof tasks)[0]): Change[] => [
      launched(task),
      ended(task, 'lost'),
      retried(task, { notBefore: 30 }),
      launched(task, 2),
      ended(task, 'finished', 2),
      finished(task),
    ];
    await store.commit([addTasks(...tasks), ...tasks.toReversed().flatMap(life)]);
    const { items } = await store.tasks(job.id, { limit: 1000 });
    expect(items.map(({ task }) => task)).toEqual(tasks);
    expect(items.every(({ state, attempts }) => state === 'finished' && attempts === 2)).toBe(true);
    expect(await store.job(job.id)).toMatchObject({
      attempts: 200,
      steps: { process: { total: 100, finished: 100 } },
    });
  });

  test('writes all the changes of a commit or none', async () => {
    const task = aTask(job, 0);
    const twice = aTask(job, 1, { key: task.key });
    await expect(store.commit([addTasks(task), addTasks(twice)])).rejects.toThrow();
    expect(await store.job(job.id)).toMatchObject({ steps: { process: { total: 0 } } });
    expect(await store.task(job.id, 0)).toBeUndefined();
    await store.commit([addTasks(task)]);
    expect(await store.job(job.id)).toMatchObject({ steps: { process: { total: 1 } } });
  });

  test('keeps jobs apart after a commit that was refused', async () => {
    const other = aJob({ id: '20200101000000_L2Plus_other' });
    const third = aJob({ id: '20200101000000_L2Plus_third' });
    await expect(
      store.commit([
        { type: 'addJob', job: other },
        addTasks(aTask(other, 0)),
        { type: 'addJob', job },
      ]),
    ).rejects.toThrow();
    await store.commit([{ type: 'addJob', job: third }]);
    await store.commit([{ type: 'addJob', job: other }, addTasks(aTask(other, 0))]);
    expect(await store.job(third.id)).toMatchObject({ steps: { process: { total: 0 } } });
    expect(await store.task(other.id, 0)).toBeDefined();
  });

  test('refuses a job of an id that is taken, and a second end of a job', async () => {
    await expect(store.commit([{ type: 'addJob', job }])).rejects.toThrow();
    await store.commit([{ type: 'moveJob', jobId: job.id, to: 'dismissed', at: 5 }]);
    await expect(
      store.commit([{ type: 'moveJob', jobId: job.id, to: 'successful', at: 6, results: [] }]),
    ).rejects.toThrow();
    expect(await store.job(job.id)).toMatchObject({ state: 'dismissed', endedAt: 5 });
  });

  test('refuses a second success and a second end of one task', async () => {
    const task = aTask(job, 0);
    await store.commit([addTasks(task), launched(task), launched(task, 2)]);
    await store.commit([ended(task, 'finished'), finished(task)]);
    await expect(store.commit([ended(task, 'finished', 2)])).rejects.toThrow();
    await expect(store.commit([failed(task)])).rejects.toThrow();
    await expect(store.commit([retried(task)])).rejects.toThrow();
    await expect(store.commit([ended(task, 'lost')])).rejects.toThrow();
    await store.commit([ended(task, 'lost', 2)]);
    expect(await store.task(job.id, 0)).toMatchObject({ state: 'finished', attempts: 2 });
  });

  test('refuses success without results and tasks that are not there', async () => {
    await expect(
      store.commit([{ type: 'moveJob', jobId: job.id, to: 'successful', at: 5 }]),
    ).rejects.toThrow();
    await expect(store.commit([finished(aTask(job, 0))])).rejects.toThrow();
    await expect(store.commit([addTasks(aTask(aJob({ id: 'none' }), 0))])).rejects.toThrow();
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

  test('keeps what an operator sets about a job, and what was asked for', async () => {
    const control = { group: 'project/tep', priority: 7, isPaused: true };
    await store.commit([{ type: 'controlJob', jobId: job.id, control, at: 12 }]);
    expect(await store.job(job.id)).toMatchObject({ job, control, updatedAt: 12 });
    const inGroup = async (group: string) => (await store.jobs({ group, limit: 9 })).items.length;
    expect([await inGroup('project/tep'), await inGroup('default')]).toEqual([1, 0]);
  });

  test('keeps which nodes are drained, and why', async () => {
    const drain = { type: 'drainNode', engine: 'e', at: 5 } as const;
    await store.commit([
      { ...drain, node: 'b', isDrained: true, reason: 'new disk' },
      { ...drain, node: 'a', isDrained: true },
      { ...drain, node: 'c', isDrained: true },
    ]);
    await store.commit([
      { ...drain, node: 'b', isDrained: true, reason: 'old disk', at: 6 },
      { ...drain, node: 'c', isDrained: false },
      { ...drain, node: 'never', isDrained: false },
    ]);
    expect(await store.drains()).toEqual([
      { engine: 'e', node: 'a', reason: '', at: 5 },
      { engine: 'e', node: 'b', reason: 'old disk', at: 6 },
    ]);
  });

  test('lets through what only the running scheduler needs to know', async () => {
    await store.commit([
      { type: 'setNode', engine: 'e', node: 'n', offers: [] },
      { type: 'coolNode', node: 'e/n', cooling: { until: 5, reason: 'hot' } },
      { type: 'loadTasks', jobId: job.id, tasks: [aTask(job, 0)], at: 5 },
      { type: 'wake', until: 1 },
      { type: 'forgetJob', jobId: job.id },
    ]);
    expect(await store.job(job.id)).toMatchObject({ steps: { process: { total: 0 } } });
  });
}

function listContract(open: () => Promise<Store>): void {
  let store: Store;
  const job = aJob({ id: '20200101000000_L3_1', workflow: l3(2), periods: periods(3) });
  beforeEach(async () => {
    store = await open();
    await store.commit([{ type: 'addJob', job }]);
  });
  afterEach(() => store[Symbol.asyncDispose]());

  test('lists jobs newest first, in pages', async () => {
    const ids = Array.from({ length: 5 }, (_, index) => `20200101000001_L2Plus_${index}`);
    await store.commit(ids.map((id) => ({ type: 'addJob', job: aJob({ id }) })));
    const first = await store.jobs({ limit: 4 });
    expect(first.items.map((view) => view.job.id)).toEqual(ids.slice(1).toReversed());
    const second = await store.jobs({ limit: 4, after: first.next! });
    expect(second.items.map((view) => view.job.id)).toEqual([ids[0], job.id]);
    expect(second.next).toBeUndefined();
    await expect(store.jobs({ limit: 1, after: '1; DROP TABLE jobs' })).rejects.toThrow('next');
  });

  test('lists the jobs that meet every filter, in pages', async () => {
    const jobs = Array.from({ length: 24 }, (_, index) =>
      aJob({
        id: `20200101000001_L2Plus_${index}`,
        user: index % 2 ? 'bob' : 'alice',
        process: index % 3 ? 'a~1~x' : 'b~1~x',
        group: index % 4 ? 'one' : 'two',
        ...(index % 5 === 0 && { retryOf: { jobId: job.id, without: [] } }),
      }),
    );
    const stateOf = (index: number) =>
      (['accepted', 'running', 'failed'] as const)[index % 7] ?? 'accepted';
    await store.commit(jobs.map((each) => ({ type: 'addJob', job: each })));
    await store.commit(
      jobs.flatMap(({ id }, index): Change[] =>
        stateOf(index) === 'accepted'
          ? []
          : [{ type: 'moveJob', jobId: id, to: stateOf(index), at: 5 }],
      ),
    );
    const filters: Omit<JobQuery, 'limit'>[] = [
      { states: ['running', 'failed'] },
      { states: ['failed', 'failed'] },
      { user: 'bob' },
      { process: 'b~1~x' },
      { group: 'two' },
      { retryOf: job.id },
      { retryOf: job.id, states: ['running'] },
      { user: 'alice', states: ['accepted'], process: 'a~1~x' },
      { user: 'bob', group: 'one', process: 'b~1~x' },
      { user: 'nobody' },
    ];
    for (const filter of filters) {
      const { states, user, process, group, retryOf } = filter;
      const expected = jobs
        .filter((each, index) => !states || states.includes(stateOf(index) as 'failed'))
        .filter((each) => user === undefined || each.user === user)
        .filter((each) => process === undefined || each.process === process)
        .filter((each) => group === undefined || each.group === group)
        .filter((each) => retryOf === undefined || each.retryOf?.jobId === retryOf)
        .map(({ id }) => id);
      const found: string[] = [];
      let after: string | undefined;
      do {
        const page = await store.jobs({
          ...filter,
          limit: 2,
          ...(after !== undefined && { after }),
        });
        found.push(...page.items.map((view) => view.job.id));
        after = page.next;
      } while (after !== undefined);
      expect({ filter, found }).toEqual({ filter, found: expected.toReversed() });
    }
  });

  test('gives back tasks and attempts as they were, with what became of them', async () => {
    const location = { nodes: ['n1', 'n2'], racks: ['r'], pools: ['p'], engines: ['e'] };
    const tasks = [
      aTask(job, 0, { location }),
      aTask(job, 1, { step: 'aggregate', key: 'p#1', partition: 1, lastPeriod: 2 }),
      aTask(job, 2, { step: 'format', key: '/archive/0', input: '/archive/0', source: 0 }),
    ] as const;
    await store.commit([addTasks(...tasks), launched(tasks[0], 1, { locality: 'rack' })]);
    await store.commit([launched(tasks[0], 2, { locality: 'any', isSpeculative: true })]);
    expect(await store.task(job.id, 0)).toMatchObject({ state: 'running', attempts: 2 });
    await store.commit([ended(tasks[0], 'finished'), finished(tasks[0])]);
    expect(await store.task(job.id, 0)).toEqual({
      task: tasks[0],
      state: 'finished',
      attempts: 2,
      outputs: [{ path: 'a.tif', size: 7 }],
    });
    expect(await store.task(job.id, 1)).toEqual({ task: tasks[1], state: 'ready', attempts: 0 });
    expect(await store.task(job.id, 2)).toEqual({ task: tasks[2], state: 'ready', attempts: 0 });
    expect(await store.task(job.id, 3)).toBeUndefined();
    const { jobId, ...its } = { ...attempt(tasks[0]), resources };
    expect(await store.attempts(job.id, 0)).toEqual([
      { ...its, locality: 'rack', state: 'finished', endedAt: 30, result: { exitCode: 0 } },
      {
        ...its,
        id: `${jobId}.0.2`,
        number: 2,
        locality: 'any',
        isSpeculative: true,
        state: 'launched',
      },
    ]);
  });

  test('lists the tasks that meet every filter in order of their numbers, in pages', async () => {
    const steps = ['process', 'aggregate', 'format', 'process'] as const;
    const states = ['ready', 'running', 'finished', 'failed', 'retried'] as const;
    const tasks = Array.from({ length: 40 }, (_, number) =>
      aTask(job, number, { step: steps[number % 4]! }),
    );
    const stateOf = (number: number) => states[number % 5]!;
    const having = (state: string) => tasks.filter(({ number }) => stateOf(number) === state);
    await store.commit([
      addTasks(...tasks),
      ...having('running').map((task) => launched(task)),
      ...having('finished').map((task) => finished(task)),
      ...having('failed').map((task) => failed(task)),
      ...having('retried').map((task) => retried(task)),
    ]);
    const filters: Omit<TaskQuery, 'limit'>[] = [
      {},
      { step: 'process' },
      { states: ['ready'] },
      { states: ['running'] },
      { states: ['running', 'ready'], step: 'process' },
      { states: ['finished', 'failed'] },
      { states: ['failed', 'running'], step: 'aggregate' },
      { states: ['ready', 'finished'], step: 'format' },
    ];
    for (const filter of filters) {
      const expected = tasks.filter(({ number, step }) => {
        const state = stateOf(number) === 'retried' ? 'ready' : stateOf(number);
        return (
          (!filter.states || filter.states.includes(state as 'ready')) &&
          (!filter.step || filter.step === step)
        );
      });
      const found: number[] = [];
      let after: string | undefined;
      do {
        const query = { ...filter, limit: 3, ...(after !== undefined && { after }) };
        const page = await store.tasks(job.id, query);
        found.push(...page.items.map(({ task }) => task.number));
        after = page.next;
      } while (after !== undefined);
      const numbers = expected.map(({ number }) => number);
      expect({ filter, found }).toEqual({ filter, found: numbers });
    }
  });

  test('finds the finished tasks of a period in the order of their keys', async () => {
    const tasks = [
      aTask(job, 0, { key: 'c', lastPeriod: 1 }),
      aTask(job, 1, { key: 'b', firstPeriod: 1, lastPeriod: 1 }),
      aTask(job, 2, { key: 'a', firstPeriod: 2, lastPeriod: 2 }),
      aTask(job, 3, { key: 'open', lastPeriod: 2 }),
      aTask(job, 4, { key: 'd', lastPeriod: 1 }),
    ] as const;
    await store.commit([
      addTasks(...tasks),
      ...tasks.slice(0, 3).map((task) => finished(task)),
      finished(tasks[4], []),
    ]);
    const keys = async (period: number) =>
      (await store.finishedTasks(job.id, 'process', period)).map(({ task }) => task.key);
    expect([await keys(0), await keys(1), await keys(2)]).toEqual([
      ['c', 'd'],
      ['b', 'c', 'd'],
      ['a'],
    ]);
    expect(await store.finishedTasks('none', 'process', 0)).toEqual([]);
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

  test('finds a finished task by its step and key', async () => {
    const [task, other] = [aTask(job, 0), aTask(job, 1)];
    await store.commit([addTasks(task, other), finished(task)]);
    expect(await store.finishedByKey(job.id, 'process', task.key)).toMatchObject({ task });
    expect(await store.finishedByKey(job.id, 'format', task.key)).toBeUndefined();
    expect(await store.finishedByKey(job.id, 'process', other.key)).toBeUndefined();
    expect(await store.finishedByKey('none', 'process', task.key)).toBeUndefined();
  });

  test('knows which products are tasks already', async () => {
    await store.commit([addTasks(aTask(job, 0), aTask(job, 1, { step: 'format' }))]);
    const asked = ['/archive/0', '/archive/1', `it's "2"`];
    expect(await store.knownKeys(job.id, asked)).toEqual(new Set(['/archive/0']));
    expect(await store.knownKeys(job.id, [])).toEqual(new Set());
  });
}
