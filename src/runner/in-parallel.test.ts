import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { inParallel, orAbort } from './in-parallel.ts';

const never = new AbortController().signal;
/** Ends with its signal alone. */
const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason));
  });

describe('in parallel', () => {
  test('everything is done once, no more at one time than is allowed', async () => {
    const property = fc.asyncProperty(
      fc.array(fc.nat(20)),
      fc.integer({ min: 1, max: 5 }),
      async (items, most) => {
        const done: number[] = [];
        let running = 0;
        let highest = 0;
        await inParallel(
          () => items.entries(),
          most,
          never,
          async ([index, turns]) => {
            highest = Math.max(highest, (running += 1));
            for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
            running -= 1;
            done.push(index);
          },
        );
        expect(done.toSorted((a, b) => a - b)).toEqual([...items.keys()]);
        expect(highest).toBeLessThanOrEqual(most);
      },
    );
    await fc.assert(property);
  });

  test('several are done at one time', async () => {
    const met = Promise.withResolvers<void>();
    let waiting = 0;
    await inParallel(
      () => [1, 2, 3],
      3,
      never,
      async () => {
        if ((waiting += 1) === 3) met.resolve();
        await met.promise;
      },
    );
    expect(waiting).toBe(3);
  });

  test('the first failure ends the others, and is told when nothing runs any more', async () => {
    const ended: string[] = [];
    const all = inParallel(
      () => ['slow', 'bad', 'never begun'],
      2,
      never,
      async (item, signal) => {
        if (item === 'bad') throw new Error('bad');
        await untilAborted(signal).finally(() => ended.push(item));
      },
    );
    await expect(all).rejects.toThrow('bad');
    expect(ended).toEqual(['slow']);
  });

  test('an abort ends all, and who gives the items as well', async () => {
    const stop = new AbortController();
    const all = inParallel(
      async function* items(signal) {
        yield 1;
        await untilAborted(signal);
      },
      2,
      stop.signal,
      async (_, signal) => {
        stop.abort(new Error('over'));
        signal.throwIfAborted();
      },
    );
    await expect(all).rejects.toThrow('over');
  });
});

test('what cannot be ended is not waited for after an abort', async () => {
  const stop = new AbortController();
  const hanging = orAbort(stop.signal, () => new Promise(() => undefined));
  stop.abort(new Error('over'));
  await expect(hanging).rejects.toThrow('over');
  await expect(orAbort(stop.signal, async () => 1)).rejects.toThrow('over');
  expect(await orAbort(never, async () => 1)).toBe(1);
});
