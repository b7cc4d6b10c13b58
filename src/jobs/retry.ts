import { jobId } from '../core/ids.ts';
import { isJobEnded } from '../core/lifecycle.ts';
import { STEPS } from '../core/model.ts';
import type { Job, JobId, Product, Step } from '../core/model.ts';
import { groupOf, jobGroups } from '../core/policy.ts';
import { timestamp } from '../core/time.ts';
import { PushbroomError } from '../errors.ts';
import { isForOthers, ownerOf } from '../processes/bundle.ts';
import { MEMORY_BOUNDS } from '../processes/settings.ts';
import type { JobView, Store, TaskView } from '../store/store.ts';
import type { RetryWish } from './jobs.ts';
import { resolveRequest } from './resolve-request.ts';
import type { JobsOptions } from './service.ts';

/** Failed tasks of one job that are looked through. */
const MOST_TASKS = 100_000;

/** Something that can be done to a job now. */
export interface Prepared {
  /** What the job then is, e.g. `paused`. */
  readonly message: string;
  readonly newJobId?: JobId;
  run(): Promise<void>;
}

/**
 * Doing failed tasks again. Those of a job that has not ended become ready once more; of one that has ended, a new job
 * does what it left undone, because a job ends only once.
 */
export function createRetry(options: JobsOptions) {
  return async (view: JobView, wish: RetryWish): Promise<Prepared> => {
    checkMemory(wish);
    return isJobEnded(view.state) ? again(view, wish, options) : revival(view, wish, options);
  };
}

async function revival(
  { job: { id } }: JobView,
  wish: RetryWish,
  { store, scheduler }: JobsOptions,
): Promise<Prepared> {
  const { version, memoryMb } = wish;
  if (version !== undefined) {
    const remedy = `with version ${version} it can be retried when it has, or is cancelled`;
    throw conflict(`Job ${id} has not ended: ${remedy}.`);
  }
  const { wanted } = await failedTasks(store, id, wish);
  return {
    message: `retried: ${wanted.length} failed ${wanted.length === 1 ? 'task' : 'tasks'}`,
    run: () => scheduler.retryTasks(id, wanted, memoryMb),
  };
}

async function again(view: JobView, wish: RetryWish, options: JobsOptions): Promise<Prepared> {
  const { job, state } = view;
  const { store, scheduler } = options;
  const failedSteps = STEPS.filter((step) => view.steps[step].failed > 0);
  if (state === 'successful' && failedSteps.length === 0) {
    throw conflict(`Job ${job.id} was successful and lost nothing: to repeat it, submit it again.`);
  }
  await checkNotRetried(store, job);
  const isPart = wish.cause !== undefined || wish.tasks !== undefined;
  const { wanted, others } = isPart
    ? await failedTasks(store, job.id, wish)
    : { wanted: [], others: [] };
  if (wanted.length + others.length >= MOST_TASKS) {
    throw conflict(`Job ${job.id} has ${MOST_TASKS} failed tasks or more: retry all of them.`);
  }
  const steps = isPart ? wanted.map(({ task }) => task.step) : failedSteps;
  const without = [...(job.retryOf?.without ?? []), ...others.flatMap(productOf)];
  const newJob: Job = {
    ...withMemory(baseOf(job, wish, options), steps, wish.memoryMb),
    ...identity(view, options),
    retryOf: { jobId: job.id, without: [...new Set(without)] },
  };
  return {
    message: 'retried as a new job',
    newJobId: newJob.id,
    run: () => scheduler.submit(newJob),
  };
}

async function checkNotRetried(store: Store, { id }: Job): Promise<void> {
  const states = ['accepted', 'running', 'successful'] as const;
  const { items } = await store.jobs({ retryOf: id, states, limit: 1 });
  if (!items[0]) return;
  const { job, state } = items[0];
  throw conflict(`Job ${id} was retried before: job ${job.id} is ${state}.`);
}

/** The failed tasks that are wanted again, and the others. */
async function failedTasks(store: Store, id: JobId, { cause, tasks }: RetryWish) {
  const all = await store.failedTasks(id, { limit: MOST_TASKS });
  let wanted = all;
  if (cause !== undefined) {
    const causes = await causesLike(store, id, cause);
    const found = await Promise.all(
      causes.map((each) => store.failedTasks(id, { cause: each, limit: MOST_TASKS })),
    );
    wanted = found.flat();
  }
  if (tasks !== undefined) {
    const isFailed = new Set(all.map(({ task }) => task.number));
    const unknown = tasks.find((number) => !isFailed.has(number));
    if (unknown !== undefined) {
      throw invalid('tasks', `Task ${id}.${unknown} has not failed, or is not there.`);
    }
    const isNamed = new Set(tasks);
    wanted = wanted.filter(({ task }) => isNamed.has(task.number));
  }
  if (wanted.length === 0) throw conflict(`Job ${id} has no such failed tasks.`);
  const isWanted = new Set(wanted.map(({ task }) => task.number));
  return { wanted, others: all.filter(({ task }) => !isWanted.has(task.number)) };
}

async function causesLike(store: Store, id: JobId, text: string): Promise<string[]> {
  const groups = await store.failures(id);
  const part = text.toLowerCase();
  const causes = groups
    .filter(({ kind, cause }) => kind === part || cause.toLowerCase().includes(part))
    .map(({ cause }) => cause);
  if (causes.length > 0) return causes;
  const known = groups.map(({ cause }) => cause).slice(0, 10);
  const remedy = known.length > 0 ? `Its causes: ${known.join('; ')}.` : 'None has failed.';
  throw invalid('cause', `No task of job ${id} has failed for '${text}'. ${remedy}`);
}

/** What the old job was asked to do, as it was resolved then; anew where it is to run with another version. */
function baseOf(job: Job, { version }: RetryWish, options: JobsOptions): Job {
  const { registry, now } = options;
  const { bundle, version: before, bundleHash } = job.processor;
  if (version === undefined) {
    const found = registry.bundle(bundle, before);
    if (found?.hash === bundleHash && found.state !== 'withdrawn') return job;
    const fate = found?.hash === bundleHash ? 'was withdrawn' : 'is no longer there';
    throw conflict(
      `The bundle ${bundle}~${before} of job ${job.id} ${fate}: deploy it again, or name another version.`,
    );
  }
  checkOffered(job, version, options);
  const caller = {
    user: job.user,
    role: 'operator' as const,
    groups: [],
    ...(job.reference !== undefined && { reference: job.reference }),
  };
  const request = { ...requestOf(job, version), caller };
  return resolveRequest(request, options, { id: () => job.id, acceptedAt: now() });
}

/** A retry is for the job's user: what is not offered to him must not come to run for him by way of an operator. */
function checkOffered(
  { id, user, processor }: Job,
  version: string,
  { registry }: JobsOptions,
): void {
  const found = registry.bundle(processor.bundle, version);
  if (!found || isForOthers(found) || ownerOf(found) === user) return;
  throw conflict(
    `The bundle ${processor.bundle}~${version} is not there for '${user}', whose job ${id} is: vet, deploy and publish it first.`,
  );
}

/** The request of a job, with another version of its bundle. */
function requestOf({ productionType, inputs, processor }: Job, version: string) {
  if (productionType === undefined) {
    return { process: `${processor.bundle}~${version}~${processor.processor}`, inputs };
  }
  const { processorBundles: _, ...others } = inputs;
  return {
    process: productionType,
    inputs: {
      ...others,
      processorBundleName: processor.bundle,
      processorBundleVersion: version,
    },
  };
}

/** What differs between two jobs that do the same. */
function identity({ job, control }: JobView, { scheduler, now, unique }: JobsOptions) {
  const acceptedAt = now();
  const policy = scheduler.policy();
  const isThere = jobGroups(policy).includes(control.group);
  return {
    id: jobId(timestamp(acceptedAt), job.workflow.type, unique()),
    acceptedAt,
    title: job.title,
    group: isThere ? control.group : groupOf(policy, job.user),
    priority: control.priority,
  };
}

/** @param steps that need more memory: those that had too little, or the first one where nothing has failed */
function withMemory(job: Job, steps: readonly Step[], memoryMb?: number): Job {
  if (memoryMb === undefined) return job;
  const { retry } = job;
  let { workflow } = job;
  for (const step of new Set(steps.length > 0 ? steps : (['process'] as const))) {
    const plan = workflow[step];
    // Another version may do without a step.
    if (!plan) continue;
    workflow = { ...workflow, [step]: { ...plan, resources: { ...plan.resources, memoryMb } } };
  }
  const maxMemoryMb = Math.max(retry.maxMemoryMb, memoryMb);
  return { ...job, workflow, retry: { ...retry, maxMemoryMb } };
}

/** The product without which there is no such task; aggregations are made from whatever there is. */
const productOf = ({ task: { step, source, key } }: TaskView): string[] =>
  step === 'process' || source !== undefined ? [key] : [];

/** What is found for a job, but for the failed products that nobody wants again. */
export async function* withoutUnwanted(
  { retryOf }: Job,
  batches: AsyncIterable<readonly Product[]>,
): AsyncGenerator<readonly Product[]> {
  const unwanted = new Set(retryOf?.without);
  for await (const batch of batches) {
    yield unwanted.size === 0 ? batch : batch.filter(({ path }) => !unwanted.has(path));
  }
}

function checkMemory({ memoryMb }: RetryWish): void {
  const { min, max } = MEMORY_BOUNDS;
  if (memoryMb === undefined || (memoryMb >= min && memoryMb <= max)) return;
  throw invalid('memoryMb', `The memory must be from ${min} to ${max} MB, and not ${memoryMb}.`);
}

const conflict = (message: string): PushbroomError => new PushbroomError('CONFLICT', message);
const invalid = (locator: string, message: string): PushbroomError =>
  new PushbroomError('INVALID_PARAMETER', message, { locator });
