import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { parametersText } from './parameters.ts';

test('plain values are left alone, so that readers of lines see them as they are', () => {
  expect(parametersText({ minDate: '2020-01-01', bands: 'B3,B4', path: '/a/b.c', empty: '' })).toBe(
    'minDate=2020-01-01\nbands=B3,B4\npath=/a/b.c\nempty=\n',
  );
});

test('a shell that sources the file reads back every value and executes none', () => {
  const nasty = fc.constantFrom('$(touch evil)', '`id`', "'", '"', '\\', '\n', '#', '~', ';', '*');
  const value = fc
    .array(fc.oneof(nasty, fc.string({ unit: 'binary', maxLength: 8 })))
    // No shell variable can hold NUL.
    .map((parts) => parts.join('').replaceAll('\0', ''));
  const directory = mkdtempSync(join(tmpdir(), 'parameters-'));
  try {
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 40 }), (values) => {
        const entries = values.map((text, index) => [`p${index}`, text] as const);
        writeFileSync(join(directory, 'parameters'), parametersText(Object.fromEntries(entries)));
        const print = entries.map(([key]) => `printf '%s\\0' "$${key}"`).join('\n');
        const script = `. ./parameters\n${print}`;
        const read = execFileSync('sh', ['-eu', '-c', script], { cwd: directory });
        expect(read.toString().split('\0').slice(0, -1)).toEqual(values);
      }),
      { numRuns: 50 },
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
});
