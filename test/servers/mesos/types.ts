/** How a replayed Mesos cluster is set up, and what a test can do to it and see of it. */

/** Resources reserved for a role when the agent starts (`--resources=cpus(role):2`). */
export interface Reserved {
  readonly role: string;
  readonly cpus?: number;
  readonly memoryMb?: number;
  readonly diskMb?: number;
  readonly gpus?: number;
}

/** One agent. Its API listens on a port that the operating system chooses. */
export interface AgentOptions {
  /** Its host name in offers, `127.0.0.1` by default; other addresses in 127.0.0.0/8 are really listened on. */
  readonly host?: string;
  readonly attributes?: Readonly<Record<string, string>>;
  /** 4 by default. */
  readonly cpus?: number;
  /** 4096 by default. */
  readonly memoryMb?: number;
  /** 10240 by default. */
  readonly diskMb?: number;
  readonly gpus?: number;
  /** Inclusive; `[31001, 31101]` for the first agent, `[31002, 31102]` for the second. */
  readonly ports?: readonly [begin: number, end: number];
  /** Beside the unreserved resources above. */
  readonly reserved?: readonly Reserved[];
}

export interface ClusterOptions {
  /** Two, as in the recordings, by default. */
  readonly agents?: readonly AgentOptions[];
  /** `processes` does what the command executor does; `pretend` starts nothing. Default `processes`. */
  readonly run?: 'processes' | 'pretend';
  /** How long a pretended task runs; 0 by default. */
  readonly pretendMs?: number;
  /** 20 by default; Mesos's own default is a second. */
  readonly allocationIntervalMs?: number;
  /** May be a fraction; 15 by default. */
  readonly heartbeatSeconds?: number;
  /** How long an agent may be silent before it is unreachable; 200 by default. */
  readonly agentPingMs?: number;
  /** After which an update without acknowledgement is sent again, doubling each time; 500 by default. */
  readonly ackRetryMs?: number;
  /** How long an agent needs to be registered again after a restart, its own or the master's; 20 by default. */
  readonly registrationMs?: number;
  /**
   * Factor for the times that a framework or an operator names: filters, failover timeout, kill grace,
   * max_completion_time and health checks. 1 by default.
   */
  readonly timeScale?: number;
  /** `--executor_shutdown_grace_period` of the agents in seconds, scaled; 3 by default. */
  readonly killGraceSeconds?: number;
  /** `--fetcher_cache_size` of the agents in bytes; 64 MiB by default. */
  readonly fetcherCacheBytes?: number;
  /** With any, all calls need one of them (HTTP Basic). */
  readonly credentials?: readonly { readonly principal: string; readonly secret: string }[];
  /** Roles that a framework may subscribe with; all without. */
  readonly allowedRoles?: readonly string[];
  /** Users that a task may name (`command.user`); all without. */
  readonly allowedUsers?: readonly string[];
  /** `--offer_timeout`: an offer held for longer is rescinded; never without. */
  readonly offerTimeoutMs?: number;
  /** Starts a second master that is not the leading one and redirects to it. */
  readonly standby?: boolean;
  /** Whether `calls` and `acknowledged` are kept; true by default, off where memory counts. */
  readonly record?: boolean;
  /** Directory for the agents' work directories; a temporary one, removed at the end, without. */
  readonly directory?: string;
}

/** A call as it came in. */
export interface ReceivedCall {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** `SUBSCRIBE`, `ACCEPT` …; empty where the body has none. */
  readonly type: string;
  readonly frameworkId?: string;
  /** Parsed JSON, or text where it is none. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into calls of every kind
  readonly body: any;
}

export interface ReceivedCalls {
  /** All of the scheduler API, in their order. */
  readonly list: readonly ReceivedCall[];
  of(type: string): readonly ReceivedCall[];
  /** The first call, past or future, that the predicate likes; `from` is an index in the list. */
  until(predicate: (call: ReceivedCall) => boolean, from?: number): Promise<ReceivedCall>;
}

/**
 * What happens to a call instead of the usual: an answer without doing anything, no answer ever (`hang`), the
 * connection cut before it is done (`cut`), or after it is done so that its answer is lost (`lose`).
 */
export type Answer =
  | 'hang'
  | 'cut'
  | 'lose'
  | {
      readonly status: number;
      readonly body?: string;
      readonly headers?: Readonly<Record<string, string>>;
    };

/** Undefined where a call is to be done as usual. */
export type Answerer = (call: ReceivedCall) => Answer | undefined;

export interface TaskSeen {
  readonly id: string;
  readonly frameworkId: string;
  readonly agentId: string;
  /** The latest that its agent knows, e.g. `TASK_RUNNING`, whether or not the framework has been told. */
  readonly state: string;
  readonly isTerminal: boolean;
  /** Absolute path on this machine; not in `pretend` mode. */
  readonly sandbox?: string;
  /** Of the command's process, while it runs. */
  readonly pid?: number;
  /** How often it was launched in the life of the cluster; more than once only where its id was used again. */
  readonly launches: number;
  /** As launched. */
  // oxlint-disable-next-line typescript/no-explicit-any -- TaskInfo of mesos.proto
  readonly info: any;
}

export interface FrameworkSeen {
  readonly id: string;
  readonly isConnected: boolean;
  /** After TEARDOWN, or when its failover timeout is over. */
  readonly isRemoved: boolean;
  readonly streamId?: string;
  readonly suppressedRoles: readonly string[];
  /** Ids of the offers that it holds. */
  readonly offers: readonly string[];
  // oxlint-disable-next-line typescript/no-explicit-any -- FrameworkInfo of mesos.proto
  readonly info: any;
}

export interface ReplayedAgent {
  /** E.g. `…-S0`; another one after `forget` and `restart`. */
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly url: string;
  readonly isRegistered: boolean;
  /** Its work directory. */
  readonly directory: string;
  /**
   * SIGKILL of the agent alone: executors go on, and what they say is told after `restart`. With `loseAcks` the latest
   * acknowledgement of each task is lost with it, so that what was acknowledged comes again (recorded in 07f).
   */
  kill(options?: { readonly loseAcks?: boolean }): Promise<void>;
  /** Starts it again with the same work directory; resolves when it is registered (or `suspendRegistration`). */
  restart(): Promise<void>;
  /** SIGUSR1: it unregisters and ends its executors. */
  unregister(): Promise<void>;
  /** Wipes its metadata, so that `restart` gives it a new id. */
  forget(): void;
  /** While true it does not register with a master that has lost it. */
  suspendRegistration(isSuspended: boolean): void;
}

export interface LoseTask {
  /** `TASK_LOST` by default. */
  readonly state?: string;
  readonly source?: string;
  readonly reason?: string;
  readonly message?: string;
}

export interface MesosCluster extends AsyncDisposable {
  /** Of the leading master, e.g. `http://127.0.0.1:41234`. */
  readonly url: string;
  /** Of the master that is not leading; throws without the option `standby`. */
  readonly standbyUrl: string;
  readonly agents: readonly ReplayedAgent[];
  readonly calls: ReceivedCalls;
  /** How often each `uuid` (base64) was acknowledged. */
  readonly acknowledged: ReadonlyMap<string, number>;
  readonly master: {
    /** SIGKILL: streams and connections are cut, and nothing listens. */
    kill(): Promise<void>;
    /** Starts it again at the same address; it knows the frameworks' tasks only from agents that register. */
    restart(): Promise<void>;
  };
  frameworks(): readonly FrameworkSeen[];
  /** Of all agents, also those that are terminal but not acknowledged. */
  tasks(): readonly TaskSeen[];
  /** Sends any event (an object, made a record) or any bytes as they are into the current stream. */
  send(event: object | string | Buffer, frameworkId?: string): void;
  /** Decides over all later calls of the scheduler API; undefined ends it. */
  answer(answerer: Answerer | undefined): void;
  /** Cuts the connection of the current stream. */
  dropStream(frameworkId?: string): void;
  pauseHeartbeats(isPaused?: boolean): void;
  /** While true, launched tasks stay with their agents, before their executors; a KILL ends them there. */
  holdLaunches(isHeld: boolean): void;
  /** Takes offers back, of one agent or all: RESCIND. They are not offered again before the next allocation. */
  rescind(agentId?: string): void;
  /** SIGKILL of a task's executor alone. */
  killExecutor(taskId: string): void;
  /** The agent ends the task and says it was lost. */
  loseTask(taskId: string, lost?: LoseTask): void;
  /** Ends the cluster and every process that it started. */
  [Symbol.asyncDispose](): Promise<void>;
}
