import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';

import type { Change } from '../../core/change.ts';
import { isJobEnded } from '../../core/lifecycle.ts';
import type { Job, JobId, Step } from '../../core/model.ts';
import { attemptRow, newTaskRow, taskRow } from '../rows.ts';
import type { AttemptRow, TaskRow } from '../rows.ts';

// prettier-ignore
const TASK_COLUMNS = [
  'job', 'number', 'step', 'key', 'input', 'source', 'partition', 'first_period', 'last_period',
  'state', 'attempts', 'failures', 'losses', 'not_before', 'failure', 'outputs',
] as const satisfies (keyof TaskRow)[];
// prettier-ignore
const ATTEMPT_COLUMNS = [
  'job', 'task', 'number', 'engine', 'node', 'state', 'cpus', 'memory_mb', 'launched_at',
  'ended_at', 'result',
] as const satisfies (keyof AttemptRow)[];

type Counter = `${Step}_${'total' | 'finished' | 'failed'}` | 'attempts';
const COUNTERS = [
  'attempts',
  ...(['process', 'aggregate', 'format'] as const).flatMap((step) =>
    (['total', 'finished', 'failed'] as const).map((count) => `${step}_${count}` as const),
  ),
] satisfies Counter[];

/** What a batch of changes adds up to for one job. */
interface JobUpdate {
  counters: Map<Counter, number>;
  splitEnded: boolean;
  at: number;
  startedAt?: number;
  move?: Extract<Change, { type: 'moveJob' }>;
}

/**
 * Writes changes into the tables. Rows are upserted whole by statements prepared once, because this is the path that
 * every task takes three times; a job's row is written once per batch, however many changes touch it.
 */
export function createWriter(database: DatabaseSync) {
  const statements = prepareStatements(database);
  const seqs = new Map<JobId, number>();
  const seqOf = (jobId: JobId): number => {
    const seq = seqs.get(jobId) ?? Number(statements.seq.get(jobId)?.['seq']);
    if (Number.isNaN(seq)) throw new Error(`job ${jobId} is not in the store`);
    seqs.set(jobId, seq);
    return seq;
  };
  const putTask = (row: TaskRow) => statements.task.run(...TASK_COLUMNS.map((name) => row[name]));
  const putAttempt = (row: AttemptRow) =>
    statements.attempt.run(...ATTEMPT_COLUMNS.map((name) => row[name]));

  function write(changes: readonly Change[]): void {
    const updates = new Map<JobId, JobUpdate>();
    for (const change of changes) {
      switch (change.type) {
        case 'addJob':
          addJob(statements.job, change.job);
          break;
        case 'addTasks':
          for (const added of change.tasks) putTask(newTaskRow(seqOf(change.jobId), added));
          break;
        case 'addAttempt':
          putTask(taskRow(seqOf(change.attempt.jobId), change));
          putAttempt(attemptRow(seqOf(change.attempt.jobId), change));
          break;
        case 'moveAttempt':
          putAttempt(attemptRow(seqOf(change.attempt.jobId), change));
          break;
        case 'endTask':
        case 'retryTask':
          putTask(taskRow(seqOf(change.task.jobId), change));
          break;
        default:
      }
      collect(updates, change);
    }
    for (const [jobId, update] of updates) updateJob(statements, seqOf(jobId), update);
  }
  return { write, forget: (jobId: JobId) => seqs.delete(jobId) };
}

/** Insert, or replace the row with that key. */
function upsert(table: string, columns: readonly string[], key: readonly string[]): string {
  const rest = columns.filter((column) => !key.includes(column));
  return `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})
    ON CONFLICT (${key.join(', ')}) DO UPDATE SET ${rest.map((name) => `${name} = excluded.${name}`).join(', ')}`;
}

const prepareStatements = (database: DatabaseSync) => ({
  task: database.prepare(upsert('tasks', TASK_COLUMNS, ['job', 'number'])),
  attempt: database.prepare(upsert('attempts', ATTEMPT_COLUMNS, ['job', 'task', 'number'])),
  job: database.prepare(
    'INSERT INTO jobs (id, process, user, state, spec, accepted_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
  ),
  count: database.prepare(
    `UPDATE jobs SET updated_at = ?, split_ended = split_ended | ?,
       ${COUNTERS.map((name) => `${name} = ${name} + ?`).join(', ')} WHERE seq = ?`,
  ),
  move: database.prepare(
    `UPDATE jobs SET state = ?, message = ?, results = ?, started_at = coalesce(started_at, ?), ended_at = ?
     WHERE seq = ? AND ended_at IS NULL`,
  ),
  seq: database.prepare('SELECT seq FROM jobs WHERE id = ?'),
});

function addJob(statement: StatementSync, job: Job): void {
  const { id, process, user, acceptedAt } = job;
  statement.run(id, process, user, 'accepted', JSON.stringify(job), acceptedAt, acceptedAt);
}

function updateJob(
  statements: ReturnType<typeof prepareStatements>,
  seq: number,
  { at, splitEnded, counters, startedAt, move }: JobUpdate,
): void {
  const counts = COUNTERS.map((name) => counters.get(name) ?? 0);
  statements.count.run(at, splitEnded ? 1 : 0, ...counts, seq);
  if (!move) return;
  const values: SQLInputValue[] = [
    move.to,
    move.message ?? null,
    move.results ? JSON.stringify(move.results) : null,
    startedAt ?? null,
    isJobEnded(move.to) ? move.at : null,
  ];
  if (statements.move.run(...values, seq).changes === 0) {
    throw new Error(`job ${move.jobId} has ended already and cannot become ${move.to}`);
  }
}

/** Adds a change to what its job's row has to be told. */
function collect(updates: Map<JobId, JobUpdate>, change: Change): void {
  const touch = (jobId: JobId, at: number): JobUpdate => {
    const update = updates.get(jobId) ?? { counters: new Map(), splitEnded: false, at };
    update.at = Math.max(update.at, at);
    updates.set(jobId, update);
    return update;
  };
  const count = ({ counters }: JobUpdate, name: Counter, by = 1) =>
    counters.set(name, (counters.get(name) ?? 0) + by);
  switch (change.type) {
    case 'addTasks': {
      const update = touch(change.jobId, change.at);
      for (const { step } of change.tasks) count(update, `${step}_total`);
      return;
    }
    case 'addAttempt':
      count(touch(change.attempt.jobId, change.attempt.launchedAt), 'attempts');
      return;
    case 'endTask':
      count(touch(change.task.jobId, change.at), `${change.task.step}_${change.to}`);
      return;
    case 'endSplit':
      touch(change.jobId, change.at).splitEnded = true;
      return;
    case 'moveJob': {
      const update = touch(change.jobId, change.at);
      // Only the last of two moves in one batch is written, but the time of the start is kept.
      if (change.to === 'running') update.startedAt = change.at;
      update.move = change;
      return;
    }
    default:
  }
}
