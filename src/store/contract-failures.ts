import { afterEach, beforeEach, expect, test } from 'vitest';

import { aJob } from '../../test/fixtures/jobs.ts';
import type { Task } from '../core/model.ts';
import {
  aTask,
  addTasks,
  attempt,
  broken,
  ended,
  failed,
  failure,
  finished,
  launched,
  revived,
} from './contract-changes.ts';
import type { Store } from './store.ts';

/** What is known of failures, and how failed tasks are taken up again. */
export function failureContract(open: () => Promise<Store>): void {
  let store: Store;
  const job = aJob();
  const tasks = [0, 1, 2, 3].map((number) => aTask(job, number));
  const [first, second, third, fourth] = tasks as [Task, Task, Task, Task];
  beforeEach(async () => {
    store = await open();
    await store.commit([{ type: 'addJob', job }, addTasks(...tasks)]);
  });
  afterEach(() => store[Symbol.asyncDispose]());

  test('groups failed attempts by cause, the most frequent first', async () => {
    await store.commit(tasks.map((task) => launched(task)));
    await store.commit([
      broken(first, 'exit code 1', 1, { at: 31, message: 'exit code 1 of a' }),
      broken(second, 'out of memory', 1, { kind: 'memory' }),
      ended(fourth, 'lost'),
    ]);
    await store.commit([broken(third, 'exit code 1', 1, { at: 35, message: 'exit code 1 of c' })]);
    expect(await store.failures(job.id)).toEqual([
      {
        kind: 'processor',
        cause: 'exit code 1',
        count: 2,
        example: attempt(first).id,
        message: 'exit code 1 of a',
        firstAt: 31,
        lastAt: 35,
      },
      expect.objectContaining({ kind: 'memory', cause: 'out of memory', count: 1 }),
    ]);
    expect(await store.failures('none')).toEqual([]);
  });

  test('gives failed tasks: all, of one cause, or some', async () => {
    const format = aTask(job, 4, { step: 'format' });
    await store.commit([
      addTasks(format),
      launched(first),
      broken(first, 'a'),
      failed(first, 'a'),
      failed(second, 'b'),
      finished(third),
      failed(format, 'a'),
    ]);
    const found = async (query: Partial<Parameters<Store['failedTasks']>[1]>) =>
      (await store.failedTasks(job.id, { limit: 9, ...query })).map(({ task }) => task.number);
    expect(await found({})).toEqual([0, 1, 4]);
    expect(await found({ limit: 2 })).toEqual([0, 1]);
    expect(await found({ cause: 'a' })).toEqual([0, 4]);
    expect(await found({ numbers: [4, 1, 2, 77] })).toEqual([1, 4]);
    expect(await found({ numbers: [0, 1], cause: 'b' })).toEqual([1]);
    expect(await found({ numbers: [] })).toEqual([]);
    const [view] = await store.failedTasks(job.id, { limit: 1 });
    expect(view).toEqual({ task: first, state: 'failed', attempts: 1, failure, cause: 'a' });
  });

  test('makes a failed task ready again as if it had not been tried', async () => {
    await store.commit([launched(first), broken(first, 'a'), failed(first, 'a'), failed(second)]);
    await store.commit([revived(first, 4096)]);
    expect(await store.task(job.id, 0)).toEqual({ task: first, state: 'ready', attempts: 1 });
    expect(await store.job(job.id)).toMatchObject({
      attempts: 1,
      steps: { process: { total: 4, failed: 1 } },
    });
    expect(await store.attempts(job.id, 0)).toHaveLength(1);
    const [snapshot] = await store.load(9);
    expect([...snapshot!.open][0]).toEqual({
      task: first,
      attempts: 1,
      failures: 0,
      losses: 0,
      memoryMb: 4096,
    });
    expect(snapshot!.failedTasks).toEqual([1]);
    await store.commit([launched(first, 2), ended(first, 'finished', 2), finished(first)]);
    expect(await store.task(job.id, 0)).toMatchObject({ state: 'finished', attempts: 2 });
  });

  test('refuses to revive what has not failed', async () => {
    await expect(store.commit([revived(first)])).rejects.toThrow();
    await store.commit([finished(first)]);
    await expect(store.commit([revived(first)])).rejects.toThrow();
  });

  test('suspects inputs that failed in three jobs', async () => {
    const jobs = Array.from({ length: 7 }, (_, index) =>
      aJob({ id: `20200101000001_L2Plus_${index}` }),
    );
    for (const [index, each] of jobs.entries()) {
      const [bad, rare] = [aTask(each, 0), aTask(each, 1, { key: '/rare', input: '/rare' })];
      await store.commit([
        { type: 'addJob', job: each },
        addTasks(bad, rare, aTask(each, 2, { step: 'aggregate' })),
        failed(bad, 'a', 50 + index),
        ...(index < 3 ? [failed(rare), revived(rare), failed(rare)] : []),
        failed(aTask(each, 2, { step: 'aggregate' })),
      ]);
      if (index === 1) expect(await store.suspectInputs()).toEqual([]);
    }
    const [rare, bad, ...others] = await store.suspectInputs();
    expect(others).toEqual([]);
    expect(rare).toMatchObject({ input: '/rare', jobs: 3 });
    expect(bad).toEqual({
      input: '/archive/0',
      jobs: 7,
      jobIds: jobs
        .slice(2)
        .map(({ id }) => id)
        .toReversed(),
      message: failure.message,
      lastAt: 56,
    });
    expect(await store.suspectInputs({ limit: 1 })).toEqual([rare]);
    expect(await store.suspectInputs({ input: '/archive/0' })).toEqual([bad]);
    expect(await store.suspectInputs({ input: '/archive/1' })).toEqual([]);
  });
}
