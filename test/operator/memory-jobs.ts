import { isJobEnded } from '../../src/core/lifecycle.ts';
import type { Job } from '../../src/core/model.ts';
import { PushbroomError } from '../../src/errors.ts';
import type { ExecuteRequest, Jobs, JobStatus, Process } from '../../src/jobs/jobs.ts';
import type { JobChange } from '../../src/operator/events.ts';
import type { AttemptView, TaskView } from '../../src/store/store.ts';

const ACCEPTED_AT = Date.UTC(2026, 0, 31, 10, 20, 30);
const NONE = { total: 0, finished: 0, failed: 0 };
const PLAN = { resources: { cpus: 1, memoryMb: 512 }, wallTimeLimit: 60, silenceLimit: 60 };

export const PROCESS: Process = {
  id: 'timescan~1.0~Indices',
  title: 'TimeScan indices',
  description: '',
  version: '1.0',
  inputs: [],
  outputs: [],
};

/** Jobs that live in memory and move only when a test says so. */
export interface MemoryJobs extends Jobs {
  /** Changes what is known of a job and tells the subscribers. */
  move(id: string, change: Partial<Omit<JobStatus, 'job'>>): void;
  /** Replaces a task by its number, with its attempts. */
  put(task: TaskView, attempts: readonly AttemptView[]): void;
  subscribe(listener: (change: JobChange) => void): () => void;
}

export function createMemoryJobs(): MemoryJobs {
  const jobs = new Map<string, JobStatus>();
  const tasks = new Map<string, TaskView[]>();
  const attempts = new Map<string, readonly AttemptView[]>();
  const listeners = new Set<(change: JobChange) => void>();

  const known = (id: string): JobStatus => {
    const status = jobs.get(id);
    if (!status) throw new PushbroomError('NO_SUCH_JOB', `There is no job '${id}'`);
    return status;
  };
  const move = (id: string, change: Partial<Omit<JobStatus, 'job'>>): JobStatus => {
    const status = { ...known(id), ...change };
    jobs.set(id, status);
    for (const tell of listeners) tell({ jobId: id, state: status.state, percent: status.percent });
    return status;
  };

  return {
    processes: async () => [PROCESS],
    process: async (id) => {
      if (id !== PROCESS.id)
        throw new PushbroomError('NO_SUCH_PROCESS', `There is no process '${id}'`);
      return PROCESS;
    },
    async submit(request) {
      await this.process(request.process);
      const id = `20260131102030_L3_${String(jobs.size + 1).padStart(4, '0')}`;
      jobs.set(id, acceptedJob(id, request));
      return move(id, {});
    },
    quote: () => Promise.reject(new Error('nothing is quoted here')),
    status: async (id) => known(id),
    async list({ states, user, process, group, limit, after }) {
      const all = [...jobs.values()]
        .toReversed()
        .filter(({ state }) => !states || states.includes(state))
        .filter(({ job }) => user === undefined || job.user === user)
        .filter(({ job }) => process === undefined || job.process === process)
        .filter(({ control }) => group === undefined || control.group === group);
      return page(all, limit, after, ({ job }) => job.id);
    },
    async ended(id) {
      if (isJobEnded(known(id).state)) return known(id);
      return new Promise((resolve) => {
        listeners.add(({ jobId, state }) => {
          if (jobId === id && isJobEnded(state)) resolve(known(id));
        });
      });
    },
    async results(id) {
      const { state, results } = known(id);
      if (state !== 'successful')
        throw new PushbroomError('RESULT_NOT_READY', `Job ${id} is ${state}`);
      return results ?? [];
    },
    async dismiss(id) {
      return isJobEnded(known(id).state) ? known(id) : move(id, { state: 'dismissed' });
    },
    async tasks(id, { states, step, limit, after }) {
      const all = (tasks.get(id) ?? [])
        .filter(({ state }) => !states || states.includes(state))
        .filter(({ task }) => step === undefined || task.step === step);
      return page(all, limit, after, ({ task }) => String(task.number));
    },
    attempts: async (id, task) => attempts.get(`${id}.${task}`) ?? [],
    move,
    put(view, its) {
      const { jobId, number } = view.task;
      const others = (tasks.get(jobId) ?? []).filter(({ task }) => task.number !== number);
      tasks.set(jobId, [...others, view]);
      attempts.set(`${jobId}.${number}`, its);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function page<T>(
  all: readonly T[],
  limit: number,
  after: string | undefined,
  key: (item: T) => string,
) {
  const from = after === undefined ? 0 : all.findIndex((item) => key(item) === after) + 1;
  const items = all.slice(from, from + limit);
  const last = items.at(-1);
  return { items, ...(from + limit < all.length && last !== undefined && { next: key(last) }) };
}

function acceptedJob(id: string, { process, inputs, caller }: ExecuteRequest): JobStatus {
  const job: Job = {
    id,
    process,
    title: inputs['productionName'] ?? 'untitled',
    user: caller.user,
    group: 'default',
    priority: 100,
    acceptedAt: ACCEPTED_AT,
    processor: { bundle: 'timescan', version: '1.0', processor: 'Indices', bundleHash: 'ab12' },
    workflow: { type: 'L3', process: PLAN },
    retry: {
      maxAttempts: 3,
      maxLosses: 3,
      delay: 1,
      maxDelay: 60,
      maxMemoryMb: 512,
      failurePercent: 0,
    },
    products: { dataset: inputs['inputDataSetName'] ?? 'scenes', productType: 'ANY' },
    periods: [{ from: '2015-08-01', to: '2021-01-01' }],
    parameters: {},
    inputs,
    ...(caller.reference !== undefined && { reference: caller.reference }),
  };
  return {
    job,
    control: { group: 'default', priority: 100, isPaused: false },
    state: 'accepted',
    percent: 0,
    updatedAt: ACCEPTED_AT,
    splitEnded: false,
    steps: { process: NONE, aggregate: NONE, format: NONE },
    attempts: 0,
    usedCpuMs: 0,
  };
}

/** A task that failed once, with the attempt that says why. */
export function failedTask(jobId: string, number: number): [TaskView, AttemptView[]] {
  const failure = { kind: 'processor', message: 'the scene is truncated' } as const;
  const attempt: AttemptView = {
    id: `${jobId}.${number}.1`,
    task: number,
    number: 1,
    engine: 'local',
    node: 'here',
    resources: { cpus: 1, memoryMb: 512 },
    state: 'failed',
    launchedAt: ACCEPTED_AT,
    endedAt: ACCEPTED_AT + 1000,
    result: {
      exitCode: 1,
      failure,
      usage: { wallMs: 900, cpuUserMs: 800, sources: { cpu: 'proc-stat-children' } },
    },
  };
  const task: TaskView = {
    task: {
      jobId,
      number,
      step: 'process',
      key: `scene-${number}`,
      input: `/scenes/${number}.tif`,
      firstPeriod: 0,
      lastPeriod: 0,
    },
    state: 'failed',
    attempts: 1,
    failure,
  };
  return [task, [attempt]];
}
