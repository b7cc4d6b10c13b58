import { amountText } from './amount.ts';
import { ceilingText, isAtCeiling } from './ceiling.ts';
import type { NodeKey } from './change.ts';
import { avoidedNodes, suits } from './find.ts';
import { freeNodes, hasRoomFor } from './free-nodes.ts';
import type { Lane } from './lane.ts';
import { patienceOf, placesOf } from './locality.ts';
import { isJobEnded } from './lifecycle.ts';
import { STEPS } from './model.ts';
import type { AttemptId, EngineId, JobId, Millis } from './model.ts';
import { queueOf } from './queue.ts';
import { brokenLimit, dominantShare, leafOf } from './shares.ts';
import { canReach, canRunImage, consumerOf, isUsable } from './state.ts';
import type { JobRecord, State, TaskRecord } from './state.ts';

export type ReasonCode =
  | 'paused'
  | 'share'
  | 'limit'
  | 'no-node'
  | 'locality'
  | 'dependency'
  | 'backoff'
  | 'splitting'
  | 'staging'
  | 'running'
  | 'avoided'
  | 'failed'
  | 'ended';

export interface Reason {
  readonly code: ReasonCode;
  /** A sentence for the person who asks. */
  readonly message: string;
  /** Of how many tasks it is true. */
  readonly tasks?: number;
  /** When it will be over, as far as that is known. */
  readonly until?: Millis;
}

/** Why something is as it is. */
export interface Explanation {
  readonly id: string;
  readonly state: string;
  /** One sentence: the first reason. */
  readonly summary: string;
  readonly reasons: readonly Reason[];
  /** Place in the line of jobs with waiting tasks, 1 being next. */
  readonly position?: number;
  /** Jobs in that line. */
  readonly of?: number;
  /** When its next task will start if everything goes on as it does. */
  readonly expectedStart?: Millis;
}

/** Explains a job, a task or an attempt that is not over. `undefined` for one that the scheduler no longer knows. */
export function explain(state: State, id: string, at: Millis): Explanation | undefined {
  const [jobId, task, attempt] = id.split('.');
  const record = state.jobs.get(jobId!);
  if (!record) return undefined;
  if (task === undefined) return explainJob(state, record, at);
  if (attempt === undefined) return explainTask(state, record, Number(task), at);
  const known = record.attempts.get(id);
  if (!known) return undefined;
  const reason = runningReason(record, [known.attempt.id]);
  return { id, state: known.state, summary: reason.message, reasons: [reason] };
}

function explainJob(state: State, record: JobRecord, at: Millis): Explanation {
  const { job, attempts, lanes } = record;
  const reasons: Reason[] = [];
  if (isJobEnded(record.state)) {
    const message = `The job has ended; ${attempts.size} of its attempts are being ended.`;
    reasons.push({ code: 'ended', message });
    return { id: job.id, state: record.state, summary: message, reasons };
  }
  const paused = pausedReason(record, at);
  if (paused) reasons.push(paused);
  if (attempts.size > 0) reasons.push(runningReason(record, [...attempts.keys()]));
  for (const lane of lanes) reasons.push(laneReason(state, record, lane, at));
  reasons.push(...backoffReasons(state, record), ...avoidedReasons(state, record, at));
  reasons.push(...dependencyReasons(record));
  if (!record.splitEnded) {
    const found = record.steps.process.total;
    const message = `Its products are being looked for: ${found} so far.`;
    reasons.push({ code: 'splitting', message });
  }
  if (record.requested.has('stage')) {
    reasons.push({ code: 'staging', message: 'Its results are being staged.' });
  }
  const line = lanes.length > 0 && !paused ? queueOf(state, record, at) : undefined;
  return {
    id: job.id,
    state: record.state,
    summary: reasons[0]?.message ?? 'It is about to go on.',
    reasons,
    ...line,
  };
}

function explainTask(
  state: State,
  record: JobRecord,
  number: number,
  at: Millis,
): Explanation | undefined {
  const id = `${record.job.id}.${number}`;
  const task = record.tasks.get(number);
  if (task) {
    const reason = taskReason(state, record, task, at);
    const line = task.lane && !record.control.isPaused ? queueOf(state, record, at) : undefined;
    return { id, state: task.state, summary: reason.message, reasons: [reason], ...line };
  }
  if (record.unloaded === 0 || number <= record.loadedTo) return undefined;
  const message = `It follows ${record.tasks.size} other tasks of its job.`;
  return { id, state: 'ready', summary: message, reasons: [{ code: 'share', message }] };
}

function taskReason(state: State, record: JobRecord, task: TaskRecord, at: Millis): Reason {
  if (task.live > 0) {
    const ids = Array.from(record.attempts.values(), ({ attempt }) => attempt);
    return runningReason(
      record,
      ids.filter((attempt) => attempt.task === task.task.number).map(({ id }) => id),
    );
  }
  const paused = pausedReason(record, at, 'its');
  if (paused) return paused;
  if (task.lane) return laneReason(state, record, task.lane, at);
  const tries = task.failures + task.losses;
  const message = `It failed ${times(tries)} and waits before it is tried again.`;
  return { code: 'backoff', message, ...untilOf(state, record.job.id, task.task.number) };
}

function pausedReason(record: JobRecord, at: Millis, whose = 'the'): Reason | undefined {
  if (isAtCeiling(record, at)) {
    return { code: 'paused', message: `Paused: ${ceilingText(record, at)}.` };
  }
  if (!record.control.isPaused) return undefined;
  return { code: 'paused', message: `An operator has paused ${whose} job: resume it.` };
}

const untilOf = ({ delayed }: State, jobId: JobId, task?: number): { until?: Millis } => {
  const dates = delayed
    .items()
    .filter((each) => each.jobId === jobId && (task === undefined || each.task === task))
    .map(({ until }) => until);
  return dates.length === 0 ? {} : { until: Math.min(...dates) };
};

function runningReason({ attempts }: JobRecord, ids: readonly AttemptId[]): Reason {
  const nodes = new Set(ids.map((id) => attempts.get(id)!.attempt.node));
  const where = nodes.size === 1 ? `on node ${[...nodes][0]}` : `on ${nodes.size} nodes`;
  const what = ids.length === 1 ? 'One attempt runs' : `${ids.length} attempts run`;
  return { code: 'running', message: `${what} ${where}.`, tasks: ids.length };
}

/** Why tasks that are ready have not been launched: what is surest first. */
function laneReason(state: State, record: JobRecord, lane: Lane, at: Millis): Reason {
  const { resources, step } = lane;
  const tasks = lane.size + (step === 'process' ? record.unloaded : 0);
  const broken = brokenLimit(state.shares, consumerOf(record), resources, state.total);
  if (broken) {
    const message = `The ${broken.what} uses all of its limit of ${broken.limit}.`;
    return { code: 'limit', message, tasks };
  }
  if (!state.nodes.entries().some(([key, node]) => isUsable(state, key) && suits(node, lane))) {
    return { code: 'no-node', message: noNode(state, lane), tasks };
  }
  if (lane.isLocated && state.passed.size > 0) {
    const { pool } = patienceOf(state.policy.locality, lane, record, placesOf(state));
    const until = Math.max(lane.since, Math.min(...state.passed.values())) + pool;
    if (until > at) {
      const message = 'It waits for a node near its data.';
      return { code: 'locality', message, tasks, until };
    }
  }
  return { code: 'share', message: shareMessage(state, record, lane), tasks };
}

function noNode(state: State, lane: Lane): string {
  const { image, engines } = lane;
  const wanted = amountText(lane.resources);
  if (state.nodes.size === 0) return `A task needs ${wanted}, and no node is up.`;
  const near = [...state.nodes].filter(([, node]) => canReach(node, lane));
  if (engines?.length === 0) return 'No engine reaches its input.';
  if (near.length === 0) return `${reachText(engines!)}, which ${haveText(engines!)} no nodes now.`;
  const able = near.filter(([, node]) => canRunImage(node, lane));
  const where = engines ? ` of ${listText(engines)}` : '';
  if (able.length === 0) {
    return `A task wants to run in the container image ${image}, and no node${where} can do that.`;
  }
  const what = `nodes${where}${image === undefined ? '' : ' with container images'}`;
  const large = able.filter(([, node]) => suits(node, lane)).map(([key]) => key);
  const others = able.length - large.length;
  if (large.length === 0)
    return `A task needs ${wanted}, and none of ${others} ${what} is that large.`;
  const idle = `drained, cooling off or away (${whyIdle(state, large)})`;
  return others === 0
    ? `A task needs ${wanted}, and none of ${large.length} ${what} gets work: they are ${idle}.`
    : `A task needs ${wanted}, and none of ${others} ${what} is that large; ${large.length} are ${idle}.`;
}

const listText = (engines: readonly EngineId[]): string => engines.join(' and ');
const haveText = ({ length }: readonly EngineId[]): string => (length === 1 ? 'has' : 'have');
const reachText = (engines: readonly EngineId[]): string =>
  `Its input can be reached by ${listText(engines)} only`;

/** Different reasons that are listed. */
const REASONS_LISTED = 3;

/** Why nodes get no work, in the words of whoever takes it from them. */
function whyIdle({ drained, cooling, nodes }: State, keys: readonly NodeKey[]): string {
  const reasons = new Set(
    keys.map((key) => drained.get(key) ?? cooling.get(key)?.reason ?? nodes.get(key)!.away ?? ''),
  );
  const listed = Array.from(reasons, (reason) => reason || 'drained').slice(0, REASONS_LISTED);
  return `${listed.join('; ')}${reasons.size > listed.length ? '; …' : ''}`;
}

function shareMessage(state: State, record: JobRecord, lane: Lane): string {
  const { shares, total } = state;
  const roomy = freeNodes(state).filter((node) =>
    hasRoomFor({ ...lane, engines: undefined }, node),
  );
  if (roomy.length > 0 && !roomy.some((node) => canReach(node.record, lane))) {
    return `${reachText(lane.engines!)}, whose nodes are full.`;
  }
  const { path, use } = leafOf(shares, record.control.group);
  const share = Math.round(100 * dominantShare(use, total));
  return `Other jobs go first: its group '${path}' uses ${share} % of the cluster.`;
}

function backoffReasons(state: State, { job, tasks }: JobRecord): Reason[] {
  const delayed = Array.from(tasks.values()).filter(({ live, lane }) => live === 0 && !lane);
  if (delayed.length === 0) return [];
  const message = `${plural(delayed.length, 'task')} failed and waits before it is tried again.`;
  return [{ code: 'backoff', message, tasks: delayed.length, ...untilOf(state, job.id) }];
}

function avoidedReasons(state: State, record: JobRecord, at: Millis): Reason[] {
  const [lane] = record.lanes;
  const avoided = lane ? [...avoidedNodes(state, record, lane, at)] : [];
  if (avoided.length === 0) return [];
  const message = `It avoids ${avoided.join(', ')}: ${state.policy.avoid.failures} of its tasks failed there.`;
  return [{ code: 'avoided', message }];
}

function dependencyReasons({ job, periods }: JobRecord): Reason[] {
  if (!job.workflow.aggregate) return [];
  const unfinished = periods.filter(({ step, open }) => step === 'process' && open > 0);
  if (unfinished.length === 0) return [];
  const tasks = unfinished.reduce((sum, { open }) => sum + open, 0);
  const message = `The next step of ${plural(unfinished.length, 'period')} waits for tasks of step ${STEPS[0]}.`;
  return [{ code: 'dependency', message, tasks }];
}

const plural = (count: number, what: string): string =>
  count === 1 ? `One ${what}` : `${count} ${what}s`;
const times = (count: number): string => (count === 1 ? 'once' : `${count} times`);
