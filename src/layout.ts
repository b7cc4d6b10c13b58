import { join } from 'node:path';

import type { AttemptId, Job, JobId } from './core/model.ts';
import { isUrl, joinLocation } from './storage/location.ts';

/** Where everything lies. Nothing elsewhere is written. */
export type Layout = ReturnType<typeof createLayout>;

/** What may lie on a storage that nodes share, where a database does not belong. */
interface Elsewhere {
  /** Jobs' working files: a directory, or a URL for those of them that nodes have to see. */
  readonly workDir?: string | undefined;
  /** Jobs' results. */
  readonly staging?: string | undefined;
}

/** @param directory of the service itself; absolute, as all of them */
export function createLayout(directory: string, elsewhere: Elsewhere = {}) {
  const work = join(directory, 'work');
  const own = join(work, 'jobs');
  const { workDir: shared = own, staging = join(directory, 'staging') } = elsewhere;
  const jobs = isUrl(shared) ? own : shared;
  const job = (jobId: JobId) => join(jobs, jobId);
  const sharedJob = (jobId: JobId) => joinLocation(shared, jobId);
  return {
    directory,
    database: join(directory, 'pushbroom.db'),
    lock: join(directory, 'lock'),
    /** What was done by whom, unless the configuration says where. */
    audit: join(directory, 'audit.jsonl'),
    /** By which links to results are signed. */
    shareKey: join(directory, 'share.key'),
    bundles: join(directory, 'bundles'),
    /** What users keep here, a directory for each. */
    users: join(directory, 'users'),
    uploads: join(work, 'uploads'),
    /** Unpacked bundles of this node. */
    cache: join(work, 'cache'),
    /** Who wants to be told of the end of a job, by the job's id. */
    callbacks: join(work, 'callbacks'),
    /** What Node has made of the runner's sources. */
    code: join(work, 'code'),
    /** Where runners of attempts are found again by the next server. */
    runners: join(work, 'runners'),
    /** What engines remember of their clusters. */
    engine: (id: string) => join(work, 'engines', `${id}.json`),
    jobs,
    job,
    /** What every node has to see: inputs and results. Of these, and of what is in them, the locations may be URLs. */
    sharedJobs: shared,
    sharedJob,
    /** Attempts' own places. */
    scratch: (jobId: JobId, attemptId: AttemptId) => join(job(jobId), 'scratch', attemptId),
    /** Committed outputs, a directory per task. */
    results: (jobId: JobId) => joinLocation(sharedJob(jobId), 'results'),
    result: (jobId: JobId, task: number) => joinLocation(sharedJob(jobId), 'results', String(task)),
    /** Lists of inputs of tasks that have several. */
    inputs: (jobId: JobId, task: number) => joinLocation(sharedJob(jobId), 'inputs', `${task}.txt`),
    /** Prefix of an attempt's `.out` and `.err`; kept when the rest of the job's files go. */
    log: (jobId: JobId, task: number, attempt: number) =>
      join(job(jobId), 'logs', `${task}.${attempt}`),
    staging,
    staged: ({ user, id }: Pick<Job, 'user' | 'id'>) => join(staging, user, id),
    /** A staging in progress; no user's name begins with a dot. */
    unstaged: (jobId: JobId) => join(staging, '.partial', jobId),
  };
}
