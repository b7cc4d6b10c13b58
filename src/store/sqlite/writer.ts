import type { DatabaseSync } from 'node:sqlite';

import type { Change } from '../../core/change.ts';
import { isAttemptEnded } from '../../core/lifecycle.ts';
import type { JobId } from '../../core/model.ts';
import { createAttemptWriter } from './attempts.ts';
import { createTally } from './tally.ts';
import { createTaskWriter } from './tasks.ts';

/**
 * Writes changes into the tables. This is the path that every task takes three times, so rows of a batch go in together:
 * first all that are new, then what changes in the order of the rows. A job's row and its counts are written once per
 * batch, however many changes touch them.
 */
export function createWriter(database: DatabaseSync) {
  const statements = prepareStatements(database);
  const tasks = createTaskWriter(database);
  const attempts = createAttemptWriter(database);
  const tally = createTally(database);
  const seqs = new Map<JobId, number>();
  const seqOf = (jobId: JobId): number => seqs.get(jobId) ?? findSeq(statements, seqs, jobId);

  function take(change: Change): void {
    switch (change.type) {
      case 'addJob':
        return addJob(statements, change);
      case 'controlJob':
        return controlJob(statements, seqOf(change.jobId), change);
      case 'drainNode':
        return drainNode(statements, change);
      case 'endSplit':
      case 'moveJob':
        return tally.add(seqOf(change.jobId), change);
      case 'addTasks': {
        const seq = seqOf(change.jobId);
        for (const task of change.tasks) tasks.add(seq, task);
        return tally.add(seq, change);
      }
      case 'endTask':
      case 'retryTask':
      case 'reviveTask': {
        const seq = seqOf(change.task.jobId);
        tasks.move(seq, change);
        return tally.add(seq, change);
      }
      case 'addAttempt': {
        const seq = seqOf(change.attempt.jobId);
        attempts.add(seq, change);
        return tally.add(seq, change);
      }
      case 'moveAttempt': {
        const seq = seqOf(change.attempt.jobId);
        attempts.move(seq, change);
        if (isAttemptEnded(change.to)) tally.add(seq, change);
        return;
      }
      default:
    }
  }

  return {
    write: (changes: readonly Change[]) => {
      for (const change of changes) take(change);
      tasks.flush();
      attempts.flush();
      tally.flush();
    },
    forget: (jobId: JobId) => seqs.delete(jobId),
    /** What was written is taken back, and with it the places of jobs. */
    clear: () => {
      seqs.clear();
      tasks.clear();
      attempts.clear();
      tally.clear();
    },
  };
}

type Of<T extends Change['type']> = Extract<Change, { type: T }>;
type Statements = ReturnType<typeof prepareStatements>;

const prepareStatements = (database: DatabaseSync) => ({
  seq: database.prepare('SELECT seq FROM jobs WHERE id = ?'),
  job: database.prepare(
    `INSERT INTO jobs (id, process, user, share_group, priority, max_cpu_hours, retry_of, state, spec, accepted_at, updated_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, 'accepted', ?, ?, ?)`,
  ),
  control: database.prepare(
    `UPDATE jobs SET share_group = ?, priority = ?, is_paused = ?, pause_reason = ?, max_cpu_hours = ?,
       updated_at = max(updated_at, ?) WHERE seq = ?`,
  ),
  drain: database.prepare(
    `INSERT INTO drained_nodes (engine, node, reason, at) VALUES (?, ?, ?, ?)
     ON CONFLICT (engine, node) DO UPDATE SET reason = excluded.reason, at = excluded.at`,
  ),
  undrain: database.prepare('DELETE FROM drained_nodes WHERE engine = ? AND node = ?'),
});

function findSeq({ seq: find }: Statements, seqs: Map<JobId, number>, jobId: JobId): number {
  const row = find.get(jobId);
  if (!row) throw new Error(`job ${jobId} is not in the store`);
  const seq = Number(row['seq']);
  seqs.set(jobId, seq);
  return seq;
}

function addJob({ job: statement }: Statements, { job }: Of<'addJob'>): void {
  const { id, process, user, group, priority, maxCpuHours = null, acceptedAt, retryOf } = job;
  const spec = JSON.stringify(job);
  const before = retryOf?.jobId ?? null;
  const asked = [id, process, user, group, priority, maxCpuHours];
  statement.run(...asked, before, spec, acceptedAt, acceptedAt);
}

function controlJob(
  { control: statement }: Statements,
  seq: number,
  { control, at }: Of<'controlJob'>,
): void {
  const { group, priority, isPaused, pauseReason = null, maxCpuHours = null } = control;
  statement.run(group, priority, isPaused ? 1 : 0, pauseReason, maxCpuHours, at, seq);
}

function drainNode({ drain, undrain }: Statements, change: Of<'drainNode'>): void {
  const { engine, node, isDrained, reason = '', at } = change;
  if (isDrained) drain.run(engine, node, reason, at);
  else undrain.run(engine, node);
}
