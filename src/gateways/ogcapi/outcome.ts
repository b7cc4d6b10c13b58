import type { JobResult } from '../../core/model.ts';
import type { Jobs, JobStatus, Process } from '../../jobs/jobs.ts';
import { processIfThere } from '../outputs.ts';
import type { Contents } from '../outputs.ts';

/** What a job has left, and where it can be had. */
export interface Outcome {
  readonly status: JobStatus;
  readonly results: readonly JobResult[];
  /** Absent where it is no longer there. */
  readonly process: Process | undefined;
  readonly contents: Contents;
  readonly baseUrl: string;
}

export interface OutcomeSource {
  readonly jobs: Jobs;
  readonly contents: Contents;
  readonly baseUrl: string;
}

/** What there is of a job that was successful. @throws what `Jobs.results` throws */
export async function findOutcome(
  { jobs, contents, baseUrl }: OutcomeSource,
  id: string,
): Promise<Outcome> {
  const results = await jobs.results(id);
  const status = await jobs.status(id);
  const process = await processIfThere(jobs, status.job.process);
  return { status, results, process, contents, baseUrl };
}
