import { expect, test } from 'vitest';

import { createChance } from './chance.ts';

const draws = (count: number, draw: (about: string) => number): number[] =>
  Array.from({ length: count }, (_, index) => draw(`thing ${index}`)).toSorted((a, b) => a - b);
const mean = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

test('the same seed and thing give the same draw, another seed or thing another one', () => {
  const first = createChance(1).uniform('a');
  expect(createChance(1).uniform('a')).toBe(first);
  expect(createChance(2).uniform('a')).not.toBe(first);
  expect(createChance(1).uniform('b')).not.toBe(first);
});

test('uniform draws fill [0, 1) evenly, even for things whose names hardly differ', () => {
  const values = draws(100_000, createChance(7).uniform);
  expect(values[0]).toBeGreaterThanOrEqual(0);
  expect(values.at(-1)).toBeLessThan(1);
  const gaps = values.map((value, index) => Math.abs(value - index / 100_000));
  expect(Math.max(...gaps)).toBeLessThan(0.01);
});

test('draws about neighbours know nothing of each other', () => {
  const { uniform } = createChance(7);
  const products = Array.from(
    { length: 100_000 },
    (_, index) => (uniform(`n ${index}`) - 0.5) * (uniform(`n ${index + 1}`) - 0.5),
  );
  expect(Math.abs(mean(products) * 12)).toBeLessThan(0.02);
});

test('lognormal draws have their median and spread', () => {
  const { lognormal } = createChance(3);
  const values = draws(20_000, (about) => lognormal(about, 60, 0.5));
  expect(values[10_000]! / 60).toBeCloseTo(1, 1);
  // One standard deviation above the median lie 15.87 % of them.
  expect(values[16_827]! / 60).toBeCloseTo(Math.exp(0.5), 1);
  expect(lognormal('any', 60, 0)).toBe(60);
});

test('exponential draws have their mean', () => {
  const { exponential } = createChance(3);
  expect(mean(draws(50_000, (about) => exponential(about, 100))) / 100).toBeCloseTo(1, 1);
});
