/** From the days that a request names to the periods that are aggregated (specification B.8.1). */
import type { Day, Period } from './model.ts';
import {
  addMonths,
  calendarOf,
  dayNumber,
  dayNumberOf,
  dayOfNumber,
  dayOfYear,
  isLeapYear,
} from './time.ts';

export { isDay } from './time.ts';

/** More than fifty years of single days. */
export const MAX_PERIODS = 20_000;

/** Where the next period starts after one that starts on this day number. */
type Step = (start: number) => number;

/**
 * Splits a range into periods of a length that start at regular steps. A period that the range does not hold
 * completely is dropped.
 *
 * Lengths are `N` or `Nd` days, `Nw` weeks, `Nm` months, `Ny` years, or of old `-7` (one week), `-10` (to the next
 * 1st, 11th or 21st of a month) and `-30` (one month). Weeks are those of 52 to the year: the one with 30 December has
 * eight days, and so has in leap years the one with 28 February. Months count from the start of the period before, so
 * after a short month they stay on its last day (31 January, 28 February, 28 March): that leaves no day between two
 * periods, and the reference does the same.
 *
 * @param stepping from the start of one period to the start of the next (`periodLength`)
 * @param compositing length of each period (`compositingPeriodLength`)
 * @throws Error for a length that cannot be read, when no period fits, and for more than `MAX_PERIODS`
 */
export function periods(range: Period, stepping: string, compositing = stepping): Period[] {
  const nextStart = parseLength(stepping);
  const nextAfter = parseLength(compositing);
  const end = dayNumber(range.to);
  const found: Period[] = [];
  let start = dayNumber(range.from);
  for (let last = nextAfter(start) - 1; last <= end; last = nextAfter(start) - 1) {
    if (found.length === MAX_PERIODS) {
      throw new Error(
        `"${stepping}" makes more than ${MAX_PERIODS} periods from ${range.from} to ${range.to}: use a longer one`,
      );
    }
    found.push({ from: dayOfNumber(start), to: dayOfNumber(last) });
    start = nextStart(start);
  }
  if (found.length === 0) throw new Error('No time ranges specified.');
  return found;
}

/** From one day to another; negative when the other is earlier. */
export const daysBetween = (from: Day, to: Day): number => dayNumber(to) - dayNumber(from);

/** Every day of a period, in order. */
export function* days({ from, to }: Period): Generator<Day> {
  const end = dayNumber(to);
  for (let number = dayNumber(from); number <= end; number++) yield dayOfNumber(number);
}

// Five digits reach further than the calendar and keep every sum a valid date.
const LENGTH = /^(-?\d{1,5}) *([dwmy]?)$/;

function parseLength(text: string): Step {
  const legacy = LEGACY.get(text.trim());
  if (legacy) return legacy;
  const match = LENGTH.exec(text.trim());
  if (!match) throw new Error(`can not parse periodText: ${text}`);
  const count = Number(match[1]);
  if (count <= 0) throw new Error(`period must be greater than 0, is ${count}`);
  const unit = match[2];
  if (unit === 'w') return (start) => addWeeks(start, count);
  if (unit === 'm') return (start) => addMonths(start, count);
  if (unit === 'y') return (start) => addMonths(start, 12 * count);
  return (start) => start + count;
}

function addWeeks(start: number, weeks: number): number {
  const next = start + 7 * weeks;
  const before = dayOfYear(start);
  const after = dayOfYear(next);
  const leap = isLeapYear(calendarOf(start).year);
  if (leap && before < 59 && after > 59) return next + 1;
  const longWeek = leap ? 365 : 364;
  return before < longWeek && (after > longWeek || after < before) ? next + 1 : next;
}

function nextDekad(start: number): number {
  const { year, month, day } = calendarOf(start);
  if (day < 11) return dayNumberOf(year, month, 11);
  return day < 21 ? dayNumberOf(year, month, 21) : dayNumberOf(year, month + 1, 1);
}

const LEGACY: ReadonlyMap<string, Step> = new Map([
  ['-7', (start: number) => addWeeks(start, 1)],
  ['-10', nextDekad],
  ['-30', (start: number) => addMonths(start, 1)],
]);
