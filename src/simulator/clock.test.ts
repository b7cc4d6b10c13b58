import { expect, test } from 'vitest';

import { createVirtualClock } from './clock.ts';

test('jumps from alarm to alarm, those of one time together and in the order in which they were set', () => {
  const clock = createVirtualClock(100);
  const rung: string[] = [];
  const ring = (name: string) => () => rung.push(`${name} ${clock.now()}`);
  clock.wakeAt(300, ring('late'));
  clock.wakeAt(200, ring('first'));
  clock.wakeAt(200, ring('second'));
  expect(clock.next()).toBe(200);
  clock.advance();
  expect(rung).toEqual(['first 200', 'second 200']);
  clock.advance();
  expect(rung.at(-1)).toBe('late 300');
  expect(clock.next()).toBeUndefined();
  clock.advance();
  expect(clock.now()).toBe(300);
});

test('never goes back, and an alarm for now that is set while ringing waits for the next time', () => {
  const clock = createVirtualClock(100);
  let rung = 0;
  const again = () => {
    rung += 1;
    clock.wakeAt(0, again);
  };
  clock.wakeAt(50, again);
  clock.advance();
  expect([rung, clock.now()]).toEqual([1, 100]);
  clock.advance();
  expect([rung, clock.now()]).toEqual([2, 100]);
});

test('forgets an alarm that was taken back, and does not gather them', () => {
  const clock = createVirtualClock(0);
  let rung = 0;
  for (let index = 0; index < 10_000; index += 1) clock.wakeAt(1e6 + index, () => (rung += 1))();
  const cancel = clock.wakeAt(5, () => (rung += 1));
  clock.wakeAt(7, () => undefined);
  cancel();
  cancel();
  expect(clock.next()).toBe(7);
  clock.advance();
  expect([rung, clock.next()]).toEqual([0, undefined]);
});

test('an alarm that rings with another can be taken back by it', () => {
  const clock = createVirtualClock(0);
  let rung = false;
  const cancel: (() => void)[] = [];
  clock.wakeAt(5, () => cancel[0]!());
  cancel.push(clock.wakeAt(5, () => (rung = true)));
  clock.advance();
  expect(rung).toBe(false);
});

test('tells whole milliseconds, and never rings before the time', () => {
  const clock = createVirtualClock(0);
  clock.wakeAt(0.1 + 0.2, () => undefined);
  clock.advance();
  expect(clock.now()).toBe(1);
});

test('goes on in the end although something wakes itself for now again and again', () => {
  const clock = createVirtualClock(0);
  const again = () => void (clock.now() === 0 && clock.wakeAt(0, again));
  again();
  for (let turn = 0; turn < 2000 && clock.next() !== undefined; turn += 1) clock.advance();
  expect(clock.now()).toBe(1);
  expect(clock.next()).toBeUndefined();
});
