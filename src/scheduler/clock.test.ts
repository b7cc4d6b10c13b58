import { expect, test } from 'vitest';

import { createTimekeeper } from './clock.ts';

function clocks() {
  const time = { wall: 1_000_000, steady: 5 };
  const now = createTimekeeper(
    () => time.wall,
    () => time.steady,
  );
  const pass = (ms: number): void => {
    time.wall += ms;
    time.steady += ms;
  };
  return { time, now, pass };
}

test('time goes on as the machine says', () => {
  const { now, pass } = clocks();
  expect(now()).toBe(1_000_000);
  pass(5_000);
  expect(now()).toBe(1_005_000);
});

test('a clock that is set back does not take time back, nor does it stand still', () => {
  const { time, now, pass } = clocks();
  time.wall -= 3_600_000;
  expect(now()).toBe(1_000_000);
  pass(10);
  expect(now()).toBe(1_000_010);
});

test('a clock that jumps ahead is followed', () => {
  const { time, now, pass } = clocks();
  time.wall += 3_600_000;
  expect(now()).toBe(4_600_000);
  pass(10);
  expect(now()).toBe(4_600_010);
});
