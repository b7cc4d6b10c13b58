import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { isOneLine, parseParameters } from './parameters.ts';

test.each([
  ['', {}],
  ['<parameters/>', {}],
  ['<parameters><a>1</a><b> x &lt; y </b><c/></parameters>', { a: '1', b: 'x < y', c: '' }],
  ['a=1\r\n# remark\n\n b = x = y ', { a: '1', b: 'x = y' }],
])('%j is read', (text, parameters) => {
  expect(Object.fromEntries(parseParameters(text))).toEqual(parameters);
});

test.each([
  ['<parameters>', 'line 1'],
  ['<parameters><a><b>1</b></a></parameters>', 'the parameter a has elements inside'],
  ['<parameters><a>1\n2</a></parameters>', 'the value of a is not one line'],
  ['<parameters><a>1</a><a>2</a></parameters>', 'the parameter a is given twice'],
  ['no pair', "'no pair' is not key=value"],
  ['=1', "'=1' is not key=value"],
  ['a b=1', "'a b' is not the name of a parameter"],
  ['regionWKT=1', "the parameter regionWKT is the framework's"],
])('%j is refused', (text, reason) => {
  expect(() => parseParameters(text)).toThrow(reason);
});

test('a value that is one line stays one however the file is read', () => {
  const sound = fc.property(
    fc.string({ unit: 'binary' }),
    (value) => !isOneLine(value) || value.split(/[\n\r\v\f\0\u0085\u2028\u2029]/).length === 1,
  );
  expect(fc.check(sound)).toMatchObject({ failed: false });
  expect(isOneLine('a b;$(c) = ü')).toBe(true);
  expect(isOneLine('a\nb=1')).toBe(false);
});
