import { readFileSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';

import { startHadoop } from '../servers/hadoop/cluster.ts';
import type { HadoopCluster } from '../servers/hadoop/cluster.ts';
import { lacksHadoop } from '../servers/hadoop/installation.ts';
import { operator, startPushbroom, temporaryDirectory, until } from '../servers/pushbroom.ts';

/** Each with its only copy on a node that is known. */
const FILES = 200;
const nameOf = (index: number) => `${String(index).padStart(3, '0')}.txt`;

/** Copies its product, at once or not so soon. */
const scriptOf = (seconds: number) =>
  `#!/bin/sh\nsleep ${seconds}; cp "$1" "out-$1" && echo "OUTPUT_PRODUCT out-$1"\n`;
const processorOf = (name: string) => `<processorDescriptor>
  <executableName>${name}</executableName><processorName>${name}</processorName>
  <inputProductTypes>TEXT</inputProductTypes><formatting>IMPLICIT</formatting>
</processorDescriptor>`;
const DESCRIPTOR = `<bundleDescriptor><bundleName>copy</bundleName><bundleVersion>1.0</bundleVersion>
<processorDescriptors>${processorOf('Quick')}${processorOf('Slow')}</processorDescriptors></bundleDescriptor>`;

interface AttemptSeen {
  readonly node: string;
  readonly locality: string;
  readonly state: string;
}

describe.skipIf(lacksHadoop())('a job on YARN', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let cluster: HadoopCluster;
  beforeAll(async () => {
    directory = await temporaryDirectory();
    cluster = await startHadoop({ heartbeatMs: 200 });
    await Promise.all(
      Array.from({ length: FILES }, (_, index) =>
        cluster.putFile(`/in/${nameOf(index)}`, `product ${index}`, holderOf(index)),
      ),
    );
    const bundle = join(directory.path, 'copy');
    await mkdir(bundle);
    await writeFile(join(bundle, 'bundle-descriptor.xml'), DESCRIPTOR);
    await writeFile(join(bundle, 'Quick-process'), scriptOf(0), { mode: 0o755 });
    await writeFile(join(bundle, 'Slow-process'), scriptOf(2), { mode: 0o755 });
  }, 300_000);
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
    await directory?.[Symbol.asyncDispose]();
  });

  /** Number of the node that has a file, from 1. */
  const holderOf = (index: number) => (index % cluster.nodes.length) + 1;

  const start = async () => {
    const server = await startPushbroom(directory.path, {
      bundles: ['./copy'],
      workDir: 'hdfs://eo/work',
      storage: { hdfs: [{ name: 'eo', urls: [cluster.webhdfsUrl] }] },
      datasets: [
        { name: 'all', productType: 'TEXT', path: 'hdfs://eo/in/.*[.]txt' },
        { name: 'some', productType: 'TEXT', path: 'hdfs://eo/in/0[0-2][0-9][.]txt' },
      ],
      jobs: { memoryMb: 256 },
      // As long as it takes, also where tasks are short: whoever waits for a node gets that one.
      scheduling: { locality: { nodeWait: 1000, patience: 1000 } },
      engines: {
        local: { enabled: false },
        yarn: {
          resourceManagers: [cluster.resourceManagerUrl],
          hadoopConfiguration: cluster.configuration,
          node: process.execPath,
        },
      },
    });
    onTestFinished(server.kill);
    return server;
  };
  type Api = ReturnType<typeof operator>;

  const attemptsOf = async (api: Api, id: string, task: number) =>
    (await api.get<{ items: AttemptSeen[] }>(`/api/jobs/${id}/tasks/${task}/attempts`)).items;

  /** Names of all that YARN has brought to a node for everybody, as often as it was brought. */
  async function localised(node: number): Promise<string[]> {
    const cache = join(dirname(cluster.configuration), `nm${node}`, 'local/filecache');
    const directories = await readdir(cache);
    const found = await Promise.all(directories.map((number) => readdir(join(cache, number))));
    return found.flat().filter((name) => !name.startsWith('.'));
  }

  test('runs each of 200 tasks where its product lies, and brings the bundle to a node once', async () => {
    const server = await start();
    const api = operator(server.internalUrl);
    const id = await api.submit('copy~1.0~Quick', { inputDataSetName: 'all' });
    const job = await api.ended(id);
    expect(job).toMatchObject({
      state: 'successful',
      steps: { process: { total: FILES, finished: FILES, failed: 0 } },
    });
    const { items } = await api.get<{ items: { key: string; number: number }[] }>(
      `/api/jobs/${id}/tasks?limit=1000`,
    );
    const places = await Promise.all(
      items.map(async ({ key, number }) => {
        const attempts = await attemptsOf(api, id, number);
        const node = cluster.nodes[holderOf(Number.parseInt(key.replace(/^.*\//, ''), 10)) - 1]!;
        const astray = attempts.filter((each) => each.node !== node.name);
        return { attempts, astray };
      }),
    );
    expect(places).toHaveLength(FILES);
    expect(places.flatMap(({ astray }) => astray)).toEqual([]);
    expect(
      new Set(places.flatMap(({ attempts }) => attempts.map((each) => each.locality))),
    ).toEqual(new Set(['node']));
    for (let node = 1; node <= cluster.nodes.length; node += 1) {
      const names = await localised(node);
      expect(names).toHaveLength(new Set(names).size);
      expect(names.some((name) => name.includes('bundle'))).toBe(true);
    }
    expect(await server.stop()).toBe(0);
  }, 300_000);

  test('ends right when the program of its master and the service are killed in the middle of it', async () => {
    let server = await start();
    let api = operator(server.internalUrl);
    const id = await api.submit('copy~1.0~Slow', { inputDataSetName: 'some' });
    const finished = (count: number) =>
      until(
        () => api.job(id),
        ({ steps }) => (steps['process']?.finished ?? 0) >= count,
      );
    await finished(5);
    process.kill(programOf(server.pid), 'SIGKILL');
    await finished(12);
    await server.kill();
    server = await start();
    api = operator(server.internalUrl);
    const job = await api.ended(id);
    expect(job).toMatchObject({
      state: 'successful',
      steps: { process: { total: 30, finished: 30, failed: 0 } },
    });
    const results = (await api.results(id)).filter(({ path }) => path.endsWith('.txt'));
    const contents = await Promise.all(
      results.map(async ({ href }) => (await fetch(new URL(href, server.publicUrl))).text()),
    );
    const expected = Array.from({ length: 30 }, (_, index) => `product ${index}`);
    expect(contents.toSorted()).toEqual(expected.toSorted());
    expect(await server.stop()).toBe(0);
  }, 300_000);
});

/** The only child of the service. */
const programOf = (pid: number): number =>
  Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]);
