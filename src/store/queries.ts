import { setImmediate } from 'node:timers/promises';

import { sql } from 'kysely';
import type { Kysely, RawBuilder, SelectQueryBuilder } from 'kysely';

import { JOB_MOVES } from '../core/lifecycle.ts';
import { STEPS } from '../core/model.ts';
import type { JobId, JobState, Millis, Step, TaskState } from '../core/model.ts';
import { PushbroomError } from '../errors.ts';
import { attemptView, failureGroup, jobView, task, taskView } from './rows.ts';
import type { JobRow, TriedTaskRow } from './rows.ts';
import type { Database, StoredTaskState } from './schema.ts';
import { SUSPECT_JOBS } from './store.ts';
import type {
  FailedTaskQuery,
  JobQuery,
  Page,
  Store,
  SuspectInput,
  TaskQuery,
  TaskView,
} from './store.ts';
import { readLastSuccessful, readUsages } from './usages.ts';

type Db = Kysely<Database>;
/** What anyone may ask; what a scheduler asks at its start is the adapter's. */
export type Reads = Omit<Store, 'load' | 'drains' | 'commit' | typeof Symbol.asyncDispose>;

const FAILURE_GROUPS = 100;
const SUSPECTS = 100;
/** Jobs named with a suspect input. */
const SUSPECT_JOB_IDS = 5;

export const createReads = (db: Db): Reads => ({
  ...createLists(db),
  ...createTaskReads(db),
  failures: async (jobId) => {
    const rows = await db
      .selectFrom('failures')
      .selectAll()
      .where('job', '=', seqOf(db, jobId))
      .orderBy('count', 'desc')
      .orderBy('cause')
      .limit(FAILURE_GROUPS)
      .execute();
    return rows.map(failureGroup);
  },
  lastSuccessful: (...query) => readLastSuccessful(db, ...query),
  usages: (...query) => readUsages(db, ...query),
  suspectInputs: ({ input, limit = SUSPECTS } = {}) => suspectInputs(db, input, limit),
});

const createLists = (db: Db): Pick<Reads, 'job' | 'jobs' | 'tasks' | 'task' | 'attempts'> => ({
  job: async (id) => {
    const row = await db.selectFrom('jobs').selectAll().where('id', '=', id).executeTakeFirst();
    return row && jobView(row);
  },
  jobs: async (query) =>
    page(await selectJobs(db, query).execute(), query.limit, jobView, ({ seq }) => seq),
  tasks: async (jobId, query) =>
    page(
      await selectTasks(db, jobId, query).execute(),
      query.limit,
      (row) => taskView(jobId, row),
      ({ number }) => number,
    ),
  task: async (jobId, number) => {
    const row = await tasksOf(db, jobId).where('number', '=', number).executeTakeFirst();
    return row && taskView(jobId, row);
  },
  attempts: async (jobId, number) => {
    const rows = await db
      .selectFrom('attempts')
      .selectAll()
      .where('job', '=', seqOf(db, jobId))
      .where('task', '=', number)
      .orderBy('number')
      .execute();
    return rows.map((row) => attemptView(jobId, row));
  },
});

const createTaskReads = (
  db: Db,
): Pick<Reads, 'finishedTasks' | 'finishedByKey' | 'tasksAfter' | 'knownKeys' | 'failedTasks'> => ({
  finishedTasks: (jobId, step, period) => finishedTasks(db, jobId, step, period),
  finishedByKey: async (jobId, step, key) => {
    const row = await tasksOf(db, jobId)
      .where('step', '=', step)
      .where('key', '=', key)
      .where('state', '=', 'finished')
      .executeTakeFirst();
    return row && taskView(jobId, row);
  },
  tasksAfter: async (jobId, number, limit) => {
    const rows = await selectUntried(db, jobId, number, limit).execute();
    return rows.map((row) => task(jobId, row));
  },
  knownKeys: async (jobId, keys) => {
    const rows = await db
      .selectFrom('tasks')
      .select('key')
      .where('job', '=', seqOf(db, jobId))
      .where('step', '=', 'process' satisfies Step)
      .where('key', 'in', oneOf<string>(keys))
      .execute();
    return new Set(rows.map(({ key }) => key));
  },
  failedTasks: async (jobId, query) => {
    const rows = await selectFailed(db, jobId, query).execute();
    return rows.map((row) => taskView(jobId, row));
  },
});

type TaskSelect = SelectQueryBuilder<Database, 'tasks', TriedTaskRow>;

const seqOf = (db: Db, jobId: JobId) => db.selectFrom('jobs').select('seq').where('id', '=', jobId);

/** The values of a list as rows, so that a query is one statement however many there are. */
const oneOf = <T>(values: readonly T[]) =>
  sql<T>`(SELECT value FROM json_each(${JSON.stringify(values)}))`;

const liveTasksOf = (db: Db, jobId: JobId) =>
  db
    .selectFrom('attempts')
    .select('task')
    .where('attempts.job', '=', seqOf(db, jobId))
    .where('ended_at', 'is', null);

const tasksOf = (db: Db, jobId: JobId): TaskSelect =>
  db
    .selectFrom('tasks')
    .selectAll()
    .select(({ selectFrom, exists }) => {
      const attempts = selectFrom('attempts')
        .whereRef('attempts.job', '=', 'tasks.job')
        .whereRef('attempts.task', '=', 'tasks.number');
      return [
        attempts.select(({ fn }) => fn.max('attempts.number').as('number')).as('last_attempt'),
        exists(attempts.select('attempts.job').where('ended_at', 'is', null))
          .$castTo<number>()
          .as('is_live'),
      ];
    })
    .where('tasks.job', '=', seqOf(db, jobId));

/**
 * One query for each combination that an index has in order, merged by the database: so a page costs what is on it,
 * whatever is asked for, and nothing is sorted.
 */
function merged<Table extends keyof Database, Row>(
  arms: readonly SelectQueryBuilder<Database, Table, Row>[],
): SelectQueryBuilder<Database, Table, Row> {
  return arms.reduce((all, arm) => all.unionAll(arm));
}

export function selectJobs(db: Db, query: JobQuery): SelectQueryBuilder<Database, 'jobs', JobRow> {
  let select = db.selectFrom('jobs').selectAll();
  const { states, user, process, processes, group, retryOf, after, limit } = query;
  if (query.accepted || query.duration) return selectJobsByTime(db, query);
  if (user !== undefined) select = select.where('user', '=', user);
  if (process !== undefined) select = select.where('process', '=', process);
  if (group !== undefined) select = select.where('share_group', '=', group);
  if (retryOf !== undefined) select = select.where('retry_of', '=', retryOf);
  if (after !== undefined) select = select.where('seq', '<', position(after));
  const filters = [states, user, process, processes, group, retryOf];
  const isFiltered = filters.some((each) => each !== undefined);
  const arms = Array.from(new Set(states ?? JOB_STATES), (state) =>
    select.where('state', '=', state),
  );
  const all = processes
    ? Array.from(new Set(processes), (each) =>
        arms.map((arm) => arm.where('process', '=', each)),
      ).flat()
    : arms;
  return (isFiltered ? merged(all) : select).orderBy('seq', 'desc').limit(limit + 1);
}

const JOB_STATES = Object.keys(JOB_MOVES) as JobState[];

/** Times are no order of the history, so every job is tried: on an index that has all that is asked, and nothing else. */
function selectJobsByTime(db: Db, query: JobQuery): SelectQueryBuilder<Database, 'jobs', JobRow> {
  const { states, user, process, processes, group, retryOf, accepted, duration } = query;
  const { after, limit } = query;
  const given = <T>(value: T | undefined, condition: (value: T) => RawBuilder<unknown>) =>
    value === undefined ? [] : [condition(value)];
  const conditions = [
    duration ? sql`started_at IS NOT NULL` : sql`TRUE`,
    ...given(states, (its) => sql`state IN ${oneOf(its)}`),
    ...given(user, (its) => sql`user = ${its}`),
    ...given(process, (its) => sql`process = ${its}`),
    ...given(processes, (its) => sql`process IN ${oneOf(its)}`),
    ...given(group, (its) => sql`share_group = ${its}`),
    ...given(retryOf, (its) => sql`retry_of = ${its}`),
    ...given(accepted?.from, (from) => sql`accepted_at >= ${from}`),
    ...given(accepted?.to, (to) => sql`accepted_at <= ${to}`),
    ...given(duration?.min, (min) => sql`${runtime(duration!.now)} >= ${min}`),
    ...given(duration?.max, (max) => sql`${runtime(duration!.now)} <= ${max}`),
    ...given(after, (its) => sql`seq < ${position(its)}`),
  ];
  return db
    .selectFrom('jobs')
    .selectAll()
    .where(
      'seq',
      'in',
      sql<number>`(SELECT seq FROM jobs INDEXED BY jobs_by_time WHERE ${sql.join(conditions, sql` AND `)}
        ORDER BY seq DESC LIMIT ${limit + 1})`,
    )
    .orderBy('seq', 'desc');
}

const runtime = (now: Millis) => sql`(coalesce(ended_at, ${now}) - started_at)`;

export function selectTasks(db: Db, jobId: JobId, query: TaskQuery): TaskSelect {
  const { states, step, after, limit } = query;
  let select = tasksOf(db, jobId);
  if (after !== undefined) select = select.where('tasks.number', '>', position(after));
  const isFiltered = states !== undefined || step !== undefined;
  const steps = step === undefined ? STEPS : [step];
  const arms = () =>
    steps.flatMap((each) => armsOf(db, jobId, select.where('tasks.step', '=', each), states));
  return (isFiltered ? merged(arms()) : select).orderBy('number').limit(limit + 1);
}

/** The tasks of a step that are in one of some states, each part in the order of an index. */
function armsOf(
  db: Db,
  jobId: JobId,
  select: TaskSelect,
  states: readonly TaskState[] = ['ready', 'running', 'finished', 'failed'],
): TaskSelect[] {
  const stored = (state: StoredTaskState) => select.where('tasks.state', '=', state);
  const open = [stored('new'), stored('again')];
  const arms: TaskSelect[] = [];
  if (states.includes('ready') && states.includes('running')) arms.push(...open);
  else if (states.includes('ready')) {
    const live = liveTasksOf(db, jobId);
    arms.push(...open.map((arm) => arm.where('tasks.number', 'not in', live)));
  } else if (states.includes('running')) {
    const live = liveTasksOf(db, jobId);
    arms.push(...open.map((arm) => arm.where('tasks.number', 'in', live)));
  }
  if (states.includes('finished')) arms.push(stored('finished'));
  if (states.includes('failed')) arms.push(stored('failed'));
  return arms;
}

/** Extents are few, and the tasks of each are a range of an index. */
async function finishedTasks(
  db: Db,
  jobId: JobId,
  step: Step,
  period: number,
): Promise<TaskView[]> {
  const extents = await db
    .selectFrom('task_counts')
    .select(['first_period', 'last_period'])
    .distinct()
    .where('job', '=', seqOf(db, jobId))
    .where('step', '=', step)
    .where('state', '=', 'finished')
    .where('first_period', '<=', period)
    .where('last_period', '>=', period)
    .execute();
  const found: TaskView[] = [];
  for (const { first_period, last_period } of extents) {
    const rows = await selectFinished(db, jobId, step, [first_period, last_period]).execute();
    for (const row of rows) found.push(taskView(jobId, row));
  }
  const placeOf = ({ task: { key, partition } }: TaskView) => partition ?? key;
  return found.toSorted((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1));
}

export const selectFinished = (
  db: Db,
  jobId: JobId,
  step: Step,
  [first, last]: readonly [number, number],
): TaskSelect =>
  tasksOf(db, jobId)
    .where('tasks.step', '=', step)
    .where('tasks.first_period', '=', first)
    .where('tasks.last_period', '=', last)
    .where('tasks.state', '=', sql.lit('finished' as const));

export const selectUntried = (db: Db, jobId: JobId, number: number, limit: number) =>
  db
    .selectFrom('tasks')
    .selectAll()
    .where('job', '=', seqOf(db, jobId))
    .where('step', '=', 'process' satisfies Step)
    .where('state', '=', 'new' satisfies StoredTaskState)
    .where('number', '>', number)
    .where('number', 'not in', liveTasksOf(db, jobId))
    .orderBy('number')
    .limit(limit);

export function selectFailed(
  db: Db,
  jobId: JobId,
  { cause, numbers, limit }: FailedTaskQuery,
): TaskSelect {
  let failed = tasksOf(db, jobId).where('tasks.state', '=', sql.lit('failed' as const));
  if (numbers) failed = failed.where('tasks.number', 'in', oneOf<number>(numbers));
  if (cause !== undefined) failed = failed.where('tasks.cause', '=', cause);
  const arms = STEPS.map((step) => failed.where('tasks.step', '=', step));
  const isFiltered = numbers !== undefined || cause !== undefined;
  return (isFiltered ? failed : merged(arms)).orderBy('number').limit(limit);
}

async function suspectInputs(
  db: Db,
  input: string | undefined,
  limit: number,
): Promise<SuspectInput[]> {
  let select = db
    .selectFrom('failed_inputs')
    .select('input')
    .where('nth', '=', sql.lit(SUSPECT_JOBS))
    .orderBy('seq', 'desc')
    .limit(limit);
  if (input !== undefined) select = select.where('input', '=', input);
  const suspects = await select.execute();
  return Promise.all(
    suspects.map(async (suspect) => {
      const rows = await selectFailuresOf(db, suspect.input).execute();
      const [{ nth, message, at }] = rows as [(typeof rows)[0]];
      const jobIds = rows.map(({ id }) => id);
      return { input: suspect.input, jobs: nth, jobIds, message, lastAt: at };
    }),
  );
}

const selectFailuresOf = (db: Db, input: string) =>
  db
    .selectFrom('failed_inputs')
    .innerJoin('jobs', 'jobs.seq', 'failed_inputs.job')
    .select(['jobs.id', 'nth', 'failed_inputs.message', 'at'])
    .where('input', '=', input)
    .orderBy('nth', 'desc')
    .limit(SUSPECT_JOB_IDS);

function position(after: string): number {
  if (/^\d{1,15}$/.test(after)) return Number(after);
  throw new PushbroomError('INVALID_PARAMETER', `'${after}' is not the 'next' of a page`, {
    locator: 'after',
  });
}

/** Rows that are read before others have a turn: the JSON of jobs may be long. */
const TURN = 100;

async function page<Row, Item>(
  rows: readonly Row[],
  limit: number,
  view: (row: Row) => Item,
  place: (row: Row) => number,
): Promise<Page<Item>> {
  const items: Item[] = [];
  for (const row of rows.slice(0, limit)) {
    if (items.length > 0 && items.length % TURN === 0) await setImmediate();
    items.push(view(row));
  }
  const last = rows[limit - 1];
  return { items, ...(rows.length > limit && last && { next: String(place(last)) }) };
}
