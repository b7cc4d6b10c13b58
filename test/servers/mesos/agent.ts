import { EventEmitter, once } from 'node:events';
import { join } from 'node:path';

import { agentApi } from './agent-api.ts';
import { CommandExecutor } from './command.ts';
import { Execution } from './execution.ts';
import { Fetcher } from './fetcher.ts';
import { pretendExecutor } from './pretend.ts';
import type { PretendClock } from './pretend.ts';
import { hasGroup } from './process-tree.ts';
import { ipOf } from './registry.ts';
import type { AgentLink, Registration } from './registry.ts';
import { parseResources } from './resources.ts';
import type { Resources } from './resources.ts';
import type { FrameworkInfo, Status, TaskInfo } from './statuses.ts';
import type { AgentOptions, LoseTask, ReplayedAgent, Reserved } from './types.ts';
import { Listener } from './wire.ts';

/** The leading master, as far as an agent talks to it. */
export interface MasterLink {
  register(link: AgentLink, id: string | undefined, registration: Registration): string | undefined;
  statusUpdate(agentId: string, frameworkId: string, status: Status, latest: string): void;
  disconnected(agentId: string): void;
  unregistered(agentId: string): void;
}

export interface AgentSettings {
  readonly directory: string;
  readonly ackRetryMs: number;
  readonly registrationMs: number;
  readonly timeScale: number;
  readonly killGraceMs: number;
  readonly fetcherCacheBytes: number;
  /** Instead of processes. */
  readonly pretend: PretendClock | undefined;
  /** Undefined while no master leads. */
  readonly master: () => MasterLink | undefined;
  /** Told the key of each execution. */
  readonly onLaunch: (key: string) => void;
}

const KEPT = 200;

/** One agent of the cluster, with what it would keep on its disk while its process is dead. */
export class Agent implements AgentLink, ReplayedAgent {
  readonly host: string;
  readonly total: Resources;
  readonly attributes: readonly object[];
  readonly directory: string;
  readonly settings: AgentSettings;
  readonly fetcher: Fetcher;
  readonly executions = new Map<string, Execution>();
  /** Those whose end was acknowledged, or that were ended with their framework; their sandboxes are still there. */
  readonly finished: Execution[] = [];
  isAlive = false;
  isRegistered = false;
  isHeld = false;
  #id: string | undefined;
  #isSuspended = false;
  #registration: NodeJS.Timeout | undefined;
  readonly #registered = new EventEmitter();
  readonly #listener: Listener;
  readonly #unacknowledged = new Set<Execution>();
  #held: Execution[] = [];
  /** Leaders of process groups with processes that outlived them. */
  readonly #strays = new Set<number>();

  constructor(options: AgentOptions, index: number, settings: AgentSettings) {
    this.host = options.host ?? '127.0.0.1';
    this.settings = settings;
    this.directory = join(settings.directory, `agent${index + 1}`);
    this.total = totalOf(options, index);
    this.attributes = Object.entries(options.attributes ?? {}).map(([name, value]) => ({
      name,
      type: 'TEXT',
      text: { value },
    }));
    const cache = join(this.directory, 'fetch');
    this.fetcher = new Fetcher(cache, settings.fetcherCacheBytes);
    this.#listener = new Listener(ipOf(this.host), agentApi(this));
    this.#registered.setMaxListeners(0);
  }

  get id(): string {
    return this.#id ?? '';
  }

  get port(): number {
    return this.#listener.port;
  }

  get url(): string {
    return this.#listener.url;
  }

  async start(): Promise<void> {
    await this.#listener.open();
    this.isAlive = true;
  }

  async restart(): Promise<void> {
    if (this.isAlive) await this.kill();
    await this.start();
    const registered = once(this.#registered, 'registered');
    this.seekMaster();
    if (!this.#isSuspended) await registered;
  }

  /** A master is there that does not know it yet. */
  seekMaster(): void {
    this.isRegistered = false;
    clearTimeout(this.#registration);
    this.#registration = setTimeout(() => this.register(), this.settings.registrationMs);
  }

  register(): void {
    const master = this.settings.master();
    if (!this.isAlive || this.isRegistered || this.#isSuspended || !master) return;
    const executions = [...this.executions.values()];
    const frameworks = new Map(executions.map((one) => [one.frameworkId, one.framework]));
    const id = master.register(this, this.#id, {
      frameworks: [...frameworks.values()],
      tasks: executions.map((one) => ({
        frameworkId: one.frameworkId,
        info: one.info,
        status: one.heard,
      })),
    });
    // Marked gone: the master has told it to end.
    if (id === undefined) return this.shutdown();
    this.#id = id;
    this.isRegistered = true;
    // What is not acknowledged comes twice, as recorded (07f, 10): from the agent and from the executor.
    this.resendUpdates();
    this.resendUpdates();
    for (const execution of this.executions.values()) {
      for (const status of execution.unheard.splice(0)) this.#hear(execution, status);
    }
    this.#registered.emit('registered');
  }

  suspendRegistration(isSuspended: boolean): void {
    this.#isSuspended = isSuspended;
    if (!isSuspended) this.register();
  }

  forget(): void {
    this.#end();
    this.#id = undefined;
  }

  async kill({ loseAcks = false }: { readonly loseAcks?: boolean } = {}): Promise<void> {
    if (!this.isAlive) return;
    this.#stop();
    this.settings.master()?.disconnected(this.id);
    for (const execution of this.executions.values()) {
      if (!(execution.framework.checkpoint ?? false)) this.#destroy(execution);
      const last = execution.lastAcknowledged;
      execution.lastAcknowledged = undefined;
      if (!loseAcks || !last) continue;
      execution.updates.unshift(last);
      this.#unacknowledged.add(execution);
    }
    await this.#listener.close();
  }

  async unregister(): Promise<void> {
    this.#stop();
    this.settings.master()?.unregistered(this.id);
    this.#end();
    await this.#listener.close();
  }

  shutdown(): void {
    this.#stop();
    this.#end();
    this.#listener.close().catch(() => undefined);
  }

  async dispose(): Promise<void> {
    this.#stop();
    this.fetcher.stop();
    this.#end();
    for (const leader of this.#strays) {
      if (hasGroup(leader)) process.kill(-leader, 'SIGKILL');
    }
    await this.#listener.close();
  }

  #stop(): void {
    this.isAlive = false;
    this.isRegistered = false;
    clearTimeout(this.#registration);
  }

  #end(): void {
    for (const execution of this.executions.values()) this.#destroy(execution);
  }

  launch(framework: FrameworkInfo, task: TaskInfo): void {
    if (!this.isRegistered) return;
    const { pretend, timeScale, killGraceMs } = this.settings;
    const place = { agentId: this.id, workDirectory: this.directory };
    const execution = new Execution(framework, task, place, (from, status) =>
      this.#hear(from, status),
    );
    execution.executor = pretend
      ? pretendExecutor(execution, pretend)
      : new CommandExecutor(execution, {
          fetcher: this.fetcher,
          timeScale,
          killGraceMs,
          checkpoint: framework.checkpoint ?? false,
          endpoint: `${this.host}:${this.port}`,
          onGroup: (leader, hasEnded) => this.#onGroup(leader, hasEnded),
        });
    this.executions.set(execution.key, execution);
    this.settings.onLaunch(execution.key);
    if (this.isHeld) this.#held.push(execution);
    else execution.executor.start();
  }

  holdLaunches(isHeld: boolean): void {
    this.isHeld = isHeld;
    if (isHeld) return;
    for (const execution of this.#held.splice(0)) {
      if (!execution.isTerminal && !execution.isDestroyed) execution.executor.start();
    }
  }

  #onGroup(leader: number, hasEnded: boolean): void {
    if (hasEnded && !hasGroup(leader)) this.#strays.delete(leader);
    else this.#strays.add(leader);
  }

  killTask(frameworkId: string, taskId: string, graceMs?: number): void {
    this.executions.get(`${frameworkId}/${taskId}`)?.executor.kill(graceMs, false);
  }

  drain(graceMs: number | undefined): void {
    for (const { executor } of this.executions.values()) executor.kill(graceMs, true);
  }

  shutdownFramework(frameworkId: string): void {
    for (const execution of this.executions.values()) {
      if (execution.frameworkId === frameworkId) this.#destroy(execution);
    }
  }

  killExecutor(execution: Execution): void {
    execution.reportByAgent({
      state: 'TASK_FAILED',
      message: 'Executor terminated',
      reason: 'REASON_EXECUTOR_TERMINATED',
    });
    execution.executor.destroy();
  }

  loseTask(execution: Execution, { state = 'TASK_LOST', source, reason, message }: LoseTask): void {
    execution.say(source ?? 'SOURCE_AGENT', { state, reason, message });
    execution.executor.destroy();
  }

  #destroy(execution: Execution): void {
    execution.isDestroyed = true;
    execution.executor.destroy();
    this.#forget(execution);
  }

  #forget(execution: Execution): void {
    this.executions.delete(execution.key);
    this.#unacknowledged.delete(execution);
    if (this.settings.pretend) return;
    this.finished.push(execution);
    if (this.finished.length > KEPT) this.finished.shift();
  }

  #hear(execution: Execution, status: Status): void {
    if (!this.isAlive) {
      execution.unheard.push(status);
      return;
    }
    execution.heard = status;
    execution.updates.push(status);
    if (execution.updates.length === 1) this.#send(execution, this.settings.ackRetryMs);
  }

  #send(execution: Execution, retryMs: number): void {
    const [oldest] = execution.updates;
    if (!oldest) return;
    this.#unacknowledged.add(execution);
    execution.retryMs = retryMs;
    execution.retryAt = Date.now() + retryMs;
    if (!this.isRegistered) return;
    this.settings
      .master()
      ?.statusUpdate(this.id, execution.frameworkId, oldest, execution.heard.state);
  }

  resendUpdates(frameworkId?: string): void {
    for (const execution of this.#unacknowledged) {
      if (frameworkId !== undefined && execution.frameworkId !== frameworkId) continue;
      this.#send(execution, this.settings.ackRetryMs);
    }
  }

  /** Sends again what waits for too long, and waits twice as long for the next time. */
  retryUpdates(now: number): void {
    if (!this.isRegistered) return;
    for (const execution of this.#unacknowledged) {
      if (execution.retryAt <= now) this.#send(execution, execution.retryMs * 2);
    }
  }

  acknowledge(frameworkId: string, taskId: string, uuid: string): void {
    const execution = this.executions.get(`${frameworkId}/${taskId}`);
    const oldest = execution?.updates[0];
    if (!execution || oldest?.uuid !== uuid) return;
    execution.updates.shift();
    execution.lastAcknowledged = oldest;
    if (execution.updates.length > 0) return this.#send(execution, this.settings.ackRetryMs);
    this.#unacknowledged.delete(execution);
    if (execution.heard.uuid === uuid && execution.isTerminal) this.#forget(execution);
  }
}

function totalOf(options: AgentOptions, index: number): Resources {
  const { cpus = 4, memoryMb = 4096, diskMb = 10_240, gpus = 0, reserved = [] } = options;
  const [begin, end] = options.ports ?? [31_001 + index, 31_101 + index];
  const scalars = (
    amounts: { cpus?: number; mem?: number; disk?: number; gpus?: number },
    kind: object = {},
  ) =>
    Object.entries(amounts).map(([name, value]) => ({
      name,
      type: 'SCALAR',
      scalar: { value: value ?? 0 },
      ...kind,
    }));
  const reservedScalars = ({ role, memoryMb: mem = 0, diskMb: disk = 0, ...rest }: Reserved) =>
    scalars(
      { cpus: rest.cpus ?? 0, mem, disk, gpus: rest.gpus ?? 0 },
      { reservations: [{ type: 'STATIC', role }] },
    );
  return parseResources([
    ...scalars({ cpus, mem: memoryMb, disk: diskMb, gpus }),
    { name: 'ports', type: 'RANGES', ranges: { range: [{ begin, end }] } },
    ...reserved.flatMap(reservedScalars),
  ]);
}
