import { addReady, createLane, isSameNeed, removeReady } from './lane.ts';
import type { Lane, Need } from './lane.ts';
import { isJobEnded } from './lifecycle.ts';
import { STEPS } from './model.ts';
import type { Failure, Millis, Step, Task } from './model.ts';
import { LOSSES_KEPT, needOf } from './state.ts';
import type { JobRecord, State, TaskRecord } from './state.ts';

/** Which tasks of a job there are, which of them wait, and what is counted of those that have ended. */

type Extent = Pick<Task, 'step' | 'firstPeriod' | 'lastPeriod'>;

/** Counts new tasks; they are open. */
export function countAdded(record: JobRecord, extent: Extent, count = 1): void {
  const { step, firstPeriod, lastPeriod } = extent;
  record.steps[step].total += count;
  if (!record.job.workflow.aggregate) return;
  if (step === 'process') {
    for (let index = record.splitUpTo; index < firstPeriod; index += 1) {
      if (record.periods[index]!.open === 0) record.due.add(index);
    }
    record.splitUpTo = Math.max(record.splitUpTo, firstPeriod);
  }
  for (let index = firstPeriod; index <= lastPeriod; index += 1) {
    const period = record.periods[index]!;
    if (STEPS.indexOf(step) > STEPS.indexOf(period.step)) period.step = step;
    period.open += count;
  }
}

/** Counts tasks that have ended. */
export function countEnded(
  record: JobRecord,
  { step, firstPeriod, lastPeriod }: Extent,
  end: { readonly to: 'finished' | 'failed'; readonly productive: boolean },
  count = 1,
): void {
  record.steps[step][end.to] += count;
  if (!record.job.workflow.aggregate) return;
  for (let index = firstPeriod; index <= lastPeriod; index += 1) {
    const period = record.periods[index]!;
    period.open -= count;
    if (end.productive) period.productive[step] += count;
    if (period.open === 0) record.due.add(index);
  }
}

/** Adds a new task: held in memory where there is room, otherwise left in the store until it is loaded. */
export function addTask(state: State, record: JobRecord, task: Task, at: Millis): void {
  record.nextTask = task.number + 1;
  countAdded(record, task);
  if (task.step === 'process' && (record.unloaded > 0 || record.tasks.size >= state.window)) {
    record.unloaded += 1;
    return;
  }
  makeReady(state, record, holdTask(record, task), at);
}

/** Takes a task into memory. */
export function holdTask(record: JobRecord, task: Task): TaskRecord {
  const held: TaskRecord = { task, state: 'ready', attempts: 0, failures: 0, losses: 0, live: 0 };
  record.tasks.set(task.number, held);
  if (task.step === 'process') record.loadedTo = Math.max(record.loadedTo, task.number);
  return held;
}

/** Takes a task that has ended out of the job and counts it. */
export function endTask(
  record: JobRecord,
  task: Task,
  end: { to: 'finished' | 'failed'; productive: boolean; failure?: Failure },
): void {
  const held = record.tasks.get(task.number);
  if (held?.lane) leaveLane(record, held);
  record.tasks.delete(task.number);
  countEnded(record, task, end);
  if (end.to === 'failed') record.failedTasks.add(task.number);
  if (end.failure && record.losses.length < LOSSES_KEPT) {
    record.losses.push({ key: task.key, step: task.step, failure: end.failure });
  }
}

/** Takes back that a task has failed: it is open and ready again. */
export function reviveTask(state: State, record: JobRecord, revived: TaskRecord, at: Millis): void {
  const { task } = revived;
  record.failedTasks.delete(task.number);
  record.steps[task.step].failed -= 1;
  record.steps[task.step].total -= 1;
  countAdded(record, task);
  const lost = record.losses.findIndex(({ key, step }) => key === task.key && step === task.step);
  if (lost >= 0) record.losses.splice(lost, 1);
  record.tasks.set(task.number, revived);
  makeReady(state, record, revived, at);
}

/** Puts a task where it is placed from. */
export function makeReady(state: State, record: JobRecord, task: TaskRecord, at: Millis): void {
  const lane = laneOf(record, task.task.step, needOf(record, task), at);
  const { input } = task.task;
  addReady(lane, task, input === undefined ? undefined : state.caches.inputs.get(input));
  if (!isJobEnded(record.state)) state.waiting.add(record.job.id);
}

/** Takes a task from where it waits; its lane goes with the last one. */
export function leaveLane(record: JobRecord, task: TaskRecord): void {
  const lane = task.lane!;
  removeReady(lane, task);
  if (lane.size === 0) record.lanes.splice(record.lanes.indexOf(lane), 1);
}

/** Later steps first: they free disk space and bring a job to its end. Large tasks first: they are hard to place. */
const isBefore = (a: Lane, b: Lane): boolean =>
  a.step === b.step
    ? a.resources.memoryMb > b.resources.memoryMb
    : STEPS.indexOf(a.step) > STEPS.indexOf(b.step);

function laneOf({ lanes }: JobRecord, step: Step, need: Need, at: Millis): Lane {
  const known = lanes.find((lane) => lane.step === step && isSameNeed(lane, need));
  if (known) return known;
  const lane = createLane(step, need, at);
  const index = lanes.findIndex((other) => isBefore(lane, other));
  lanes.splice(index < 0 ? lanes.length : index, 0, lane);
  return lane;
}
