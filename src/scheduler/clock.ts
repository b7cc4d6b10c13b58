import type { Millis } from '../core/model.ts';

/** Time as the scheduler sees it, so that tests and simulations can bring their own. */
export interface Clock {
  now(): Millis;
  /** Calls back once at or after that time; the returned function takes the wish back. */
  wakeAt(at: Millis, callback: () => void): () => void;
}

/** Node's longest timer; longer waits simply wake early and wait again. */
const LONGEST_TIMER = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  wakeAt: (at, callback) => {
    const wait = Math.min(Math.max(0, at - Date.now()), LONGEST_TIMER);
    const timer = setTimeout(callback, wait);
    return () => clearTimeout(timer);
  },
};
