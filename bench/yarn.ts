import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
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

/** Files, whose only copy is on one of the nodes each. */
const FILES = 240;
const ROUNDS = 3;

/** A processor, and what the peer runs for the same. */
interface Work {
  readonly name: string;
  readonly command: readonly string[];
  /** Products of its job. */
  readonly tasks: number;
}

/** Nothing but overhead: what fills the machine here is the work of all nodes, which are on it together. */
const NOTHING: Work = { name: 'True', command: ['/bin/true'], tasks: FILES };
/** Short for a product, but long enough that slots are the limit and not this machine. */
const SHORT: Work = { name: 'Sleep', command: ['/bin/sleep', '10'], tasks: 60 };
/** Of a container, the peer's and ours alike; ours keeps a part of it for the runner. */
const CONTAINER = { vcores: 1, memoryMb: 256 };
const RUNNER_MEMORY_MB = 128;
/** Jobs that want the same slots at the same time, where nearness is counted. */
const BUSY_JOBS = 2;

const processorOf = ({ name, tasks }: Work): string =>
  `<processorDescriptor><executableName>${name}</executableName><processorName>${name}</processorName>
<formatting>IMPLICIT</formatting><inputProductTypes>${tasks}</inputProductTypes></processorDescriptor>`;

const DESCRIPTOR = `<bundleDescriptor><bundleName>bench</bundleName><bundleVersion>1.0</bundleVersion>
<processorDescriptors>${processorOf(NOTHING)}${processorOf(SHORT)}</processorDescriptors></bundleDescriptor>`;

/** A service whose processors are those commands, over a cluster that runs and stores everything. */
async function prepare(directory: string, cluster: HadoopCluster): Promise<string> {
  await mkdir(join(directory, 'bench'));
  await writeFile(join(directory, 'bench/bundle-descriptor.xml'), DESCRIPTOR);
  for (const { name, command } of [NOTHING, SHORT]) {
    const program = `#!/bin/sh\nexec ${command.join(' ')}\n`;
    await writeFile(join(directory, `bench/${name}-process`), program);
  }
  const listen = { host: '127.0.0.1', port: 0 };
  const config = {
    dataDir: './data',
    workDir: 'hdfs://bench/pushbroom',
    public: listen,
    internal: listen,
    nodeFiles: listen,
    bundles: ['./bench'],
    datasets: [
      { name: 'all', productType: `${NOTHING.tasks}`, path: 'hdfs://bench/archive/.*[.]dat' },
      {
        name: 'some',
        productType: `${SHORT.tasks}`,
        path: 'hdfs://bench/archive/[0-5]?[0-9][.]dat',
      },
    ],
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
  for (let index = 0; index < FILES; index += 1) {
    const node = (index % cluster.nodes.length) + 1;
    await cluster.putFile(`/archive/${index}.dat`, 'tiny', node);
  }
}

type Api = ReturnType<typeof operator>;

interface Service extends AsyncDisposable {
  readonly api: Api;
  submit(work: Work): Promise<string>;
  /** @throws where the job has not been successful */
  ended(id: string): Promise<void>;
}

async function startService(cluster: HadoopCluster): Promise<Service> {
  const directory = await mkdtemp(join(tmpdir(), 'pushbroom-bench-'));
  const server = await serve({ config: await prepare(directory, cluster), overrides: {} });
  const api = operator(server.internalUrl);
  return {
    api,
    submit: (work) =>
      api.submit(`bench~1.0~${work.name}`, {
        inputDataSetName: work === NOTHING ? 'all' : 'some',
      }),
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
async function rate({ submit, ended }: Service, work: Work): Promise<number> {
  const begun = performance.now();
  await ended(await submit(work));
  return work.tasks / ((performance.now() - begun) / 1000);
}

/** Percent of the attempts that ran where their input lies. */
async function nearness({ api, submit, ended }: Service): Promise<number> {
  const jobs = await Promise.all(Array.from({ length: BUSY_JOBS }, () => submit(NOTHING)));
  await Promise.all(jobs.map(ended));
  let near = 0;
  let all = 0;
  for (const job of jobs) {
    for (let number = 0; number < NOTHING.tasks; number += 1) {
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
  await service.ended(await service.submit(NOTHING));
  const rows: Row[] = [];
  for (const work of [NOTHING, SHORT])
    rows.push(await compareOne(cluster, shell, service, work, say));
  const near = await nearness(service);
  say(`${BUSY_JOBS} jobs at the same time: ${near.toFixed(1)} % near`);
  const ok = near >= 95;
  return [...rows, { what: 'node-local attempts', value: near, unit: '%', target: 95, ok }];
}

async function compareOne(
  cluster: HadoopCluster,
  shell: DistributedShell,
  service: Service,
  work: Work,
  say: (line: string) => void,
): Promise<Row> {
  const command = work.command.join(' ');
  const rounds: { ours: number; peer: number }[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    const peer = await shell.run(cluster, work.command, work.tasks, CONTAINER);
    const ours = await rate(service, work);
    rounds.push({ ours, peer });
    say(`${command}: ${ours.toFixed(2)}/s, the distributed shell ${peer.toFixed(2)}/s`);
  }
  const ratio = median(rounds.map((round) => round.ours / round.peer));
  return {
    what: command,
    value: median(rounds.map((round) => round.ours)),
    unit: 'tasks/s',
    peer: 'distributed shell',
    peerValue: median(rounds.map((round) => round.peer)),
    ratio,
    target: 0.9,
    ok: ratio >= 0.9,
  };
}

export const yarn: Bench = {
  title:
    "yarn: jobs over files with one copy each on a real cluster of 3 nodes, beside Hadoop's distributed shell",
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
