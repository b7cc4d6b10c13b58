import { Heap } from '../core/heap.ts';
import type { Millis } from '../core/model.ts';
import type { Clock } from '../scheduler/clock.ts';

/** Time that stands still until it is told to go on. */
export interface VirtualClock extends Clock {
  /** When the next alarm rings; `undefined` when nothing is waited for. */
  next(): Millis | undefined;
  /** Jumps to the next alarm and rings all of that time. */
  advance(): void;
}

interface Alarm {
  readonly at: Millis;
  /** Alarms of one time ring in the order in which they were set. */
  readonly order: number;
  callback: (() => void) | undefined;
}

/** Who wakes himself for now again and again would wait for ever where real time goes on. */
const MOST_STANDING = 1000;

export function createVirtualClock(start: Millis): VirtualClock {
  let now = start;
  let order = 0;
  let cancelled = 0;
  /** How often in a row it was told to go on and had no later alarm. */
  let standing = 0;
  let alarms = createAlarms();

  /** The scheduler takes a wish back in every turn: without this, they would pile up until their time comes. */
  function sweep(): void {
    if (cancelled < 1000 || cancelled * 2 < alarms.size) return;
    const kept = createAlarms();
    for (let alarm = alarms.pop(); alarm; alarm = alarms.pop())
      if (alarm.callback) kept.push(alarm);
    alarms = kept;
    cancelled = 0;
  }

  function next(): Alarm | undefined {
    for (let alarm = alarms.peek(); alarm; alarm = alarms.peek()) {
      if (alarm.callback) return alarm;
      alarms.pop();
      cancelled -= 1;
    }
    return undefined;
  }

  return {
    now: () => now,
    wakeAt(at, callback) {
      // In whole milliseconds, as real clocks are read.
      const alarm: Alarm = { at: Math.max(Math.ceil(at), now), order, callback };
      order += 1;
      alarms.push(alarm);
      return () => {
        if (!alarm.callback) return;
        alarm.callback = undefined;
        cancelled += 1;
        sweep();
      };
    },
    next: () => next()?.at,
    advance() {
      const before = now;
      now = Math.max(now, next()?.at ?? now);
      standing = now === before ? standing + 1 : 0;
      if (standing > MOST_STANDING) now += 1;
      // What is set meanwhile, even for now, rings the next time: a callback that wakes itself must not hang us.
      const last = order;
      for (let alarm = next(); alarm && alarm.at <= now && alarm.order < last; alarm = next()) {
        alarms.pop();
        const { callback } = alarm;
        alarm.callback = undefined;
        callback?.();
      }
    },
  };
}

const createAlarms = (): Heap<Alarm> =>
  new Heap((a, b) => a.at < b.at || (a.at === b.at && a.order < b.order));
