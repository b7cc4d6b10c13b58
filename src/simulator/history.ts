import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';

import { PushbroomError, messageOf } from '../errors.ts';
import type { JobsSpec } from './scenario.ts';

/**
 * Reads a job history: CSV with a header line, or JSON lines.
 *
 * @returns jobs whose times count from the first one
 * @throws INVALID_PARAMETER with file, line and reason
 */
export async function readHistory(file: string): Promise<JobsSpec[]> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new PushbroomError('INVALID_PARAMETER', `${file}: ${messageOf(cause)}`, { cause });
  });
  const lines = text.split(/\r?\n/).map((line, index) => ({ line, number: index + 1 }));
  const filled = lines.filter(({ line }) => line.trim() !== '');
  const isCsv = extname(file).toLowerCase() === '.csv';
  let header: readonly string[] | undefined;
  const jobs: JobsSpec[] = [];
  for (const { line, number } of filled) {
    try {
      if (isCsv && !header) header = splitCsv(line);
      else jobs.push(readEntry(header ? csvEntry(header, line) : jsonEntry(line)));
    } catch (cause) {
      const message = `${file}: line ${number}: ${messageOf(cause)}`;
      throw new PushbroomError('INVALID_PARAMETER', message, { cause });
    }
  }
  const start = jobs.reduce((first, { at }) => Math.min(first, at), Infinity);
  return jobs.map((job) => ({ ...job, at: job.at - start }));
}

type Entry = Readonly<Record<string, unknown>>;

const KEYS = ['at', 'user', 'group', 'tasks', 'secondsPerTask', 'cpus', 'memoryMb', 'gpus'];

function readEntry(entry: Entry): JobsSpec {
  const unknown = Object.keys(entry).find((key) => !KEYS.includes(key));
  if (unknown !== undefined)
    throw new Error(`unknown key ${unknown}, there are ${KEYS.join(', ')}`);
  const group = readText(entry, 'group');
  return {
    at: readTime(entry['at']),
    count: 1,
    user: readText(entry, 'user') ?? 'anonymous',
    ...(group !== undefined && { group }),
    priority: 0,
    tasks: readNumber(entry, 'tasks', { min: 1, max: 1_000_000, isWhole: true }),
    cpus: readNumber(entry, 'cpus', { min: 0.01, max: 1e6, fallback: 1 }),
    memoryMb: readNumber(entry, 'memoryMb', { min: 1, max: 1e9, fallback: 1024, isWhole: true }),
    gpus: readNumber(entry, 'gpus', { min: 0, max: 10_000, fallback: 0, isWhole: true }),
    duration: { median: readNumber(entry, 'secondsPerTask', { min: 0.001, max: 1e8 }), sigma: 0 },
  };
}

function readText(entry: Entry, key: string): string | undefined {
  const value = entry[key] ?? '';
  if (typeof value === 'string') return value === '' ? undefined : value;
  throw new Error(`${key} must be a text, is ${JSON.stringify(value)}`);
}

/** Seconds: a number as it is, a date since 1970. */
function readTime(value: unknown): number {
  if (typeof value === 'number') return value;
  const text = typeof value === 'string' ? value : '';
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text);
  const millis = Date.parse(text);
  if (Number.isNaN(millis)) {
    throw new Error(`at must be seconds or a date and time, is ${JSON.stringify(value)}`);
  }
  return millis / 1000;
}

interface Range {
  readonly min: number;
  readonly max: number;
  readonly fallback?: number;
  readonly isWhole?: true;
}

function readNumber(entry: Entry, key: string, { min, max, fallback, isWhole }: Range): number {
  const value = entry[key];
  if ((value === undefined || value === '') && fallback !== undefined) return fallback;
  const number = Number(value === '' ? NaN : value);
  if (number >= min && number <= max && (!isWhole || Number.isInteger(number))) return number;
  const kind = isWhole ? 'a whole number' : 'a number';
  throw new Error(`${key} must be ${kind} from ${min} to ${max}, is ${JSON.stringify(value)}`);
}

function csvEntry(header: readonly string[], line: string): Entry {
  const cells = splitCsv(line);
  if (cells.length !== header.length) {
    throw new Error(`has ${cells.length} fields, the header has ${header.length}`);
  }
  return Object.fromEntries(header.map((key, index) => [key, cells[index]]));
}

function splitCsv(line: string): string[] {
  if (line.includes('"'))
    throw new Error('fields in quotes are not read: write JSON lines instead');
  return line.split(',').map((cell) => cell.trim());
}

function jsonEntry(line: string): Entry {
  const value: unknown = JSON.parse(line);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Entry;
  throw new Error('is not a JSON object');
}
