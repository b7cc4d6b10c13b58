import { expect, test } from 'vitest';

import { PushbroomError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import { AttemptFailed, notBrought, notStored } from './failure.ts';

const PLACE = 'hdfs://archive/a';
const failureOf = (error: unknown) => (error as AttemptFailed).failure;

test.each([
  ['NOT_FOUND', 'input', 'engine'],
  ['FORBIDDEN', 'input', 'engine'],
  ['INVALID_PARAMETER', 'input', 'processor'],
  ['UNAVAILABLE', 'network', 'network'],
  ['STORAGE_FULL', 'engine', 'disk'],
  ['CONFLICT', 'input', 'engine'],
] as const satisfies readonly (readonly [ErrorCode, string, string])[])(
  'what a storage says has a meaning for the attempt: %s',
  (code, reading, writing) => {
    const error = new PushbroomError(code, 'Why.');
    expect(failureOf(notBrought(PLACE, error))).toEqual({
      kind: reading,
      message: `the input ${PLACE} cannot be used: Why.`,
    });
    expect(failureOf(notStored(PLACE, error))).toEqual({
      kind: writing,
      message: `the outputs cannot be brought to ${PLACE}: Why.`,
    });
  },
);

test('what is no error of a storage stays what it is', () => {
  for (const error of [new Error('other'), new AttemptFailed('time', 'too long')]) {
    expect(notBrought(PLACE, error)).toBe(error);
    expect(notStored(PLACE, error)).toBe(error);
  }
});
