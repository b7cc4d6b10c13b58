import { expect, test } from 'vitest';

import { createScenario } from '../../src/simulator/scenario.ts';
import { simulate } from '../../src/simulator/simulate.ts';

/** Whole clusters in simulated time, each with something that once went wrong. */

const node = { cpus: 8, memoryMb: 32_768 };
const duration = { median: 300, sigma: 0.3 };

test('nodes without any of the data do not stay idle while those with it are full', async () => {
  const { makespan, lowerBound, end } = await simulate(
    createScenario({
      nodes: [
        { ...node, count: 2, pool: 'data' },
        { ...node, count: 12, pool: 'other' },
      ],
      data: { pool: 'data', remoteRead: { rack: 5, pool: 10, any: 30 } },
      jobs: [{ tasks: 800, duration }],
    }),
  );
  expect(end).toBe('done');
  expect(makespan / lowerBound).toBeLessThan(1.45);
});

test('a node on which everything fails gets little of a job, and no second attempts', async () => {
  const { attempts, jobs } = await simulate(
    createScenario({
      nodes: [
        { ...node, count: 13 },
        { ...node, count: 1, name: 'bad', failurePercent: 100 },
      ],
      slow: { percent: 1, factor: 10 },
      retries: { failurePercent: 5 },
      jobs: [{ tasks: 2000, duration }],
    }),
  );
  expect(jobs.successful).toBe(1);
  expect(attempts.failed).toBeLessThan(150);
});

test('tasks that need a whole node get their share beside small ones that fill every gap', async () => {
  const { groups, end } = await simulate(
    createScenario({
      nodes: [{ ...node, count: 14 }],
      scheduling: { groups: [{ name: 'small' }, { name: 'large' }] },
      jobs: [
        { tasks: 5000, group: 'small', duration },
        { at: 600, tasks: 20, group: 'large', cpus: 8, memoryMb: 16_384, duration },
      ],
    }),
  );
  expect(end).toBe('done');
  const large = groups.find(({ group }) => group === 'large')!;
  // All nodes are full of tasks of five minutes when they come.
  expect(large.jobWait.max).toBeLessThan(900);
  expect(large.turnaround.max).toBeLessThan(3600);
});
