import type { DatabaseSync, SQLInputValue } from 'node:sqlite';

/** Rows of one statement: one row alone costs twice as much. */
const ROWS = 32;

export const json = (value: unknown): string | null =>
  value === undefined ? null : JSON.stringify(value);

/** @returns a function that inserts rows, given as all their values one after the other */
export function createInsert(
  database: DatabaseSync,
  table: string,
  columns: readonly string[],
): (values: readonly SQLInputValue[]) => void {
  const row = `(${columns.map(() => '?').join(', ')})`;
  const prepare = (rows: number) =>
    database.prepare(
      `INSERT INTO ${table} (${columns.join(', ')}) VALUES ${Array(rows).fill(row).join(', ')}`,
    );
  const one = prepare(1);
  const many = prepare(ROWS);
  const width = columns.length;
  return (values) => {
    let from = 0;
    for (; from + ROWS * width <= values.length; from += ROWS * width) {
      many.run(...values.slice(from, from + ROWS * width));
    }
    for (; from < values.length; from += width) one.run(...values.slice(from, from + width));
  };
}

/** A change of a row, with the row's place in its table. */
export interface Placed<C> {
  readonly seq: number;
  readonly number: number;
  readonly change: C;
}

/** In the order of the rows, so that neighbours are changed together; the changes of one row stay in theirs. */
export const inOrder = <C>(changes: readonly Placed<C>[]): Placed<C>[] =>
  changes.toSorted((a, b) => a.seq - b.seq || a.number - b.number);
