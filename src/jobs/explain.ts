import { ceilingRemedy } from '../core/ceiling.ts';
import { parseAttemptId, taskId } from '../core/ids.ts';
import { isAttemptEnded, isJobEnded } from '../core/lifecycle.ts';
import type { Explanation } from '../core/explain.ts';
import type { FailureKind, JobId } from '../core/model.ts';
import { PushbroomError } from '../errors.ts';
import type { AttemptView, FailureGroup, JobView, Store, TaskView } from '../store/store.ts';
import { noSuchJob } from './jobs.ts';
import type { FullExplanation } from './jobs.ts';
import type { JobsOptions } from './service.ts';

type Reason = Explanation['reasons'][number];

const TASK_ID = /^([^.]+)\.(\d{1,9})$/;

/**
 * Why something is as it is: from the scheduler while it may still change, from the store once it has ended or for what
 * failed on the way.
 */
export function createExplain({ store, scheduler }: Pick<JobsOptions, 'store' | 'scheduler'>) {
  return async (id: string): Promise<FullExplanation> => {
    const [, jobId = id, number] = TASK_ID.exec(id) ?? [];
    const attempt = parseAttemptId(id);
    const view = (await store.job(attempt?.jobId ?? jobId)) ?? noSuchJob(attempt?.jobId ?? jobId);
    if (attempt) return explainAttempt(view, attempt.task, id);
    return number === undefined ? explainJob(view) : explainTask(view, Number(number));
  };

  async function explainJob(view: JobView): Promise<FullExplanation> {
    const { id } = view.job;
    const isAtCeiling = !isJobEnded(view.state) && view.control.pauseReason !== undefined;
    const groups = await store.failures(id);
    const live = scheduler.explain(id) ?? (await endOf(store, view));
    return {
      ...live,
      reasons: [...live.reasons, ...groups.map(reasonOf)],
      remedies: [
        ...(isAtCeiling ? [ceilingRemedy(id)] : []),
        ...(await remediesFor(store, id, groups)),
      ],
    };
  }

  async function explainTask(view: JobView, number: number): Promise<FullExplanation> {
    const id = taskId(view.job.id, number);
    const task = await store.task(view.job.id, number);
    if (!task) throw new PushbroomError('NOT_FOUND', `There is no task '${id}'.`);
    const attempts = await store.attempts(view.job.id, number);
    const live = scheduler.explain(id) ?? {
      id,
      state: task.state,
      summary: summaryOf(view, task),
      reasons: [],
    };
    const failures = attempts.filter(({ result }) => result?.failure).map(reasonOfAttempt);
    const kind = task.state === 'finished' ? undefined : task.failure?.kind;
    return {
      ...live,
      reasons: [...live.reasons, ...(await suspicion(store, task)), ...failures],
      remedies: kind === undefined ? [] : [REMEDIES[kind](view.job.id)],
    };
  }

  async function explainAttempt(view: JobView, task: number, id: string): Promise<FullExplanation> {
    const attempt = (await store.attempts(view.job.id, task)).find((each) => each.id === id);
    if (!attempt) throw new PushbroomError('NOT_FOUND', `There is no attempt '${id}'.`);
    const live = isAttemptEnded(attempt.state) ? undefined : scheduler.explain(id);
    const { failure } = attempt.result ?? {};
    const summary = `It is ${attempt.state} on node ${attempt.node} of engine ${attempt.engine}.`;
    return {
      ...(live ?? { id, state: attempt.state, summary, reasons: [] }),
      ...(failure && { reasons: [reasonOfAttempt(attempt)] }),
      remedies: failure ? [REMEDIES[failure.kind](view.job.id)] : [],
    };
  }
}

async function endOf(store: Store, { job, state, message }: JobView): Promise<Explanation> {
  const { items } = await store.jobs({ retryOf: job.id, limit: 1 });
  const reasons = items.map((again): Reason => ({
    code: 'ended',
    message: `Job ${again.job.id} does it again and is ${again.state}.`,
  }));
  return { id: job.id, state, summary: message ?? `The job is ${state}.`, reasons };
}

/** What was tried again and went well then needs no remedy. */
async function remediesFor(
  store: Store,
  id: JobId,
  groups: readonly FailureGroup[],
): Promise<string[]> {
  const remedies = groups.map(async ({ kind, cause }) => {
    const failed = await store.failedTasks(id, { cause, limit: 1 });
    return failed.length > 0 ? [REMEDIES[kind](id)] : [];
  });
  return [...new Set((await Promise.all(remedies)).flat())];
}

async function suspicion(store: Store, { task: { input } }: TaskView): Promise<Reason[]> {
  if (input === undefined) return [];
  const [suspect] = await store.suspectInputs({ input });
  if (!suspect) return [];
  return [{ code: 'failed', message: `Its input ${input} failed in ${suspect.jobs} jobs.` }];
}

function summaryOf(
  { state: itsJob, job }: JobView,
  { state, failure, attempts }: TaskView,
): string {
  const times = attempts === 1 ? 'one attempt' : `${attempts} attempts`;
  if (state === 'finished') return `It finished after ${times}.`;
  if (state === 'failed')
    return `It failed after ${times}: ${failure?.message ?? 'no reason given'}`;
  return isJobEnded(itsJob)
    ? `It will not run any more: job ${job.id} is ${itsJob}.`
    : 'It waits for the tasks before it.';
}

const reasonOf = ({ count, message, example }: FailureGroup): Reason => ({
  code: 'failed',
  message:
    count === 1
      ? `Attempt ${example} failed: ${message}`
      : `${count} attempts failed alike, e.g. ${example}: ${message}`,
});

const reasonOfAttempt = ({ id, node, state, result }: AttemptView): Reason => ({
  code: 'failed',
  message: `Attempt ${id} ${state === 'failed' ? 'failed' : `was ${state}`} on ${node}: ${result!.failure!.message}`,
});

/** What to do about each kind of failure, as a line for whoever is called at night. */
const REMEDIES: Readonly<Record<FailureKind, (id: JobId) => string>> = {
  input: (id) =>
    `Look at the product, and at 'pushbroom inputs'. When it is whole again: pushbroom retry ${id} --cause input`,
  processor: (id) =>
    `Look at 'pushbroom logs ${id}'. With a corrected bundle: pushbroom retry ${id} --version VERSION`,
  memory: (id) => `Give it more memory: pushbroom retry ${id} --cause memory --memory MB`,
  disk: (id) => `Make room on the disk that is full, then: pushbroom retry ${id} --cause disk`,
  time: (id) =>
    `Look at 'pushbroom logs ${id}' whether it hangs. If it only needs longer, raise its time limit in the bundle: ` +
    `pushbroom retry ${id} --version VERSION`,
  network: (id) =>
    `Look whether storage and network are there again, then: pushbroom retry ${id} --cause network`,
  engine: (id) =>
    `Look at 'pushbroom nodes', drain a node that is broken, then: pushbroom retry ${id} --cause engine`,
  capacity: (id) =>
    `The cluster had no room for it. Look at 'pushbroom nodes', then: pushbroom retry ${id} --cause capacity`,
  operator: (id) => `Somebody ended it. To do it again: pushbroom retry ${id}`,
};
