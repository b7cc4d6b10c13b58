import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { buildBundles } from '../../scripts/build-bundles.ts';
import { createWebHdfs } from '../../src/storage/webhdfs/webhdfs.ts';
import { joinLocation } from '../../src/storage/location.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { makeCertificate } from '../fixtures/certificate.ts';
import { startHadoop } from '../servers/hadoop/cluster.ts';
import type { HadoopCluster } from '../servers/hadoop/cluster.ts';
import { lacksHadoop } from '../servers/hadoop/installation.ts';
import { operator, startPushbroom, temporaryDirectory, until } from '../servers/pushbroom.ts';
import type { JobSeen } from '../servers/pushbroom.ts';

const SCENES = join(import.meta.dirname, '../../demo/scenes');
const PATTERN = '${yyyy}/${MM}/${dd}/S2_L2A_.*[.]tif';
/** A part of the demo's job that has every step of it. */
const INPUTS = {
  productionName: 'TimeScan Romania',
  inputDataSetName: 'scenes',
  minDate: '2016-08-01',
  maxDate: '2017-03-31',
  regionWKT: 'POLYGON((22.11 45.18,22.19 45.18,22.19 45.24,22.11 45.24,22.11 45.18))',
  spatioTemporalAggregationParameters: 'true',
  outputFormat: 'GeoTIFF',
};

describe.skipIf(lacksHadoop())('the TimeScan job', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let hadoop: HadoopCluster;
  let hdfs: Storage;
  let reference: Readonly<Record<string, string>>;

  beforeAll(async () => {
    directory = await temporaryDirectory();
    hadoop = await startHadoop();
    hdfs = createWebHdfs({ type: 'webhdfs', name: 'eo', urls: [hadoop.webhdfsUrl], user: 'root' });
    await buildBundles(join(directory.path, 'bundles'));
    await copyScenes();
    const { job, sums } = await run('mounted', {
      datasets: [scenes({ path: `${SCENES}/${PATTERN}` })],
    });
    if (job.state !== 'successful') throw new Error(`the job is ${job.state}: ${job.message}`);
    reference = sums;
  }, 300_000);
  afterAll(async () => {
    await hadoop?.[Symbol.asyncDispose]();
    await directory?.[Symbol.asyncDispose]();
  });

  async function copyScenes(): Promise<void> {
    const files = await readdir(SCENES, { recursive: true, withFileTypes: true });
    for (const file of files.filter(({ name }) => /_2016(08|09|1)|_20170[123]/.test(name))) {
      const path = join(file.parentPath, file.name);
      await hdfs.write(`hdfs://eo/scenes/${relative(SCENES, path)}`, await readFile(path));
    }
  }

  const scenes = (where: object) => ({ name: 'scenes', productType: 'S2_L2A', ...where });

  /** Runs the job on a service of that name; a second one goes on where the first has ended. */
  async function run(name: string, config: object) {
    const home = join(directory.path, name);
    await mkdir(home, { recursive: true });
    const server = await startPushbroom(home, {
      bundles: [join(directory.path, 'bundles', 'timescan-1.0')],
      storage: { hdfs: [{ name: 'eo', urls: [hadoop.webhdfsUrl], user: 'root' }] },
      engines: { local: { keepRunning: false } },
      ...config,
    });
    try {
      const api = operator(server.internalUrl);
      // What is there first would take it all.
      await until(
        () => api.get<{ items: { connected: boolean }[] }>('/api/engines'),
        ({ items }) => items.every(({ connected }) => connected),
      );
      const job: JobSeen = await api.ended(await api.submit('timescan~1.0~Indices', INPUTS));
      const results = job.state === 'successful' ? await api.results(job.id) : [];
      // What it has needed meanwhile goes.
      await until(
        () => filesBelow('hdfs://eo/work'),
        (left) => left.length === 0,
      );
      const rasters = results.filter(({ path }) => /[.](tif|png)$/.test(path));
      return {
        job,
        sums: Object.fromEntries(rasters.map(({ path, sha256 }) => [path, sha256])),
        nodes: await nodesOf(api, job),
      };
    } finally {
      await server.stop();
    }
  }

  /** Of the attempts over its scenes. */
  async function nodesOf(api: ReturnType<typeof operator>, job: JobSeen): Promise<string[]> {
    const { id, steps } = job;
    const numbers = Array.from({ length: steps['process']!.total }, (_, number) => number);
    const attempts = await Promise.all(
      numbers.map((number) =>
        api.get<{ items: { node: string }[] }>(`/api/jobs/${id}/tasks/${number}/attempts`),
      ),
    );
    return attempts.flatMap(({ items }) => items.map(({ node }) => node));
  }

  /** All files below a directory of the file system. */
  async function filesBelow(location: string): Promise<string[]> {
    if (!(await hdfs.stat(location))) return [];
    const found: string[] = [];
    for await (const entries of hdfs.list(location)) {
      for (const { name, isDirectory } of entries) {
        const place = joinLocation(location, name);
        found.push(...(isDirectory ? await filesBelow(place) : [place]));
      }
    }
    return found;
  }

  test('over scenes on HDFS, whose results go there, leaves what it leaves elsewhere', async () => {
    const { job, sums } = await run('hdfs', {
      datasets: [scenes({ path: `hdfs://eo/scenes/${PATTERN}` })],
      workDir: 'hdfs://eo/work',
    });
    expect(job).toMatchObject({ state: 'successful', steps: { process: { failed: 0 } } });
    expect(Object.keys(reference)).toHaveLength(2);
    expect(sums).toEqual(reference);
  });

  test('reads scenes that lie in two places where they are mounted, for an engine that sees both', async () => {
    const { job, sums } = await run('both', {
      datasets: [
        scenes({
          path: PATTERN,
          roots: [{ path: 'hdfs://eo/scenes', pool: 'calvalus' }, { path: SCENES }],
        }),
      ],
    });
    expect(job.state).toBe('successful');
    expect(sums).toEqual(reference);
  });

  test('runs where the scenes are, on YARN, with the same results', async () => {
    const { job, sums, nodes } = await run('yarn', {
      datasets: [
        scenes({ path: PATTERN, roots: [{ path: SCENES }, { path: 'hdfs://eo/scenes' }] }),
      ],
      workDir: 'hdfs://eo/work',
      jobs: { memoryMb: 512 },
      engines: {
        local: { enabled: false },
        yarn: {
          resourceManagers: [hadoop.resourceManagerUrl],
          hadoopConfiguration: hadoop.configuration,
        },
      },
    });
    expect(job).toMatchObject({ state: 'successful', steps: { process: { failed: 0 } } });
    expect(sums).toEqual(reference);
    const names = hadoop.nodes.map(({ name }) => name);
    expect(nodes.every((node) => names.includes(node))).toBe(true);
  }, 400_000);

  test('runs on YARN with masters in containers of their own, with the same results', async () => {
    const { certFile, keyFile } = makeCertificate(directory.path);
    const { job, sums } = await run('managed', {
      datasets: [scenes({ path: `hdfs://eo/scenes/${PATTERN}` })],
      workDir: 'hdfs://eo/work',
      jobs: { memoryMb: 512 },
      engines: {
        local: { enabled: false },
        yarn: {
          resourceManagers: [hadoop.resourceManagerUrl],
          hadoopConfiguration: hadoop.configuration,
          applicationMaster: 'managed',
          managed: { port: 0, certFile, keyFile },
        },
      },
    });
    expect(job).toMatchObject({ state: 'successful', steps: { process: { failed: 0 } } });
    expect(sums).toEqual(reference);
  }, 400_000);

  test('runs here and on YARN at once, each reading the scenes where they are near to it', async () => {
    const { job, sums, nodes } = await run('yarn', {
      datasets: [
        scenes({ path: PATTERN, roots: [{ path: 'hdfs://eo/scenes' }, { path: SCENES }] }),
      ],
      workDir: 'hdfs://eo/work',
      jobs: { memoryMb: 512 },
      engines: {
        local: { cpus: 1, keepRunning: false },
        yarn: {
          resourceManagers: [hadoop.resourceManagerUrl],
          hadoopConfiguration: hadoop.configuration,
        },
      },
    });
    expect(job).toMatchObject({ state: 'successful', steps: { process: { failed: 0 } } });
    expect(sums).toEqual(reference);
    expect(new Set(nodes).size).toBeGreaterThan(1);
  }, 400_000);
});
