import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Agent } from './agent.ts';
import type { MasterLink } from './agent.ts';
import { disconnected, register, statusUpdate, unregistered } from './master-agents.ts';
import { serve, serveStandby } from './master-api.ts';
import { Master } from './master.ts';
import type { MasterSettings } from './master.ts';
import { PretendClock } from './pretend.ts';
import type {
  Answer,
  Answerer,
  ClusterOptions,
  FrameworkSeen,
  LoseTask,
  MesosCluster,
  ReceivedCall,
  ReceivedCalls,
  TaskSeen,
} from './types.ts';
import { Listener } from './wire.ts';

export type * from './types.ts';

/** The two of the recordings. */
const RECORDED = [
  { attributes: { rack: 'r1', site: 'eodc-1', os: 'debian12', tier: 'fast' } },
  { attributes: { rack: 'r2', site: 'eodc-2', os: 'debian12', tier: 'bulk' } },
];

/**
 * A replayed Mesos cluster on free ports of 127.0.0.1: a master and its agents that behave as a real 1.12 did in the
 * recordings under `test/fixtures/mesos`. Resolves when all agents are registered.
 */
export async function startMesos(options: ClusterOptions = {}): Promise<MesosCluster> {
  const temporary = options.directory ?? (await mkdtemp(join(tmpdir(), 'mesos-')));
  const cluster = new Cluster(options, temporary, options.directory === undefined);
  await cluster.start();
  return cluster;
}

/** Calls in their order, and those who wait for one. */
class Calls implements ReceivedCalls {
  readonly list: ReceivedCall[] = [];
  #waiting: ((call: ReceivedCall) => void)[] = [];

  add(call: ReceivedCall): void {
    this.list.push(call);
    for (const tell of this.#waiting) tell(call);
  }

  of(type: string): readonly ReceivedCall[] {
    return this.list.filter((call) => call.type === type);
  }

  until(predicate: (call: ReceivedCall) => boolean, from = 0): Promise<ReceivedCall> {
    const past = this.list.slice(from).find(predicate);
    if (past) return Promise.resolve(past);
    return new Promise((resolve) => {
      const tell = (call: ReceivedCall) => {
        if (!predicate(call)) return;
        this.#waiting = this.#waiting.filter((one) => one !== tell);
        resolve(call);
      };
      this.#waiting.push(tell);
    });
  }
}

class Cluster implements MesosCluster {
  readonly calls = new Calls();
  readonly acknowledged = new Map<string, number>();
  readonly agents: readonly Agent[];
  readonly master = { kill: () => this.#killMaster(), restart: () => this.#restartMaster() };
  readonly #options: ClusterOptions;
  readonly #directory: string;
  readonly #isTemporary: boolean;
  readonly #listener: Listener;
  readonly #standby: Listener | undefined;
  readonly #clock: PretendClock | undefined;
  readonly #launches = new Map<string, number>();
  #master: Master | undefined;
  #remembered: Master['remembered'] | undefined;
  #answerer: Answerer | undefined;
  #isPaused = false;
  #retries: NodeJS.Timeout | undefined;

  constructor(options: ClusterOptions, directory: string, isTemporary: boolean) {
    this.#options = options;
    this.#directory = directory;
    this.#isTemporary = isTemporary;
    const isPretended = options.run === 'pretend';
    this.#clock = isPretended ? new PretendClock(options.pretendMs ?? 0) : undefined;
    this.#listener = new Listener('127.0.0.1', (request, response) => {
      if (!this.#master) return void request.socket.destroy();
      const witness = (call: ReceivedCall) => this.#witness(call);
      serve(this.#master, witness, request, response).catch(() => request.socket.destroy());
    });
    this.#standby = options.standby
      ? new Listener('127.0.0.1', (request, response) =>
          serveStandby(this.#listener, request, response),
        )
      : undefined;
    const settings = {
      directory,
      ackRetryMs: options.ackRetryMs ?? 500,
      registrationMs: options.registrationMs ?? 20,
      timeScale: options.timeScale ?? 1,
      killGraceMs: (options.killGraceSeconds ?? 3) * 1000 * (options.timeScale ?? 1),
      fetcherCacheBytes: options.fetcherCacheBytes ?? 64 * 2 ** 20,
      pretend: this.#clock,
      master: () => this.#link(),
      onLaunch: (key: string) => {
        if (options.record ?? true) this.#launches.set(key, (this.#launches.get(key) ?? 0) + 1);
      },
    };
    const agents = options.agents ?? RECORDED;
    this.agents = agents.map((agent, index) => new Agent(agent, index, settings));
  }

  get url(): string {
    return this.#listener.url;
  }

  get standbyUrl(): string {
    if (!this.#standby) throw new Error('no standby master: set the option');
    return this.#standby.url;
  }

  async start(): Promise<void> {
    await this.#listener.open();
    await this.#standby?.open();
    this.#master = new Master(this.#settings());
    await Promise.all(this.agents.map((agent) => agent.start()));
    for (const agent of this.agents) agent.register();
    const period = Math.max((this.#options.ackRetryMs ?? 500) / 4, 1);
    this.#retries = setInterval(() => {
      const now = Date.now();
      for (const agent of this.agents) agent.retryUpdates(now);
    }, period);
  }

  #settings(): MasterSettings {
    const options = this.#options;
    return {
      address: this.#listener,
      allocationIntervalMs: options.allocationIntervalMs ?? 20,
      heartbeatSeconds: options.heartbeatSeconds ?? 15,
      agentPingMs: options.agentPingMs ?? 200,
      timeScale: options.timeScale ?? 1,
      offerTimeoutMs: options.offerTimeoutMs,
      credentials: options.credentials ?? [],
      allowedRoles: options.allowedRoles,
      allowedUsers: options.allowedUsers,
    };
  }

  /** The leading master as agents reach it. */
  #link(): MasterLink | undefined {
    const master = this.#master;
    return (
      master && {
        register: (link, id, registration) => register(master, link, id, registration),
        statusUpdate: (...update) => statusUpdate(master, ...update),
        disconnected: (id) => disconnected(master, id),
        unregistered: (id) => unregistered(master, id),
      }
    );
  }

  async #killMaster(): Promise<void> {
    const master = this.#master;
    if (!master) return;
    this.#master = undefined;
    this.#remembered = master.remembered;
    master.stop();
    await this.#listener.close();
    for (const agent of this.agents) agent.isRegistered = false;
  }

  async #restartMaster(): Promise<void> {
    await this.#killMaster();
    this.#master = new Master(this.#settings(), this.#remembered);
    this.#master.isPaused = this.#isPaused;
    await this.#listener.open();
    for (const agent of this.agents) if (agent.isAlive) agent.seekMaster();
  }

  #witness(call: ReceivedCall): Answer | undefined {
    if (this.#options.record ?? true) this.#record(call);
    return this.#answerer?.(call);
  }

  #record(call: ReceivedCall): void {
    if (call.type === 'ACKNOWLEDGE') {
      const uuid = String(call.body.acknowledge?.uuid);
      this.acknowledged.set(uuid, (this.acknowledged.get(uuid) ?? 0) + 1);
    }
    this.calls.add(call);
  }

  answer(answerer: Answerer | undefined): void {
    this.#answerer = answerer;
  }

  frameworks(): readonly FrameworkSeen[] {
    const master = this.#master;
    if (!master) return [];
    return [...master.frameworks.values(), ...master.completed.values()].map((framework) => ({
      id: framework.id,
      isConnected: framework.isConnected,
      isRemoved: master.completed.has(framework.id),
      ...(framework.stream && { streamId: framework.stream.id }),
      suppressedRoles: [...framework.suppressed],
      offers: [...framework.offers.keys()],
      info: framework.info,
    }));
  }

  tasks(): readonly TaskSeen[] {
    return this.agents.flatMap((agent) =>
      [...agent.executions.values()].map((execution) => ({
        id: execution.id,
        frameworkId: execution.frameworkId,
        agentId: execution.agentId,
        state: execution.latest.state,
        isTerminal: execution.isTerminal,
        ...(!this.#clock && { sandbox: execution.sandbox }),
        ...(execution.executor.pid !== undefined && { pid: execution.executor.pid }),
        launches: this.#launches.get(execution.key) ?? 0,
        info: execution.info,
      })),
    );
  }

  #stream(frameworkId: string | undefined) {
    const all = [...(this.#master?.frameworks.values() ?? [])].filter(({ stream }) => stream);
    const found = frameworkId === undefined ? all.at(-1) : all.find(({ id }) => id === frameworkId);
    if (!found?.stream) throw new Error(`no subscription of ${frameworkId ?? 'any framework'}`);
    return found.stream;
  }

  send(event: object | string | Buffer, frameworkId?: string): void {
    const stream = this.#stream(frameworkId);
    if (typeof event === 'string' || Buffer.isBuffer(event)) stream.raw(event);
    else stream.event(event);
  }

  dropStream(frameworkId?: string): void {
    this.#stream(frameworkId).cut();
  }

  pauseHeartbeats(isPaused = true): void {
    this.#isPaused = isPaused;
    if (this.#master) this.#master.isPaused = isPaused;
  }

  holdLaunches(isHeld: boolean): void {
    for (const agent of this.agents) agent.holdLaunches(isHeld);
  }

  rescind(agentId?: string): void {
    const master = this.#master;
    for (const offer of master?.offers.values() ?? []) {
      if (agentId === undefined || offer.agent.id === agentId) master!.dropOffer(offer, true);
    }
  }

  #find(taskId: string) {
    for (const agent of this.agents) {
      const execution = [...agent.executions.values()].find(({ id }) => id === taskId);
      if (execution) return { agent, execution };
    }
    throw new Error(`no agent has a task ${taskId}`);
  }

  killExecutor(taskId: string): void {
    const { agent, execution } = this.#find(taskId);
    agent.killExecutor(execution);
  }

  loseTask(taskId: string, lost: LoseTask = {}): void {
    const { agent, execution } = this.#find(taskId);
    agent.loseTask(execution, lost);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#retries);
    this.#clock?.stop();
    await this.#killMaster();
    await this.#standby?.close();
    await Promise.all(this.agents.map((agent) => agent.dispose()));
    // A process that has just been killed may still write.
    const options = { recursive: true, force: true, maxRetries: 10 };
    if (this.#isTemporary) await rm(this.#directory, options);
  }
}
