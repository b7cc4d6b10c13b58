import { sql } from 'kysely';
import type { Kysely } from 'kysely';

import type { JobId, Step, Usage } from '../core/model.ts';
import type { Database } from './schema.ts';
import type { SuccessfulJob } from './store.ts';

type Db = Kysely<Database>;

// Columns that come after the results would cost reading those.
export const selectLastSuccessful = (db: Db, process: string, limit: number) =>
  db
    .selectFrom('jobs')
    .select(['id', 'accepted_at'])
    .select(sql<number>`json_extract(spec, '$.retryOf') IS NOT NULL`.as('is_retry'))
    .where('process', '=', process)
    .where('state', '=', sql.lit('successful' as const))
    .orderBy('seq', 'desc')
    .limit(limit);

export async function readLastSuccessful(
  db: Db,
  process: string,
  limit: number,
): Promise<SuccessfulJob[]> {
  const rows = await selectLastSuccessful(db, process, limit).execute();
  return rows.map((row) => ({
    id: row.id,
    acceptedAt: row.accepted_at,
    isRetry: row.is_retry === 1,
  }));
}

export const selectUsages = (db: Db, jobId: JobId, step: Step, limit: number) =>
  db
    .selectFrom('tasks')
    .innerJoin('attempts', (join) =>
      join
        .onRef('attempts.job', '=', 'tasks.job')
        .onRef('attempts.task', '=', 'tasks.number')
        .on('attempts.state', '=', sql.lit('finished' as const)),
    )
    // What was put out can be long, and is not wanted.
    .select(sql<string | null>`json_extract(attempts.result, '$.usage')`.as('usage'))
    .where('tasks.job', '=', db.selectFrom('jobs').select('seq').where('id', '=', jobId))
    .where('tasks.step', '=', step)
    .where('tasks.state', '=', sql.lit('finished' as const))
    .orderBy('tasks.number')
    .limit(limit);

/** What the finished attempts of a step's first tasks have used, as far as that is known. */
export async function readUsages(
  db: Db,
  jobId: JobId,
  step: Step,
  limit: number,
): Promise<Usage[]> {
  const rows = await selectUsages(db, jobId, step, limit).execute();
  return rows.flatMap(({ usage }) => (usage === null ? [] : [JSON.parse(usage) as Usage]));
}
