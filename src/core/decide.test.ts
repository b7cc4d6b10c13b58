import { describe, expect, test } from 'vitest';

import { L2_FORMATTED, aJob, l3, periods, product } from '../../test/fixtures/jobs.ts';
import { failing, story } from '../../test/fixtures/story.ts';
import { retryDelay } from './failures.ts';
import type { State } from './state.ts';

const FAILURE = failing('processor');

describe('a job of workflow L2Plus', () => {
  test('runs its products, formats each and stages at the end', () => {
    const { find, endSplit, launch, end, kinds, happens, jobMoves } = story(
      aJob({ workflow: L2_FORMATTED }),
    );
    find(product('a'), product('b'));
    expect(launch()).toEqual(['process /archive/a', 'process /archive/b']);
    end(0);
    expect(launch()).toEqual(['format /archive/a']);
    endSplit();
    end(1, 1, { outputs: [] });
    expect(launch()).toEqual([]);
    expect(kinds()).not.toContain('stage');
    end(2);
    endSplit();
    expect(kinds().filter((kind) => kind === 'stage')).toHaveLength(1);
    expect(jobMoves().map(({ to }) => to)).toEqual(['running']);
    happens({ type: 'staged', jobId: aJob().id, results: [] });
    expect(jobMoves().map(({ to }) => to)).toEqual(['running', 'successful']);
  });

  test('fails where no product is found', () => {
    const { endSplit, jobMoves } = story(aJob());
    endSplit();
    expect(jobMoves()).toMatchObject([
      { to: 'failed', message: 'No products were found for the request.' },
    ]);
  });
});

describe('a job of workflow Local', () => {
  const job = aJob({ workflow: { ...aJob().workflow, type: 'Local' } });

  test('is staged at once and once, and nothing is looked for', () => {
    const { kinds, happens, jobMoves } = story(job);
    expect(kinds()).toContain('stage');
    happens({ type: 'tasksLoaded', jobId: job.id, tasks: [] });
    expect(kinds().filter((kind) => kind === 'stage')).toHaveLength(1);
    expect(kinds()).not.toContain('split');
    happens({ type: 'staged', jobId: job.id, results: [] });
    expect(jobMoves().map(({ to }) => to)).toEqual(['running', 'successful']);
  });

  test('ends when it is dismissed meanwhile, whatever becomes of its results', () => {
    const { happens, jobMoves } = story(job);
    happens({ type: 'jobDismissed', jobId: job.id });
    happens({ type: 'staged', jobId: job.id, results: [] });
    expect(jobMoves().map(({ to }) => to)).toEqual(['running', 'dismissed']);
  });
});

describe('a job of workflow L3', () => {
  const job = aJob({ workflow: l3(2), periods: periods(3) });

  test('aggregates a period as soon as its own products are done, not when all are', () => {
    const { find, launch, end } = story(job);
    find(product('a', 0), product('b', 0), product('c', 1));
    launch();
    end(0);
    expect(launch()).toEqual([]);
    end(1);
    expect(launch()).toEqual([
      'aggregate 2020-01-01:2020-01-01#0',
      'aggregate 2020-01-01:2020-01-01#1',
    ]);
    end(3);
    expect(launch()).toEqual([]);
    end(4);
    expect(launch()).toEqual(['format 2020-01-01:2020-01-01']);
  });

  test('waits for products of a period that may still be found', () => {
    const { find, launch, end } = story(job);
    find(product('a', 0));
    launch();
    end(0);
    expect(launch()).toEqual([]);
    find(product('b', 1));
    expect(launch()).toEqual([
      'aggregate 2020-01-01:2020-01-01#0',
      'aggregate 2020-01-01:2020-01-01#1',
      'process /archive/b',
    ]);
  });

  test('uses a product of overlapping periods for each of them', () => {
    const { find, endSplit, launch, end } = story(job);
    find(product('a', 0, 2));
    endSplit();
    launch();
    end(0);
    expect(launch()).toHaveLength(6);
  });

  test('leaves out a period without anything to aggregate', () => {
    const { find, endSplit, launch, end, kinds } = story(job);
    find(product('a', 0), product('b', 2));
    endSplit();
    launch();
    end(0, 1, { outputs: [] });
    end(1, 1, { outputs: [] });
    expect(launch()).toEqual([]);
    expect(kinds()).toContain('stage');
  });
});

describe('an aggregation that leaves nothing', () => {
  test('is not formatted', () => {
    const { find, endSplit, launch, end, kinds } = story(
      aJob({ workflow: l3(1), periods: periods(1) }),
    );
    find(product('a'));
    endSplit();
    launch();
    end(0);
    expect(launch()).toEqual(['aggregate 2020-01-01:2020-01-01#0']);
    end(1, 1, { outputs: [] });
    expect(launch()).toEqual([]);
    expect(kinds()).toContain('stage');
  });
});

describe('a failed attempt', () => {
  test('is tried again after a while, and no more often than allowed', () => {
    const { find, launch, end, at, jobMoves } = story(
      aJob({ retry: { maxAttempts: 2, delay: 5 } }),
    );
    find(product('a'));
    launch();
    end(0, 1, FAILURE, 'failed');
    expect(launch()).toEqual([]);
    at(4_999);
    expect(launch()).toEqual([]);
    at(5_000);
    expect(launch()).toEqual(['process /archive/a']);
    end(0, 2, FAILURE, 'failed');
    expect(jobMoves().at(-1)).toMatchObject({
      to: 'failed',
      message: 'exit code 1 (process of /archive/a)',
    });
  });

  test('does not count against its task where the infrastructure lost it', () => {
    const { find, launch, end, at, jobMoves } = story(
      aJob({ retry: { maxAttempts: 1, maxLosses: 3 } }),
    );
    find(product('a'));
    for (const attempt of [1, 2]) {
      at(attempt * 1_000_000);
      expect(launch()).toHaveLength(1);
      end(0, attempt, {}, 'lost');
    }
    expect(jobMoves().at(-1)).toMatchObject({ to: 'running' });
    at(9_000_000);
    launch();
    end(0, 3, {}, 'lost');
    expect(jobMoves().at(-1)).toMatchObject({ to: 'failed' });
  });

  test('is tolerated up to the percentage, and the message names what was lost', () => {
    const { find, endSplit, launch, end, happens, jobMoves } = story(
      aJob({ retry: { maxAttempts: 1, failurePercent: 50 } }),
    );
    find(product('a'), product('b'));
    endSplit();
    launch();
    end(0, 1, FAILURE, 'failed');
    end(1);
    happens({ type: 'staged', jobId: aJob().id, results: [] });
    expect(jobMoves().at(-1)).toMatchObject({
      to: 'successful',
      message: expect.stringContaining('1 of 2 products were lost: /archive/a (exit code 1)'),
    });
  });

  test('beyond the percentage fails the job and kills what runs', () => {
    const { find, endSplit, launch, end, effects, jobMoves } = story(
      aJob({ retry: { maxAttempts: 1, failurePercent: 30 } }),
    );
    find(product('a'), product('b'), product('c'));
    launch();
    end(0, 1, FAILURE, 'failed');
    expect(jobMoves().at(-1)).toMatchObject({ to: 'running' });
    endSplit();
    expect(jobMoves().at(-1)).toMatchObject({
      to: 'failed',
      message: expect.stringContaining('1 (process of /archive/a)'),
    });
    expect(effects.filter(({ type }) => type === 'kill')).toHaveLength(2);
  });

  test('waits longer each time, up to a limit', () => {
    const retry = {
      maxAttempts: 9,
      maxLosses: 9,
      delay: 2,
      maxDelay: 10,
      failurePercent: 0,
      maxMemoryMb: 1,
    };
    expect([1, 2, 3, 4].map((tries) => retryDelay(retry, tries))).toEqual([
      2000, 4000, 8000, 10_000,
    ]);
  });
});

describe('news', () => {
  test('of an attempt back from the dead gets it killed', () => {
    const { find, launch, end, happens, effects } = story(aJob());
    find(product('a'));
    launch();
    end(0, 1, {}, 'lost');
    happens({ type: 'attemptMoved', engine: 'e', attemptId: `${aJob().id}.0.1`, to: 'running' });
    expect(effects.at(-1)).toEqual({ type: 'kill', engine: 'e', attemptId: `${aJob().id}.0.1` });
  });

  test('that is repeated or comes too late changes nothing', () => {
    const { find, launch, end, changes, happens } = story(aJob());
    find(product('a'), product('b'));
    launch();
    end(0);
    const running = {
      type: 'attemptMoved',
      engine: 'e',
      attemptId: `${aJob().id}.1.1`,
      to: 'running',
    } as const;
    happens(running);
    const before = changes.length;
    end(0);
    end(0, 1, FAILURE, 'failed');
    end(7, 1);
    happens(running);
    happens({ type: 'attemptMoved', engine: 'e', attemptId: 'nonsense', to: 'finished' });
    expect(changes.length).toBe(before);
  });

  test('of a dismissed job only ends its attempts; the job leaves with the last one', () => {
    const { find, launch, end, happens, effects, jobMoves, state } = story(aJob());
    find(product('a'), product('b'));
    launch();
    happens({ type: 'jobDismissed', jobId: aJob().id });
    happens({ type: 'jobDismissed', jobId: aJob().id });
    expect(effects.filter(({ type }) => type === 'kill')).toHaveLength(2);
    end(0, 1, {}, 'lost');
    expect(state.jobs.size).toBe(1);
    end(1);
    expect(state.jobs.size).toBe(0);
    expect(effects.at(-1)).toMatchObject({ type: 'clean', state: 'dismissed' });
    happens({ type: 'jobDismissed', jobId: aJob().id });
    expect(jobMoves().filter(({ to }) => to !== 'running')).toHaveLength(1);
  });

  test('of its end keeps a job from being given to nodes, ready tasks and delayed ones alike', () => {
    const { find, launch, end, happens, at } = story(aJob());
    find(product('a'), product('b'));
    launch();
    end(0, 1, FAILURE, 'failed');
    find(product('c'));
    happens({ type: 'jobDismissed', jobId: aJob().id });
    at(9_000_000);
    expect(launch()).toEqual([]);
  });

  test('that a killed attempt of a dismissed job runs after all kills it again', () => {
    const { find, launch, happens, effects } = story(aJob());
    find(product('a'));
    launch();
    happens({ type: 'jobDismissed', jobId: aJob().id });
    happens({ type: 'attemptMoved', engine: 'e', attemptId: `${aJob().id}.0.1`, to: 'running' });
    expect(effects.filter(({ type }) => type === 'kill')).toHaveLength(2);
  });
});

describe('nodes', () => {
  const offer = (id: string, cpus = 1) => ({
    id,
    engine: 'e',
    node: 'n',
    resources: { cpus, memoryMb: 512 },
  });
  const offersOf = (state: State) => state.nodes.get('e/n')?.offers.map(({ id }) => id);

  test('keep several offers, the same one once, and lose what is rescinded', () => {
    const { happens, state } = story(aJob());
    happens({ type: 'nodeUp', engine: 'e', node: 'n', resources: { cpus: 4, memoryMb: 4096 } });
    happens({ type: 'offered', offers: [offer('1'), offer('2')] });
    happens({ type: 'offered', offers: [offer('2'), offer('3')] });
    expect(offersOf(state)).toEqual(['1', '2', '3']);
    happens({ type: 'rescinded', engine: 'e', offerIds: ['2'] });
    expect(offersOf(state)).toEqual(['1', '3']);
    expect(state.nodes.get('e/n')?.total).toEqual({ cpus: 4, memoryMb: 4096 });
    happens({ type: 'nodeDown', engine: 'e', node: 'n' });
    expect(state.nodes.size).toBe(0);
  });
});
