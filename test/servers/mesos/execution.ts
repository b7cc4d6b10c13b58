import { randomUUID } from 'node:crypto';
import { join } from 'node:path';

import { isTerminal, newUuid } from './statuses.ts';
import type { FrameworkInfo, Status, TaskInfo } from './statuses.ts';

/** What an executor can do; it says the rest by `Execution.report`. */
export interface Executor {
  readonly pid?: number | undefined;
  start(): void;
  /** Ends the command in order: TERM, and KILL after the grace period (ms). */
  kill(graceMs: number | undefined, isDraining: boolean): void;
  /** Ends all its processes at once, without a word. */
  destroy(): void;
}

/** A task on its agent, from its arrival until its last state is acknowledged, whether or not the agent lives. */
export class Execution {
  readonly framework: FrameworkInfo;
  readonly info: TaskInfo;
  readonly agentId: string;
  readonly containerId = randomUUID();
  readonly sandbox: string;
  executor!: Executor;
  isDestroyed = false;
  /** Not acknowledged, oldest first; only that one is sent. */
  readonly updates: Status[] = [];
  /** When the oldest is sent again, and how long it waits then (ms). */
  retryAt = 0;
  retryMs = 0;
  /** Said by the executor while the agent was dead. */
  readonly unheard: Status[] = [];
  /** What the executor said last. */
  latest: Status;
  /** What the agent heard last. */
  heard: Status;
  lastAcknowledged: Status | undefined;
  readonly #hear: (execution: Execution, status: Status) => void;

  constructor(
    framework: FrameworkInfo,
    info: TaskInfo,
    place: { readonly agentId: string; readonly workDirectory: string },
    hear: (execution: Execution, status: Status) => void,
  ) {
    this.framework = framework;
    this.info = info;
    this.agentId = place.agentId;
    this.sandbox = join(
      place.workDirectory,
      'slaves',
      place.agentId,
      'frameworks',
      framework.id!.value,
      'executors',
      info.task_id.value,
      'runs',
      this.containerId,
    );
    this.#hear = hear;
    this.latest = this.#status('SOURCE_AGENT', { state: 'TASK_STAGING' });
    this.heard = this.latest;
  }

  get id(): string {
    return this.info.task_id.value;
  }

  get frameworkId(): string {
    return this.framework.id!.value;
  }

  get key(): string {
    return `${this.frameworkId}/${this.id}`;
  }

  get isTerminal(): boolean {
    return isTerminal(this.latest.state);
  }

  /** The executor speaks. */
  report(fields: Partial<Status> & { readonly state: string }): void {
    this.say('SOURCE_EXECUTOR', {
      ...fields,
      container_status: {
        container_id: { value: this.containerId },
        network_infos: NETWORK,
        executor_pid: this.executor.pid ?? process.pid,
      },
    });
  }

  /** The agent speaks about it. */
  reportByAgent(fields: Partial<Status> & { readonly state: string }): void {
    this.say('SOURCE_AGENT', fields);
  }

  say(source: string, fields: Partial<Status> & { readonly state: string }): void {
    if (this.isDestroyed || this.isTerminal) return;
    const status = this.#status(source, fields);
    this.latest = status;
    this.#hear(this, status);
  }

  #status(source: string, fields: Partial<Status> & { readonly state: string }): Status {
    return {
      task_id: this.info.task_id,
      source,
      agent_id: { value: this.agentId },
      executor_id: { value: this.id },
      timestamp: Date.now() / 1000,
      uuid: newUuid(),
      ...fields,
    };
  }
}

const NETWORK = [{ ip_addresses: [{ protocol: 'IPv4', ip_address: '127.0.0.1' }] }];
