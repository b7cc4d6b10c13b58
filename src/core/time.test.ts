import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  addMonths,
  calendarOf,
  dayNumber,
  dayNumberOf,
  dayOfNumber,
  dayOfYear,
  isDay,
  isLeapYear,
  timestamp,
} from './time.ts';

const dayNumbers = fc.integer({ min: -719_162, max: 2_932_896 }); // 0001-01-01 to 9999-12-31

describe('days', () => {
  test.each(['2004-02-29', '2000-02-29', '1970-01-01', '9999-12-31', '0001-01-01'])(
    '%s is one',
    (day) => {
      expect(isDay(day)).toBe(true);
    },
  );
  test.each([
    '2001-02-29',
    '1900-02-29',
    '2001-13-01',
    '2001-00-01',
    '2001-01-32',
    '2001-1-1',
    '20010101',
    '',
    '2001-01-01T00:00:00Z',
    ' 2001-01-01',
    '2001-01-01\n',
    '-001-01-01',
  ])('%j is none', (text) => {
    expect(isDay(text)).toBe(false);
    expect(() => dayNumber(text)).toThrow('is not a day (yyyy-MM-dd)');
  });

  test('are numbered from 1970', () => {
    expect(dayNumber('1970-01-01')).toBe(0);
    expect(dayNumber('1969-12-31')).toBe(-1);
    expect(dayNumber('2000-01-01')).toBe(10_957);
  });

  test('survive the way to a number and back, and to year, month and day and back', () => {
    fc.assert(
      fc.property(dayNumbers, (number) => {
        expect(dayNumber(dayOfNumber(number))).toBe(number);
        const { year, month, day } = calendarOf(number);
        expect(dayNumberOf(year, month, day)).toBe(number);
        expect(dayOfNumber(number)).toBe(
          [
            String(year).padStart(4, '0'),
            String(month).padStart(2, '0'),
            String(day).padStart(2, '0'),
          ].join('-'),
        );
      }),
    );
  });
});

test('a timestamp is fourteen digits in UTC', () => {
  expect(timestamp(Date.parse('2017-03-09T04:05:06.789+02:00'))).toBe('20170309020506');
});

test.each([
  ['2002-01-15', 1, '2002-02-15'],
  ['2002-01-31', 1, '2002-02-28'],
  ['2004-01-31', 1, '2004-02-29'],
  ['2002-12-31', 2, '2003-02-28'],
  ['2004-02-29', 12, '2005-02-28'],
  ['2002-01-01', 36, '2005-01-01'],
])('%s and %i months is %s', (from, months, to) => {
  expect(dayOfNumber(addMonths(dayNumber(from), months))).toBe(to);
});

test('the day of the year counts from 1 and knows leap years', () => {
  expect(dayOfYear(dayNumber('2003-01-01'))).toBe(1);
  expect(dayOfYear(dayNumber('2003-12-31'))).toBe(365);
  expect(dayOfYear(dayNumber('2004-12-31'))).toBe(366);
  expect([1900, 2000, 2003, 2004].map(isLeapYear)).toEqual([false, true, false, true]);
});
