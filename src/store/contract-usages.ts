import { afterEach, beforeEach, expect, test } from 'vitest';

import { aJob } from '../../test/fixtures/jobs.ts';
import type { Usage } from '../core/model.ts';
import {
  aTask,
  addTasks,
  attempt,
  broken,
  finished,
  launched,
  resources,
} from './contract-changes.ts';
import type { Store } from './store.ts';

/** What jobs of the past have used, for whoever says what the next one will. */
export function usagesContract(open: () => Promise<Store>): void {
  let store: Store;
  beforeEach(async () => {
    store = await open();
  });
  afterEach(() => store[Symbol.asyncDispose]());

  test('tells the last successful jobs of a process, and which of them did another again', async () => {
    for (const [index, id] of ['a', 'b', 'c', 'd'].entries()) {
      const process = id === 'c' ? 'other' : 'p';
      const again = id === 'b' && { retryOf: { jobId: 'a', without: [] } };
      const job = aJob({ id, process, acceptedAt: 10 + index, ...again });
      await store.commit([
        { type: 'addJob', job },
        { type: 'moveJob', jobId: id, to: 'running', at: 20 },
      ]);
      if (id === 'd') continue;
      const done = { to: 'successful', at: 30, results: [] } as const;
      await store.commit([{ type: 'moveJob', jobId: id, ...done }]);
    }
    const [first, again] = [
      { id: 'a', acceptedAt: 10, isRetry: false },
      { id: 'b', acceptedAt: 11, isRetry: true },
    ];
    expect(await store.lastSuccessful('p', 9)).toEqual([again, first]);
    expect(await store.lastSuccessful('p', 1)).toEqual([again]);
    expect(await store.lastSuccessful('nobody', 9)).toEqual([]);
  });

  test('tells what the finished attempts of a step have used, and nothing of others', async () => {
    const job = aJob();
    const usage = (wallMs: number): Usage => ({ wallMs, cpuUserMs: 1, sources: { cpu: 'test' } });
    const tasks = [0, 1, 2, 3].map((number) => aTask(job, number));
    const format = aTask(job, 4, { step: 'format', key: 'f' });
    const end = (number: number, tryNumber: number, wallMs?: number) => ({
      type: 'moveAttempt' as const,
      attempt: attempt(number === 4 ? format : tasks[number]!, tryNumber),
      resources,
      to: 'finished' as const,
      at: 30,
      result: { ...(wallMs !== undefined && { usage: usage(wallMs) }), outputs: [] },
    });
    await store.commit([
      { type: 'addJob', job },
      addTasks(...tasks, format),
      ...[...tasks, format].map((task) => launched(task)),
    ]);
    await store.commit([
      end(2, 1, 200),
      finished(tasks[2]!),
      broken(tasks[0]!, 'no memory'),
      launched(tasks[0]!, 2),
      end(1, 1),
      finished(tasks[1]!),
      end(4, 1, 400),
      finished(format),
    ]);
    await store.commit([end(0, 2, 100), finished(tasks[0]!)]);
    expect(await store.usages(job.id, 'process', 9)).toEqual([usage(100), usage(200)]);
    expect(await store.usages(job.id, 'process', 1)).toEqual([usage(100)]);
    expect(await store.usages(job.id, 'format', 9)).toEqual([usage(400)]);
    expect(await store.usages(job.id, 'aggregate', 9)).toEqual([]);
    expect(await store.usages('nobody', 'process', 9)).toEqual([]);
  });
}
