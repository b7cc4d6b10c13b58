import fc from 'fast-check';
import { expect, test } from 'vitest';

import { aJob, L2, L2_FORMATTED, l3 } from '../../test/fixtures/jobs.ts';
import { costOf, estimate } from './estimate.ts';
import type { Usage } from './model.ts';

const usage = (figures: Partial<Usage>): Usage => ({ wallMs: 1000, sources: {}, ...figures });
const PLAN = { cpus: 2, memoryMb: 100 };
const EXTENT = { products: 10, periods: 3, isLowerBound: false };
const MIB = 1024 * 1024;

test('costs are the means of what is known', () => {
  const cost = costOf(
    [
      usage({ wallMs: 1000, cpuUserMs: 600, cpuSystemMs: 200, peakMemoryBytes: 50, readBytes: 7 }),
      usage({ wallMs: 3000, cpuUserMs: 1200, peakMemoryBytes: 150, writtenBytes: 5 }),
      usage({ wallMs: 2000 }),
    ],
    PLAN,
  );
  expect(cost).toEqual({ wallMs: 2000, cpuMs: 1000, peakMemoryBytes: 100, volumeBytes: 6 });
});

test('what was never measured is what the plan reserves', () => {
  expect(costOf([usage({ wallMs: 500 })], PLAN)).toEqual({
    wallMs: 500,
    cpuMs: 1000,
    peakMemoryBytes: 100 * MIB,
    volumeBytes: 0,
  });
  expect(costOf([], PLAN)).toBeUndefined();
});

test('what storages gave and took counts where programs were not measured', () => {
  const cost = costOf([usage({ storageReadBytes: 30, storageWrittenBytes: 12 })], PLAN);
  expect(cost).toMatchObject({ volumeBytes: 42 });
});

test('tasks of later steps are counted by products or by periods', () => {
  const tasks = (job: ReturnType<typeof aJob>) =>
    estimate(job, EXTENT, {}, 1000).steps.map((step) => [step.step, step.tasks]);
  expect(tasks(aJob())).toEqual([['process', 10]]);
  expect(tasks(aJob({ workflow: L2_FORMATTED }))).toEqual([
    ['process', 10],
    ['format', 10],
  ]);
  expect(tasks(aJob({ workflow: l3(4) }))).toEqual([
    ['process', 10],
    ['aggregate', 12],
    ['format', 3],
  ]);
  expect(tasks(aJob({ workflow: { ...L2, type: 'Local' } }))).toEqual([]);
});

test('a step without history is assumed, whatever is known of another one', () => {
  const job = aJob({ workflow: L2_FORMATTED });
  const known = { wallMs: 10, cpuMs: 8, peakMemoryBytes: 5 * 1024 * MIB, volumeBytes: 3 };
  const found = estimate(job, EXTENT, { process: known }, 60_000);
  expect(found).toMatchObject({
    instances: 20,
    wallMs: 600_100,
    cpuMs: 600_080,
    peakMemoryBytes: 5 * 1024 * MIB,
    volumeBytes: 30,
  });
  expect(found.steps.map(({ basis }) => basis)).toEqual(['history', 'default']);
});

test('more products never cost less, and all figures are whole numbers', () => {
  const figure = fc.option(fc.integer({ min: 0, max: 2 ** 40 }), { nil: undefined });
  const usages = fc.array(
    fc.record({
      wallMs: fc.integer({ min: 0, max: 2 ** 31 }),
      cpuUserMs: figure,
      cpuSystemMs: figure,
      peakMemoryBytes: figure,
      readBytes: figure,
      writtenBytes: figure,
    }),
    { maxLength: 5 },
  );
  fc.assert(
    fc.property(usages, fc.nat(1_000_000), fc.nat(1000), (known, products, more) => {
      const cost = costOf(known as readonly object[] as readonly Usage[], PLAN);
      const history = cost ? { process: cost } : {};
      const of = (count: number) =>
        estimate(aJob(), { ...EXTENT, products: count }, history, 60_000);
      const [few, many] = [of(products), of(products + more)];
      for (const key of ['cpuMs', 'wallMs', 'reservedCpuMs', 'volumeBytes', 'instances'] as const) {
        expect(many[key]).toBeGreaterThanOrEqual(few[key]);
        expect(Number.isInteger(few[key])).toBe(true);
      }
      expect(Number.isInteger(few.peakMemoryBytes)).toBe(true);
    }),
  );
});
