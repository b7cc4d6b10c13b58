/**
 * Whole jobs on Mesos: on the replayed cluster, or on a real one where PUSHBROOM_TEST_MESOS names its master
 * (`http://host:port`). Its agents have to share this machine's directory for temporary files, or the one that
 * PUSHBROOM_TEST_SHARED names, at the same path, and to reach this machine at PUSHBROOM_TEST_HOST (127.0.0.1).
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { buildBundles } from '../../scripts/build-bundles.ts';
import { startMesos } from '../servers/mesos/cluster.ts';
import { operator, startPushbroom, until } from '../servers/pushbroom.ts';
import type { Pushbroom } from '../servers/pushbroom.ts';

const SCENES = join(import.meta.dirname, '../../demo/scenes');
const {
  PUSHBROOM_TEST_MESOS: realMaster,
  PUSHBROOM_TEST_SHARED: shared = tmpdir(),
  PUSHBROOM_TEST_HOST: host = '127.0.0.1',
} = process.env;

const INPUTS = {
  productionName: 'Mesos',
  inputDataSetName: 'scenes',
  minDate: '2018-01-01',
  maxDate: '2018-12-31',
  spatioTemporalAggregationParameters: 'true',
};

interface NodeSeen {
  readonly engine: string;
  readonly node: string;
  readonly rack?: string;
  readonly resources: { readonly cpus: number };
}

describe(`jobs on ${realMaster === undefined ? 'the replayed' : 'a real'} Mesos cluster`, () => {
  let directory: string;
  let master: string;
  let common: Record<string, unknown>;
  let onMesos: Record<string, unknown>;
  const closers: (() => unknown)[] = [];
  beforeAll(async () => {
    directory = await mkdtemp(join(shared, 'pushbroom-mesos-'));
    closers.push(() => rm(directory, { recursive: true, force: true, maxRetries: 10 }));
    if (realMaster === undefined) {
      const attributes = { rack: 'r1', site: 'eodc-1' };
      const cluster = await startMesos({
        fetcherCacheBytes: 1024 ** 3,
        agents: [
          { cpus: 2, memoryMb: 4096, attributes },
          { cpus: 2, memoryMb: 4096, attributes: { ...attributes, rack: 'r2' } },
        ],
      });
      closers.push(() => cluster[Symbol.asyncDispose]());
      master = cluster.url;
    } else master = realMaster;
    await buildBundles(join(directory, 'bundles'));
    common = {
      bundles: ['./bundles/timescan-1.0'],
      datasets: [
        {
          name: 'scenes',
          productType: 'S2_L2A',
          path: `${SCENES}/\${yyyy}/\${MM}/\${dd}/.*[.]tif`,
          minDate: '2015-08-01',
          maxDate: '2021-01-01',
        },
      ],
    };
    onMesos = {
      ...common,
      nodeFiles: { host, port: 0 },
      engines: {
        local: { enabled: false },
        mesos: {
          masters: [master],
          roles: ['eo'],
          cacheDirectory: join(directory, 'cache'),
          hold: 1,
          refuse: 0.5,
        },
      },
    };
  });
  afterAll(async () => {
    for (const close of closers.toReversed()) await close();
  });

  const services: Pushbroom[] = [];
  afterAll(async () => {
    for (const service of services) await service.stop();
  });
  async function start(name: string, config: Record<string, unknown>): Promise<Pushbroom> {
    await mkdir(join(directory, name), { recursive: true });
    const service = await startPushbroom(directory, { ...config, dataDir: `./${name}` });
    services.push(service);
    return service;
  }

  async function checksums(service: Pushbroom, id: string): Promise<Record<string, string>> {
    const results = await operator(service.internalUrl).results(id);
    const products = results.filter(({ path }) => !path.endsWith('-metadata'));
    return Object.fromEntries(products.map(({ path, sha256 }) => [path, sha256]));
  }

  let expected: Record<string, string>;
  test('a job gives the same checksums as on the local engine, with no change to bundle or request', async () => {
    const local = await start('local', common);
    const reference = await operator(local.internalUrl).submit('timescan~1.0~Indices', INPUTS);
    expect(await operator(local.internalUrl).ended(reference)).toMatchObject({
      state: 'successful',
    });
    expected = await checksums(local, reference);
    expect(Object.keys(expected)).toHaveLength(2);

    const service = await start('mesos', onMesos);
    const api = operator(service.internalUrl);
    const nodes = await until(
      () => api.get<{ items: readonly NodeSeen[] }>('/api/nodes'),
      ({ items }) => items.length >= 2,
    );
    expect(new Set(nodes.items.map(({ engine }) => engine))).toEqual(new Set(['mesos']));
    if (realMaster === undefined) {
      expect(new Set(nodes.items.map(({ rack }) => rack))).toEqual(new Set(['r1', 'r2']));
    }
    const id = await api.submit('timescan~1.0~Indices', INPUTS);
    const job = await api.ended(id);
    expect(job).toMatchObject({
      message: expect.stringContaining('successfully'),
      state: 'successful',
      steps: { process: { failed: 0 } },
    });
    expect(await checksums(service, id)).toEqual(expected);
    const attempts = await api.get<{ items: { id: string; usage?: { wallMs: number } }[] }>(
      `/api/jobs/${id}/tasks/0/attempts`,
    );
    expect(attempts.items[0]).toMatchObject({ usage: { wallMs: expect.any(Number) } });
    expect(await service.stop()).toBe(0);
  }, 180_000);

  test('a service that is killed in the middle is the same framework again, and repeats nothing', async () => {
    let service = await start('killed', onMesos);
    const id = await operator(service.internalUrl).submit('timescan~1.0~Indices', INPUTS);
    for (const enough of [2, 6]) {
      await until(
        () => operator(service.internalUrl).job(id),
        (job) => job.steps['process']!.finished >= enough,
      );
      await service.kill();
      service = await start('killed', onMesos);
    }
    const api = operator(service.internalUrl);
    const job = await api.ended(id);
    expect(job).toMatchObject({
      message: expect.stringContaining('successfully'),
      state: 'successful',
      steps: { process: { failed: 0 } },
    });
    expect(await checksums(service, id)).toEqual(expected);
    // What ran at a death went on; what was decided and not launched is the only thing done again.
    const tasks = Object.values(job.steps).reduce((sum, { total }) => sum + total, 0);
    expect(job.attempts - tasks).toBeLessThanOrEqual(8);
    expect(await service.stop()).toBe(0);
  }, 180_000);
});
