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

test('what comes over a network stands still where nothing comes, and is late as a program is', () => {
  now += 10_001;
  expect(limits.stalled()).toEqual({ kind: 'network', message: 'stood still for 10 s' });
  limits.heard();
  expect(limits.stalled()).toBeUndefined();
  expect(limits.time(), 'a program that begins then is not late').toBeUndefined();
  expect(limits.overdue()).toBeUndefined();
  now += 90_000;
  expect(limits.overdue()).toEqual(limits.time());
  expect(limits.overdue()).toMatchObject({ kind: 'time' });
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
