import type { Change } from '../../core/change.ts';
import { isJobEnded } from '../../core/lifecycle.ts';
import { PushbroomError } from '../../errors.ts';
import type { Reads } from '../queries.ts';
import type { Store } from '../store.ts';
import { openDatabase } from './database.ts';
import { createLoader } from './load.ts';
import { ViewCache } from './view-cache.ts';
import { createWriter } from './writer.ts';

/** SQLite's result codes for a disk that takes no more (https://sqlite.org/rescode.html): FULL and IOERR_WRITE. */
const DISK_FULL = new Set([13, 778]);

/** Progress that a power cut may take back, in milliseconds; the death of the process alone takes nothing. */
const UNSYNCED_MS = 1_000;

/**
 * What somebody asked for and is answered, or is told for good. Everything else is made again by a scheduler that has
 * forgotten it: attempts that it does not know are ended, outputs that are committed are found (docs/decisions/0008).
 */
const isPromise = (change: Change): boolean =>
  change.type === 'addJob' ||
  change.type === 'controlJob' ||
  change.type === 'drainNode' ||
  change.type === 'reviveTask' ||
  (change.type === 'moveJob' && isJobEnded(change.to));

/**
 * The embedded store: one file, one process.
 *
 * @param options.maxPages the most pages that the file may have; commits beyond it are refused as on a full disk
 */
export function openSqlite(path: string, { maxPages }: { maxPages?: number } = {}): Store {
  const database = openDatabase(path);
  if (maxPages !== undefined) database.exec(`PRAGMA max_page_count = ${maxPages}`);
  const writer = createWriter(database);
  const views = new ViewCache();

  // Kysely takes a quarter of a server's memory and start; nothing is asked before it has started.
  let loading: Promise<Reads> | undefined;
  const reads = (): Promise<Reads> =>
    (loading ??= Promise.all([import('../queries.ts'), import('./kysely.ts')]).then(
      ([{ createReads }, { createKysely }]) => createReads(createKysely(database)),
    ));

  let isSyncing = true;
  let syncedAt = -Infinity;

  /** Whether the next commit waits for the disk. */
  function sync(isWanted: boolean): void {
    if (isWanted !== isSyncing) {
      database.exec(`PRAGMA synchronous = ${isWanted ? 'FULL' : 'NORMAL'}`);
      isSyncing = isWanted;
    }
    if (isWanted) syncedAt = performance.now();
  }

  function commit(changes: readonly Change[]): void {
    sync(performance.now() - syncedAt > UNSYNCED_MS || changes.some(isPromise));
    database.exec('BEGIN IMMEDIATE');
    try {
      writer.write(changes);
      database.exec('COMMIT');
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK');
      writer.clear();
      throw isDiskFull(error)
        ? new PushbroomError('STORAGE_FULL', `${path}: no space is left for the job store`, {
            cause: error,
          })
        : error;
    }
    views.forget(changes);
    for (const change of changes) if (change.type === 'forgetJob') writer.forget(change.jobId);
  }

  return {
    ...createLoader(database),
    commit: async (changes) => commit(changes),
    job: (id) => views.get(id, async () => (await reads()).job(id)),
    jobs: async (...query) => (await reads()).jobs(...query),
    tasks: async (...query) => (await reads()).tasks(...query),
    task: async (...query) => (await reads()).task(...query),
    attempts: async (...query) => (await reads()).attempts(...query),
    finishedTasks: async (...query) => (await reads()).finishedTasks(...query),
    finishedByKey: async (...query) => (await reads()).finishedByKey(...query),
    tasksAfter: async (...query) => (await reads()).tasksAfter(...query),
    lastSuccessful: async (...query) => (await reads()).lastSuccessful(...query),
    usages: async (...query) => (await reads()).usages(...query),
    knownKeys: async (...query) => (await reads()).knownKeys(...query),
    failures: async (...query) => (await reads()).failures(...query),
    failedTasks: async (...query) => (await reads()).failedTasks(...query),
    suspectInputs: async (...query) => (await reads()).suspectInputs(...query),
    [Symbol.asyncDispose]: async () => database.close(),
  };
}

const isDiskFull = (error: unknown): boolean =>
  error instanceof Error && 'errcode' in error && DISK_FULL.has(Number(error.errcode));
