import type { Change } from '../core/change.ts';
import type { Attempt, Failure, Job, Resources, Task } from '../core/model.ts';

/** Changes as the scheduler makes them, for the suites that every store has to pass. */

export const resources = { cpus: 1, memoryMb: 512 };
export const failure = { kind: 'processor', message: 'exit code 1 of /a' } as const;

export const aTask = (job: Job, number: number, task: Partial<Task> = {}): Task => ({
  jobId: job.id,
  number,
  step: 'process',
  key: `/archive/${number}`,
  ...((task.step ?? 'process') === 'process' && { input: task.key ?? `/archive/${number}` }),
  firstPeriod: 0,
  lastPeriod: 0,
  ...task,
});

export const addTasks = (...tasks: Task[]): Change => ({
  type: 'addTasks',
  jobId: tasks[0]!.jobId,
  tasks,
  at: 10,
});

export const attempt = (task: Task, number = 1, more: Partial<Attempt> = {}): Attempt => ({
  id: `${task.jobId}.${task.number}.${number}`,
  jobId: task.jobId,
  task: task.number,
  number,
  engine: 'e',
  node: 'n',
  launchedAt: 20,
  ...more,
});

export const launched = (
  task: Task,
  number = 1,
  more: Partial<Attempt> = {},
  uses: Resources = resources,
): Change => ({
  type: 'addAttempt',
  attempt: attempt(task, number, more),
  task,
  resources: uses,
});

export const ended = (task: Task, to: 'finished' | 'failed' | 'lost', number = 1): Change => ({
  type: 'moveAttempt',
  attempt: attempt(task, number),
  resources,
  to,
  at: 30,
  result: { exitCode: 0 },
});

export const broken = (
  task: Task,
  cause: string,
  number = 1,
  { at = 30, ...its }: Partial<Failure> & { at?: number } = {},
): Change => ({
  type: 'moveAttempt',
  attempt: attempt(task, number),
  resources,
  to: 'failed',
  at,
  result: { failure: { ...failure, ...its } },
  cause,
});

export const finished = (task: Task, outputs = [{ path: 'a.tif', size: 7 }]): Change => ({
  type: 'endTask',
  task,
  attempts: 1,
  to: 'finished',
  at: 30,
  failures: 0,
  losses: 0,
  outputs,
});

export const failed = (task: Task, cause?: string, at = 40): Change => ({
  type: 'endTask',
  task,
  attempts: 1,
  to: 'failed',
  at,
  failures: 1,
  losses: 0,
  failure,
  ...(cause !== undefined && { cause }),
});

export const retried = (
  task: Task,
  more: Partial<Extract<Change, { type: 'retryTask' }>> = {},
): Change => ({
  type: 'retryTask',
  task,
  attempts: 1,
  at: 30,
  notBefore: 99,
  failures: 0,
  losses: 1,
  failure,
  ...more,
});

export const revived = (task: Task, memoryMb?: number): Change => ({
  type: 'reviveTask',
  task,
  attempts: 1,
  at: 50,
  ...(memoryMb !== undefined && { memoryMb }),
});
