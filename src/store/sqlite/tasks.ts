import type { DatabaseSync, SQLInputValue } from 'node:sqlite';

import type { Change } from '../../core/change.ts';
import type { Task } from '../../core/model.ts';
import { createInsert, inOrder, json } from './batch.ts';
import type { Placed } from './batch.ts';

export type TaskMove = Extract<Change, { type: 'endTask' | 'retryTask' | 'reviveTask' }>;

// prettier-ignore
const COLUMNS = [
  'job', 'number', 'step', 'key', 'input', 'source', 'partition', 'first_period', 'last_period', 'location',
];

/** Gathers what a batch of changes does to tasks, and writes it at once. */
export function createTaskWriter(database: DatabaseSync) {
  const insert = createInsert(database, 'tasks', COLUMNS);
  const statements = prepareStatements(database);
  let added: SQLInputValue[] = [];
  let moves: Placed<TaskMove>[] = [];
  const clear = (): void => {
    added = [];
    moves = [];
  };
  return {
    add: (seq: number, task: Task) => {
      added.push(...rowOf(seq, task));
    },
    move: (seq: number, change: TaskMove) => {
      moves.push({ seq, number: change.task.number, change });
    },
    flush: () => {
      insert(added);
      for (const { seq, change } of inOrder(moves)) move(statements, seq, change);
      clear();
    },
    clear,
  };
}

type Statements = ReturnType<typeof prepareStatements>;

const prepareStatements = (database: DatabaseSync) => ({
  endTask: database.prepare(
    `UPDATE tasks SET state = ?, failures = ?, losses = ?, failure = ?, cause = ?, outputs = ?
     WHERE job = ? AND number = ? AND (state = 'new' OR state = 'again')`,
  ),
  retryTask: database.prepare(
    `UPDATE tasks SET state = 'again', failures = ?, losses = ?, not_before = ?, memory_mb = coalesce(?, memory_mb),
       failure = ? WHERE job = ? AND number = ? AND (state = 'new' OR state = 'again')`,
  ),
  reviveTask: database.prepare(
    `UPDATE tasks SET state = 'again', failures = 0, losses = 0, not_before = NULL, memory_mb = ?, failure = NULL,
       cause = NULL WHERE job = ? AND number = ? AND state = 'failed'`,
  ),
  failedInput: database.prepare(
    `INSERT INTO failed_inputs (input, job, nth, message, at)
     VALUES (?1, ?2, (SELECT coalesce(max(nth), 0) + 1 FROM failed_inputs WHERE input = ?1), ?3, ?4)
     ON CONFLICT (input, job) DO UPDATE SET message = excluded.message, at = excluded.at`,
  ),
});

function rowOf(seq: number, task: Task): SQLInputValue[] {
  const { number, step, key, input, source, partition, firstPeriod, lastPeriod, location } = task;
  return [
    seq,
    number,
    step,
    key,
    input === undefined || (step === 'process' && input === key) ? null : input,
    source ?? null,
    partition ?? null,
    firstPeriod,
    lastPeriod,
    json(location),
  ];
}

function move(statements: Statements, seq: number, change: TaskMove): void {
  const { task } = change;
  if (statements[change.type].run(...valuesOf(change), seq, task.number).changes === 0) {
    throw new Error(`task ${task.jobId}.${task.number} takes no ${change.type}`);
  }
  if (change.type !== 'endTask' || !change.failure || task.input === undefined) return;
  statements.failedInput.run(task.input, seq, change.failure.message, change.at);
}

function valuesOf(change: TaskMove): SQLInputValue[] {
  switch (change.type) {
    case 'endTask': {
      const { to, failures, losses, cause, failure, outputs } = change;
      return [to, failures, losses, json(failure), cause ?? null, json(outputs)];
    }
    case 'retryTask': {
      const { failures, losses, notBefore, memoryMb, failure } = change;
      return [failures, losses, notBefore, memoryMb ?? null, json(failure)];
    }
    case 'reviveTask':
      return [change.memoryMb ?? null];
  }
}
