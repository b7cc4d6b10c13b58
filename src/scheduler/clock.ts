import type { Millis } from '../core/model.ts';

/** Time as the scheduler sees it, so that tests and simulations can bring their own. */
export interface Clock {
  now(): Millis;
  /** Calls back once at or after that time; the returned function takes the wish back. */
  wakeAt(at: Millis, callback: () => void): () => void;
}

/** Node's longest timer; longer waits simply wake early and wait again. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** A difference between two clocks that is not their drift. */
const JUMP = 1_000;

/**
 * The time of day as it was at the start, going on evenly: where somebody sets the machine's clock back, waits do not
 * become longer and nothing happens before its cause. Where it jumps ahead (a machine that slept), this one follows.
 *
 * @param wall milliseconds of the machine's clock
 * @param steady milliseconds of a clock that cannot be set
 */
export function createTimekeeper(wall: () => Millis, steady: () => number): () => Millis {
  let offset = wall() - steady();
  return () => {
    const ahead = wall() - (steady() + offset);
    if (ahead > JUMP) offset += ahead;
    return Math.floor(steady() + offset);
  };
}

const now = createTimekeeper(Date.now, () => performance.now());

export const systemClock: Clock = {
  now,
  wakeAt: (at, callback) => {
    const wait = Math.min(Math.max(0, at - now()), LONGEST_TIMER);
    const timer = setTimeout(callback, wait);
    return () => clearTimeout(timer);
  },
};
