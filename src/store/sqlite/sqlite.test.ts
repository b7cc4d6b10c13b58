import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { aJob } from '../../../test/fixtures/jobs.ts';
import { storeContract } from '../contract.ts';
import { openSqlite } from './sqlite.ts';

let directory: string;
let count = 0;
const path = () => join(directory, `${(count += 1)}.db`);
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pushbroom-sqlite-'));
});
afterAll(() => rm(directory, { recursive: true }));

storeContract('SQLite', async () => openSqlite(path()));

describe('a SQLite file', () => {
  test('keeps what was committed when it is opened again', async () => {
    const file = path();
    const first = openSqlite(file);
    await first.commit([{ type: 'addJob', job: aJob() }]);
    await first[Symbol.asyncDispose]();
    const second = openSqlite(file);
    expect(await second.job(aJob().id)).toMatchObject({ state: 'accepted' });
    await second[Symbol.asyncDispose]();
  });

  test('that is full refuses a commit as a whole and takes the next one', async () => {
    const file = path();
    await openSqlite(file)[Symbol.asyncDispose]();
    const store = openSqlite(file, { maxPages: 60 });
    const title = 'x'.repeat(300_000);
    await expect(store.commit([{ type: 'addJob', job: aJob({ title }) }])).rejects.toMatchObject({
      code: 'STORAGE_FULL',
    });
    await store.commit([{ type: 'addJob', job: aJob() }]);
    expect((await store.jobs({ limit: 9 })).items).toHaveLength(1);
    await store[Symbol.asyncDispose]();
  });

  test('of a newer Pushbroom is not touched', () => {
    const file = path();
    const database = new DatabaseSync(file);
    database.exec('PRAGMA user_version = 999');
    database.close();
    expect(() => openSqlite(file)).toThrow('newer Pushbroom (schema 999');
  });
});
