import type { Millis } from '../core/model.ts';

/** Counts how often something was done, over and over for the same time. */
export interface Window {
  /** Seconds until it may be done again; 0 where it may be done now. */
  wait(key: string): number;
  count(key: string): void;
}

/** Addresses are many and cheap: when so many were seen, counting begins anew. */
const MOST_KEYS = 100_000;

/**
 * @param limit how often each key may be counted in that time
 * @param seconds length of the time; twice the limit can fall on both sides of where one ends
 */
export function createWindow(limit: number, seconds: number, now: () => Millis): Window {
  const counts = new Map<string, number>();
  let end = 0;
  const renew = () => {
    if (now() < end && counts.size < MOST_KEYS) return;
    counts.clear();
    end = now() + seconds * 1000;
  };
  return {
    wait(key) {
      renew();
      return (counts.get(key) ?? 0) < limit ? 0 : Math.max(1, Math.ceil((end - now()) / 1000));
    },
    count(key) {
      renew();
      counts.set(key, (counts.get(key) ?? 0) + 1);
    },
  };
}
