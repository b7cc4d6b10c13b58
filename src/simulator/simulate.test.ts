import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { createArchive } from './archive.ts';
import { createChance } from './chance.ts';
import { createScenario } from './scenario.ts';
import { simulate } from './simulate.ts';
import type { SimulateOptions } from './simulate.ts';
import { arrivalsOf, productsOf } from './workload.ts';

const ten = { median: 10, sigma: 0 };

const play = (content: object, options?: SimulateOptions) =>
  simulate(
    createScenario({ heartbeat: 0, nodes: [{ cpus: 2, memoryMb: 8192 }], ...content }),
    options,
  );

describe('a simulation', () => {
  test('of two processors and ten tasks of ten seconds is what can be reckoned', async () => {
    const report = await play({ jobs: [{ tasks: 10, duration: ten }] });
    expect(report).toMatchObject({
      end: 'done',
      makespan: 50,
      lowerBound: 50,
      utilisation: 100,
      wasted: 0,
      jobs: { successful: 1, failed: 0, refused: 0 },
      tasks: { added: 10, finished: 10, failed: 0 },
      attempts: { finished: 10 },
      locality: { node: 100 },
      fairness: 1,
      failures: [],
    });
    expect(report.groups).toEqual([
      {
        group: 'default',
        jobs: 1,
        jobWait: { mean: 0, p50: 0, p95: 0, max: 0 },
        taskWait: { mean: 20, p50: 20, p95: 40, max: 40 },
        turnaround: { mean: 50, p50: 50, p95: 50, max: 50 },
        share: 100,
        fairShare: 100,
      },
    ]);
  });

  test('is the same each time, and another one with another seed', async () => {
    const busy = {
      nodes: [{ count: 3, cpus: 4, memoryMb: 8192, meanTimeBetweenFailures: 500, repairTime: 50 }],
      failures: { processor: 5, engine: 5, memory: 5 },
      retries: { failurePercent: 50 },
      jobs: [{ every: 20, count: 5, tasks: 20, duration: { median: 30 } }],
    };
    const first = await play(busy);
    expect(await play(busy)).toEqual(first);
    expect(await play({ ...busy, seed: 2 })).not.toEqual({ ...first, seed: 2 });
  });

  test('gives every group its share by weight while all want more', async () => {
    const groups = ['a', 'b', 'c'];
    const report = await play(
      {
        nodes: [{ count: 4, cpus: 10, memoryMb: 40_960 }],
        scheduling: { groups: groups.map((name, index) => ({ name, weight: index + 1 })) },
        jobs: groups.map((group) => ({ group, tasks: 2000, memoryMb: 64, duration: ten })),
      },
      { until: 300 },
    );
    expect(report.end).toBe('until');
    expect(report.fairness).toBeGreaterThan(0.99);
    report.groups.forEach(({ share, fairShare }, index) => {
      expect(fairShare).toBeCloseTo((100 * (index + 1)) / 6, 1);
      expect(Math.abs(share - fairShare)).toBeLessThan(3);
    });
  });

  test('gives who wants processors and who wants GPUs the same share of those', async () => {
    const report = await play(
      {
        nodes: [{ count: 10, cpus: 6, memoryMb: 40_960, gpus: 4 }],
        scheduling: { groups: [{ name: 'cpu' }, { name: 'gpu' }] },
        jobs: [
          { group: 'cpu', tasks: 2000, memoryMb: 64, duration: ten },
          { group: 'gpu', tasks: 2000, memoryMb: 64, gpus: 1, duration: ten },
        ],
      },
      { until: 300 },
    );
    // x + 2x/3 of the processors.
    for (const { share, fairShare } of report.groups) {
      expect(fairShare).toBeCloseTo(60, 1);
      expect(Math.abs(share - fairShare)).toBeLessThan(3);
    }
  });

  test('counts failures and retries by kind, and wasted time', async () => {
    const report = await play({
      failures: { processor: 20, engine: 20 },
      retries: { maxAttempts: 100, maxLosses: 100, retryDelay: 0 },
      jobs: [{ tasks: 50, duration: ten }],
    });
    expect(report.jobs.successful).toBe(1);
    const kinds = report.failures.map(({ kind }) => kind).toSorted();
    expect(kinds).toEqual(['engine', 'processor']);
    for (const { attempts, retries } of report.failures) expect(attempts).toBe(retries);
    const failed = report.failures.reduce((sum, { attempts }) => sum + attempts, 0);
    expect((report.attempts.failed ?? 0) + (report.attempts.lost ?? 0)).toBe(failed);
    expect(report.wasted).toBeGreaterThan(0);
  });

  test('a corrupt product fails its task for good, and its job as far as that tolerates it', async () => {
    const corrupt = { failures: { input: 10 }, jobs: [{ tasks: 100, duration: ten }] };
    expect((await play(corrupt)).jobs.failed).toBe(1);
    const tolerant = await play({ ...corrupt, retries: { failurePercent: 50 } });
    expect(tolerant.jobs.successful).toBe(1);
    expect(tolerant.tasks.failed).toBeGreaterThan(0);
  });

  test('a task that needs more memory gets it', async () => {
    const report = await play({
      failures: { memory: 100 },
      jobs: [{ tasks: 4, memoryMb: 1000, duration: ten }],
    });
    expect(report.jobs.successful).toBe(1);
    expect(report.failures).toEqual([{ kind: 'memory', attempts: 4, retries: 4 }]);
  });

  test('reading from afar costs time, and says so', async () => {
    const report = await play({
      nodes: [
        { cpus: 1, memoryMb: 8192, pool: 'store' },
        { cpus: 1, memoryMb: 8192, pool: 'other', name: 'other' },
      ],
      data: { pool: 'store', remoteRead: { any: 5 } },
      scheduling: { locality: { nodeWait: 0, rackWait: 0, poolWait: 0 } },
      jobs: [{ tasks: 2, duration: ten }],
    });
    expect(report).toMatchObject({ makespan: 15, lowerBound: 10, locality: { node: 50, any: 50 } });
  });

  test('runs aggregations after their periods', async () => {
    const report = await play({
      nodes: [{ cpus: 8, memoryMb: 65_536 }],
      jobs: [
        {
          tasks: 6,
          duration: ten,
          aggregate: { periods: 2, partitions: 2, duration: ten },
          format: { duration: ten },
        },
      ],
    });
    expect(report).toMatchObject({ tasks: { finished: 12 }, makespan: 30, lowerBound: 30 });
  });

  test('of many products has none twice', async () => {
    const scenario = createScenario({
      nodes: [{ cpus: 1, memoryMb: 1 }],
      data: { products: 2500 },
      jobs: [{ tasks: 2500, duration: ten }],
    });
    const chance = createChance(1);
    const archive = createArchive(scenario.data, [], chance);
    const [arrival] = arrivalsOf(scenario, 0);
    const batches = await Array.fromAsync(productsOf(arrival!, scenario.data, archive, chance));
    expect(new Set(batches.flat().map(({ path }) => path)).size).toBe(2500);
  });

  test('tasks that need GPUs wait for those, and the others leave them alone', async () => {
    const report = await play({
      nodes: [
        { cpus: 4, memoryMb: 8192, gpus: 1, name: 'gpu' },
        { cpus: 8, memoryMb: 16_384 },
      ],
      data: { replicas: 0 },
      jobs: [
        { tasks: 8, duration: { median: 60, sigma: 0 } },
        { at: 1, tasks: 5, gpus: 1, duration: ten },
      ],
    });
    expect(report).toMatchObject({ end: 'done', makespan: 60, lowerBound: 60 });
    expect(report.groups[0]!.turnaround.max).toBe(60);
  });

  test('faster nodes need less', async () => {
    const report = await play({
      nodes: [{ cpus: 2, memoryMb: 8192, speed: 4 }],
      jobs: [{ tasks: 2, duration: ten }],
    });
    expect(report).toMatchObject({ makespan: 2.5, lowerBound: 2.5 });
  });
});

describe('nodes', () => {
  test('that join later get work from then on', async () => {
    const report = await play({
      nodes: [{ cpus: 1, memoryMb: 8192, joins: 100 }],
      jobs: [{ tasks: 1, duration: ten }],
    });
    expect(report).toMatchObject({ makespan: 110, lowerBound: 110 });
    expect(report.groups[0]!.jobWait.max).toBe(100);
  });

  test('that leave lose what they run', async () => {
    const report = await play({
      nodes: [
        { cpus: 1, memoryMb: 8192, leaves: 5 },
        { cpus: 1, memoryMb: 8192, name: 'other', joins: 20 },
      ],
      jobs: [{ tasks: 1, duration: ten }],
    });
    expect(report).toMatchObject({ makespan: 30, attempts: { lost: 1, finished: 1 } });
  });
});

describe('an end is seen', () => {
  test('of what would wait for ever', async () => {
    const report = await play({
      nodes: [{ cpus: 2, memoryMb: 8192, meanTimeBetweenFailures: 86_400 }],
      jobs: [{ tasks: 1, cpus: 3, duration: ten }],
    });
    expect(report).toMatchObject({ end: 'stuck', tasks: { added: 1, finished: 0 } });
  });

  test('of the time that was given', async () => {
    const report = await play({ jobs: [{ tasks: 10, duration: ten }] }, { until: 25 });
    expect(report).toMatchObject({ end: 'until', utilisation: 100, tasks: { finished: 4 } });
  });

  test('of jobs that were refused', async () => {
    const report = await play({
      scheduling: { userLimits: { queuedJobs: 2 } },
      jobs: [{ every: 1, count: 5, tasks: 10, duration: ten }],
    });
    expect(report.jobs).toMatchObject({ successful: 2, refused: 3 });
  });
});

test('tells how far it is', async () => {
  const seen: number[][] = [];
  await play(
    { jobs: [{ every: 60, count: 3, tasks: 2, duration: ten }] },
    { onProgress: (...progress) => seen.push(progress) },
  );
  expect(seen.at(0)).toEqual([0, 3, 0]);
  expect(seen.at(-1)).toEqual([3, 3, 130]);
});

test('whatever the cluster and the jobs: every job ends, and no bound is broken', async () => {
  const node = fc.record({
    count: fc.integer({ min: 1, max: 4 }),
    cpus: fc.integer({ min: 2, max: 8 }),
    memoryMb: fc.integer({ min: 4096, max: 16_384 }),
    gpus: fc.constantFrom(0, 0, 2, 4),
    rack: fc.constantFrom('r1', 'r2'),
    pool: fc.constantFrom('p1', 'p2'),
    joins: fc.constantFrom(0, 30),
    meanTimeBetweenFailures: fc.constantFrom(1000, 10_000),
    failurePercent: fc.constantFrom(0, 0, 20),
  });
  const job = fc.record({
    at: fc.integer({ min: 0, max: 100 }),
    every: fc.constantFrom(1, 40),
    count: fc.integer({ min: 1, max: 5 }),
    tasks: fc.integer({ min: 1, max: 40 }),
    group: fc.constantFrom('a', 'b/c', 'b/d', 'default'),
    user: fc.constantFrom('u', 'v'),
    cpus: fc.constantFrom(0.5, 1, 2),
    memoryMb: fc.constantFrom(256, 2048, 4096),
    gpus: fc.constantFrom(0, 0, 0, 1, 2),
    duration: fc.record({ median: fc.integer({ min: 1, max: 60 }) }),
  });
  const content = fc.record({
    seed: fc.nat(1000),
    heartbeat: fc.constantFrom(0, 1),
    nodes: fc.array(node, { minLength: 1, maxLength: 3 }),
    jobs: fc.array(job, { minLength: 1, maxLength: 5 }),
    failures: fc.record({
      input: fc.constantFrom(0, 5),
      processor: fc.constantFrom(0, 20),
      memory: fc.constantFrom(0, 20),
      engine: fc.constantFrom(0, 20),
    }),
    slow: fc.record({ percent: fc.constantFrom(0, 5), factor: fc.constant(20) }),
    retries: fc.record({ failurePercent: fc.constantFrom(0, 100) }),
  });
  const groups = [
    { name: 'a', maximumPercent: 60 },
    { name: 'b', groups: [{ name: 'c' }, { name: 'd' }] },
  ];
  await fc.assert(
    fc.asyncProperty(content, async (generated) => {
      const [first, ...others] = generated.nodes;
      const nodes = [{ ...first, gpus: 2 }, ...others];
      const report = await play({ ...generated, nodes, scheduling: { groups } });
      const { jobs, tasks, makespan, lowerBound } = report;
      expect(report.end).toBe('done');
      expect(jobs.accepted + jobs.running + jobs.refused).toBe(0);
      if (jobs.failed === 0) expect(tasks.finished + tasks.failed).toBe(tasks.added);
      expect(makespan).toBeGreaterThanOrEqual(lowerBound - 0.001);
      expect(report.utilisation).toBeLessThanOrEqual(100);
    }),
    { numRuns: 40 },
  );
});
