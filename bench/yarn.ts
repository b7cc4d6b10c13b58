import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { stringify } from 'yaml';

import { messageOf } from '../src/errors.ts';
import { serve } from '../src/serve.ts';
import { startHadoop } from '../test/servers/hadoop/cluster.ts';
import type { HadoopCluster } from '../test/servers/hadoop/cluster.ts';
import { operator } from '../test/servers/pushbroom.ts';
import { installDistributedShell } from './peers/distributed-shell.ts';
import type { DistributedShell } from './peers/distributed-shell.ts';
import { median } from './report.ts';
import type { Bench, Row } from './report.ts';

/** Of a job; each has a file of its own, whose only copy is on one of the nodes. */
const TASKS = 240;
const ROUNDS = 3;
/** Of a container, the peer's and ours alike; ours keeps a part of it for the runner. */
const CONTAINER = { vcores: 1, memoryMb: 256 };
const RUNNER_MEMORY_MB = 128;
/** Jobs that want the same slots at the same time, where nearness is counted. */
const BUSY_JOBS = 2;

const DESCRIPTOR = `<bundleDescriptor><bundleName>bench</bundleName><bundleVersion>1.0</bundleVersion>
<processorDescriptors><processorDescriptor><executableName>True</executableName><processorName>True</processorName>
<formatting>IMPLICIT</formatting></processorDescriptor></processorDescriptors></bundleDescriptor>`;

/** A service whose processor is `/bin/true` itself, over a cluster that runs and stores everything. */
async function prepare(directory: string, cluster: HadoopCluster): Promise<string> {
  await mkdir(join(directory, 'bench'));
  await writeFile(join(directory, 'bench/bundle-descriptor.xml'), DESCRIPTOR);
  await copyFile('/bin/true', join(directory, 'bench/True-process'));
  const listen = { host: '127.0.0.1', port: 0 };
  const config = {
    dataDir: './data',
    workDir: 'hdfs://bench/pushbroom',
    public: listen,
    internal: listen,
    nodeFiles: listen,
    bundles: ['./bench'],
    datasets: [{ name: 'tiny', productType: 'ANY', path: 'hdfs://bench/archive/.*[.]dat' }],
    jobs: { cpus: CONTAINER.vcores, memoryMb: CONTAINER.memoryMb - RUNNER_MEMORY_MB },
    storage: { hdfs: [{ name: 'bench', urls: [cluster.webhdfsUrl] }] },
    engines: {
      local: { enabled: false },
      yarn: {
        resourceManagers: [cluster.resourceManagerUrl],
        hadoopConfiguration: cluster.configuration,
        storage: 'bench',
        runnerMemoryMb: RUNNER_MEMORY_MB,
        node: process.execPath,
      },
    },
    log: { level: 'warn' },
  };
  const file = join(directory, 'pushbroom.yaml');
  await writeFile(file, stringify(config));
  return file;
}

/** Spread evenly, so that all can be near. */
async function putArchive(cluster: HadoopCluster): Promise<void> {
  for (let index = 0; index < TASKS; index += 1) {
    const node = (index % cluster.nodes.length) + 1;
    await cluster.putFile(`/archive/${index}.dat`, 'tiny', node);
  }
}

type Api = ReturnType<typeof operator>;

interface Service extends AsyncDisposable {
  readonly api: Api;
  submit(): Promise<string>;
  /** @throws where the job has not been successful */
  ended(id: string): Promise<void>;
}

async function startService(cluster: HadoopCluster): Promise<Service> {
  const directory = await mkdtemp(join(tmpdir(), 'pushbroom-bench-'));
  const server = await serve({ config: await prepare(directory, cluster), overrides: {} });
  const api = operator(server.internalUrl);
  return {
    api,
    submit: () => api.submit('bench~1.0~True', { inputDataSetName: 'tiny' }),
    async ended(id) {
      const { state, message } = await api.ended(id);
      if (state !== 'successful') throw new Error(`the job is ${state}: ${message}`);
    },
    async [Symbol.asyncDispose]() {
      await server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Tasks per second of one job from its Execute to its end. */
async function rate({ submit, ended }: Service): Promise<number> {
  const begun = performance.now();
  await ended(await submit());
  return TASKS / ((performance.now() - begun) / 1000);
}

/** Percent of the attempts that ran where their input lies. */
async function nearness({ api, submit, ended }: Service): Promise<number> {
  const jobs = await Promise.all(Array.from({ length: BUSY_JOBS }, submit));
  await Promise.all(jobs.map(ended));
  let near = 0;
  let all = 0;
  for (const job of jobs) {
    for (let number = 0; number < TASKS; number += 1) {
      const path = `/api/jobs/${job}/tasks/${number}/attempts`;
      const { items } = await api.get<{ items: { locality?: string }[] }>(path);
      near += items.filter(({ locality }) => locality === 'node').length;
      all += items.length;
    }
  }
  return (100 * near) / all;
}

async function compare(
  cluster: HadoopCluster,
  shell: DistributedShell,
  say: (line: string) => void,
): Promise<readonly Row[]> {
  await using service = await startService(cluster);
  // The first localises on every node.
  await service.ended(await service.submit());
  const rounds: { ours: number; peer: number }[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    const peer = await shell.run(cluster, TASKS, CONTAINER);
    const ours = await rate(service);
    rounds.push({ ours, peer });
    say(`round ${round}: ${ours.toFixed(1)}/s, the distributed shell ${peer.toFixed(1)}/s`);
  }
  const near = await nearness(service);
  say(`${BUSY_JOBS} jobs at the same time: ${near.toFixed(1)} % near`);
  const ratio = median(rounds.map((round) => round.ours / round.peer));
  return [
    {
      what: '/bin/true',
      value: median(rounds.map((round) => round.ours)),
      unit: 'tasks/s',
      peer: 'distributed shell',
      peerValue: median(rounds.map((round) => round.peer)),
      ratio,
      target: 0.9,
      ok: ratio >= 0.9,
    },
    { what: 'node-local attempts', value: near, unit: '%', target: 95, ok: near >= 95 },
  ];
}

export const yarn: Bench = {
  title: `yarn: jobs of ${TASKS} tasks over files with one copy on a real cluster of 3 nodes, beside Hadoop's distributed shell`,
  async run(say) {
    const shell = await installDistributedShell();
    await using cluster = await startHadoop({ settings: { yarn: shell.settings } });
    await putArchive(cluster);
    try {
      return await compare(cluster, shell, say);
    } catch (error) {
      say(messageOf(error));
      throw error;
    }
  },
};
