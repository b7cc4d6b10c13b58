import { isJobEnded } from '../core/lifecycle.ts';
import type { Control, JobState } from '../core/model.ts';
import { jobGroups } from '../core/policy.ts';
import type { Policy } from '../core/policy.ts';
import { PushbroomError } from '../errors.ts';
import type { Scheduler } from '../scheduler/scheduler.ts';
import type { JobView } from '../store/store.ts';
import { createExplain } from './explain.ts';
import { noSuchJob } from './jobs.ts';
import type { Action, Operations, Outcome, Report } from './jobs.ts';
import { createRetry } from './retry.ts';
import type { Prepared } from './retry.ts';
import { selectJobs } from './select.ts';
import type { JobsOptions } from './service.ts';

/** Refusals that a report's message tells in full. */
const TOLD = 3;

const DONE: Readonly<Record<Action['type'], string>> = {
  pause: 'paused',
  resume: 'resumed',
  cancel: 'cancelled',
  prioritise: 'changed',
  retry: 'retried',
};

/** What operators may do, answered by the scheduler and the store. */
export function createOperations(options: JobsOptions): Operations {
  const { store, scheduler } = options;
  const retry = createRetry(options);
  const prepare = async (view: JobView, action: Action): Promise<Prepared> =>
    action.type === 'retry' ? retry(view, action) : prepareControl(scheduler, view, action);

  return {
    act: async (jobId, action) => {
      check(action, scheduler.policy());
      const view = (await store.job(jobId)) ?? noSuchJob(jobId);
      const { run, ...outcome } = await prepare(view, action);
      await run();
      return { jobId, isDone: true, ...outcome };
    },
    actOnAll: async (selection, action, isDryRun): Promise<Report> => {
      check(action, scheduler.policy());
      const outcomes: (() => Promise<Outcome>)[] = [];
      for (const [id, view] of await selectJobs(store, selection, statesFor(action))) {
        const prepared = await attempt(async () => prepare(view ?? noSuchJob(id), action));
        outcomes.push(() => outcomeOf(id, prepared, isDryRun));
      }
      // Together, so that they are stored in one commit.
      const items = await Promise.all(outcomes.map((act) => act()));
      return { message: summary(items, action, isDryRun), items };
    },
    explain: createExplain(options),
    failures: async (id) => {
      if (!(await store.job(id))) noSuchJob(id);
      return store.failures(id);
    },
    suspectInputs: () => store.suspectInputs(),
  };
}

/** The states of jobs for which an action can be meant. */
const statesFor = ({ type }: Action): readonly JobState[] =>
  type === 'retry' ? ['failed'] : ['accepted', 'running'];

function check(action: Action, policy: Policy): void {
  if (action.type !== 'prioritise') return;
  const { priority, group } = action;
  if (priority === undefined && group === undefined) {
    throw invalid('priority', 'Say the new priority, the new group or both.');
  }
  const groups = jobGroups(policy);
  if (group !== undefined && !groups.includes(group)) {
    const known = groups.join(', ');
    throw invalid('group', `There is no group '${group}' for jobs. There are: ${known}.`);
  }
}

type ControlAction = Exclude<Action, { type: 'retry' }>;

function prepareControl(
  scheduler: Pick<Scheduler, 'control' | 'dismiss'>,
  { job: { id }, state }: JobView,
  action: ControlAction,
): Prepared {
  if (isJobEnded(state)) {
    throw new PushbroomError('CONFLICT', `Job ${id} is ${state}: it has ended.`);
  }
  return {
    message: DONE[action.type],
    run: () =>
      action.type === 'cancel' ? scheduler.dismiss(id) : scheduler.control(id, changeOf(action)),
  };
}

function changeOf(action: ControlAction): Partial<Control> {
  if (action.type === 'resume') {
    const { maxCpuHours } = action;
    return { isPaused: false, ...(maxCpuHours !== undefined && { maxCpuHours }) };
  }
  if (action.type !== 'prioritise') return { isPaused: true };
  const { priority, group } = action;
  return { ...(priority !== undefined && { priority }), ...(group !== undefined && { group }) };
}

async function outcomeOf(
  jobId: string,
  prepared: Prepared | PushbroomError,
  isDryRun: boolean,
): Promise<Outcome> {
  const refused = (message: string): Outcome => ({ jobId, isDone: false, message });
  if (prepared instanceof PushbroomError) return refused(prepared.message);
  const { run, ...outcome } = prepared;
  if (isDryRun) return { jobId, isDone: true, message: `would be ${outcome.message}` };
  const failure = await attempt(run);
  return failure ? refused(failure.message) : { jobId, isDone: true, ...outcome };
}

/** What one job is refused keeps nobody from the others; a defect does. */
async function attempt<T>(work: () => Promise<T>): Promise<T | PushbroomError> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof PushbroomError && error.code !== 'INTERNAL') return error;
    throw error;
  }
}

/** E.g. `3 of 5 jobs were paused; 2 not: Job a is failed: it has ended.` (specification H.2) */
function summary(items: readonly Outcome[], action: Action, isDryRun: boolean): string {
  const refused = items.filter(({ isDone }) => !isDone).map(({ message }) => message);
  const done = items.length - refused.length;
  const jobs = items.length === 1 ? 'job' : 'jobs';
  const verb = isDryRun ? 'would be' : done === 1 ? 'was' : 'were';
  if (refused.length === 0) return `${done} ${jobs} ${verb} ${DONE[action.type]}.`;
  const told = refused.slice(0, TOLD).join(' ');
  const more = refused.length > TOLD ? ` And ${refused.length - TOLD} more.` : '';
  return `${done} of ${items.length} ${jobs} ${verb} ${DONE[action.type]}; ${refused.length} not: ${told}${more}`;
}

const invalid = (locator: string, message: string): PushbroomError =>
  new PushbroomError('INVALID_PARAMETER', message, { locator });
