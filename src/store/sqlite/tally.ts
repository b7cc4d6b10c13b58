import type { DatabaseSync } from 'node:sqlite';

import { reservedCpuMs } from '../../core/ceiling.ts';
import type { Change } from '../../core/change.ts';
import { isJobEnded } from '../../core/lifecycle.ts';
import { STEPS } from '../../core/model.ts';
import type { Step, Task } from '../../core/model.ts';

type Counter = `${Step}_${'total' | 'finished' | 'failed'}` | 'attempts' | 'used_cpu_ms';
const COUNTERS: readonly Counter[] = [
  'attempts',
  'used_cpu_ms',
  ...STEPS.flatMap((step) =>
    (['total', 'finished', 'failed'] as const).map((name) => `${step}_${name}` as const),
  ),
];

/** What a batch of changes adds up to for one job. */
interface JobTally {
  readonly counters: Record<Counter, number>;
  /** How many more tasks of a step and an extent have come to the same. */
  readonly groups: Map<string, { readonly group: readonly (string | number)[]; more: number }>;
  splitEnded: boolean;
  at: number;
  startedAt?: number;
  move?: Extract<Change, { type: 'moveJob' }>;
}

type Counted = Extract<
  Change,
  {
    type:
      | 'addTasks'
      | 'addAttempt'
      | 'moveAttempt'
      | 'endTask'
      | 'retryTask'
      | 'reviveTask'
      | 'endSplit'
      | 'moveJob';
  }
>;

/** Adds up changes of a batch for the rows that all tasks of a job share, and writes each of them once. */
export function createTally(database: DatabaseSync) {
  const statements = prepareStatements(database);
  const tallies = new Map<number, JobTally>();
  return {
    add: (seq: number, change: Counted) => {
      let tally = tallies.get(seq);
      if (!tally) {
        tally = { counters: noCounts(), groups: new Map(), splitEnded: false, at: 0 };
        tallies.set(seq, tally);
      }
      const at = change.type === 'addAttempt' ? change.attempt.launchedAt : change.at;
      tally.at = Math.max(tally.at, at);
      addUp(tally, change);
    },
    flush: () => {
      for (const [seq, tally] of tallies) write(statements, seq, tally);
      tallies.clear();
    },
    clear: () => tallies.clear(),
  };
}

const noCounts = () =>
  Object.fromEntries(COUNTERS.map((name) => [name, 0])) as Record<Counter, number>;

type Statements = ReturnType<typeof prepareStatements>;

const prepareStatements = (database: DatabaseSync) => ({
  update: database.prepare(
    `UPDATE jobs SET updated_at = max(updated_at, ?), split_ended = split_ended | ?,
       ${COUNTERS.map((name) => `${name} = ${name} + ?`).join(', ')} WHERE seq = ?`,
  ),
  move: database.prepare(
    `UPDATE jobs SET state = ?, message = ?, results = ?, started_at = coalesce(started_at, ?), ended_at = ?
     WHERE seq = ? AND ended_at IS NULL`,
  ),
  addToGroup: database.prepare(
    `UPDATE task_counts SET count = count + ?
     WHERE job = ? AND step = ? AND first_period = ? AND last_period = ? AND state = ? AND productive = ?`,
  ),
  addGroup: database.prepare(
    `INSERT INTO task_counts (count, job, step, first_period, last_period, state, productive)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
  ),
});

function write(statements: Statements, seq: number, tally: JobTally): void {
  const { counters, groups, splitEnded, at, startedAt, move } = tally;
  statements.update.run(at, splitEnded ? 1 : 0, ...COUNTERS.map((name) => counters[name]), seq);
  for (const { group, more } of groups.values()) {
    const { changes } = statements.addToGroup.run(more, seq, ...group);
    if (changes === 0) statements.addGroup.run(more, seq, ...group);
  }
  if (!move) return;
  const { jobId, to, message = null } = move;
  const results = move.results ? JSON.stringify(move.results) : null;
  const endedAt = isJobEnded(to) ? move.at : null;
  const written = statements.move.run(to, message, results, startedAt ?? null, endedAt, seq);
  if (written.changes === 0) {
    throw new Error(`job ${jobId} has ended already and cannot become ${to}`);
  }
}

function addUp(tally: JobTally, change: Counted): void {
  const { counters } = tally;
  switch (change.type) {
    case 'addTasks':
      for (const task of change.tasks) {
        counters[`${task.step}_total`] += 1;
        addToGroup(tally, task, 'open', 1);
      }
      return;
    case 'addAttempt':
      counters.attempts += 1;
      return;
    case 'moveAttempt':
      counters.used_cpu_ms += reservedCpuMs(change.attempt, change.resources, change.at);
      return;
    case 'endTask':
      counters[`${change.task.step}_${change.to}`] += 1;
      addToGroup(tally, change.task, 'open', -1);
      return addToGroup(tally, change.task, change.to, 1, (change.outputs?.length ?? 0) > 0);
    case 'reviveTask':
      counters[`${change.task.step}_failed`] -= 1;
      addToGroup(tally, change.task, 'failed', -1);
      return addToGroup(tally, change.task, 'open', 1);
    case 'endSplit':
      tally.splitEnded = true;
      return;
    case 'moveJob':
      // Only the last of two moves in one batch is written, but the time of the start is kept.
      if (change.to === 'running') tally.startedAt = change.at;
      tally.move = change;
      return;
    default:
  }
}

function addToGroup(
  { groups }: JobTally,
  { step, firstPeriod, lastPeriod }: Task,
  state: 'open' | 'finished' | 'failed',
  more: number,
  productive = false,
): void {
  const key = `${step} ${firstPeriod} ${lastPeriod} ${state} ${productive}`;
  const known = groups.get(key);
  if (known) known.more += more;
  else {
    const group = [step, firstPeriod, lastPeriod, state, productive ? 1 : 0];
    groups.set(key, { group, more });
  }
}
