import { expect, test } from 'vitest';

import { createScenario } from '../../src/simulator/scenario.ts';
import type { Report } from '../../src/simulator/report.ts';
import { simulate } from '../../src/simulator/simulate.ts';

/** Two clusters as one: an HDFS pool, whose nodes hold the blocks, and a pool of nodes that share a storage. */

const node = { cpus: 8, memoryMb: 32_768, count: 7 };
const nodes = [
  { ...node, engine: 'yarn', pool: 'hdfs', name: 'y', rack: 'r1' },
  { ...node, engine: 'yarn', pool: 'hdfs', name: 'z', rack: 'r2' },
  { ...node, engine: 'mesos', pool: 'xfs', name: 'm' },
];
const SLOTS = { yarn: 112, mesos: 56 };
const remoteRead = { rack: 15, pool: 30, any: 120 };
const duration = { median: 300, sigma: 0.3 };
const HDFS = { pool: 'hdfs', replicas: 3 };
const XFS = { pool: 'xfs', replicas: 0 };

const play = (content: object) => simulate(createScenario({ nodes, ...content }));

const attemptsOf = ({ engines }: Report, id: string): number =>
  engines.find(({ engine }) => engine === id)?.attempts ?? 0;

test('a job over a dataset in both pools fills both', async () => {
  const report = await play({
    data: { roots: [HDFS, XFS], remoteRead: { ...remoteRead, pool: 0 } },
    jobs: [{ tasks: 2000, duration }],
  });
  const { makespan, lowerBound, locality, jobs } = report;
  expect(jobs.successful).toBe(1);
  expect(makespan / lowerBound).toBeLessThan(1.15);
  const onMesos = attemptsOf(report, 'mesos') / 2000;
  expect(onMesos).toBeGreaterThan(0.28);
  expect(onMesos).toBeLessThan(0.38);
  // In the one pool at the blocks, in the other one nothing is nearer than that.
  expect(locality.rack ?? 0).toBeLessThan(2);
  expect(locality.any ?? 0).toBe(0);
});

test('a job over a dataset in one pool goes there first, elsewhere with what is left', async () => {
  const data = { roots: [XFS], remoteRead };
  const small = await play({ data, jobs: [{ tasks: SLOTS.mesos, duration }] });
  expect(small.locality).toEqual({ pool: 100 });
  expect(small.engines.map(({ engine }) => engine)).toEqual(['mesos']);
  const large = await play({ data, jobs: [{ tasks: 2000, duration }] });
  expect(attemptsOf(large, 'yarn')).toBeGreaterThan(800);
  // What is read from afar takes 420 s instead of 300 s.
  expect(large.makespan / large.lowerBound).toBeLessThan(1.45);
});

test('what only one engine reaches stays with it, while the other one does what is left', async () => {
  const report = await play({
    data: { roots: [{ ...HDFS, engines: ['yarn'] }], remoteRead },
    jobs: [{ tasks: 1500, duration }],
  });
  expect(report.jobs.successful).toBe(1);
  expect(report.engines.map(({ engine }) => engine)).toEqual(['yarn']);
  expect(report.locality.node).toBeGreaterThan(95);
  expect(report.makespan / report.lowerBound).toBeLessThan((1.15 * 168) / 112);
});

test('the cheaper pool fills first, and a dearer one has what does not fit into it', async () => {
  const data = { roots: [HDFS, XFS], remoteRead: { ...remoteRead, pool: 0 } };
  const withDear = (dear: string, tasks: number) =>
    play({ data, scheduling: { costs: { [dear]: 3 } }, jobs: [{ tasks, duration }] });
  const onMesos = await withDear('yarn', SLOTS.mesos);
  expect(onMesos.engines.map(({ engine }) => engine)).toEqual(['mesos']);
  const onYarn = await withDear('mesos', SLOTS.yarn / 2);
  expect(onYarn.engines.map(({ engine }) => engine)).toEqual(['yarn']);
  const onBoth = await withDear('yarn', SLOTS.mesos + 20);
  expect(onBoth.engines).toMatchObject([
    { engine: 'mesos', attempts: SLOTS.mesos },
    { engine: 'yarn', attempts: 20 },
  ]);
  for (const { engine, cpuHours, cost } of onBoth.engines) {
    expect(cost / cpuHours).toBeCloseTo(engine === 'yarn' ? 3 : 1, 2);
  }
});

test('of equal costs, small jobs leave both pools the same part free', async () => {
  const report = await play({
    data: { replicas: 0 },
    jobs: [{ every: 600, count: 10, tasks: 42, duration: { median: 300, sigma: 0 } }],
  });
  expect(attemptsOf(report, 'mesos')).toBeGreaterThan(100);
  expect(attemptsOf(report, 'mesos')).toBeLessThan(180);
});
