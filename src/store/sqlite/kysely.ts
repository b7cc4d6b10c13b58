import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';

import { Kysely, SqliteDialect } from 'kysely';

import type { Database } from '../schema.ts';

/** Kysely over `node:sqlite`: its SQLite dialect expects statements of another library's shape. */
export function createKysely(database: DatabaseSync): Kysely<Database> {
  const prepared = new Map<string, StatementSync>();
  const prepare = (sql: string): StatementSync => {
    const statement = prepared.get(sql) ?? database.prepare(sql);
    prepared.set(sql, statement);
    return statement;
  };
  const shim = {
    close: () => database.close(),
    prepare: (sql: string) => {
      const statement = prepare(sql);
      const bind = (parameters: readonly unknown[]) => parameters as SQLInputValue[];
      return {
        reader: statement.columns().length > 0,
        all: (parameters: readonly unknown[]) => statement.all(...bind(parameters)),
        run: (parameters: readonly unknown[]) => statement.run(...bind(parameters)),
        iterate: (parameters: readonly unknown[]) => statement.iterate(...bind(parameters)),
      };
    },
  };
  return new Kysely<Database>({ dialect: new SqliteDialect({ database: shim }) });
}
