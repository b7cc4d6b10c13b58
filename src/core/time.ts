/**
 * Calendar arithmetic in UTC: the one place in the core that may use `Date`. It only converts, it never asks for now.
 * Days are counted from 1970-01-01, which is number 0, so that they can be added and compared as integers.
 */
import type { Day, Millis } from './model.ts';

const MILLIS_PER_DAY = 86_400_000;
const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** Whether a text is a day of the calendar as `yyyy-MM-dd`: `2001-02-29` is not. */
export function isDay(text: string): boolean {
  if (!DAY.test(text)) return false;
  const at = Date.parse(text);
  return !Number.isNaN(at) && new Date(at).toISOString().startsWith(text);
}

/** @throws Error for a text that is no day */
export function dayNumber(day: Day): number {
  if (!isDay(day)) throw new Error(`"${day}" is not a day (yyyy-MM-dd)`);
  return Date.parse(day) / MILLIS_PER_DAY;
}

const dateOf = (number: number): Date => new Date(number * MILLIS_PER_DAY);

/** Requests ask for the same years again and again, and a date takes longer to write than to remember. */
const KNOWN = 50_000;
const known = new Map<number, Day>();

/** The day of a number of the years 0 to 9999. */
export function dayOfNumber(number: number): Day {
  const before = known.get(number);
  if (before !== undefined) return before;
  const day = dateOf(number).toISOString().slice(0, 10);
  if (known.size >= KNOWN) known.clear();
  known.set(number, day);
  return day;
}

/** Fourteen digits, UTC: `yyyyMMddHHmmss`. */
export const timestamp = (at: Millis): string =>
  new Date(at).toISOString().slice(0, 19).replaceAll(/[-:T]/g, '');

/** Year, month (1 to 12) and day of the month of a day number. */
export function calendarOf(number: number): { year: number; month: number; day: number } {
  const date = dateOf(number);
  return { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() };
}

/** Day number of a date; a month beyond 12 counts on into the next years, and so does a day beyond its month's end. */
export const dayNumberOf = (year: number, month: number, day: number): number =>
  new Date(0).setUTCFullYear(year, month - 1, day) / MILLIS_PER_DAY;

/** The same day so many months later, or the last of that month where it is shorter. */
export function addMonths(number: number, months: number): number {
  const { year, month, day } = calendarOf(number);
  const lastOfMonth = dayNumberOf(year, month + months + 1, 0);
  return Math.min(dayNumberOf(year, month + months, day), lastOfMonth);
}

/** 1 for the first of January. */
export const dayOfYear = (number: number): number =>
  number - dayNumberOf(calendarOf(number).year, 1, 1) + 1;

export const isLeapYear = (year: number): boolean =>
  year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
