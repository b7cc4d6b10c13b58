import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseParameters, wholeNumber } from './parameters.ts';

const shellQuoted = (text: string) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

it('a plain value reaches to the end of its line', () => {
  const text = "# comment\nregionWKT=POLYGON((1 2, 3 4))\r\nempty=\n\nname=it's a=b\n";
  expect([...parseParameters(text)]).toEqual([
    ['regionWKT', 'POLYGON((1 2, 3 4))'],
    ['empty', ''],
    ['name', "it's a=b"],
  ]);
});

it('any value comes back from its shell quoting, whatever it contains', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme' })), (values) => {
      const text = values.map((value, i) => `key${i}=${shellQuoted(value)}\n`).join('');
      expect([...parseParameters(text).values()]).toEqual(values);
    }),
  );
});

it('a quoted value may go on for several lines', () => {
  const parameters = parseParameters('xml=\'<a>\n  <b k="1"/>\n</a>\'\nnext=1');
  expect(parameters.get('xml')).toBe('<a>\n  <b k="1"/>\n</a>');
  expect(parameters.get('next')).toBe('1');
});

it('a number that is none is refused', () => {
  const parameters = parseParameters('partition=x');
  expect(wholeNumber(parameters, 'partitions', 1)).toBe(1);
  expect(() => wholeNumber(parameters, 'partition', 0)).toThrow('no whole number: x');
});
