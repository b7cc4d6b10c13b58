import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import { startHadoop } from './hadoop/cluster.ts';
import type { HadoopCluster } from './hadoop/cluster.ts';
import { startHttpFs } from './hadoop/httpfs.ts';
import { lacksHadoop } from './hadoop/installation.ts';
import { lacksKerberos } from './hadoop/kerberos.ts';

const LONG = { timeout: 60_000, interval: 100 };
/** With the first download. */
const START_MS = 300_000;

interface NodeSeen {
  readonly nodeHostName: string;
  readonly state: string;
  readonly rack: string;
}

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pushbroom-hadoop-test-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function ask<T>(url: string, init?: RequestInit): Promise<T> {
  const response = await fetch(url, init);
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

const webhdfs = <T>({ webhdfsUrl }: HadoopCluster, path: string, query: string, method = 'GET') =>
  ask<T>(`${webhdfsUrl}/webhdfs/v1${path}?user.name=root&${query}`, { method });

const namesIn = async (cluster: HadoopCluster, path: string): Promise<string[]> => {
  const answer = await webhdfs<{ FileStatuses: { FileStatus: { pathSuffix: string }[] } }>(
    cluster,
    path,
    'op=LISTSTATUS',
  );
  return answer.FileStatuses.FileStatus.map(({ pathSuffix }) => pathSuffix);
};

const blocksOf = async (cluster: HadoopCluster, path: string) =>
  (
    await webhdfs<{ BlockLocations: { BlockLocation: readonly object[] } }>(
      cluster,
      encodeURI(path),
      'op=GETFILEBLOCKLOCATIONS',
    )
  ).BlockLocations.BlockLocation;

const nodesOf = async ({ resourceManagerUrl }: HadoopCluster): Promise<NodeSeen[]> =>
  (await ask<{ nodes: { node: NodeSeen[] } }>(`${resourceManagerUrl}/ws/v1/cluster/nodes`)).nodes
    .node;

const stateOf = async (cluster: HadoopCluster, node: number) =>
  (await nodesOf(cluster)).find(
    ({ nodeHostName }) => nodeHostName === cluster.nodes[node - 1]!.name,
  )?.state;

async function liveDataNodes({ webhdfsUrl }: HadoopCluster): Promise<readonly string[]> {
  const query = 'qry=Hadoop:service=NameNode,name=NameNodeInfo';
  const { beans } = await ask<{ beans: { LiveNodes: string }[] }>(`${webhdfsUrl}/jmx?${query}`);
  return Object.keys(JSON.parse(beans[0]!.LiveNodes)).map((name) => name.split(':')[0]!);
}

/** An application whose only container, its master, is this command. */
async function submit(
  { resourceManagerUrl }: HadoopCluster,
  command: string,
): Promise<{ state: () => Promise<string> }> {
  const apps = `${resourceManagerUrl}/ws/v1/cluster/apps`;
  const { 'application-id': id } = await ask<{ 'application-id': string }>(
    `${apps}/new-application`,
    { method: 'POST' },
  );
  const application = {
    'application-id': id,
    'application-name': 'test',
    'application-type': 'YARN',
    'am-container-spec': { commands: { command } },
    'max-app-attempts': 1,
    resource: { memory: 64, vCores: 1 },
  };
  const { status } = await fetch(apps, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(application),
  });
  expect(status).toBe(202);
  return {
    state: async () => (await ask<{ app: { state: string } }>(`${apps}/${id}`)).app.state,
  };
}

/** A container that goes on and on. */
async function sleeper(cluster: HadoopCluster) {
  const file = join(await mkdtemp(join(directory, 'container-')), 'pid');
  const application = await submit(
    cluster,
    `echo $$ > ${file}.new; mv ${file}.new ${file}; exec sleep 1000`,
  );
  await vi.waitFor(() => expect(existsSync(file)).toBe(true), LONG);
  return { ...application, pid: Number(await readFile(file, 'utf8')) };
}

/** One that waits to be buried by whoever has taken it on is not. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

const isStranger = async ({ nodes }: HadoopCluster, other: HadoopCluster) =>
  (await nodesOf(other)).every(({ nodeHostName }) =>
    nodes.every(({ name }) => name !== nodeHostName),
  );

describe.skipIf(lacksHadoop())('Hadoop', () => {
  describe.each(['one-jvm', 'daemons'] as const)('with %s', (mode) => {
    let cluster: HadoopCluster;
    beforeAll(async () => {
      // Heard of soon, and lost soon.
      const yarn = { 'yarn.nm.liveness-monitor.expiry-interval-ms': 5000 };
      cluster = await startHadoop({ mode, heartbeatMs: 200, settings: { yarn } });
    }, START_MS);
    afterAll(() => cluster?.[Symbol.asyncDispose](), START_MS);

    test('keeps files on the nodes and in the racks that are meant', async () => {
      for (const [index, { name, rack }] of cluster.nodes.entries()) {
        const path = `/files/on node ${index + 1}`;
        await cluster.putFile(path, 'x'.repeat(10_000), index + 1);
        const [block, ...others] = await blocksOf(cluster, path);
        expect(others).toEqual([]);
        expect(block).toMatchObject({
          hosts: [name],
          topologyPaths: [`${rack}/${name}:9866`],
          length: 10_000,
        });
      }
    });

    test('is used by programs of its own', async () => {
      await cluster.run('org.apache.hadoop.fs.FsShell', ['-mkdir', '-p', '/made/by/hand']);
      expect(await namesIn(cluster, '/made/by')).toEqual(['hand']);
    });

    test('offers the nodes in the racks that are meant', async () => {
      const seen = (await nodesOf(cluster)).map(({ nodeHostName, state, rack }) => ({
        name: nodeHostName,
        state,
        rack,
      }));
      expect(seen.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
        { name: cluster.nodes[0]!.name, state: 'RUNNING', rack: '/rack1' },
        { name: cluster.nodes[1]!.name, state: 'RUNNING', rack: '/rack1' },
        { name: cluster.nodes[2]!.name, state: 'RUNNING', rack: '/rack2' },
      ]);
    });

    test('collects what an application has said when it is over', async () => {
      const { state } = await submit(cluster, 'echo said-by-a-container > <LOG_DIR>/stdout');
      // It never registers, so that YARN calls it failed.
      await vi.waitFor(async () => expect(await state()).toBe('FAILED'), LONG);
      await vi.waitFor(async () => expect(await namesIn(cluster, '/')).toContain('logs'), LONG);
    });

    test('loses a NodeManager that is killed, not its containers, and finds it again', async () => {
      const containers = await Promise.all([1, 2, 3].map(() => sleeper(cluster)));
      await cluster.killDaemon('nm2');
      await vi.waitFor(async () => expect(await stateOf(cluster, 2)).toBe('LOST'), LONG);
      expect(containers.filter(({ pid }) => isAlive(pid))).toHaveLength(3);
      await cluster.startDaemon('nm2');
      await cluster.complete();
      expect(await stateOf(cluster, 2)).toBe('RUNNING');
    }, 120_000);

    test('is told of a NodeManager that is stopped', async () => {
      await cluster.stopDaemon('nm3');
      await vi.waitFor(async () => expect(await stateOf(cluster, 3)).toBe('SHUTDOWN'), LONG);
      await cluster.startDaemon('nm3');
      await cluster.complete();
    }, 120_000);

    test('loses a DataNode that is killed and finds it again', async () => {
      await cluster.killDaemon('dn1');
      const { name } = cluster.nodes[0]!;
      await vi.waitFor(async () => expect(await liveDataNodes(cluster)).not.toContain(name), LONG);
      await cluster.startDaemon('dn1');
      await cluster.complete();
      expect(await liveDataNodes(cluster)).toContain(name);
    }, 120_000);

    test('goes on with an application when the ResourceManager has been restarted', async () => {
      const { pid, state } = await sleeper(cluster);
      await cluster.restartResourceManager();
      await cluster.complete();
      await vi.waitFor(async () => expect(await state()).toBe('ACCEPTED'), LONG);
      expect(isAlive(pid)).toBe(true);
    }, 120_000);

    test('has its files again when the NameNode has been restarted', async () => {
      await webhdfs(cluster, '/lasting', 'op=MKDIRS', 'PUT');
      await cluster.killDaemon('nn');
      await expect(namesIn(cluster, '/')).rejects.toThrow('fetch failed');
      await cluster.startDaemon('nn');
      await cluster.complete();
      expect(await namesIn(cluster, '/')).toContain('lasting');
    }, 120_000);

    test('takes nodes out of service and back', async () => {
      await cluster.decommission([cluster.nodes[2]!.name]);
      await vi.waitFor(async () => expect(await stateOf(cluster, 3)).toBe('DECOMMISSIONED'), LONG);
      await cluster.decommission([]);
    }, 120_000);
  });

  test(
    'runs twice at the same time, and nothing of one is seen in the other',
    async () => {
      await using first = await startHadoop();
      await using second = await startHadoop({
        nodes: 1,
        racks: ['/far'],
        capacity: { vcores: 2, memoryMb: 512 },
      });
      await webhdfs(first, '/only-here', 'op=MKDIRS', 'PUT');
      expect(await namesIn(second, '/')).toEqual([]);
      expect(await isStranger(first, second)).toBe(true);
      expect(await isStranger(second, first)).toBe(true);
      expect(await nodesOf(second)).toMatchObject([
        { rack: '/far', availMemoryMB: 512, availableVirtualCores: 2 },
      ]);
    },
    START_MS,
  );

  test(
    'leaves nothing behind: no process, no container, no file',
    async () => {
      const seen = { pids: [] as readonly number[], directory: '', container: 0 };
      {
        await using cluster = await startHadoop({ nodes: 1 });
        const { pid } = await sleeper(cluster);
        Object.assign(seen, { pids: cluster.pids, directory: cluster.directory, container: pid });
        expect([...seen.pids, pid].every(isAlive)).toBe(true);
      }
      expect([...seen.pids, seen.container].filter(isAlive)).toEqual([]);
      expect(existsSync(seen.directory)).toBe(false);
    },
    START_MS,
  );

  test(
    'ends when whoever started it is killed',
    async () => {
      const program = join(import.meta.dirname, 'hadoop/main.ts');
      const child = spawn(process.execPath, [program, '--keep', '--nodes', '1'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
      const seen = JSON.parse(line) as { daemons: readonly number[]; directory: string };
      expect(seen.daemons.every(isAlive)).toBe(true);
      child.kill('SIGKILL');
      await vi.waitFor(() => expect(seen.daemons.filter(isAlive)).toEqual([]), LONG);
      expect(existsSync(seen.directory)).toBe(false);
    },
    START_MS,
  );

  test(
    'keeps files without YARN too, which starts faster',
    async () => {
      await using cluster = await startHadoop({ yarn: false, nodes: 1 });
      await cluster.putFile('/file', 'content', 1);
      expect(await namesIn(cluster, '/')).toEqual(['file']);
      await expect(nodesOf(cluster)).rejects.toThrow('fetch failed');
    },
    START_MS,
  );

  test(
    'shows the same files by its gateway',
    async () => {
      await using cluster = await startHadoop({ yarn: false, nodes: 1 });
      await using gateway = await startHttpFs(cluster);
      await cluster.putFile('/file', 'content', 1);
      const response = await fetch(`${gateway.url}/webhdfs/v1/file?user.name=anybody&op=OPEN`);
      expect(await response.text()).toBe('content');
    },
    START_MS,
  );

  test.skipIf(lacksKerberos())(
    'lets nobody in without a ticket under Kerberos',
    async () => {
      await using cluster = await startHadoop({ kerberos: true, nodes: 1 });
      await cluster.run('org.apache.hadoop.fs.FsShell', ['-mkdir', '/ours']);
      await expect(namesIn(cluster, '/')).rejects.toThrow('401');
      const url = `${cluster.webhdfsUrl}/webhdfs/v1/?op=LISTSTATUS`;
      expect(JSON.parse(await cluster.kerberos!.ask(url))).toMatchObject({
        FileStatuses: { FileStatus: [{ pathSuffix: 'ours', owner: 'hdfs' }] },
      });
    },
    START_MS,
  );

  test(
    'says why it does not start, and clears up',
    async () => {
      const hdfs = { 'dfs.namenode.http-address': '192.0.2.1:9870' };
      await expect(startHadoop({ settings: { hdfs } })).rejects.toThrow(
        /hadoop has ended.*192\.0\.2\.1/s,
      );
    },
    START_MS,
  );
});
