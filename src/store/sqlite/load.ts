import type { DatabaseSync, SQLInputValue } from 'node:sqlite';

import { JOB_MOVES, isTerminal } from '../../core/lifecycle.ts';
import type { Job, JobState } from '../../core/model.ts';
import type { JobSnapshot, TaskCount } from '../../core/restore.ts';
import { LOSSES_KEPT } from '../../core/state.ts';
import type { Loss } from '../../core/state.ts';
import { attemptRecord, controlOf, openTask } from '../rows.ts';
import type { AttemptRow, JobRow, TaskRow, TriedTaskRow } from '../rows.ts';
import type { Drain, Store } from '../store.ts';

const OPEN_STATES = (Object.keys(JOB_MOVES) as JobState[]).filter(
  (state) => !isTerminal(JOB_MOVES, state),
);

const TASK = `SELECT *,
  (SELECT max(number) FROM attempts WHERE job = tasks.job AND task = tasks.number) AS last_attempt FROM tasks`;
const LIVE = 'SELECT task FROM attempts WHERE job = ?1 AND ended_at IS NULL';
const UNTRIED = `${TASK} WHERE job = ?1 AND step = 'process' AND state = 'new' AND number NOT IN (${LIVE})`;

export const SQL = {
  drains: 'SELECT engine, node, reason, at FROM drained_nodes ORDER BY engine, node',
  jobs: `SELECT * FROM jobs WHERE state IN (${OPEN_STATES.map((state) => `'${state}'`).join(', ')})
    OR seq IN (SELECT job FROM attempts WHERE ended_at IS NULL) ORDER BY seq`,
  attempts: 'SELECT * FROM attempts WHERE job = ? AND ended_at IS NULL ORDER BY task, number',
  counts: `SELECT step, first_period AS firstPeriod, last_period AS lastPeriod, state, productive, count
    FROM task_counts WHERE job = ? AND count > 0`,
  nextTask: 'SELECT coalesce(max(number) + 1, 0) AS number FROM tasks WHERE job = ?',
  failed: `SELECT number FROM tasks WHERE job = ? AND state = 'failed'`,
  loss: 'SELECT key, step, failure FROM tasks WHERE job = ? AND number = ?',
  again: `${TASK} WHERE job = ? AND step = ? AND state = 'again'`,
  later: `${TASK} WHERE job = ? AND step = ? AND state = 'new'`,
  launched: `${TASK} WHERE job = ?1 AND step = 'process' AND state = 'new' AND number IN (${LIVE})`,
  untried: `${UNTRIED} ORDER BY number LIMIT ?2`,
  untriedBetween: `${UNTRIED} AND number > ?2 AND number < ?3`,
} as const;

/**
 * What a scheduler asks for when it starts. In plain SQL: the query builder would be a large part of a server that has
 * nothing to do.
 */
export function createLoader(database: DatabaseSync): Pick<Store, 'load' | 'drains'> {
  const rows: Ask = (sql, ...values) => database.prepare(sql).all(...values) as never;
  return {
    drains: async () => rows<Drain>(SQL.drains).map((drain) => ({ ...drain })),
    load: async (window) => rows<JobRow>(SQL.jobs).map((row) => snapshot(rows, row, window)),
  };
}

type Ask = <Row>(sql: string, ...values: SQLInputValue[]) => Row[];

function snapshot(rows: Ask, row: JobRow, window: number): JobSnapshot {
  const { seq, id } = row;
  const counts = rows<Omit<TaskCount, 'productive'> & { productive: number }>(SQL.counts, seq);
  const failed = rows<{ number: number }>(SQL.failed, seq).map(({ number }) => number);
  const failedTasks = failed.toSorted((a, b) => a - b);
  const open = openTasks(rows, seq, window);
  const unloaded = open.reduce(
    (left, { step }) => (step === 'process' ? left - 1 : left),
    counts.reduce(
      (sum, { step, state, count }) => (step === 'process' && state === 'open' ? sum + count : sum),
      0,
    ),
  );
  return {
    job: JSON.parse(row.spec) as Job,
    control: controlOf(row),
    state: row.state,
    splitEnded: row.split_ended === 1,
    usedCpuMs: row.used_cpu_ms,
    nextTask: rows<{ number: number }>(SQL.nextTask, seq)[0]!.number,
    counts: counts.map((count) => ({ ...count, productive: count.productive === 1 })),
    failedTasks,
    losses: failedTasks.slice(0, LOSSES_KEPT).map((number) => loss(rows, seq, number)),
    open: open.map((task) => openTask(id, task)),
    unloaded,
    attempts: rows<AttemptRow>(SQL.attempts, seq).map((attempt) => attemptRecord(id, attempt)),
  };
}

type OpenTaskRow = TaskRow & Pick<TriedTaskRow, 'last_attempt'>;

function openTasks(rows: Ask, seq: number, window: number): OpenTaskRow[] {
  const found = (['process', 'aggregate', 'format'] as const).flatMap((step) => [
    ...rows<OpenTaskRow>(SQL.again, seq, step),
    ...(step === 'process'
      ? rows<OpenTaskRow>(SQL.launched, seq)
      : rows<OpenTaskRow>(SQL.later, seq, step)),
  ]);
  const untried = rows<OpenTaskRow>(SQL.untried, seq, window);
  // Tasks are loaded in their order: one that was tried has all lower ones with it.
  const lastTried = found.reduce(
    (last, { step, number }) => (step === 'process' ? Math.max(last, number) : last),
    -1,
  );
  const last = untried.at(-1)?.number ?? -1;
  const between = rows<OpenTaskRow>(SQL.untriedBetween, seq, last, lastTried);
  return [...found, ...untried, ...between].toSorted((a, b) => a.number - b.number);
}

function loss(rows: Ask, seq: number, number: number): Loss {
  type Row = Pick<Loss, 'key' | 'step'> & { readonly failure: string };
  const [{ key, step, failure }] = rows<Row>(SQL.loss, seq, number) as [Row];
  return { key, step, failure: JSON.parse(failure) as Loss['failure'] };
}
