import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { away } from '../../test/fixtures/storages.ts';
import { aJob } from '../../test/fixtures/jobs.ts';
import { createStoredJobs } from '../../test/fixtures/stored-job.ts';
import type { StoredJobs } from '../../test/fixtures/stored-job.ts';
import { PushbroomError } from '../errors.ts';
import { createStager, fileName } from './stage.ts';

const job = aJob({ title: 'Urban areas / 2020', user: 'tep_alice' });

const publisher = { centre: 'C', platform: 'P', baseUrl: () => 'https://eo.example' };

let jobs: StoredJobs;
let stage: ReturnType<typeof createStager>;
let staged: string;
let time = 0;
beforeEach(async () => {
  jobs = await createStoredJobs();
  stage = createStager({ ...jobs, publisher, now: () => (time += 1000) });
  staged = jobs.layout.staged(job);
});
afterEach(() => jobs[Symbol.asyncDispose]());

const list = async () => (await readdir(staged)).toSorted();
const partial = () => readdir(join(jobs.layout.staging, '.partial')).catch(() => []);

test('products, quicklooks, metadata and checksums are staged together, and described', async () => {
  await jobs.finish(job, [{ 'b.tif': 'bb', 'b.png': 'png' }, { 'a.nc': 'a' }, {}]);
  const results = await stage(job);
  expect(results.map(({ path, type, size, role }) => [path, type, size, role])).toEqual([
    ['a.nc', 'application/netcdf', 1, 'product'],
    ['b.png', 'image/png', 3, 'quicklook'],
    ['b.tif', 'image/tiff', 2, 'product'],
    ['Urban_areas_2020-metadata', 'application/atom+xml', expect.any(Number), 'metadata'],
  ]);
  expect(await list()).toEqual([
    'SHA256SUMS',
    'Urban_areas_2020-metadata',
    'a.nc',
    'b.png',
    'b.tif',
  ]);
  for (const { path, size } of results) expect((await stat(join(staged, path))).size).toBe(size);
  expect(await partial(), 'nothing is left half staged').toEqual([]);
});

test('the checksums are what sha256sum takes, whatever the files are called', async () => {
  await jobs.finish(job, [{ 'a b.tif': '1', '*c': '2', 'Größe.tif': '3', 'back\\slash': '4' }]);
  const results = await stage(job);
  const said = execFileSync('sha256sum', ['-c', '--strict', 'SHA256SUMS'], { cwd: staged });
  expect(said.toString().trim().split('\n')).toHaveLength(results.length);
});

test('staging again gives the same but for the times', async () => {
  await jobs.finish(job, [{ 'a.tif': 'a' }]);
  const first = await stage(job);
  await writeFile(join(staged, 'left-over'), '');
  const second = await stage(job);
  const products = (results: typeof first) => results.filter(({ role }) => role !== 'metadata');
  expect(products(second)).toEqual(products(first));
  expect(await list()).toEqual(['SHA256SUMS', 'Urban_areas_2020-metadata', 'a.tif']);
});

test('what is staged stays when the working files go', async () => {
  await jobs.finish(job, [{ 'a.tif': 'a' }]);
  await stage(job);
  await rm(jobs.layout.job(job.id), { recursive: true });
  expect(await readFile(join(staged, 'a.tif'), 'utf8')).toBe('a');
});

test('a staging area on another file system gets copies', async () => {
  const shm = await mkdtemp('/dev/shm/staging-');
  try {
    expect((await stat(shm)).dev).not.toBe((await stat(jobs.layout.directory)).dev);
    await rm(jobs.layout.staging, { recursive: true });
    await symlink(shm, jobs.layout.staging);
    await jobs.finish(job, [{ 'a.tif': 'a' }]);
    await stage(job);
    expect(await readFile(join(staged, 'a.tif'), 'utf8')).toBe('a');
  } finally {
    await rm(shm, { recursive: true });
  }
});

test('a job without results is staged with its metadata', async () => {
  await jobs.finish(job, [{}]);
  expect((await stage(job)).map(({ role }) => role)).toEqual(['metadata']);
});

/** A staging that fails, and puts nothing there. */
async function expectFailure(message: string): Promise<void> {
  await expect(stage(job)).rejects.toThrow(message);
  await expect(readdir(staged)).rejects.toThrow('ENOENT');
}

describe('nothing at all is staged', () => {
  test('when two tasks have left a result of one name, which is named', async () => {
    await jobs.finish(job, [{ 'a.tif': '1' }, { 'a.tif': '2' }]);
    await expectFailure("there are two results of the name 'a.tif'");
    expect(await partial()).toEqual([job.id]);
  });

  test.each(['SHA256SUMS', 'Urban_areas_2020-metadata'])(
    'when a result has the name of our own %s, which is not written over it',
    async (name) => {
      await jobs.finish(job, [{ [name]: 'mine' }]);
      await expectFailure(`there are two results of the name '${name}'`);
      expect(await readFile(join(jobs.layout.result(job.id, 0), name), 'utf8')).toBe('mine');
    },
  );

  test('when a result is missing, which is named', async () => {
    await jobs.finish(job, [{ 'a.tif': 'a' }, { 'b.tif': 'b' }]);
    await rm(join(jobs.layout.result(job.id, 1), 'b.tif'));
    await expectFailure('b.tif');
  });
});

test('a failed staging can be done again when the reason is gone', async () => {
  await jobs.finish(job, [{ 'a.tif': 'a' }, { 'b.tif': 'b' }]);
  const missing = join(jobs.layout.result(job.id, 1), 'b.tif');
  await rm(missing);
  await expect(stage(job)).rejects.toThrow('b.tif');
  await writeFile(missing, 'b');
  expect(await stage(job)).toHaveLength(3);
});

test.each([
  ['Subset of DLR GUF 75m', 'Subset_of_DLR_GUF_75m'],
  ['a/b\\c', 'abc'],
  ['../../etc/passwd', 'etcpasswd'],
  ['.hidden', 'hidden'],
  ['Größe "ü" <b>\n', 'Größe_ü_b_'],
  ['', 'result'],
  ['///', 'result'],
  ['...', 'result'],
  ['x'.repeat(300), 'x'.repeat(150)],
])('the title %j becomes the file name %j', (title, name) => {
  expect(fileName(title)).toBe(name);
});

test('a title of long characters is still a file name', () => {
  expect(Buffer.byteLength(`${fileName('漢'.repeat(300))}-metadata`)).toBeLessThanOrEqual(255);
});

describe('results on a storage', () => {
  const TRIES = 3;
  beforeEach(async () => {
    await jobs[Symbol.asyncDispose]();
    jobs = await createStoredJobs({ apart: true });
    stage = createStager({ ...jobs, publisher, now: () => 0, pauses: [0, 0] });
    staged = jobs.layout.staged(job);
  });

  /** Where an output lies here. */
  const outputOf = (task: number, path: string) =>
    join(jobs.pathOf(jobs.layout.result(job.id, task)), path);
  const reads = () => jobs.storage.asked.filter(({ deed }) => deed === 'read').length;

  test('are copied with their checksums', async () => {
    await jobs.finish(job, [{ 'b.tif': 'b'.repeat(300_000), 'b.png': 'png' }, { 'empty.nc': '' }]);
    await stage(job);
    execFileSync('sha256sum', ['-c', '--strict', 'SHA256SUMS'], { cwd: staged });
    expect(await readFile(join(staged, 'b.tif'), 'utf8')).toBe('b'.repeat(300_000));
    expect(await list()).toEqual([
      'SHA256SUMS',
      'Urban_areas_2020-metadata',
      'b.png',
      'b.tif',
      'empty.nc',
    ]);
  });

  test('are fetched again where the storage was away', async () => {
    await jobs.finish(job, [{ 'a.tif': 'a' }]);
    let tries = 0;
    jobs.storage.trouble = (_, location) => ((tries += 1) < TRIES ? away(location) : undefined);
    await stage(job);
    expect(await readFile(join(staged, 'a.tif'), 'utf8')).toBe('a');
  });

  test('fail the job where it stays away', async () => {
    await jobs.finish(job, [{ 'a.tif': 'a' }]);
    jobs.storage.trouble = (_, location) => away(location);
    await expectFailure('a.tif: hdfs://test/work/');
    expect(reads()).toBe(TRIES);
  });

  test('are fetched again where something else came than the attempt left', async () => {
    const sha256 = createHash('sha256').update('aaa').digest('hex');
    await jobs.finish(job, [{ 'a.tif': 'aaa' }], { 'a.tif': sha256 });
    for (const [wrong, reason] of [
      ['aa', '2 bytes instead of 3'],
      ['aab', 'another checksum'],
    ] as const) {
      await writeFile(outputOf(0, 'a.tif'), wrong);
      jobs.storage.asked.length = 0;
      await expectFailure(`a.tif: hdfs://test/work/${job.id}/results/0/a.tif has ${reason}`);
      expect(reads()).toBe(TRIES);
    }
    await writeFile(outputOf(0, 'a.tif'), 'aaa');
    expect((await stage(job))[0]).toMatchObject({ path: 'a.tif', sha256 });
  });

  test('have to be of the right size even where their checksum is not known', async () => {
    await jobs.finish(job, [{ 'a.tif': 'aaa' }]);
    await writeFile(outputOf(0, 'a.tif'), 'aaaa');
    await expectFailure('4 bytes instead of 3');
  });

  test('that are not there, or are not ours to read, are not waited for', async () => {
    await jobs.finish(job, [{ 'a.tif': 'a' }]);
    const content = await readFile(outputOf(0, 'a.tif'));
    await rm(outputOf(0, 'a.tif'));
    await expectFailure('a.tif');
    expect(reads()).toBe(1);
    await writeFile(outputOf(0, 'a.tif'), content);
    jobs.storage.trouble = () => new PushbroomError('FORBIDDEN', 'Permission denied');
    await expectFailure('a.tif: Permission denied');
    expect(reads()).toBe(2);
  });

  test('of one name are named, and the first is not written over', async () => {
    await jobs.finish(job, [{ 'a.tif': '1' }, { 'a.tif': '2' }]);
    await expectFailure("there are two results of the name 'a.tif'");
    const half = join(jobs.layout.unstaged(job.id), 'a.tif');
    expect(await readFile(half, 'utf8')).toBe('1');
  });
});
