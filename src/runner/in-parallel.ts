/** Files that one attempt brings to its node or takes from there at one time. */
export const TRANSFERS = 4;

type Items<T> = Iterable<T> | AsyncIterable<T>;

/**
 * Does something with each of the items, a few at a time. When one fails, or at an abort, the others are ended and no
 * more are begun; that is told when nothing runs any more, so that what they work on can be removed.
 *
 * @param itemsOf has to end soon after the signal that it is given aborts, as has `act`
 */
export async function inParallel<T>(
  itemsOf: (signal: AbortSignal) => Items<T>,
  most: number,
  signal: AbortSignal,
  act: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const errors: unknown[] = [];
  const queue = inTurn(itemsOf(either));
  const work = async (): Promise<void> => {
    try {
      for await (const item of queue) {
        either.throwIfAborted();
        await act(item, either);
      }
    } catch (error) {
      errors.push(error);
      stop.abort();
    }
  };
  await Promise.all(Array.from({ length: most }, work));
  // The others' errors are what the first one has brought about.
  if (errors.length > 0) throw errors[0];
}

/** One for all who ask, each of whom gets another item. */
async function* inTurn<T>(items: Items<T>): AsyncGenerator<T> {
  yield* items;
}

/** Rejects at an abort as well. The work itself goes on: for what cannot be ended and does no harm. */
export async function orAbort<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort);
  try {
    return await Promise.race([work(), aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
