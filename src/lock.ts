import { readFileSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

import { PushbroomError } from './errors.ts';

/** SQLITE_BUSY (https://sqlite.org/rescode.html). */
const BUSY = 5;

/**
 * Takes a data directory for this process. The lock is the operating system's, held through a database file that is
 * never written: it goes with the process, however that ends.
 *
 * @param path of the lock file; beside it, `<path>.holder` says in words who has it
 * @returns releases the lock
 * @throws UNAVAILABLE naming the holder
 */
export function lock(path: string, holder: string): () => void {
  const database = new DatabaseSync(path);
  try {
    database.exec('PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;');
  } catch (error) {
    database.close();
    if (!(error instanceof Error && 'errcode' in error && error.errcode === BUSY)) throw error;
    throw new PushbroomError('UNAVAILABLE', `the data directory is in use by ${holderOf(path)}`);
  }
  writeFileSync(`${path}.holder`, holder);
  return () => database.close();
}

function holderOf(path: string): string {
  try {
    return readFileSync(`${path}.holder`, 'utf8');
  } catch {
    return 'another process';
  }
}
