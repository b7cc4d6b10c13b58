/**
 * What the service and the application-master program (`yarn-am/`) say to each other: one JSON object a line. The
 * service gives orders, the program tells events. It decides nothing: it keeps no order that was not given, asks for
 * nothing on its own, and what it is not told to keep it releases.
 *
 * Beside the service it is one process for all applications, on stdin and stdout, and ends when stdin does: its
 * applications, unmanaged ones, and their containers live on and are adopted by the next. As the master of a managed
 * application it is one process in a container, takes orders by long polls and posts events.
 */

/** Of a container: YARN's whole numbers. */
export interface Capability {
  readonly memoryMb: number;
  readonly vcores: number;
  /** `yarn.io/gpu`. */
  readonly gpus?: number;
}

/** A file that YARN brings to a container's working directory. */
export interface LocalResource {
  /** Its name there. */
  readonly name: string;
  /** A path of the default file system of the Hadoop configuration, without scheme and authority. */
  readonly path: string;
  readonly type: 'FILE' | 'ARCHIVE';
  /** PUBLIC: once per node, for everybody; everyone has to be able to read it and all directories above it. */
  readonly visibility: 'PUBLIC' | 'APPLICATION';
  /** Both have to be those of the file, or YARN refuses it. */
  readonly size: number;
  readonly modifiedAt: number;
}

/** How a container is started. YARN pastes it into a shell script: `quoting` is the service's affair. */
export interface ContainerStart {
  readonly commands: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly resources: readonly LocalResource[];
}

export type Order =
  /** Makes an application and registers its master. `opened`, or `closed`. */
  | {
      readonly order: 'open';
      readonly app: AppName;
      readonly queue: string;
      readonly priority: number;
      readonly tags: readonly string[];
      /** Expression of node labels for its containers. */
      readonly nodeLabel?: string;
    }
  /** Takes over an application that an earlier program has opened. `opened` with its running containers, or `closed`. */
  | { readonly order: 'adopt'; readonly app: AppName; readonly applicationId: string }
  /** Asks for a container on one node and nowhere else, and starts it when it is allocated. The request is unique. */
  | {
      readonly order: 'run';
      readonly app: AppName;
      readonly request: RequestId;
      readonly node: string;
      readonly capability: Capability;
      readonly start: ContainerStart;
    }
  /** Ends the container, or takes the request back. `ended` follows in any case, unless it was told before. */
  | { readonly order: 'stop'; readonly app: AppName; readonly request: RequestId }
  /** Racks of nodes as the ResourceManager names them: a master that does not know them asks in vain. */
  | { readonly order: 'racks'; readonly racks: Readonly<Record<string, string>> }
  /** Changes an application's priority. */
  | { readonly order: 'prioritise'; readonly app: AppName; readonly priority: number }
  /** Unregisters the master, so that YARN cleans up after the application. `closed`. */
  | {
      readonly order: 'close';
      readonly app: AppName;
      readonly status: 'SUCCEEDED' | 'FAILED' | 'KILLED';
      readonly message: string;
    }
  /** Reads a file of a container's log directory, from its node or, afterwards, from the aggregated logs. `log`. */
  | {
      readonly order: 'readLog';
      readonly id: number;
      readonly applicationId: string;
      readonly container: string;
      /** `host:port` of the NodeManager, as `allocated` gave it. */
      readonly node: string;
      readonly nodeHttp: string;
      readonly file: string;
      /** Of a byte. */
      readonly offset: number;
      /** Bytes. */
      readonly limit: number;
    };

/** The service's own name of an application: the id of its job. */
export type AppName = string;
/** Within its application; `allocationRequestId` in YARN. From 1 to Number.MAX_SAFE_INTEGER. */
export type RequestId = number;

export interface Running {
  readonly request: RequestId;
  readonly container: string;
  /** `host:port` */
  readonly node: string;
  readonly nodeHttp: string;
  readonly capability: Capability;
}

export type AmEvent =
  /** It listens. First of all. */
  | { readonly event: 'ready'; readonly hadoop: string; readonly user: string }
  | {
      readonly event: 'opened';
      readonly app: AppName;
      readonly applicationId: string;
      /** The largest container that can be asked for now. */
      readonly maximum: Capability;
      readonly queue: string;
      /** Of an adopted one: what runs. */
      readonly running: readonly Running[];
    }
  /** Its container is there, and is being started. */
  | ({ readonly event: 'allocated'; readonly app: AppName } & Running)
  /** Its NodeManager has taken the start. */
  | { readonly event: 'started'; readonly app: AppName; readonly request: RequestId }
  | {
      readonly event: 'ended';
      readonly app: AppName;
      readonly request: RequestId;
      /** Absent where there was never a container. */
      readonly container?: string;
      /** `ContainerExitStatus`: the program's exit code, or a negative one of YARN's. */
      readonly exitStatus: number;
      readonly diagnostics: string;
      /** Milliseconds between allocation and end, where this program has seen both. */
      readonly heldMs?: number;
      /** Content of `attempt.end.json` in the container's log directory, if it is there. */
      readonly end?: string;
    }
  /** The application is over: closed by order, refused, killed, failed, or unknown to YARN. Its containers too. */
  | {
      readonly event: 'closed';
      readonly app: AppName;
      readonly applicationId?: string;
      readonly state: string;
      readonly diagnostics: string;
    }
  /** Room that the queue has for the application beyond what it uses, and the largest container: told when it changes. */
  | {
      readonly event: 'headroom';
      readonly app: AppName;
      readonly available: Capability;
      readonly maximum: Capability;
    }
  /** A node has become unusable or usable: reason to ask the ResourceManager for its nodes. */
  | { readonly event: 'nodesChanged' }
  /** `next` is the offset after `text`; whole characters only. `error` in words where it cannot be read. */
  | {
      readonly event: 'log';
      readonly id: number;
      readonly text?: string;
      readonly next?: number;
      readonly error?: string;
    }
  /** Something that an operator should know. */
  | {
      readonly event: 'say';
      readonly level: 'debug' | 'info' | 'warn' | 'error';
      readonly message: string;
    };
