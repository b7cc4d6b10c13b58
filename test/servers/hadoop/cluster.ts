/**
 * Real HDFS and YARN on this machine: NameNode, ResourceManager, and on each node a DataNode and a NodeManager. Each
 * cluster has a subnet of 127.0.0.0/8 of its own, with Hadoop's usual ports, so that several run side by side.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import type { IncomingMessage } from 'node:http';
import { tmpdir, userInfo } from 'node:os';
import { delimiter, join, sep } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';

import { installHadoop } from './installation.ts';
import { classPath, environment, javaOptions, startDaemons } from './java-process.ts';
import type { DaemonProcess, JavaPlace } from './java-process.ts';
import { kerberosSettings, startKerberos } from './kerberos.ts';
import type { Kerberos } from './kerberos.ts';
import { writeSettings } from './settings.ts';
import type { HadoopNode, Settings, SiteSettings } from './settings.ts';
import { claimSubnet } from './subnet.ts';

export type DaemonName = 'nn' | 'rm' | `dn${number}` | `nm${number}`;

export interface HadoopOptions {
  /**
   * `one-jvm` is ready in seconds and takes 0.4 GiB; with `daemons` each is a process of its own, which can be killed,
   * and all take 1.3 GiB.
   */
  readonly mode?: 'one-jvm' | 'daemons';
  readonly nodes?: number;
  /** Without there is HDFS only, which starts faster. */
  readonly yarn?: boolean;
  /** HDFS under Kerberos; there is no YARN then. */
  readonly kerberos?: boolean;
  /** By node; the last is that of all others. */
  readonly racks?: readonly string[];
  /** Of each node. */
  readonly capacity?: { readonly vcores: number; readonly memoryMb: number };
  /** Between a NodeManager's heartbeats, at which containers are handed out. */
  readonly heartbeatMs?: number;
  readonly settings?: SiteSettings;
  readonly daemonSettings?: Readonly<Partial<Record<DaemonName, Settings>>>;
}

const HEAP_MB: Readonly<Record<string, number>> = { nn: 192, rm: 320, dn: 128, nm: 192 };
const ONE_JVM_HEAP_MB = 768;
/** Far beyond what eight Java programs take that start together on a busy machine. */
const PATIENCE_MS = 240_000;

/** Waits until all daemons know each other. With `await using` everything ends with the block. */
export async function startHadoop(options: HadoopOptions = {}): Promise<HadoopCluster> {
  const resources = new AsyncDisposableStack();
  try {
    const cluster = new HadoopCluster(await prepare(options, resources));
    resources.defer(() => cluster.kill());
    await cluster.start();
    return cluster;
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
}

/** @param resources what ends with the cluster, the last first */
async function prepare(
  options: HadoopOptions,
  resources: AsyncDisposableStack,
): Promise<ClusterParts> {
  const installation = await installHadoop();
  const subnet = resources.use(await claimSubnet());
  const host = subnet.address(1);
  const directory = await temporaryDirectory(resources);
  const { nodes: count = 3, racks = ['/rack1', '/rack1', '/rack2'] } = options;
  const nodes = Array.from({ length: count }, (_, index) => ({
    name: subnet.address(11 + index),
    rack: racks[index] ?? racks.at(-1)!,
  }));
  const names = nodes.map(({ name }) => name);
  const kerberos = options.kerberos ? await startKerberos(directory, host, names) : undefined;
  resources.use(kerberos);
  const configuration = await writeSettings({
    directory,
    host,
    nodes,
    capacity: options.capacity ?? { vcores: 4, memoryMb: 4096 },
    heartbeatMs: options.heartbeatMs ?? 1000,
    settings: combine(kerberos ? kerberosSettings(kerberos) : {}, options.settings ?? {}),
    daemonSettings: (options.daemonSettings ?? {}) as Record<string, Settings>,
  });
  const { mode = 'one-jvm', yarn = true } = options;
  const place = { installation, directory, configuration, kerberos };
  return { mode, yarn: yarn && !kerberos, place, host, nodes, resources };
}

async function temporaryDirectory(resources: AsyncDisposableStack): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'pushbroom-hadoop-'));
  const remove = () => rmSync(directory, { recursive: true, force: true });
  process.once('exit', remove);
  resources.defer(async () => {
    await rm(directory, { recursive: true, force: true, maxRetries: 10 });
    process.off('exit', remove);
  });
  for (const name of ['tmp', 'logs']) await mkdir(join(directory, name));
  return directory;
}

const combine = (first: SiteSettings, second: SiteSettings): SiteSettings => ({
  ...second,
  core: { ...first.core, ...second.core },
  hdfs: { ...first.hdfs, ...second.hdfs },
});

interface ClusterParts {
  readonly mode: 'one-jvm' | 'daemons';
  readonly yarn: boolean;
  readonly place: JavaPlace;
  readonly host: string;
  readonly nodes: readonly HadoopNode[];
  readonly resources: AsyncDisposableStack;
}

export class HadoopCluster implements AsyncDisposable {
  /** Data and logs. */
  readonly directory: string;
  /** What HADOOP_CONF_DIR names. */
  readonly configuration: string;
  /** Of NameNode and ResourceManager. */
  readonly host: string;
  readonly webhdfsUrl: string;
  readonly resourceManagerUrl: string;
  readonly nodes: readonly HadoopNode[];
  readonly mode: 'one-jvm' | 'daemons';
  readonly kerberos: Kerberos | undefined;
  readonly #parts: ClusterParts;
  readonly #processes = new Map<DaemonName, DaemonProcess>();

  constructor(parts: ClusterParts) {
    const { place, host, nodes, mode } = parts;
    this.directory = place.directory;
    this.configuration = place.configuration;
    this.host = host;
    this.webhdfsUrl = `http://${host}:9870`;
    this.resourceManagerUrl = `http://${host}:8088`;
    this.nodes = nodes;
    this.mode = mode;
    this.kerberos = place.kerberos;
    this.#parts = parts;
  }

  async start(): Promise<void> {
    const all = this.#daemons();
    if (this.mode === 'one-jvm') {
      const one = await startDaemons(this.#parts.place, 'hadoop', all, ONE_JVM_HEAP_MB);
      for (const name of all) this.#processes.set(name, one);
    } else {
      const starts = await Promise.allSettled(all.map((name) => this.startDaemon(name)));
      const failed = starts.find(({ status }) => status === 'rejected');
      if (failed) throw (failed as PromiseRejectedResult).reason;
    }
    await this.complete();
  }

  /** Of the processes that run its daemons. */
  get pids(): readonly number[] {
    return [...new Set(this.#running().map(({ pid }) => pid))];
  }

  /** Numbers of nodes begin with 1. */
  daemonsOf(node: number): readonly DaemonName[] {
    return this.#parts.yarn ? [`dn${node}`, `nm${node}`] : [`dn${node}`];
  }

  /** Asks until every node that there is stores and computes. */
  async complete(): Promise<void> {
    const limit = performance.now() + PATIENCE_MS;
    while (!(await this.#isComplete())) {
      if (performance.now() > limit)
        throw new Error(`incomplete: ${this.#process('nn').lastWords()}`);
      const dead = [...this.#processes].find(([, each]) => each.hasEnded);
      if (dead) throw new Error(`${dead[0]} has ended: ${dead[1].lastWords()}`);
      await pause(50);
    }
  }

  /** As an administrator would: those who should know are told, containers are ended. */
  async stopDaemon(name: DaemonName): Promise<void> {
    const daemon = this.#process(name);
    await daemon.order(`stop ${name}`);
    if (this.mode === 'daemons') await daemon.kill();
  }

  /**
   * As a death would: nobody is told, and a NodeManager's containers go on. Really SIGKILL with `daemons`; in one JVM
   * as near as can be without.
   */
  async killDaemon(name: DaemonName): Promise<void> {
    const daemon = this.#process(name);
    await (this.mode === 'daemons' ? daemon.kill() : daemon.order(`drop ${name}`));
  }

  /** Resolves when it has started, not when others know it. */
  async startDaemon(name: DaemonName): Promise<void> {
    if (this.mode === 'one-jvm') return this.#process(name).order(`start ${name}`);
    const heap = HEAP_MB[name.replace(/\d+$/, '')]!;
    this.#processes.set(name, await startDaemons(this.#parts.place, name, [name], heap));
  }

  async stopNode(node: number): Promise<void> {
    for (const name of this.daemonsOf(node)) await this.stopDaemon(name);
  }

  async killNode(node: number): Promise<void> {
    for (const name of this.daemonsOf(node)) await this.killDaemon(name);
  }

  async startNode(node: number): Promise<void> {
    for (const name of this.daemonsOf(node)) await this.startDaemon(name);
  }

  /** Killed and started again; it reads its state from its store. */
  async restartResourceManager(): Promise<void> {
    await this.killDaemon('rm');
    await this.startDaemon('rm');
  }

  /**
   * Takes nodes out of YARN, or with none takes all back.
   *
   * @param graceSeconds for containers to end
   */
  async decommission(nodes: readonly string[], graceSeconds = 0): Promise<void> {
    await writeFile(join(this.configuration, 'nodes.exclude'), nodes.join('\n'));
    const grace = graceSeconds > 0 ? ['-g', String(graceSeconds), '-server'] : [];
    await this.run('org.apache.hadoop.yarn.client.cli.RMAdminCLI', ['-refreshNodes', ...grace]);
  }

  /**
   * Writes a file whose only copy is on one node.
   *
   * @param node a number
   */
  async putFile(path: string, content: string | Uint8Array, node: number): Promise<void> {
    // What a DataNode is given to write it keeps itself.
    const query = new URLSearchParams({
      op: 'CREATE',
      'user.name': userInfo().username,
      namenoderpcaddress: `${this.host}:8020`,
      replication: '1',
      overwrite: 'true',
    });
    const { name } = this.nodes[node - 1]!;
    // `fetch` cannot: a DataNode says 100 Continue without being asked.
    const request = http.request(
      `http://${name}:9864/webhdfs/v1${encodeURI(path)}?${query.toString()}`,
      {
        method: 'PUT',
      },
    );
    request.end(content);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const answer = await text(response);
    if (response.statusCode !== 201) throw new Error(`${path}: ${response.statusCode} ${answer}`);
  }

  /**
   * Runs a program of Hadoop's as a client of the cluster; takes one or two seconds of Java's.
   *
   * @param archives that it needs beside Hadoop's
   */
  async run(
    mainClass: string,
    args: readonly string[] = [],
    archives: readonly string[] = [],
  ): Promise<string> {
    const path = [this.configuration, classPath(this.#parts.place.installation), ...archives];
    const options = [...javaOptions(this.#parts.place, 256), '-cp', path.join(delimiter)];
    const { stdout } = await promisify(execFile)('java', [...options, mainClass, ...args], {
      cwd: this.directory,
      env: environment(this.#parts.place),
      maxBuffer: 64 * 1024 ** 2,
    });
    return stdout;
  }

  /** Ends all daemons and containers at once. */
  async kill(): Promise<void> {
    await Promise.all(this.#running().map((each) => each.kill()));
    await this.#endContainers();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.resources.disposeAsync();
  }

  #daemons(): readonly DaemonName[] {
    const masters: readonly DaemonName[] = this.#parts.yarn ? ['nn', 'rm'] : ['nn'];
    return [...masters, ...this.nodes.flatMap((_, index) => this.daemonsOf(index + 1))];
  }

  #process(name: DaemonName): DaemonProcess {
    const found = this.#processes.get(name);
    if (!found) throw new Error(`no daemon ${name}`);
    return found;
  }

  #running(): readonly DaemonProcess[] {
    return [...new Set(this.#processes.values())].filter((each) => !each.hasEnded);
  }

  async #isComplete(): Promise<boolean> {
    const { yarn } = this.#parts;
    return (await this.#isStorageComplete()) && (!yarn || (await this.#isYarnComplete()));
  }

  async #isStorageComplete(): Promise<boolean> {
    const url = `${this.webhdfsUrl}/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState`;
    type Answer = { beans: { FSState: string; NumLiveDataNodes: number }[] };
    const answer = await ask<Answer>(url, this.kerberos);
    const state = answer?.beans[0];
    return state?.FSState === 'Operational' && state.NumLiveDataNodes === this.nodes.length;
  }

  async #isYarnComplete(): Promise<boolean> {
    const url = `${this.resourceManagerUrl}/ws/v1/cluster/metrics`;
    const answer = await ask<{ clusterMetrics: { activeNodes: number } }>(url);
    return answer?.clusterMetrics.activeNodes === this.nodes.length;
  }

  /** Containers outlive their NodeManager. They are the processes that work in the cluster's directory. */
  async #endContainers(): Promise<void> {
    for (;;) {
      const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
      const places = await Promise.all(
        pids.map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => '')),
      );
      const ours = pids.filter((_, index) => places[index]!.startsWith(this.directory + sep));
      if (ours.length === 0) return;
      for (const pid of ours) kill(Number(pid));
      await pause(10);
    }
  }
}

/** It may have ended by now. */
function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function ask<T>(url: string, kerberos?: Kerberos): Promise<T | undefined> {
  try {
    if (kerberos) return JSON.parse(await kerberos.ask(url)) as T;
    const response = await fetch(url, { signal: AbortSignal.timeout(5000) });
    return response.ok ? ((await response.json()) as T) : undefined;
  } catch {
    return undefined;
  }
}
