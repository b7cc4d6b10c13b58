import { sql } from 'kysely';
import type { Kysely } from 'kysely';

import type { JobId, Step, Usage } from '../core/model.ts';
import type { Database } from './schema.ts';

export const selectUsages = (db: Kysely<Database>, jobId: JobId, step: Step, limit: number) =>
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
  db: Kysely<Database>,
  jobId: JobId,
  step: Step,
  limit: number,
): Promise<Usage[]> {
  const rows = await selectUsages(db, jobId, step, limit).execute();
  return rows.flatMap(({ usage }) => (usage === null ? [] : [JSON.parse(usage) as Usage]));
}
