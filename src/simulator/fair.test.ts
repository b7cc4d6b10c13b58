import fc from 'fast-check';
import { expect, test } from 'vitest';

import { createGroupPolicy } from '../core/policy.ts';
import { fairShares, jainIndex } from './fair.ts';

const shares = (
  groups: Parameters<typeof createGroupPolicy>[0][],
  wanted: Record<string, number>,
) =>
  Object.fromEntries(
    Array.from(
      fairShares(
        groups.map(createGroupPolicy),
        new Map(Object.entries(wanted).map(([path, cpus]) => [path, { cpus, memory: 0, gpus: 0 }])),
      ),
      ([path, share]) => [path, Number(share.toFixed(5))],
    ).filter(([, share]) => share !== 0),
  );

test('siblings share by weight', () => {
  expect(shares([{ name: 'a', weight: 3 }, { name: 'b' }], { a: 1, b: 5 })).toEqual({
    a: 0.75,
    b: 0.25,
  });
});

test('what one does not want goes to the others by their weights', () => {
  expect(
    shares([{ name: 'a' }, { name: 'b' }, { name: 'c', weight: 2 }], { a: 0.1, b: 1, c: 1 }),
  ).toEqual({
    a: 0.1,
    b: 0.3,
    c: 0.6,
  });
});

test('minimum and maximum bound a share', () => {
  const groups = [
    { name: 'a', minimumPercent: 60 },
    { name: 'b', maximumPercent: 10 },
    { name: 'c' },
  ];
  expect(shares(groups, { a: 1, b: 1, c: 1 })).toEqual({ a: 0.6, b: 0.1, c: 0.3 });
  expect(shares(groups, { b: 1 })).toEqual({ b: 0.1 });
});

test('children share what their parent has', () => {
  const parent = { name: 'p', groups: ['x', 'y'].map((name) => createGroupPolicy({ name })) };
  expect(shares([parent, { name: 'q' }], { 'p/x': 1, 'p/y': 1, q: 1 })).toEqual({
    'p/x': 0.25,
    'p/y': 0.25,
    q: 0.5,
  });
  expect(shares([parent, { name: 'q' }], { 'p/x': 0.1, q: 0.2, default: 1 })).toEqual({
    'p/x': 0.1,
    q: 0.2,
    default: 0.7,
  });
});

test('gives away all that is wanted, and never more than there is', () => {
  const wish = fc.double({ min: 0, max: 3, noNaN: true });
  fc.assert(
    fc.property(fc.array(wish, { minLength: 1, maxLength: 8 }), (wishes) => {
      const names = wishes.map((_, index) => `g${index}`);
      const wanted = new Map(
        names.map((name, index) => [name, { cpus: wishes[index]!, memory: 0, gpus: 0 }]),
      );
      const given = fairShares(
        names.map((name, index) => createGroupPolicy({ name, weight: index + 1 })),
        wanted,
      );
      const sum = [...given.values()].reduce((total, share) => total + share, 0);
      const all = wishes.reduce((total, each) => total + Math.min(each, 1), 0);
      expect(sum).toBeCloseTo(Math.min(1, all), 6);
    }),
  );
});

test('who wants processors and who wants memory can have more than the half each', () => {
  const groups = ['cpu', 'memory'].map((name) => createGroupPolicy({ name }));
  const given = fairShares(
    groups,
    new Map([
      ['cpu', { cpus: 8, memory: 2, gpus: 0 }],
      ['memory', { cpus: 2, memory: 6, gpus: 0 }],
    ]),
  );
  // x + x/3 of the processors, x/4 + x of the memory.
  expect(given.get('cpu')).toBeCloseTo(0.75, 5);
  expect(given.get('memory')).toBeCloseTo(0.75, 5);
});

test('who wants GPUs has a share of those', () => {
  const groups = ['cpu', 'gpu'].map((name) => createGroupPolicy({ name }));
  const given = fairShares(
    groups,
    new Map([
      ['cpu', { cpus: 9, memory: 1, gpus: 0 }],
      ['gpu', { cpus: 1, memory: 1, gpus: 4 }],
    ]),
  );
  // x + x/4 of the processors.
  expect(given.get('cpu')).toBeCloseTo(0.8, 5);
  expect(given.get('gpu')).toBeCloseTo(0.8, 5);
});

test("Jain's index is 1 for equal parts and 1/n for one alone", () => {
  expect(jainIndex([0.3, 0.3, 0.3])).toBeCloseTo(1);
  expect(jainIndex([1, 0, 0, 0])).toBe(0.25);
  expect(jainIndex([])).toBe(1);
});
