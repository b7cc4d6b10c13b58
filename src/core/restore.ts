import { add } from './amount.ts';
import { startUsing } from './ceiling.ts';
import { isJobEnded } from './lifecycle.ts';
import { STEPS } from './model.ts';
import type { Control, Job, JobState, Millis, Step, Task } from './model.ts';
import { countJob, countTask } from './shares.ts';
import { consumerOf, createJobRecord } from './state.ts';
import type { AttemptRecord, JobRecord, Loss, State, TaskRecord } from './state.ts';
import { countAdded, countEnded, makeReady } from './tasks.ts';

/** An open task as the store gives it back to a scheduler that starts. */
export interface OpenTask {
  readonly task: Task;
  /** Attempts so far, those included that are out. */
  readonly attempts: number;
  readonly failures: number;
  readonly losses: number;
  readonly notBefore?: Millis;
  readonly memoryMb?: number;
}

/** How many tasks of a step and an extent have come to the same. */
export interface TaskCount {
  readonly step: Step;
  readonly firstPeriod: number;
  readonly lastPeriod: number;
  readonly state: 'open' | 'finished' | 'failed';
  /** Whether they left outputs. */
  readonly productive: boolean;
  readonly count: number;
}

/** A job as the store gives it back. Its tasks are counts, but for those that are open and have room in memory. */
export interface JobSnapshot {
  readonly job: Job;
  readonly control: Control;
  readonly state: JobState;
  readonly splitEnded: boolean;
  /** CPUs times milliseconds of attempts that have ended. */
  readonly usedCpuMs: number;
  /** One more than the highest number of a task. */
  readonly nextTask: number;
  readonly counts: readonly TaskCount[];
  readonly failedTasks: readonly number[];
  /** The first few. */
  readonly losses: readonly Loss[];
  /**
   * In the order of their numbers: all that were tried, all of later steps, and of the first step's others the first
   * `window` ones. Those that are left out have higher numbers.
   */
  readonly open: Iterable<OpenTask>;
  /** Open tasks that are left out. */
  readonly unloaded: number;
  /** Attempts that have not ended. */
  readonly attempts: readonly AttemptRecord[];
}

/** Puts a stored job back into the state, as if all its changes had just been applied. */
export function restore(state: State, snapshot: JobSnapshot, at: Millis): void {
  const record = createJobRecord(snapshot.job);
  record.control = snapshot.control;
  record.state = snapshot.state;
  record.cpuMs.ended = snapshot.usedCpuMs;
  state.jobs.set(snapshot.job.id, record);
  restoreCounts(record, snapshot);
  for (const { attempt, resources, state: attemptState } of snapshot.attempts) {
    record.attempts.set(attempt.id, { attempt, resources, state: attemptState });
    add(record.use, resources, 1);
    startUsing(record, attempt, resources);
    countTask(state.shares, consumerOf(record), resources, 1);
  }
  const live = Map.groupBy(snapshot.attempts, ({ attempt }) => attempt.task);
  for (const open of snapshot.open) {
    restoreTask(state, record, open, live.get(open.task.number)?.length ?? 0, at);
  }
  if (!isJobEnded(record.state)) countJob(state.shares, consumerOf(record), 1);
}

function restoreCounts(record: JobRecord, snapshot: JobSnapshot): void {
  const byStep = snapshot.counts.toSorted(
    (a, b) => STEPS.indexOf(a.step) - STEPS.indexOf(b.step) || a.firstPeriod - b.firstPeriod,
  );
  for (const { state, count, productive, ...extent } of byStep) {
    countAdded(record, extent, count);
    if (state !== 'open') countEnded(record, extent, { to: state, productive }, count);
  }
  record.nextTask = snapshot.nextTask;
  record.unloaded = snapshot.unloaded;
  record.splitEnded = snapshot.splitEnded;
  record.losses.push(...snapshot.losses);
  for (const task of snapshot.failedTasks) record.failedTasks.add(task);
  // What follows from these counts has to be looked at once more.
  record.due.clear();
  record.periods.forEach(({ open }, index) => open === 0 && record.due.add(index));
}

function restoreTask(
  state: State,
  record: JobRecord,
  { task, attempts, failures, losses, notBefore, memoryMb }: OpenTask,
  live: number,
  at: Millis,
): void {
  const restored: TaskRecord = {
    task,
    state: live > 0 ? 'running' : 'ready',
    attempts,
    failures,
    losses,
    live,
    ...(memoryMb !== undefined && { memoryMb }),
  };
  record.tasks.set(task.number, restored);
  if (task.step === 'process') record.loadedTo = Math.max(record.loadedTo, task.number);
  if (live > 0) return;
  // A clock that was set back meanwhile makes nobody wait longer than the longest pause.
  const until = Math.min(notBefore ?? 0, at + 1000 * record.job.retry.maxDelay);
  if (until > at) state.delayed.push({ until, jobId: record.job.id, task: task.number });
  else makeReady(state, record, restored, at);
}
