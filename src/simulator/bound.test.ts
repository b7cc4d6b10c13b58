import { expect, test } from 'vitest';

import { earliestEnd } from './bound.ts';

const always = { from: 0, to: Infinity, cpus: 10, memoryMb: 1000 };
const need = { at: 0, work: { cpus: 0, memoryMb: 0 }, chainMs: 0 };
const work = (cpus: number, memoryMb = 0, gpus = 0) => ({ work: { cpus, memoryMb, gpus } });

test('is the work divided by what there is, of the scarcer resource', () => {
  expect(earliestEnd([{ ...need, ...work(500) }], [always])).toBe(50);
  expect(earliestEnd([{ ...need, ...work(500, 90_000) }], [always])).toBe(90);
  const withGpus = { ...always, gpus: 2 };
  expect(earliestEnd([{ ...need, ...work(500, 90_000, 400) }], [always, withGpus])).toBe(200);
  expect(earliestEnd([{ ...need, ...work(500, 90_000, 400) }], [always])).toBe(Infinity);
});

test('is not before the longest chain of the last job', () => {
  expect(
    earliestEnd(
      [
        { ...need, ...work(500) },
        { ...need, at: 40, chainMs: 30 },
      ],
      [always],
    ),
  ).toBe(70);
});

test('counts what comes late from then on', () => {
  const early = { ...need, ...work(100) };
  const late = { ...need, at: 1000, ...work(300) };
  expect(earliestEnd([early, late], [always])).toBe(1030);
});

test('knows when nodes join and leave', () => {
  const short = { ...always, to: 20 };
  const later = { ...always, from: 100 };
  expect(earliestEnd([{ ...need, ...work(250) }], [short, later])).toBe(105);
  expect(earliestEnd([{ ...need, ...work(250) }], [short])).toBe(Infinity);
});

test('of nothing is nothing', () => {
  expect(earliestEnd([], [always])).toBe(0);
});
