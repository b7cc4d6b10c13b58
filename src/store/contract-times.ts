import { afterEach, beforeEach, expect, test } from 'vitest';

import { aJob } from '../../test/fixtures/jobs.ts';
import type { JobQuery, Store } from './store.ts';

/** Lists of jobs by their times, and by several processes. */
export function timesContract(open: () => Promise<Store>): void {
  let store: Store;
  const jobs = Array.from({ length: 24 }, (_, index) => {
    const ended = index % 4 === 2;
    const state = index % 4 === 0 ? 'accepted' : ended ? 'failed' : 'running';
    const startedAt = 2000 + index;
    return {
      job: aJob({
        id: `20200101000001_L2Plus_${index}`,
        user: index % 2 ? 'bob' : 'alice',
        process: `process-${index % 3}`,
        acceptedAt: 1000 + index,
      }),
      state,
      startedAt,
      endedAt: startedAt + 10 * index,
    } as const;
  });
  beforeEach(async () => {
    store = await open();
    await store.commit(jobs.map(({ job }) => ({ type: 'addJob', job })));
    for (const { job, state, startedAt, endedAt } of jobs) {
      const started = { type: 'moveJob', jobId: job.id, to: 'running', at: startedAt } as const;
      const failed = { type: 'moveJob', jobId: job.id, to: 'failed', at: endedAt } as const;
      if (state !== 'accepted') await store.commit([started]);
      if (state === 'failed') await store.commit([failed]);
    }
  });
  afterEach(() => store[Symbol.asyncDispose]());

  const NOW = 2100;

  test.each<Omit<JobQuery, 'limit'>>([
    { processes: ['process-2', 'process-0', 'none'], user: 'bob' },
    { processes: ['process-1'], states: ['failed', 'running'] },
    { accepted: {} },
    { accepted: { from: 1003, to: 1012 } },
    { accepted: { to: 1009 }, user: 'alice', states: ['accepted', 'running'] },
    { accepted: { from: 1020 }, process: 'process-1' },
    { accepted: { from: 1005 }, processes: ['process-1', 'process-2'] },
    { duration: { now: NOW } },
    { duration: { min: 20, max: 95, now: NOW }, states: ['running'] },
    { duration: { max: 100, now: NOW }, states: ['failed'] },
    { duration: { min: 80, now: NOW }, accepted: { from: 1010 } },
  ])('lists the jobs that meet %j', async (filter) => {
    const { states, user, process, processes, accepted, duration } = filter;
    const { from = 0, to = Infinity } = accepted ?? {};
    const { min = 0, max = Infinity } = duration ?? {};
    const expected = jobs.filter(({ job, state, startedAt, endedAt }) => {
      const took = (state === 'failed' ? endedAt : NOW) - startedAt;
      return (
        (!states || states.includes(state)) &&
        (user === undefined || job.user === user) &&
        (process === undefined || job.process === process) &&
        (!processes || processes.includes(job.process)) &&
        job.acceptedAt >= from &&
        job.acceptedAt <= to &&
        (!duration || (state !== 'accepted' && took >= min && took <= max))
      );
    });
    expect(expected).not.toEqual([]);
    const found: string[] = [];
    let after: string | undefined;
    do {
      const page = await store.jobs({ ...filter, limit: 2, ...(after !== undefined && { after }) });
      found.push(...page.items.map((view) => view.job.id));
      after = page.next;
    } while (after !== undefined);
    expect(found).toEqual(expected.map(({ job }) => job.id).toReversed());
  });
}
