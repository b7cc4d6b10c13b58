import { expect, test } from 'vitest';

import { earliestEnd } from './bound.ts';

const always = { from: 0, to: Infinity, cpus: 10, memoryMb: 1000 };
const need = { at: 0, cpuMs: 0, memoryMs: 0, chainMs: 0 };

test('is the work divided by what there is, of the scarcer resource', () => {
  expect(earliestEnd([{ ...need, cpuMs: 500 }], [always])).toBe(50);
  expect(earliestEnd([{ ...need, cpuMs: 500, memoryMs: 90_000 }], [always])).toBe(90);
});

test('is not before the longest chain of the last job', () => {
  expect(
    earliestEnd(
      [
        { ...need, cpuMs: 500 },
        { ...need, at: 40, chainMs: 30 },
      ],
      [always],
    ),
  ).toBe(70);
});

test('counts what comes late from then on', () => {
  const early = { ...need, cpuMs: 100 };
  const late = { ...need, at: 1000, cpuMs: 300 };
  expect(earliestEnd([early, late], [always])).toBe(1030);
});

test('knows when nodes join and leave', () => {
  const short = { ...always, to: 20 };
  const later = { ...always, from: 100 };
  expect(earliestEnd([{ ...need, cpuMs: 250 }], [short, later])).toBe(105);
  expect(earliestEnd([{ ...need, cpuMs: 250 }], [short])).toBe(Infinity);
});

test('of nothing is nothing', () => {
  expect(earliestEnd([], [always])).toBe(0);
});
