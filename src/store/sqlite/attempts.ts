import type { DatabaseSync, SQLInputValue } from 'node:sqlite';

import type { Change } from '../../core/change.ts';
import { isAttemptEnded } from '../../core/lifecycle.ts';
import { createInsert, inOrder, json } from './batch.ts';
import type { Placed } from './batch.ts';

type Launch = Extract<Change, { type: 'addAttempt' }>;
type Move = Extract<Change, { type: 'moveAttempt' }>;

// prettier-ignore
const COLUMNS = [
  'job', 'task', 'number', 'engine', 'node', 'state', 'cpus', 'memory_mb', 'gpus', 'locality', 'is_speculative',
  'launched_at',
];

/** Gathers what a batch of changes does to attempts, and writes it at once. */
export function createAttemptWriter(database: DatabaseSync) {
  const insert = createInsert(database, 'attempts', COLUMNS);
  const statements = prepareStatements(database);
  let added: Placed<Launch>[] = [];
  let moves: Placed<Move>[] = [];
  const clear = (): void => {
    added = [];
    moves = [];
  };
  return {
    add: (seq: number, change: Launch) => {
      added.push({ seq, number: change.attempt.task, change });
    },
    move: (seq: number, change: Move) => {
      moves.push({ seq, number: change.attempt.task, change });
    },
    flush: () => {
      insert(inOrder(added).flatMap(({ seq, change }) => rowOf(seq, change)));
      for (const { seq, change } of inOrder(moves)) move(statements, seq, change);
      clear();
    },
    clear,
  };
}

type Statements = ReturnType<typeof prepareStatements>;

const prepareStatements = (database: DatabaseSync) => ({
  move: database.prepare(
    `UPDATE attempts SET state = ?, ended_at = ?, result = ?
     WHERE job = ? AND task = ? AND number = ? AND ended_at IS NULL`,
  ),
  failure: database.prepare(
    `INSERT INTO failures (job, kind, cause, count, example, message, first_at, last_at)
     VALUES (?, ?, ?, 1, ?, ?, ?, ?)
     ON CONFLICT (job, kind, cause) DO UPDATE SET count = count + 1, last_at = max(last_at, excluded.last_at)`,
  ),
});

const rowOf = (seq: number, { attempt, resources }: Launch): SQLInputValue[] => [
  seq,
  attempt.task,
  attempt.number,
  attempt.engine,
  attempt.node,
  'launched',
  resources.cpus,
  resources.memoryMb,
  resources.gpus || null,
  attempt.locality ?? null,
  attempt.isSpeculative ? 1 : 0,
  attempt.launchedAt,
];

function move({ move: statement, failure: group }: Statements, seq: number, change: Move): void {
  const { attempt, to, at, result, cause } = change;
  const endedAt = isAttemptEnded(to) ? at : null;
  const written = statement.run(to, endedAt, json(result), seq, attempt.task, attempt.number);
  if (written.changes === 0) {
    throw new Error(`attempt ${attempt.id} is not out and cannot become ${to}`);
  }
  const failure = result?.failure;
  if (cause === undefined || !failure) return;
  group.run(seq, failure.kind, cause, attempt.id, failure.message, at, at);
}
