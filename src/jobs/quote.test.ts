import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { aTask } from '../../test/fixtures/ended-tasks.ts';
import { aJob, l3, periods, product } from '../../test/fixtures/jobs.ts';
import type { Job, Product, Usage } from '../core/model.ts';
import { PushbroomError } from '../errors.ts';
import { openSqlite } from '../store/sqlite/sqlite.ts';
import type { Store } from '../store/store.ts';
import { createQuoter } from './quote.ts';
import type { QuoterOptions } from './quote.ts';

let store: Store;
let now = 0;
beforeEach(() => {
  now = 0;
  store = openSqlite(':memory:');
});
afterEach(() => store[Symbol.asyncDispose]());

const processors = [{ executableName: 'Copy' }];
const BUNDLES = ['1.0', '1.1', '2.0'].map((version) => ({ name: 'test', version, processors }));

const quoter = (
  findProducts: QuoterOptions['findProducts'] = products(product('a'), product('b')),
  patience = 60_000,
) =>
  createQuoter({
    store,
    registry: { bundles: () => BUNDLES as never },
    findProducts,
    assumedTaskSeconds: 10,
    patience,
    now: () => now,
  });

const products = (...found: readonly Product[]): QuoterOptions['findProducts'] =>
  async function* () {
    yield found.slice(0, 1);
    yield found.slice(1);
  };

const ofVersion = (version: string, id: string): Job => ({
  ...aJob({ id, process: `test~${version}~Copy` }),
  processor: { bundle: 'test', version, processor: 'Copy', bundleHash: '' },
});

/** Stores a job that has succeeded, whose tasks took so many milliseconds each. */
async function succeed(job: Job, ...walls: readonly number[]): Promise<void> {
  await store.commit([{ type: 'addJob', job }]);
  const resources = { cpus: 1, memoryMb: 1 };
  for (const [number, wallMs] of walls.entries()) {
    const task = aTask(job.id, number);
    const id = `${job.id}.${number}.1`;
    const launch = { jobId: job.id, task: number, number: 1, engine: 'e', node: 'n' };
    const attempt = { ...launch, id, launchedAt: 0 };
    const usage: Usage = { wallMs, cpuUserMs: wallMs / 2, peakMemoryBytes: 1000, sources: {} };
    const ended = { attempts: 1, failures: 0, losses: 0, outputs: [], at: 1 };
    await store.commit([
      { type: 'addTasks', jobId: job.id, tasks: [task], at: 0 },
      { type: 'addAttempt', attempt, task, resources },
      { type: 'moveAttempt', attempt, resources, to: 'finished', at: 1, result: { usage } },
      { type: 'endTask', task, to: 'finished', ...ended },
    ]);
  }
  const results: never[] = [];
  await store.commit([{ type: 'moveJob', jobId: job.id, to: 'successful', at: 2, results }]);
}

test('what has never run is assumed to take what its plan reserves', async () => {
  expect(await quoter()(aJob())).toMatchObject({
    products: 2,
    instances: 2,
    cpuMs: 20_000,
    reservedCpuMs: 20_000,
    peakMemoryBytes: 512 * 1024 * 1024,
    isLowerBound: false,
    history: { jobs: 0, process: 'test~1.0~Copy' },
    steps: [{ step: 'process', basis: 'default' }],
  });
});

test('the last successful jobs of the same process say what it costs', async () => {
  for (let index = 0; index < 8; index++) {
    await succeed(ofVersion('1.0', `job${index}`), index < 3 ? 1_000_000 : 100, 300);
  }
  await store.commit([{ type: 'addJob', job: ofVersion('1.0', 'running') }]);
  expect(await quoter()(aJob({ id: 'new' }))).toMatchObject({
    cpuMs: 200,
    wallMs: 400,
    peakMemoryBytes: 1000,
    history: { jobs: 5, process: 'test~1.0~Copy' },
    steps: [{ basis: 'history', tasks: 2 }],
  });
});

test('a version that has never run is taken for the one that did so last', async () => {
  await succeed({ ...ofVersion('2.0', 'old'), acceptedAt: 5 }, 70);
  await succeed({ ...ofVersion('1.1', 'young'), acceptedAt: 6 }, 50);
  await succeed({ ...ofVersion('1.0', 'again'), retryOf: { jobId: 'old', without: [] } }, 1);
  await succeed({ ...ofVersion('1.0', 'foreign'), process: 'other~1.0~Copy' }, 9);
  expect(await quoter()(aJob({ id: 'new' }))).toMatchObject({
    wallMs: 100,
    history: { jobs: 1, process: 'test~1.1~Copy' },
  });
});

test('a history is asked for once in a while; a failure or that there is none is not remembered', async () => {
  const quote = quoter();
  let isBroken = true;
  const { lastSuccessful } = store;
  store.lastSuccessful = async (...query) => {
    if (isBroken) throw new Error('disk');
    return lastSuccessful(...query);
  };
  await expect(quote(aJob())).rejects.toThrow('disk');
  isBroken = false;
  expect((await quote(aJob())).history.jobs).toBe(0);
  await succeed(ofVersion('1.0', 'one'), 50);
  expect((await quote(aJob())).history.jobs).toBe(1);
  await succeed(ofVersion('1.0', 'two'), 50);
  expect((await quote(aJob())).history.jobs).toBe(1);
  now = 300_000;
  expect((await quote(aJob())).history.jobs).toBe(2);
});

test('periods that have products are counted for what is aggregated', async () => {
  const job = aJob({ workflow: l3(4), periods: periods(9) });
  const found = products(product('a', 0, 1), product('b', 1, 2), product('c', 7));
  expect((await quoter(found)(job)).steps.map(({ step, tasks }) => [step, tasks])).toEqual([
    ['process', 3],
    ['aggregate', 16],
    ['format', 4],
  ]);
});

test('what was found in time is a lower bound', async () => {
  const slow: QuoterOptions['findProducts'] = async function* (_, signal) {
    yield [product('a')];
    await once(signal, 'abort');
    throw signal.reason;
  };
  expect(await quoter(slow, 20)(aJob())).toMatchObject({ products: 1, isLowerBound: true });
  const endless: QuoterOptions['findProducts'] = async function* (_, signal) {
    yield [product('a')];
    await once(signal, 'abort');
    yield [product('b')];
    expect.unreachable('it goes on');
  };
  expect(await quoter(endless, 20)(aJob())).toMatchObject({ products: 2, isLowerBound: true });
});

test('so many are made at once, and no more until one is done', async () => {
  const gate = Promise.withResolvers<void>();
  const quote = quoter(async function* () {
    await gate.promise;
    yield [product('a')];
  });
  const first = Array.from({ length: 16 }, () => quote(aJob()));
  await expect(quote(aJob())).rejects.toMatchObject({ code: 'TOO_MANY_REQUESTS' });
  gate.resolve();
  expect(await Promise.all(first)).toHaveLength(16);
  expect(await quote(aJob())).toMatchObject({ products: 1 });
});

test('a request without products, or with too many, is refused', async () => {
  await expect(quoter(products())(aJob())).rejects.toMatchObject({ code: 'INVALID_PARAMETER' });
  const tooMany: QuoterOptions['findProducts'] = async function* () {
    yield [product('a')];
    throw new PushbroomError('INVALID_PARAMETER', 'more than 1 products');
  };
  await expect(quoter(tooMany)(aJob())).rejects.toThrow('more than 1 products');
});
