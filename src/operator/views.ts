import { add, asResources, nothing } from '../core/amount.ts';
import { taskId } from '../core/ids.ts';
import type { JobResult, Millis } from '../core/model.ts';
import type { Policy } from '../core/policy.ts';
import { stagingPath } from '../jobs/jobs.ts';
import type * as jobs from '../jobs/jobs.ts';
import type { JobStatus } from '../jobs/jobs.ts';
import { processId } from '../processes/descriptor.ts';
import { type DeployedBundle, ownerOf } from '../processes/bundle.ts';
import type { GroupStatus, NodeStatus } from '../scheduler/status.ts';
import type * as store from '../store/store.ts';
import type { AttemptView, TaskView } from '../store/store.ts';
import type { Outcome } from './action-schemas.ts';
import type { Quote } from './quote-schemas.ts';
import type {
  Attempt,
  Bundle,
  Explanation,
  FailureGroup,
  Group,
  Job,
  JobDetails,
  Node,
  Result,
  SuspectInput,
  Task,
} from './schemas.ts';

/** From our own records to what the operator API answers. */

const HOUR = 3_600_000;

const iso = (time: Millis): string => new Date(time).toISOString();

export function jobView({ job, ...status }: JobStatus): Job {
  const { pauseReason, maxCpuHours } = status.control;
  const message = status.message ?? (pauseReason && `paused: ${pauseReason}`);
  return {
    id: job.id,
    process: job.process,
    title: job.title,
    user: job.user,
    ...(job.reference !== undefined && { reference: job.reference }),
    state: status.state,
    percent: status.percent,
    group: status.control.group,
    priority: status.control.priority,
    paused: status.control.isPaused,
    ...(message !== undefined && { message }),
    acceptedAt: iso(job.acceptedAt),
    ...(status.startedAt !== undefined && { startedAt: iso(status.startedAt) }),
    ...(status.endedAt !== undefined && { endedAt: iso(status.endedAt) }),
    updatedAt: iso(status.updatedAt),
    splitEnded: status.splitEnded,
    steps: status.steps,
    attempts: status.attempts,
    cpuHours: {
      used: status.usedCpuMs / HOUR,
      ...(maxCpuHours !== undefined && { ceiling: maxCpuHours }),
    },
  };
}

export function jobDetailsView(status: JobStatus): JobDetails {
  const { job } = status;
  return {
    ...jobView(status),
    workflow: job.workflow.type,
    ...(job.productionType !== undefined && { productionType: job.productionType }),
    processor: job.processor,
    dataset: job.products.dataset,
    ...(job.products.regionWkt !== undefined && { regionWkt: job.products.regionWkt }),
    periods: [...job.periods],
    parameters: job.parameters,
    ...(job.outputFormat !== undefined && { outputFormat: job.outputFormat }),
    inputs: job.inputs,
    ...(job.retryOf && { retryOf: job.retryOf.jobId }),
  };
}

export const quoteView = ({
  job,
  history,
  isLowerBound,
  instances,
  at: _at,
  steps,
  ...quote
}: jobs.Quote): Quote => ({
  process: job.process,
  title: job.title,
  user: job.user,
  group: job.group,
  lowerBound: isLowerBound,
  tasks: instances,
  ...quote,
  ...(job.maxCpuHours !== undefined && { maxCpuHours: job.maxCpuHours }),
  history,
  steps: [...steps],
});

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
    resources: attempt.resources,
    ...(attempt.locality && { locality: attempt.locality }),
    ...(attempt.isSpeculative && { speculative: true }),
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
  ...(ownerOf(bundle) !== undefined && { owner: ownerOf(bundle)! }),
  state: bundle.state,
  visibility: bundle.visibility,
  history: bundle.history.map(({ at, ...step }) => ({ at: iso(at), ...step })),
  aggregators: bundle.aggregators.map(({ name }) => name),
  processes: bundle.processors.map(({ executableName, title }) => ({
    id: processId(bundle, executableName),
    title,
  })),
});

export const outcomeView = ({ isDone, ...outcome }: jobs.Outcome): Outcome => ({
  ...outcome,
  done: isDone,
});

export const explanationView = ({
  reasons,
  remedies,
  expectedStart,
  ...explanation
}: jobs.FullExplanation): Explanation => ({
  ...explanation,
  reasons: reasons.map(({ until, ...reason }) => ({
    ...reason,
    ...(until !== undefined && { until: iso(until) }),
  })),
  ...(expectedStart !== undefined && { expectedStart: iso(expectedStart) }),
  remedies: [...remedies],
});

export const failureGroupView = ({
  firstAt,
  lastAt,
  ...group
}: store.FailureGroup): FailureGroup => ({
  ...group,
  firstAt: iso(firstAt),
  lastAt: iso(lastAt),
});

export const suspectInputView = ({
  lastAt,
  jobIds,
  ...suspect
}: store.SuspectInput): SuspectInput => ({
  ...suspect,
  jobIds: [...jobIds],
  lastAt: iso(lastAt),
});

export function nodeView({ engine, node, rack, pool, away, ...status }: NodeStatus): Node {
  const free = nothing();
  for (const { resources } of status.offers) add(free, resources, 1);
  return {
    engine,
    node,
    ...(rack !== undefined && { rack }),
    ...(pool !== undefined && { pool }),
    resources: asResources(status.total ?? nothing()),
    free: asResources(free),
    attempts: status.attempts,
    ...(status.drained !== undefined && { drained: status.drained }),
    ...(away !== undefined && { away }),
    ...(status.coolingOff && {
      coolingOff: { until: iso(status.coolingOff.until), reason: status.coolingOff.reason },
    }),
  };
}

export function groupView({ path, policy, use, share, fairShare }: GroupStatus): Group {
  const { weight, minimumPercent, maximumPercent, limits, userLimits, users } = policy;
  return {
    path,
    weight,
    minimumPercent,
    maximumPercent,
    limits,
    userLimits,
    users: [...users],
    use: { ...asResources(use), tasks: use.tasks, jobs: use.jobs },
    share,
    fairShare,
  };
}

/** As it is written in the configuration. */
export const schedulingView = ({
  stragglers: { isEnabled, ...stragglers },
  ...policy
}: Policy) => ({
  ...policy,
  stragglers: { enabled: isEnabled, ...stragglers },
});
