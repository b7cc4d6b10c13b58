import type { DatabaseSync } from 'node:sqlite';

import type { SelectQueryBuilder } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';

import {
  selectFailed,
  selectFinished,
  selectJobs,
  selectTasks,
  selectUntried,
} from '../queries.ts';
import type { Database } from '../schema.ts';
import type { JobQuery, TaskQuery } from '../store.ts';
import { selectLastSuccessful, selectUsages } from '../usages.ts';
import { openDatabase } from './database.ts';
import { createKysely } from './kysely.ts';
import { SQL } from './load.ts';

let database: DatabaseSync;
let db: ReturnType<typeof createKysely>;
beforeAll(() => {
  database = openDatabase(':memory:');
  db = createKysely(database);
});
afterAll(() => database.close());

/** What SQLite means to do, and where it does not find rows of the large tables by an index that is made for that. */
function problems(sql: string): string[] {
  const rows = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all();
  const plan = rows.map((row) => String(row['detail']));
  const isGood = (step: string): boolean =>
    !step.includes('TEMP B-TREE') &&
    !step.includes('CORRELATED LIST') &&
    !/^SCAN (?!json_each)/.test(step) &&
    // All tasks or all attempts of a job.
    !/^SEARCH (tasks|attempts) USING PRIMARY KEY \(job=\?\)$/.test(step);
  return plan.filter((step) => !isGood(step));
}

const problemsOf = <T extends keyof Database, Row>(query: SelectQueryBuilder<Database, T, Row>) =>
  problems(query.compile().sql);

test.each<Omit<JobQuery, 'limit'>>([
  { after: '9' },
  { states: ['failed'] },
  { states: ['running', 'accepted'], after: '9' },
  { user: 'u' },
  { process: 'p', states: ['failed'], after: '9' },
  { group: 'g', after: '9' },
  { user: 'u', process: 'p', group: 'g', states: ['failed', 'dismissed'] },
  { retryOf: 'j', states: ['running'] },
])('jobs with %j are found by an index in their order', (query) => {
  expect(problemsOf(selectJobs(db, { ...query, limit: 5 }))).toEqual([]);
});

test('filters by time are tried on an index alone, in the order of the history', () => {
  const accepted = { from: 1, to: 2 };
  const duration = { min: 1, max: 2, now: 3 };
  const query = { accepted, duration, user: 'u', states: ['failed' as const], limit: 5 };
  const { sql } = selectJobs(db, { ...query, processes: ['p'], after: '9' }).compile();
  const plan = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all();
  const steps = plan.map(({ detail }) => String(detail));
  expect(steps).toContain('SEARCH jobs USING COVERING INDEX jobs_by_time (seq<?)');
  expect(steps.filter((step) => step.includes('B-TREE'))).toEqual([]);
});

test('filters of jobs are tried on the index alone', () => {
  const { sql } = selectJobs(db, { user: 'u', process: 'p', group: 'g', limit: 5 }).compile();
  const covered = database
    .prepare(`EXPLAIN ${sql}`)
    .all()
    .filter(({ opcode }) => opcode === 'DeferredSeek');
  expect(covered).toHaveLength(5);
});

test.each<Omit<TaskQuery, 'limit'>>([
  {},
  { after: '9' },
  { states: ['finished'], after: '9' },
  { states: ['failed'] },
  { states: ['ready'], step: 'process', after: '9' },
  { states: ['running'] },
  { states: ['running', 'ready', 'failed'] },
  { step: 'aggregate' },
])('tasks with %j are found by an index in their order', (query) => {
  const found = problemsOf(selectTasks(db, 'j', { ...query, limit: 5 }));
  // The first page of all: the table is in the order of jobs and numbers.
  const isAll = Object.keys(query).length === 0;
  expect(found).toEqual(isAll ? ['SEARCH tasks USING PRIMARY KEY (job=?)'] : []);
});

test('what the scheduler and its helpers ask for is found by an index', () => {
  expect(problemsOf(selectUntried(db, 'j', 7, 5))).toEqual([]);
  expect(problemsOf(selectFinished(db, 'j', 'process', [3, 4]))).toEqual([]);
  expect(problemsOf(selectLastSuccessful(db, 'p', 5))).toEqual([]);
  expect(problemsOf(selectUsages(db, 'j', 'process', 5))).toEqual([]);
  expect(problemsOf(selectFailed(db, 'j', { limit: 5 }))).toEqual([]);
  expect(problemsOf(selectFailed(db, 'j', { cause: 'c', limit: 5 }))).toEqual([]);
  expect(problemsOf(selectFailed(db, 'j', { numbers: [1, 2], limit: 5 }))).toEqual([]);
});

/** Tables of a few rows, and the last one of a job's tasks. */
const SMALL = ['drains', 'jobs', 'nextTask'];

test.each(Object.entries(SQL).filter(([name]) => !SMALL.includes(name)))(
  'a scheduler that starts finds %s by an index',
  (_, sql) => {
    expect(problems(sql)).toEqual([]);
  },
);
