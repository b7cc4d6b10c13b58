import { beforeEach, expect, test } from 'vitest';

import { createLimits } from './limits.ts';
import type { Limits } from './limits.ts';

let now: number;
let limits: Limits;
beforeEach(() => {
  now = 5_000;
  const allowed = { wallTime: 100, silence: 10, memoryMb: 64, outputBytes: 1000 };
  limits = createLimits(allowed, () => now);
});

test('silence counts from the last thing said, wall time from the beginning', () => {
  now += 10_000;
  expect(limits.time()).toBeUndefined();
  now += 1;
  expect(limits.time()).toEqual({
    kind: 'time',
    message: 'said nothing for 10 s and was taken to hang',
  });
  limits.said(1);
  expect(limits.time()).toBeUndefined();
  now += 90_000;
  limits.said(1);
  expect(limits.time()).toEqual({
    kind: 'time',
    message: 'took longer than its limit of 100 s',
  });
});

test('output adds up', () => {
  expect(limits.said(600)).toBeUndefined();
  expect(limits.said(400)).toBeUndefined();
  expect(limits.said(1)).toMatchObject({ kind: 'processor' });
});

test('memory is what is used now', () => {
  expect(limits.memory(64 * 1024 ** 2)).toBeUndefined();
  expect(limits.memory(64 * 1024 ** 2 + 1)).toEqual({
    kind: 'memory',
    message: 'used 65 MB of memory, more than its 64 MB',
  });
  expect(limits.memory(0)).toBeUndefined();
});
