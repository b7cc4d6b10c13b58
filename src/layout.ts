import { join } from 'node:path';

import type { AttemptId, Job, JobId } from './core/model.ts';

/** Where everything lies below the data directory. Nothing outside it is written. */
export type Layout = ReturnType<typeof createLayout>;

/** @param directory absolute */
export function createLayout(directory: string) {
  const work = join(directory, 'work');
  const job = (jobId: JobId) => join(work, 'jobs', jobId);
  const staging = join(directory, 'staging');
  return {
    directory,
    database: join(directory, 'pushbroom.db'),
    lock: join(directory, 'lock'),
    bundles: join(directory, 'bundles'),
    uploads: join(work, 'uploads'),
    /** Unpacked bundles of this node. */
    cache: join(work, 'cache'),
    /** What Node has made of the runner's sources. */
    code: join(work, 'code'),
    /** Where runners of attempts are found again by the next server. */
    runners: join(work, 'runners'),
    jobs: join(work, 'jobs'),
    job,
    /** Attempts' own places. */
    scratch: (jobId: JobId, attemptId: AttemptId) => join(job(jobId), 'scratch', attemptId),
    /** Committed outputs, a directory per task. */
    results: (jobId: JobId) => join(job(jobId), 'results'),
    result: (jobId: JobId, task: number) => join(job(jobId), 'results', String(task)),
    /** Lists of inputs of tasks that have several. */
    inputs: (jobId: JobId, task: number) => join(job(jobId), 'inputs', `${task}.txt`),
    /** Prefix of an attempt's `.out` and `.err`; kept when the rest of the job's files go. */
    log: (jobId: JobId, task: number, attempt: number) =>
      join(job(jobId), 'logs', `${task}.${attempt}`),
    staging,
    staged: ({ user, id }: Pick<Job, 'user' | 'id'>) => join(staging, user, id),
    /** A staging in progress; no user's name begins with a dot. */
    unstaged: (jobId: JobId) => join(staging, '.partial', jobId),
  };
}
