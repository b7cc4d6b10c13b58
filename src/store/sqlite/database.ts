import { DatabaseSync } from 'node:sqlite';

import * as jobs from '../migrations/001-jobs.ts';
import * as scheduling from '../migrations/002-scheduling.ts';
import * as gpus from '../migrations/003-gpus.ts';
import * as jobTimes from '../migrations/004-job-times.ts';
import * as cpuHours from '../migrations/005-cpu-hours.ts';

/** In order; a migration that was released is never changed. */
const MIGRATIONS = [jobs.sqlite, scheduling.sqlite, gpus.sqlite, jobTimes.sqlite, cpuHours.sqlite];

/** Opens a database file, or `:memory:`, and brings its tables up to date. */
export function openDatabase(path: string): DatabaseSync {
  const database = new DatabaseSync(path);
  // FULL: a commit is on the disk before it is answered. WAL makes that one fsync.
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;');
  database.exec('PRAGMA busy_timeout = 0; PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY;');
  // Little at a time is copied from the log: whoever asks something meanwhile has to wait for it.
  database.exec('PRAGMA wal_autocheckpoint = 250;');
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
