import fc from 'fast-check';
import { expect, test } from 'vitest';

import { createListener } from './announcements.ts';

const hear = (...chunks: readonly (string | Uint8Array)[]) => {
  const listener = createListener();
  for (const chunk of chunks) listener.hear(Buffer.from(chunk as string));
  return listener.end();
};

test('outputs, names, input and skip are heard among other lines', () => {
  const said = `starting
OUTPUT_PRODUCT a.tif
CALVALUS_OUTPUT_PRODUCT sub/b c.tif\t\r
CALVALUS_NAMED_OUTPUT_PRODUCT ndvi  n d.tif
CALVALUS_INPUT_PRODUCT fetched.zip
CALVALUS_SKIP_PROCESSING yes
CALVALUS_PROGRESS 0.5
 OUTPUT_PRODUCT indented.tif
OUTPUT_PRODUCTS other.tif
OUTPUT_PRODUCT   
see OUTPUT_PRODUCT no.tif
OUTPUT_PRODUCT last.tif`;
  expect(hear(said)).toEqual({
    outputs: [
      { path: 'a.tif' },
      { path: 'sub/b c.tif' },
      { path: 'n d.tif', name: 'ndvi' },
      { path: 'last.tif' },
    ],
    input: 'fetched.zip',
    skip: true,
  });
});

test('"CALVALUS_SKIP_PROCESSING no" skips nothing', () => {
  expect(hear('CALVALUS_SKIP_PROCESSING no\n').skip).toBe(false);
});

const fileName = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 20 })
  .map((text) => text.replaceAll(/[\s\0]/gu, ''))
  .filter((text) => text !== '');

test('the same is heard in whatever way the bytes are cut into chunks', () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 });
  fc.assert(
    fc.property(fc.array(fileName), cuts, (names, lengths) => {
      const bytes = Buffer.from(names.map((name) => `noise\nOUTPUT_PRODUCT ${name}\n`).join(''));
      const chunks: Buffer[] = [];
      for (let at = 0, cut = 0; at < bytes.length; cut += 1) {
        const length = lengths[cut % lengths.length]!;
        chunks.push(bytes.subarray(at, at + length));
        at += length;
      }
      expect(hear(...chunks).outputs).toEqual(names.map((path) => ({ path })));
    }),
  );
});

test('a line that is too long is not heard, not even its beginning', () => {
  const long = `OUTPUT_PRODUCT ${'x'.repeat(10_000)}`;
  const halves = [long.slice(0, 9_000), long.slice(9_000)];
  expect(hear(long, '\nOUTPUT_PRODUCT ok').outputs).toEqual([{ path: 'ok' }]);
  expect(hear(...halves, '\nOUTPUT_PRODUCT ok').outputs).toEqual([{ path: 'ok' }]);
  expect(hear(long).outputs).toEqual([]);
  expect(hear(long.slice(0, 8 * 1024), '\n').outputs).toHaveLength(1);
});

test('lines made to keep a regular expression busy are read in one pass', () => {
  // With overlapping repetitions, a single one of these takes minutes.
  const blanks = ' '.repeat(8_000);
  for (const end of ['\u2028x', 'x \u2028 y', '']) {
    hear(`OUTPUT_PRODUCT${blanks}${end}\n`, `CALVALUS_NAMED_OUTPUT_PRODUCT${blanks}${end}\n`);
    hear(`OUTPUT_PRODUCT x${blanks}${end}\n`, `CALVALUS_NAMED_OUTPUT_PRODUCT x${blanks}${end}\n`);
  }
});
