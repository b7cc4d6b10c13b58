import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Period } from './model.ts';
import { days, daysBetween, MAX_PERIODS, periods } from './periods.ts';
import { dayOfNumber } from './time.ts';

/** `2002-04-05:04-09,...`: the year of the start goes for the end too unless that names its own. */
function written(list: string): Period[] {
  return list.split(',').map((text) => {
    const [from = '', to = ''] = text.trim().split(':');
    return { from, to: to.length === 5 ? `${from.slice(0, 4)}-${to}` : to };
  });
}

const split = (min: string, max: string, stepping: string, compositing?: string): Period[] =>
  periods({ from: min, to: max }, stepping, compositing);

describe('periods of the specification (B.8.1)', () => {
  test.each([
    [
      '2002-04-05',
      '2002-04-25',
      '5',
      '5',
      '2002-04-05:04-09, 2002-04-10:04-14, 2002-04-15:04-19, 2002-04-20:04-24',
    ],
    ['2002-04-05', '2002-04-25', '5', '10', '2002-04-05:04-14, 2002-04-10:04-19, 2002-04-15:04-24'],
    ['2002-04-05', '2002-04-25', '10', '5', '2002-04-05:04-09, 2002-04-15:04-19'],
    [
      '2002-04-05',
      '2002-04-25',
      '1w',
      '1w',
      '2002-04-05:04-11, 2002-04-12:04-18, 2002-04-19:04-25',
    ],
    ['2004-02-20', '2004-03-10', '7', '7', '2004-02-20:02-26, 2004-02-27:03-04'],
    ['2004-02-20', '2004-03-10', '1w', '1w', '2004-02-20:02-26, 2004-02-27:03-05'],
    ['2004-02-21', '2004-03-05', '1w', '1w', '2004-02-21:02-27, 2004-02-28:03-05'],
    ['2004-02-22', '2004-03-05', '1w', '1w', '2004-02-22:02-29'],
    ['2004-02-23', '2004-03-05', '1w', '1w', '2004-02-23:03-01'],
    ['2004-02-24', '2004-03-05', '1w', '1w', '2004-02-24:03-02'],
    ['2003-02-22', '2003-03-05', '1w', '1w', '2003-02-22:02-28'],
    ['2003-02-23', '2003-03-05', '1w', '1w', '2003-02-23:03-01'],
    [
      '2002-01-01',
      '2002-04-30',
      '1m',
      '5d',
      '2002-01-01:01-05, 2002-02-01:02-05, 2002-03-01:03-05, 2002-04-01:04-05',
    ],
    [
      '2002-01-01',
      '2002-04-30',
      '1m',
      '1m',
      '2002-01-01:01-31, 2002-02-01:02-28, 2002-03-01:03-31, 2002-04-01:04-30',
    ],
    [
      '2002-01-15',
      '2002-04-30',
      '1m',
      '1m',
      '2002-01-15:02-14, 2002-02-15:03-14, 2002-03-15:04-14',
    ],
    [
      '2002-01-01',
      '2004-12-31',
      '1y',
      '1y',
      '2002-01-01:12-31, 2003-01-01:12-31, 2004-01-01:12-31',
    ],
    [
      '2020-01-01',
      '2020-12-31',
      '1m',
      '1w',
      Array.from({ length: 12 }, (_, month) => {
        const start = `2020-${String(month + 1).padStart(2, '0')}`;
        return `${start}-01:${start.slice(5)}-07`;
      }).join(),
    ],
  ])('%s to %s, every %s for %s', (min, max, stepping, compositing, expected) => {
    expect(split(min, max, stepping, compositing)).toEqual(written(expected));
  });

  test.each([
    ['2004-12-22', '2005-01-04', '2004-12-28'],
    ['2004-12-23', '2005-01-04', '2004-12-29'],
    ['2004-12-24', '2005-01-04', '2004-12-31'],
    ['2004-12-25', '2005-01-04', '2005-01-01'],
    ['2004-12-26', '2005-01-04', '2005-01-02'],
    ['2003-12-23', '2004-01-04', '2003-12-29'],
    ['2003-12-24', '2004-01-04', '2003-12-31'],
    ['2003-12-25', '2004-01-04', '2004-01-01'],
    ['2003-12-26', '2004-01-04', '2004-01-02'],
  ])('the first week from %s to %s ends on %s', (min, max, end) => {
    expect(split(min, max, '1w', '1w')[0]).toEqual({ from: min, to: end });
  });

  test.each([
    ['2003-12-30', '2004-01-05'],
    ['2003-12-31', '2004-01-06'],
    ['2004-12-30', '2005-01-05'],
    ['2004-12-31', '2005-01-06'],
  ])('a week that begins on %s, behind the one of eight days, has seven', (min, end) => {
    expect(split(min, '2005-02-01', '1w')[0]).toEqual({ from: min, to: end });
  });

  test('a dekad starts on the 1st, 11th and 21st', () => {
    const starts = split('2016-01-01', '2016-03-20', '-10').map(({ from }) => from.slice(5));
    expect(starts).toEqual([
      '01-01',
      '01-11',
      '01-21',
      '02-01',
      '02-11',
      '02-21',
      '03-01',
      '03-11',
    ]);
  });
});

test('the lengths of old are a week and a month', () => {
  expect(split('2004-02-20', '2004-03-10', '-7')).toEqual(split('2004-02-20', '2004-03-10', '1w'));
  expect(split('2002-01-01', '2002-04-30', '-30')).toEqual(split('2002-01-01', '2002-04-30', '1m'));
});

test('a length may have blanks, and d for days', () => {
  const expected = split('2002-04-05', '2002-04-25', '5');
  for (const text of ['5d', '5 d', ' 5 ', '05']) {
    expect(split('2002-04-05', '2002-04-25', text)).toEqual(expected);
  }
});

test('months are counted from the period before, so that no day is left between two', () => {
  expect(split('2002-01-31', '2002-05-01', '1m')).toEqual(
    written('2002-01-31:02-27, 2002-02-28:03-27, 2002-03-28:04-27'),
  );
});

test('a period that ends with the range is kept and one that is a day short is dropped', () => {
  expect(split('2002-04-01', '2002-04-05', '5')).toEqual(written('2002-04-01:04-05'));
  expect(() => split('2002-04-01', '2002-04-04', '5')).toThrow('No time ranges specified.');
  expect(() => split('2002-04-02', '2002-04-01', '1')).toThrow('No time ranges specified.');
});

test.each([
  ['0', 'period must be greater than 0, is 0'],
  ['0w', 'period must be greater than 0, is 0'],
  ['-1', 'period must be greater than 0, is -1'],
  ['2.5', 'can not parse periodText: 2.5'],
  ['', 'can not parse periodText: '],
  ['w', 'can not parse periodText: w'],
  ['1W', 'can not parse periodText: 1W'],
  ['1 m 2', 'can not parse periodText: 1 m 2'],
  ['999999', 'can not parse periodText: 999999'],
  ['constructor', 'can not parse periodText: constructor'],
])('the length %j is refused', (text, message) => {
  expect(() => split('2002-04-05', '2002-04-25', text)).toThrow(message);
  expect(() => split('2002-04-05', '2002-04-25', '5', text)).toThrow(message);
});

test('a day that is none is named', () => {
  expect(() => split('2002-04-31', '2002-05-25', '1')).toThrow('"2002-04-31" is not a day');
});

test('more periods than a job can hold are refused, not computed', () => {
  expect(split('2000-01-01', dayOfNumber(10_957 + MAX_PERIODS - 1), '1')).toHaveLength(MAX_PERIODS);
  const oneMore = dayOfNumber(10_957 + MAX_PERIODS);
  expect(() => split('2000-01-01', oneMore, '1')).toThrow('use a longer one');
  expect(() => split('2000-01-01', '9999-12-31', '1')).toThrow(
    `"1" makes more than ${MAX_PERIODS} periods from 2000-01-01 to 9999-12-31`,
  );
});

test('the longest length at the end of the calendar is no more than too long', () => {
  for (const text of ['99999', '99999w', '99999m', '99999y']) {
    expect(() => split('9999-12-30', '9999-12-31', text)).toThrow('No time ranges specified.');
    expect(split('9999-12-30', '9999-12-31', text, '1')).toEqual(written('9999-12-30:12-30'));
  }
});

const day = fc.integer({ min: 0, max: 30_000 }).map(dayOfNumber);
const length = fc
  .tuple(fc.integer({ min: 1, max: 60 }), fc.constantFrom('', 'd', 'w', 'm', 'y'))
  .map(([count, unit]) => `${count}${unit}`);
const anyLength = fc.oneof(length, fc.constantFrom('-7', '-10', '-30'));

/** The periods, or none where the range holds none or too many. */
function tried(range: Period, stepping: string, compositing?: string): Period[] {
  try {
    return periods(range, stepping, compositing);
  } catch {
    return [];
  }
}

describe('for any range and length', () => {
  test('periods that are as long as their step leave no day out and share none', () => {
    let reached = 0;
    fc.assert(
      fc.property(day, day, anyLength, (from, to, stepping) => {
        const found = tried({ from, to }, stepping);
        if (found.length > 1) reached++;
        found.slice(1).forEach((period, index) => {
          expect(daysBetween(found[index]!.to, period.from)).toBe(1);
        });
      }),
    );
    expect(reached).toBeGreaterThan(0);
  });

  test('periods lie in the range, in order of their starts and of their ends', () => {
    fc.assert(
      fc.property(day, day, anyLength, anyLength, (from, to, stepping, compositing) => {
        const found = tried({ from, to }, stepping, compositing);
        found.forEach((period, index) => {
          expect(period.from >= from && period.from <= period.to && period.to <= to).toBe(true);
          const next = found[index + 1] ?? { from: '9999', to: '9999' };
          expect(period.from < next.from && period.to <= next.to).toBe(true);
        });
      }),
    );
  });

  test('a length that is garbage throws an Error', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!/^\s*\d+ *[dwmy]?\s*$/.test(text));
        expect(() => split('2002-04-05', '2002-04-25', text)).toThrow(
          /^(can not parse periodText|period must be greater)/,
        );
      }),
    );
  });
});

test('days are those between both ends, inclusive', () => {
  expect([...days({ from: '2004-02-28', to: '2004-03-01' })]).toEqual([
    '2004-02-28',
    '2004-02-29',
    '2004-03-01',
  ]);
  expect([...days({ from: '2004-03-01', to: '2004-02-28' })]).toEqual([]);
  expect(daysBetween('2004-02-28', '2004-03-01')).toBe(2);
});
