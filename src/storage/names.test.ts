import fc from 'fast-check';
import { expect, test } from 'vitest';

import { compareNames } from './names.ts';
import { inOrder } from './webhdfs/order.ts';

const name = fc.array(
  fc.constantFrom('a', 'b', ' ', '~', 'é', 'ü', '日', '\ud7ff', '\ue000', '\uff5e', '😀', '𝒳'),
  { minLength: 1, maxLength: 5 },
);
const names = fc.uniqueArray(
  name.map((parts) => parts.join('')),
  { maxLength: 60 },
);

const bytesOf = (text: string) => Buffer.from(text, 'utf8');

test('names are compared as their bytes in UTF-8 are', () => {
  fc.assert(
    fc.property(names, (some) => {
      const byBytes = some.toSorted((a, b) => Buffer.compare(bytesOf(a), bytesOf(b)));
      expect(some.toSorted(compareNames)).toEqual(byBytes);
    }),
  );
});

/** Java's bytes have a sign. */
function compareSigned(a: string, b: string): number {
  const [left, right] = [new Int8Array(bytesOf(a)), new Int8Array(bytesOf(b))];
  const at = left.findIndex((byte, index) => byte !== right[index]);
  return at < 0 || at >= right.length ? left.length - right.length : left[at]! - right[at]!;
}

test('a listing in the order of HDFS comes in the order of the characters', async () => {
  await fc.assert(
    fc.asyncProperty(names, fc.integer({ min: 1, max: 7 }), async (some, size) => {
      const entries = some.toSorted(compareSigned).map((each) => ({ name: each }));
      async function* batches() {
        for (let from = 0; from < entries.length; from += size) {
          yield entries.slice(from, from + size);
        }
      }
      const listed: string[] = [];
      for await (const batch of inOrder(batches())) {
        expect(batch.length).toBeGreaterThan(0);
        listed.push(...batch.map((entry) => entry.name));
      }
      expect(listed).toEqual(some.toSorted(compareNames));
    }),
  );
});

test('names in ASCII are not held back', async () => {
  async function* batches() {
    yield [{ name: 'a' }, { name: 'b' }];
    throw new Error('the next batch');
  }
  const listing = inOrder(batches());
  expect((await listing.next()).value).toEqual([{ name: 'a' }, { name: 'b' }]);
  await expect(listing.next()).rejects.toThrow('the next batch');
});
