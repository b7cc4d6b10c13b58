import { estimate } from '../../src/core/estimate.ts';
import { jobId } from '../../src/core/ids.ts';
import { isJobEnded } from '../../src/core/lifecycle.ts';
import type { Job, JobId } from '../../src/core/model.ts';
import { DEFAULT_POLICY } from '../../src/core/policy.ts';
import { PushbroomError } from '../../src/errors.ts';
import type { ExecuteRequest, Jobs, JobStatus, Process } from '../../src/jobs/jobs.ts';
import { resolveLocal } from '../../src/jobs/resolve-local.ts';
import { createLayout } from '../../src/layout.ts';
import { findBuiltin } from '../../src/processes/builtin.ts';
import { createLocalStager } from '../../src/publication/stage-local.ts';

/** What a test may do to a job: there is no scheduler here, jobs move when they are told to. */
type Progress = Partial<
  Pick<JobStatus, 'state' | 'percent' | 'message' | 'results' | 'startedAt' | 'endedAt'>
>;

export interface MemoryJobs extends Jobs {
  move(id: JobId, progress: Progress): void;
  /** Resolves with the id of the next job that is accepted. */
  nextAccepted(): Promise<JobId>;
  /** How many callers wait for the end of a job. */
  waiting(id: JobId): number;
}

const ACCEPTED_AT = Date.UTC(2017, 3, 20, 20, 54, 29, 676);
const NOTHING = { total: 0, finished: 0, failed: 0 };

/**
 * @param directory where results are staged of those processes that the service runs itself: their jobs end at once, as
 *   they do in the service, unless they are to pause
 */
export function createMemoryJobs(processes: readonly Process[], directory: string): MemoryJobs {
  const stage = createLocalStager(createLayout(directory));
  const jobs = new Map<JobId, JobStatus>();
  const waiters = new Map<JobId, Set<(status: JobStatus) => void>>();
  let announce = Promise.withResolvers<JobId>();

  const statusOf = (id: JobId): JobStatus => {
    const status = jobs.get(id);
    if (!status) throw new PushbroomError('NO_SUCH_JOB', `there is no job '${id}'`);
    return status;
  };
  const processOf = (id: string): Process => {
    const found = processes.find((process) => process.id === id);
    if (!found) throw new PushbroomError('NO_SUCH_PROCESS', `there is no process '${id}'`);
    return found;
  };
  const move = (id: JobId, progress: Progress) => {
    const status = { ...statusOf(id), ...progress };
    jobs.set(id, status);
    if (!isJobEnded(status.state)) return;
    for (const resolve of waiters.get(id) ?? []) resolve(status);
    waiters.delete(id);
  };

  return {
    move,
    nextAccepted: () => announce.promise,
    waiting: (id) => waiters.get(id)?.size ?? 0,
    processes: async () => processes,
    process: async (id) => processOf(id),
    async submit(request) {
      checkInputs(processOf(request.process), request.inputs);
      const accepted = acceptedJob(request, jobs.size);
      jobs.set(accepted.job.id, accepted);
      announce.resolve(accepted.job.id);
      announce = Promise.withResolvers();
      const { job } = accepted;
      if (job.workflow.type === 'Local' && job.parameters['pause'] === undefined) {
        const results = await stage(job, new AbortController().signal);
        move(job.id, { state: 'successful', percent: 100, results });
      }
      return statusOf(job.id);
    },
    async quote(request) {
      const process = processOf(request.process);
      checkInputs(process, request.inputs);
      const { job } = acceptedJob(request, jobs.size);
      const extent = { products: 11, periods: 0, isLowerBound: false };
      const history = { jobs: 0, process: process.id };
      return { ...estimate(job, extent, {}, 60_000), job, history, at: ACCEPTED_AT };
    },
    status: async (id) => statusOf(id),
    async list({ states, user, process, processes: named, accepted, limit, after }) {
      const found = [...jobs.values()]
        .toReversed()
        .filter(({ state }) => !states || states.includes(state))
        .filter(({ job }) => user === undefined || job.user === user)
        .filter(({ job }) => process === undefined || job.process === process)
        .filter(({ job }) => !named || named.includes(job.process))
        .filter(({ job }) => job.acceptedAt <= (accepted?.to ?? Infinity));
      const start = Number(after ?? 0);
      const end = start + limit;
      return {
        items: found.slice(start, end),
        ...(end < found.length && { next: String(end) }),
      };
    },
    async ended(id, signal) {
      const status = statusOf(id);
      if (isJobEnded(status.state)) return status;
      const { promise, resolve, reject } = Promise.withResolvers<JobStatus>();
      const waiting = waiters.get(id) ?? new Set();
      waiters.set(id, waiting.add(resolve));
      signal?.addEventListener('abort', () => {
        waiting.delete(resolve);
        reject(signal.reason as Error);
      });
      return promise;
    },
    async results(id) {
      const { state, message = 'it failed', results = [] } = statusOf(id);
      if (state === 'failed') throw new PushbroomError('JOB_FAILED', message);
      if (state === 'dismissed') throw new PushbroomError('JOB_DISMISSED', 'it was dismissed');
      if (state !== 'successful') throw new PushbroomError('RESULT_NOT_READY', 'it still runs');
      return results;
    },
    async dismiss(id) {
      if (!isJobEnded(statusOf(id).state)) move(id, { state: 'dismissed' });
      return statusOf(id);
    },
    tasks: async () => ({ items: [] }),
    attempts: async () => [],
  };
}

function checkInputs(process: Process, inputs: Readonly<Record<string, string>>): void {
  for (const id of Object.keys(inputs)) {
    if (!process.inputs.some((input) => input.id === id)) {
      throw new PushbroomError('INVALID_PARAMETER', `there is no input '${id}'`, { locator: id });
    }
  }
  for (const { id, required } of process.inputs) {
    if (required && !Object.hasOwn(inputs, id)) {
      throw new PushbroomError('MISSING_PARAMETER', `the input '${id}' is missing`, {
        locator: id,
      });
    }
  }
}

function acceptedJob(request: ExecuteRequest, number: number): JobStatus {
  return {
    job: jobOf(request, number),
    control: { group: 'default', priority: 100, isPaused: false },
    state: 'accepted',
    updatedAt: ACCEPTED_AT,
    splitEnded: false,
    steps: { process: NOTHING, aggregate: NOTHING, format: NOTHING },
    attempts: 0,
    usedCpuMs: 0,
    percent: 0,
  };
}

function jobOf(request: ExecuteRequest, number: number): Job {
  const { process, inputs, caller, response } = request;
  const kept = { ...(response && { response }) };
  const unique = (0x10f8bb718406f6 + number).toString(16);
  const builtin = findBuiltin(process);
  if (builtin) {
    const id = jobId('20170420225425', 'Local', unique);
    const policy = DEFAULT_POLICY;
    return { ...resolveLocal({ request, builtin, policy, id, acceptedAt: ACCEPTED_AT }), ...kept };
  }
  const [bundle = '', version = '', processor = ''] = process.split('~');
  const plan = {
    resources: { cpus: 1, memoryMb: 512 },
    wallTimeLimit: 60,
    silenceLimit: 60,
  };
  return {
    id: jobId('20170420225425', 'L3', unique),
    process,
    title: inputs['productionName'] ?? process,
    user: caller.user,
    group: 'default',
    priority: 100,
    acceptedAt: ACCEPTED_AT,
    processor: { bundle, version, processor, bundleHash: '00' },
    workflow: { type: 'L2Plus', process: plan },
    retry: {
      maxAttempts: 3,
      maxLosses: 3,
      delay: 1,
      maxDelay: 10,
      maxMemoryMb: 512,
      failurePercent: 0,
    },
    products: { dataset: inputs['inputDataSetName'] ?? '', productType: 'ANY' },
    periods: [],
    parameters: {},
    inputs,
    ...kept,
    ...(caller.reference !== undefined && { reference: caller.reference }),
  };
}
