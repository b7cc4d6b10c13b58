import { setTimeout as pause } from 'node:timers/promises';

import { PushbroomError } from '../errors.ts';

/**
 * Milliseconds between the tries to use a storage that is away, two minutes in all: a name node takes as long to follow
 * another, or to restart.
 */
const PAUSES: readonly number[] = [500, 1_000, 2_000, 5_000, 10_000, 20_000, 40_000, 40_000];

export interface Patience {
  readonly pauses?: readonly number[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Whether it may be different in a while. */
export const isAway = (error: unknown): boolean =>
  error instanceof PushbroomError && error.code === 'UNAVAILABLE';

/** Does something again, after a pause each, for as long as a storage that it needs is away. */
export async function patiently<T>(
  work: () => Promise<T>,
  { pauses = PAUSES, signal }: Patience = {},
): Promise<T> {
  for (const milliseconds of pauses) {
    try {
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      if (!isAway(error)) throw error;
      // Nobody who ends waits for it.
      await pause(milliseconds, undefined, { ref: false, ...(signal && { signal }) });
    }
  }
  return work();
}
