import { DatabaseSync } from 'node:sqlite';
import type { SQLInputValue, StatementSync } from 'node:sqlite';

import { Kysely, SqliteDialect } from 'kysely';

import * as jobs from '../migrations/001-jobs.ts';
import type { Database } from '../schema.ts';

/** In order; a migration that was released is never changed. */
const MIGRATIONS = [jobs.sqlite];

/** Opens a database file, or `:memory:`, and brings its tables up to date. */
export function openDatabase(path: string): DatabaseSync {
  const database = new DatabaseSync(path);
  // FULL: a commit is on the disk before it is answered. WAL makes that one fsync.
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;');
  database.exec('PRAGMA busy_timeout = 0; PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY;');
  migrate(database);
  return database;
}

function migrate(database: DatabaseSync): void {
  const row = database.prepare('PRAGMA user_version').get();
  const version = Number(row?.['user_version']);
  if (version > MIGRATIONS.length) {
    throw new Error(
      `the database was written by a newer Pushbroom (schema ${version}, this one knows ${MIGRATIONS.length})`,
    );
  }
  MIGRATIONS.slice(version).forEach((sql, index) => {
    database.exec(`BEGIN; ${sql}; PRAGMA user_version = ${version + index + 1}; COMMIT;`);
  });
}

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
