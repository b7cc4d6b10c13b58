import { add } from './amount.ts';
import { startUsing, stopUsing } from './ceiling.ts';
import type { Change } from './change.ts';
import {
  ATTEMPT_MOVES,
  JOB_MOVES,
  TASK_MOVES,
  isAttemptEnded,
  isJobEnded,
  legalMove,
} from './lifecycle.ts';
import type { Millis, Resources } from './model.ts';
import { countJob, countTask, createShares } from './shares.ts';
import { consumerOf, createJobRecord, nodeKey, totalOf } from './state.ts';
import type { JobRecord, State } from './state.ts';
import { addTask, endTask, holdTask, leaveLane, makeReady, reviveTask } from './tasks.ts';

/** Writes a plan's changes into the state, as the store writes them into its tables. */
export function apply(state: State, changes: readonly Change[]): void {
  for (const change of changes) applyOne(state, change);
}

type Of<T extends Change['type']> = Extract<Change, { type: T }>;

function applyOne(state: State, change: Change): void {
  switch (change.type) {
    case 'addJob': {
      const record = createJobRecord(change.job);
      state.jobs.set(change.job.id, record);
      countJob(state.shares, consumerOf(record), 1);
      return;
    }
    case 'addTasks':
    case 'loadTasks':
    case 'endSplit':
    case 'moveJob':
    case 'controlJob':
    case 'request':
    case 'settlePeriods':
    case 'judgeNode':
      applyToJob(state, jobRecord(state, change.jobId), change);
      return;
    case 'addAttempt':
      return addAttempt(state, jobRecord(state, change.attempt.jobId), change);
    case 'moveAttempt':
      return moveAttempt(state, jobRecord(state, change.attempt.jobId), change);
    case 'endTask':
    case 'retryTask':
    case 'reviveTask':
      applyToTask(state, jobRecord(state, change.task.jobId), change);
      return;
    default:
      applyFleeting(state, change);
  }
}

/** What concerns no job's progress: nodes, policy, time. */
function applyFleeting(
  state: State,
  change: Of<
    | 'setNode'
    | 'dropNode'
    | 'coolNode'
    | 'drainNode'
    | 'setPolicy'
    | 'wake'
    | 'lookAgain'
    | 'passNode'
    | 'forgetJob'
  >,
): void {
  switch (change.type) {
    case 'setNode':
      return setNode(state, change);
    case 'dropNode':
      state.nodes.delete(nodeKey(change.engine, change.node));
      state.caches.bundles.delete(nodeKey(change.engine, change.node));
      state.passed.delete(nodeKey(change.engine, change.node));
      state.total = totalOf(state.nodes.values());
      return;
    case 'coolNode':
      state.cooling.set(change.node, change.cooling);
      state.strikes.set(change.node, (state.strikes.get(change.node) ?? 0) + 1);
      return;
    case 'drainNode': {
      const key = nodeKey(change.engine, change.node);
      if (change.isDrained) state.drained.set(key, change.reason ?? '');
      else state.drained.delete(key);
      return;
    }
    case 'setPolicy':
      state.policy = change.policy;
      return recountShares(state);
    case 'wake':
      return wake(state, change.until);
    case 'lookAgain':
      state.lookAgainAt = Math.min(state.lookAgainAt ?? Infinity, change.at);
      return;
    case 'passNode':
      if (change.at === undefined) state.passed.delete(change.node);
      else if (!state.passed.has(change.node)) state.passed.set(change.node, change.at);
      return;
    case 'forgetJob':
      state.jobs.delete(change.jobId);
      state.waiting.delete(change.jobId);
  }
}

function applyToJob(
  state: State,
  record: JobRecord,
  change: Of<
    | 'addTasks'
    | 'loadTasks'
    | 'endSplit'
    | 'moveJob'
    | 'controlJob'
    | 'request'
    | 'settlePeriods'
    | 'judgeNode'
  >,
): void {
  switch (change.type) {
    case 'addTasks':
      for (const task of change.tasks) addTask(state, record, task, change.at);
      return;
    case 'loadTasks':
      record.unloaded -= change.tasks.length;
      record.requested.delete('load');
      for (const task of change.tasks) makeReady(state, record, holdTask(record, task), change.at);
      return;
    case 'endSplit':
      record.splitEnded = true;
      record.periods.forEach((period, index) => {
        if (period.open === 0) record.due.add(index);
      });
      return;
    case 'moveJob':
      record.state = legalMove(JOB_MOVES, record.state, change.to);
      if (!isJobEnded(change.to)) return;
      state.waiting.delete(record.job.id);
      countJob(state.shares, consumerOf(record), -1);
      return;
    case 'controlJob':
      count(state, record, -1);
      record.control = change.control;
      count(state, record, 1);
      return;
    case 'request':
      record.requested.add(change.what);
      return;
    case 'settlePeriods':
      for (const period of change.periods) record.due.delete(period);
      return;
    case 'judgeNode':
      if (change.hasFailed) {
        const failures = (record.trouble.get(change.node)?.failures ?? 0) + 1;
        record.trouble.set(change.node, { failures, at: change.at });
      } else record.trouble.delete(change.node);
  }
}

function applyToTask(
  state: State,
  record: JobRecord,
  change: Of<'endTask' | 'retryTask' | 'reviveTask'>,
): void {
  const { task, at } = change;
  switch (change.type) {
    case 'endTask':
      endTask(record, task, { ...change, productive: (change.outputs?.length ?? 0) > 0 });
      return;
    case 'reviveTask': {
      const { attempts, memoryMb } = change;
      const memory = memoryMb === undefined ? {} : { memoryMb };
      const fresh = { task, state: 'ready', failures: 0, losses: 0, live: 0 } as const;
      reviveTask(state, record, { ...fresh, attempts, ...memory }, at);
      return;
    }
    case 'retryTask': {
      const retried = record.tasks.get(task.number)!;
      legalMove(TASK_MOVES, retried.state, 'ready');
      retried.state = 'ready';
      delete retried.isDoubled;
      retried.failures = change.failures;
      retried.losses = change.losses;
      if (change.refusals === undefined) delete retried.refusals;
      else retried.refusals = change.refusals;
      if (change.memoryMb !== undefined) retried.memoryMb = change.memoryMb;
      if (change.avoid !== undefined) {
        retried.avoid = [...new Set([...(retried.avoid ?? []), change.avoid])];
      }
      if (change.notBefore <= at) return makeReady(state, record, retried, at);
      state.delayed.push({ until: change.notBefore, jobId: record.job.id, task: task.number });
    }
  }
}

function addAttempt(
  state: State,
  record: JobRecord,
  { attempt, resources }: Of<'addAttempt'>,
): void {
  const task = record.tasks.get(attempt.task);
  if (!task) throw new Error(`task ${attempt.task} of job ${record.job.id} is not open`);
  if (task.lane) {
    const { lane } = task;
    leaveLane(record, task);
    lane.waitingSince = attempt.launchedAt;
    if (record.lanes.length === 0) state.waiting.delete(record.job.id);
    legalMove(TASK_MOVES, task.state, 'running');
    task.state = 'running';
  } else if (!attempt.isSpeculative) {
    throw new Error(`task ${attempt.task} of job ${record.job.id} is not ready`);
  }
  if (attempt.isSpeculative) task.isDoubled = true;
  task.attempts = attempt.number;
  task.live += 1;
  record.attempts.set(attempt.id, { attempt, resources, state: 'launched' });
  use(state, record, resources, 1);
  startUsing(record, attempt, resources);
}

function moveAttempt(state: State, record: JobRecord, change: Of<'moveAttempt'>): void {
  const { attempt, to, at } = change;
  const known = record.attempts.get(attempt.id)!;
  known.state = legalMove(ATTEMPT_MOVES, known.state, to);
  if (!isAttemptEnded(to)) return;
  record.attempts.delete(attempt.id);
  use(state, record, known.resources, -1);
  stopUsing(record, known.attempt, known.resources, at);
  const task = record.tasks.get(attempt.task);
  if (task) task.live -= 1;
  if (to !== 'finished') return;
  if (task) record.steps[task.task.step].durations.add(at - attempt.launchedAt);
  learn(state, record, change.attempt.engine, change.attempt.node, task?.task.input);
}

/** What ran on a node has left its bundle there, and perhaps its input. */
function learn(
  { caches: { bundles, inputs }, strikes }: State,
  { job }: JobRecord,
  engine: string,
  node: string,
  input: string | undefined,
): void {
  const key = nodeKey(engine, node);
  strikes.delete(key);
  const known = bundles.get(key);
  if (known) known.add(job.processor.bundleHash);
  else bundles.set(key, new Set([job.processor.bundleHash]));
  if (input !== undefined) inputs.set(input, node);
}

function use({ shares }: State, record: JobRecord, resources: Resources, sign: 1 | -1): void {
  add(record.use, resources, sign);
  countTask(shares, consumerOf(record), resources, sign);
}

/** Adds all that a job has to what its group and user have, or takes it away. */
function count({ shares }: State, record: JobRecord, sign: 1 | -1): void {
  if (!isJobEnded(record.state)) countJob(shares, consumerOf(record), sign);
  for (const { resources } of record.attempts.values()) {
    countTask(shares, consumerOf(record), resources, sign);
  }
}

function recountShares(state: State): void {
  state.shares = createShares(state.policy.groups, state.policy.userLimits);
  for (const record of state.jobs.values()) count(state, record, 1);
}

function setNode(state: State, change: Of<'setNode'>): void {
  const { type: _type, ...node } = change;
  const key = nodeKey(node.engine, node.node);
  const before = state.nodes.get(key);
  state.nodes.set(key, node);
  if (before?.total !== node.total) state.total = totalOf(state.nodes.values());
}

/** Makes delayed tasks ready; those of jobs that have ended meanwhile are dropped. */
function wake(state: State, until: Millis): void {
  for (let next = state.delayed.peek(); next && next.until <= until; next = state.delayed.peek()) {
    state.delayed.pop();
    const record = state.jobs.get(next.jobId);
    const woken = record?.tasks.get(next.task);
    if (!record || !woken || isJobEnded(record.state)) continue;
    makeReady(state, record, woken, until);
  }
  for (const [node, cooling] of state.cooling) {
    if (cooling.until > until) continue;
    state.cooling.delete(node);
    // On probation: it is judged by what happens from now on.
    for (const { trouble } of state.jobs.values()) trouble.delete(node);
  }
  if (state.lookAgainAt !== undefined && state.lookAgainAt <= until) delete state.lookAgainAt;
}

function jobRecord(state: State, id: string): JobRecord {
  const record = state.jobs.get(id);
  if (!record) throw new Error(`a change for job ${id}, which is not known`);
  return record;
}
