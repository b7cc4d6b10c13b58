import type { Kysely } from 'kysely';

import type { Change } from '../../core/change.ts';
import { attemptId } from '../../core/ids.ts';
import { JOB_MOVES, isTerminal } from '../../core/lifecycle.ts';
import type { Job, JobId, JobState, Step } from '../../core/model.ts';
import type { JobSnapshot } from '../../core/state.ts';
import { PushbroomError } from '../../errors.ts';
import { attemptView, jobView, task, taskView } from '../rows.ts';
import type { Database } from '../schema.ts';
import type { AttemptView, JobQuery, Page, Store, TaskQuery } from '../store.ts';
import { createKysely, openDatabase } from './database.ts';
import { createWriter } from './writer.ts';

const OPEN_STATES = (Object.keys(JOB_MOVES) as JobState[]).filter(
  (state) => !isTerminal(JOB_MOVES, state),
);

/** SQLite's result codes for a disk that takes no more (https://sqlite.org/rescode.html): FULL and IOERR_WRITE. */
const DISK_FULL = new Set([13, 778]);

/**
 * The embedded store: one file, one process.
 *
 * @param options.maxPages the most pages that the file may have; commits beyond it are refused as on a full disk
 */
export function openSqlite(path: string, { maxPages }: { maxPages?: number } = {}): Store {
  const database = openDatabase(path);
  if (maxPages !== undefined) database.exec(`PRAGMA max_page_count = ${maxPages}`);
  const db = createKysely(database);
  const writer = createWriter(database);

  function commit(changes: readonly Change[]): void {
    database.exec('BEGIN IMMEDIATE');
    try {
      writer.write(changes);
      database.exec('COMMIT');
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK');
      throw isDiskFull(error)
        ? new PushbroomError('STORAGE_FULL', `${path}: no space is left for the job store`, {
            cause: error,
          })
        : error;
    }
    for (const change of changes) if (change.type === 'forgetJob') writer.forget(change.jobId);
  }

  return {
    load: () => load(db),
    commit: async (changes) => commit(changes),
    job: async (id) => {
      const row = await db.selectFrom('jobs').selectAll().where('id', '=', id).executeTakeFirst();
      return row && jobView(row);
    },
    jobs: (query) => jobs(db, query),
    tasks: (jobId, query) => tasks(db, jobId, query),
    task: async (jobId, number) => {
      const row = await tasksOf(db, jobId).where('number', '=', number).executeTakeFirst();
      return row && taskView(jobId, row);
    },
    attempts: (jobId, number) => attempts(db, jobId, number),
    finishedTasks: async (jobId, step, period) => {
      const rows = await tasksOf(db, jobId)
        .where('state', '=', 'finished')
        .where('step', '=', step)
        .where('first_period', '<=', period)
        .where('last_period', '>=', period)
        .orderBy(step === 'aggregate' ? 'partition' : 'key')
        .execute();
      return rows.map((row) => taskView(jobId, row));
    },
    productKeys: async (jobId) => {
      const rows = await db
        .selectFrom('tasks')
        .select('key')
        .where('job', '=', seqOf(db, jobId))
        .where('step', '=', 'process' satisfies Step)
        .execute();
      return new Set(rows.map(({ key }) => key));
    },
    [Symbol.asyncDispose]: () => db.destroy(),
  };
}

const isDiskFull = (error: unknown): boolean =>
  error instanceof Error && 'errcode' in error && DISK_FULL.has(Number(error.errcode));

const seqOf = (db: Kysely<Database>, jobId: JobId) =>
  db.selectFrom('jobs').select('seq').where('id', '=', jobId);

const tasksOf = (db: Kysely<Database>, jobId: JobId) =>
  db.selectFrom('tasks').selectAll().where('job', '=', seqOf(db, jobId));

async function load(db: Kysely<Database>): Promise<JobSnapshot[]> {
  const rows = await db
    .selectFrom('jobs')
    .select(['seq', 'spec', 'state', 'split_ended'])
    .where((eb) =>
      eb.or([
        eb('state', 'in', OPEN_STATES),
        eb('seq', 'in', eb.selectFrom('attempts').select('job').where('ended_at', 'is', null)),
      ]),
    )
    .orderBy('seq')
    .execute();
  return Promise.all(
    rows.map(async ({ seq, spec, state, split_ended }) => {
      const job = JSON.parse(spec) as Job;
      const taskRows = await db
        .selectFrom('tasks')
        .selectAll()
        .where('job', '=', seq)
        .orderBy('number')
        .execute();
      const attemptRows = await db
        .selectFrom('attempts')
        .selectAll()
        .where('job', '=', seq)
        .where('ended_at', 'is', null)
        .execute();
      return {
        job,
        state,
        splitEnded: split_ended === 1,
        tasks: taskRows.map((row) => ({
          task: task(job.id, row),
          state: row.state,
          attempts: row.attempts,
          failures: row.failures,
          losses: row.losses,
          ...(row.not_before !== null && { notBefore: row.not_before }),
          productive: row.outputs !== null && row.outputs !== '[]',
          ...(row.state === 'failed' && { failure: JSON.parse(row.failure!) }),
        })),
        attempts: attemptRows.map((row) => ({
          attempt: {
            id: attemptId(job.id, row.task, row.number),
            jobId: job.id,
            task: row.task,
            number: row.number,
            engine: row.engine,
            node: row.node,
            launchedAt: row.launched_at,
          },
          resources: { cpus: row.cpus, memoryMb: row.memory_mb },
          state: row.state,
        })),
      };
    }),
  );
}

async function attempts(
  db: Kysely<Database>,
  jobId: JobId,
  number: number,
): Promise<AttemptView[]> {
  const rows = await db
    .selectFrom('attempts')
    .selectAll()
    .where('job', '=', seqOf(db, jobId))
    .where('task', '=', number)
    .orderBy('number')
    .execute();
  return rows.map((row) => attemptView(jobId, row));
}

async function jobs(
  db: Kysely<Database>,
  query: JobQuery,
): Promise<Page<ReturnType<typeof jobView>>> {
  let select = db
    .selectFrom('jobs')
    .selectAll()
    .orderBy('seq', 'desc')
    .limit(query.limit + 1);
  if (query.states) select = select.where('state', 'in', query.states);
  if (query.user !== undefined) select = select.where('user', '=', query.user);
  if (query.process !== undefined) select = select.where('process', '=', query.process);
  if (query.after !== undefined) select = select.where('seq', '<', position(query.after));
  return page(await select.execute(), query.limit, jobView, (row) => row.seq);
}

async function tasks(
  db: Kysely<Database>,
  jobId: JobId,
  query: TaskQuery,
): Promise<Page<ReturnType<typeof taskView>>> {
  let select = tasksOf(db, jobId)
    .orderBy('number')
    .limit(query.limit + 1);
  if (query.states) select = select.where('state', 'in', query.states);
  if (query.step !== undefined) select = select.where('step', '=', query.step);
  if (query.after !== undefined) select = select.where('number', '>', position(query.after));
  return page(
    await select.execute(),
    query.limit,
    (row) => taskView(jobId, row),
    (row) => row.number,
  );
}

function position(after: string): number {
  if (/^\d{1,15}$/.test(after)) return Number(after);
  throw new PushbroomError('INVALID_PARAMETER', `'${after}' is not the 'next' of a page`, {
    locator: 'after',
  });
}

function page<Row, Item>(
  rows: readonly Row[],
  limit: number,
  view: (row: Row) => Item,
  place: (row: Row) => number,
): Page<Item> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return {
    items: items.map(view),
    ...(rows.length > limit && last !== undefined && { next: String(place(last)) }),
  };
}
