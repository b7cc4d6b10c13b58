import fc from 'fast-check';
import { expect, test } from 'vitest';

import { L2, L2_FORMATTED, aJob, l3, periods } from '../../test/fixtures/jobs.ts';
import { STEPS } from '../core/model.ts';
import type { Step } from '../core/model.ts';
import type { JobView } from '../store/store.ts';
import { percent } from './percent.ts';

const NONE = { total: 0, finished: 0, failed: 0 };
type Counts = Record<Step, { total: number; finished: number; failed: number }>;

const view = (change: Partial<JobView>): JobView => ({
  job: aJob(),
  control: { group: 'default', priority: 100, isPaused: false },
  state: 'running',
  updatedAt: 0,
  splitEnded: true,
  steps: { process: NONE, aggregate: NONE, format: NONE },
  attempts: 0,
  usedCpuMs: 0,
  ...change,
});

const WORKFLOWS = [L2, L2_FORMATTED, l3(1), l3(3), l3(2, false)];

const isDone = (steps: Counts, most: Record<Step, number>): boolean =>
  STEPS.every((step) => steps[step].finished === most[step]);

/** One legal thing after the other, failed tasks retried, until all have finished. */
function* course(job: JobView['job'], products: number, choices: Iterator<number>) {
  const { aggregate, format } = job.workflow;
  const most: Record<Step, number> = {
    process: products,
    aggregate: aggregate ? aggregate.partitions * job.periods.length : 0,
    format: format ? (aggregate ? job.periods.length : products) : 0,
  };
  const steps: Counts = { process: { ...NONE }, aggregate: { ...NONE }, format: { ...NONE } };
  let splitEnded = false;
  let failuresLeft = 20;
  for (;;) {
    const moves: (() => void)[] = [];
    const { process } = steps;
    if (process.total < most.process) moves.push(() => (process.total += 1));
    else if (!splitEnded) moves.push(() => (splitEnded = true));
    const isLater = process.finished + process.failed > 0;
    for (const step of ['aggregate', 'format'] as const) {
      if (isLater && steps[step].total < most[step]) moves.push(() => (steps[step].total += 1));
    }
    for (const counts of Object.values(steps)) {
      if (counts.failed > 0) moves.push(() => (counts.failed -= 1));
      if (counts.finished + counts.failed === counts.total) continue;
      moves.push(
        () => (counts.finished += 1),
        () => (counts.failed += failuresLeft-- > 0 ? 1 : 0),
      );
    }
    if (splitEnded && isDone(steps, most)) return;
    moves[(choices.next().value as number) % moves.length]!();
    yield view({ job, splitEnded, steps: structuredClone(steps) });
  }
}

test('it never falls, and keeps the last 5 for staging', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...WORKFLOWS),
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 4 }),
      fc.infiniteStream(fc.nat(1000)),
      (workflow, products, days, choices) => {
        const job = aJob({ workflow, periods: periods(days) });
        const told = [...course(job, products, choices)].map(percent);
        expect(told).toEqual(told.toSorted((a, b) => a - b));
        expect(told.every((value) => Number.isInteger(value) && value >= 0)).toBe(true);
        expect(told.at(-1)).toBe(95);
      },
    ),
  );
});

test('100 is for successful jobs alone', () => {
  const steps = { process: { total: 3, finished: 3, failed: 0 }, aggregate: NONE, format: NONE };
  for (const state of ['accepted', 'running', 'failed', 'dismissed'] as const) {
    expect(percent(view({ state, steps }))).toBe(95);
  }
  expect(percent(view({ state: 'successful', steps }))).toBe(100);
  expect(percent(view({ state: 'successful', splitEnded: false }))).toBe(100);
});

test('it is 0 until all products are known', () => {
  const steps = { process: { total: 3, finished: 3, failed: 0 }, aggregate: NONE, format: NONE };
  expect(percent(view({ steps, splitEnded: false }))).toBe(0);
  expect(percent(view({}))).toBe(0);
});
