import { Fifo } from './fifo.ts';
import { Heap } from './heap.ts';
import type {
  Attempt,
  AttemptId,
  AttemptState,
  EngineId,
  Failure,
  Job,
  JobId,
  JobState,
  Millis,
  NodeId,
  Offer,
  Resources,
  Step,
  Task,
  TaskState,
} from './model.ts';

/** A task that has not ended. Ended ones live on as counts only, so memory follows the work that is left. */
export interface TaskRecord {
  readonly task: Task;
  state: 'ready' | 'running';
  /** Number of the last attempt; 0 before the first. */
  attempts: number;
  failures: number;
  losses: number;
}

export interface AttemptRecord {
  readonly attempt: Attempt;
  readonly resources: Resources;
  state: AttemptState;
}

export interface StepRecord {
  total: number;
  finished: number;
  failed: number;
  readonly ready: Fifo<number>;
}

/** What is still to be done for one period, by counts. */
export interface PeriodRecord {
  /** The step whose tasks `open` counts. */
  step: Step | 'done';
  open: number;
  /** Tasks of each step that left outputs. */
  readonly productive: Record<Step, number>;
}

/** A product, partition or period that a job had to do without. */
export interface Loss {
  readonly key: string;
  readonly step: Step;
  readonly failure: Failure;
}

export interface JobRecord {
  readonly job: Job;
  state: JobState;
  splitEnded: boolean;
  /** Products of periods before this one are all known: products are found in the order of their periods. */
  splitUpTo: number;
  nextTask: number;
  readonly tasks: Map<number, TaskRecord>;
  readonly attempts: Map<AttemptId, AttemptRecord>;
  readonly steps: Readonly<Record<Step, StepRecord>>;
  readonly periods: readonly PeriodRecord[];
  /** Periods whose count of open tasks has come to nothing since `advance` looked. */
  readonly due: Set<number>;
  /** The first few, for the message at the end. */
  readonly losses: Loss[];
  usedCpus: number;
  /** What has been asked of the world since this process started. */
  readonly requested: Set<'split' | 'stage'>;
}

/** Never changed in place: a new value replaces the old one, so that a batch can be taken back. */
export interface NodeRecord {
  readonly engine: EngineId;
  readonly node: NodeId;
  readonly total?: Resources;
  readonly offers: readonly Offer[];
}

interface Delayed {
  readonly until: Millis;
  readonly jobId: JobId;
  readonly task: number;
}

/** All that the scheduler knows. Jobs are a copy of what the store holds; nodes and offers live here only. */
export interface State {
  /** Jobs that have not ended, and ended ones with attempts still out. */
  readonly jobs: Map<JobId, JobRecord>;
  readonly nodes: Map<string, NodeRecord>;
  /** Jobs with ready tasks. */
  readonly waiting: Set<JobId>;
  /** Tasks that wait for their next attempt. */
  readonly delayed: Heap<Delayed>;
}

/** A task as the store gives it back to a scheduler that starts. */
export interface StoredTask {
  readonly task: Task;
  readonly state: TaskState;
  readonly attempts: number;
  readonly failures: number;
  readonly losses: number;
  readonly notBefore?: Millis;
  /** Whether it left outputs. */
  readonly productive: boolean;
  /** Why it failed. */
  readonly failure?: Failure;
}

export interface JobSnapshot {
  readonly job: Job;
  readonly state: JobState;
  readonly splitEnded: boolean;
  /** In the order of their numbers. */
  readonly tasks: Iterable<StoredTask>;
  /** Those that have not ended. */
  readonly attempts: readonly AttemptRecord[];
}

export const nodeKey = (engine: EngineId, node: NodeId): string => `${engine}/${node}`;

/** Losses kept for the message of a job. */
export const LOSSES_KEPT = 20;

const emptyStep = (): StepRecord => ({ total: 0, finished: 0, failed: 0, ready: new Fifo() });

export const createState = (nodes: ReadonlyMap<string, NodeRecord> = new Map()): State => ({
  jobs: new Map(),
  nodes: new Map(nodes),
  waiting: new Set(),
  delayed: new Heap((a, b) => a.until < b.until),
});

export function createJobRecord(job: Job): JobRecord {
  return {
    job,
    state: 'accepted',
    splitEnded: false,
    splitUpTo: 0,
    nextTask: 0,
    tasks: new Map(),
    attempts: new Map(),
    steps: { process: emptyStep(), aggregate: emptyStep(), format: emptyStep() },
    periods: job.periods.map(() => ({
      step: 'process',
      open: 0,
      productive: { process: 0, aggregate: 0, format: 0 },
    })),
    due: new Set(),
    losses: [],
    usedCpus: 0,
    requested: new Set(),
  };
}

/** Adds a new task to a job: it is ready. */
export function addTask(record: JobRecord, task: Task): TaskRecord {
  const added: TaskRecord = { task, state: 'ready', attempts: 0, failures: 0, losses: 0 };
  record.nextTask = task.number + 1;
  record.tasks.set(task.number, added);
  record.steps[task.step].total += 1;
  if (!record.job.workflow.aggregate) return added;
  if (task.step === 'process') {
    for (let index = record.splitUpTo; index < task.firstPeriod; index += 1) {
      if (record.periods[index]!.open === 0) record.due.add(index);
    }
    record.splitUpTo = Math.max(record.splitUpTo, task.firstPeriod);
  }
  for (let index = task.firstPeriod; index <= task.lastPeriod; index += 1) {
    const period = record.periods[index]!;
    period.step = task.step;
    period.open += 1;
  }
  return added;
}

/** Takes a task that has ended out of the job and counts it. */
export function endTask(
  record: JobRecord,
  task: Task,
  end: { to: 'finished' | 'failed'; productive: boolean; failure?: Failure },
): void {
  record.tasks.delete(task.number);
  record.steps[task.step][end.to] += 1;
  if (end.failure && record.losses.length < LOSSES_KEPT) {
    record.losses.push({ key: task.key, step: task.step, failure: end.failure });
  }
  if (!record.job.workflow.aggregate) return;
  for (let index = task.firstPeriod; index <= task.lastPeriod; index += 1) {
    const period = record.periods[index]!;
    period.open -= 1;
    if (end.productive) period.productive[task.step] += 1;
    if (period.open === 0) record.due.add(index);
  }
}

/** Puts a stored job back into the state, as if all its changes had just been applied. */
export function restore(state: State, snapshot: JobSnapshot): void {
  const record = createJobRecord(snapshot.job);
  for (const stored of snapshot.tasks) {
    const { task } = stored;
    const added = addTask(record, task);
    added.attempts = stored.attempts;
    added.failures = stored.failures;
    added.losses = stored.losses;
    if (stored.state === 'finished' || stored.state === 'failed') {
      endTask(record, task, { ...stored, to: stored.state });
    } else if (stored.state === 'running') {
      added.state = 'running';
    } else if (stored.notBefore !== undefined) {
      state.delayed.push({ until: stored.notBefore, jobId: snapshot.job.id, task: task.number });
    } else {
      record.steps[task.step].ready.push(task.number);
    }
  }
  for (const attempt of snapshot.attempts) {
    record.attempts.set(attempt.attempt.id, { ...attempt });
    record.usedCpus += attempt.resources.cpus;
  }
  record.state = snapshot.state;
  record.splitEnded = snapshot.splitEnded;
  if (record.splitEnded)
    record.periods.forEach((period, index) => period.open === 0 && record.due.add(index));
  state.jobs.set(snapshot.job.id, record);
  if (hasReady(record)) state.waiting.add(snapshot.job.id);
}

export const hasReady = (record: JobRecord): boolean =>
  record.steps.process.ready.size +
    record.steps.aggregate.ready.size +
    record.steps.format.ready.size >
  0;
