import { taskId } from '../core/ids.ts';
import type { JobResult, Millis } from '../core/model.ts';
import { stagingPath } from '../jobs/jobs.ts';
import type { JobStatus } from '../jobs/jobs.ts';
import { processId } from '../processes/descriptor.ts';
import type { DeployedBundle } from '../processes/bundle.ts';
import type { AttemptView, TaskView } from '../store/store.ts';
import type { Attempt, Bundle, Job, JobDetails, Result, Task } from './schemas.ts';

/** From our own records to what the operator API answers. */

const iso = (time: Millis): string => new Date(time).toISOString();

export function jobView({ job, ...status }: JobStatus): Job {
  return {
    id: job.id,
    process: job.process,
    title: job.title,
    user: job.user,
    ...(job.reference !== undefined && { reference: job.reference }),
    state: status.state,
    percent: status.percent,
    ...(status.message !== undefined && { message: status.message }),
    acceptedAt: iso(job.acceptedAt),
    ...(status.startedAt !== undefined && { startedAt: iso(status.startedAt) }),
    ...(status.endedAt !== undefined && { endedAt: iso(status.endedAt) }),
    updatedAt: iso(status.updatedAt),
    splitEnded: status.splitEnded,
    steps: status.steps,
    attempts: status.attempts,
  };
}

export function jobDetailsView(status: JobStatus): JobDetails {
  const { job } = status;
  return {
    ...jobView(status),
    workflow: job.workflow.type,
    processor: job.processor,
    dataset: job.products.dataset,
    ...(job.products.regionWkt !== undefined && { regionWkt: job.products.regionWkt }),
    periods: [...job.periods],
    parameters: job.parameters,
    ...(job.outputFormat !== undefined && { outputFormat: job.outputFormat }),
    inputs: job.inputs,
  };
}

export function taskView({ task, state, attempts, failure, outputs }: TaskView): Task {
  return {
    id: taskId(task.jobId, task.number),
    number: task.number,
    step: task.step,
    state,
    key: task.key,
    ...(task.input !== undefined && { input: task.input }),
    attempts,
    ...(failure && { failure }),
    ...(outputs && { outputs: [...outputs] }),
  };
}

export function attemptView(attempt: AttemptView): Attempt {
  const { exitCode, signal, failure, usage } = attempt.result ?? {};
  return {
    id: attempt.id,
    number: attempt.number,
    state: attempt.state,
    engine: attempt.engine,
    node: attempt.node,
    launchedAt: iso(attempt.launchedAt),
    ...(attempt.endedAt !== undefined && { endedAt: iso(attempt.endedAt) }),
    ...(exitCode !== undefined && { exitCode }),
    ...(signal !== undefined && { signal }),
    ...(failure && { failure }),
    ...(usage && { usage }),
  };
}

/** @param publicUrl base URL of the public listener, without a slash at its end */
export const resultView = (status: JobStatus, result: JobResult, publicUrl: string): Result => ({
  ...result,
  href: publicUrl + stagingPath(status.job.user, status.job.id, result.path),
});

export const bundleView = (bundle: DeployedBundle): Bundle => ({
  name: bundle.name,
  version: bundle.version,
  hash: bundle.hash,
  size: bundle.size,
  deployedAt: iso(bundle.deployedAt),
  deployedBy: bundle.deployedBy,
  aggregators: bundle.aggregators.map(({ name }) => name),
  processes: bundle.processors.map(({ executableName, title }) => ({
    id: processId(bundle, executableName),
    title,
  })),
});
