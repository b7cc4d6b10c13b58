/**
 * What the service and the application-master program (`yarn-am/`) say to each other: one JSON object a line. The
 * service gives orders, the program tells events. It decides nothing: it keeps no order that was not given, asks for
 * nothing on its own, and what it is not told to keep it releases.
 *
 * Beside the service it is one process for all applications, on stdin and stdout, and ends when stdin does: its
 * applications, unmanaged ones, and their containers live on and are adopted by the next.
 *
 * As the master of a managed application it is one process in a container (`am --url <url> --app <name>`), registers by
 * itself, tells `ready` and `opened`, and is the master of that application alone. It dials the service:
 *
 * - `GET <url>/orders?master=<attempt>&after=<number>` is answered with orders, each with a `sequence` greater than
 *   `after`, or after some seconds with nothing. Numbers only rise, also over a restart of the service: begin with the
 *   clock. A new master begins with `after=0`; it must not be given what was ordered of the one before, which knows
 *   whether that was done: all begins anew with `ready`, as with a new process beside the service.
 * - `POST <url>/events?master=<attempt>` has events, each with a `sequence`, from 1 for each master; it is posted until it
 *   is accepted (2xx), in order, so that the service has to leave out numbers that it has seen.
 * - `attempt` is the number of the application attempt. Both requests have the header `Authorization: Bearer <secret>`
 *   with PUSHBROOM_AM_SECRET of the master's environment; PUSHBROOM_AM_CA there is the PEM of the authority to trust.
 * - 410 says that there is a newer master, or no such application any more: it is ended then.
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
  /** Makes an application and registers its master. `opened`, or `closed`. One that is open is told again. */
  | {
      readonly order: 'open';
      readonly app: AppName;
      readonly queue: string;
      readonly priority: number;
      readonly tags: readonly string[];
      /** Expression of node labels for its containers. */
      readonly nodeLabel?: string;
    }
  /**
   * Takes over an application that an earlier program has opened. `opened` with its running containers, or `closed`. What
   * has ended meanwhile is told after that: at once, in seconds, or within about a minute where a node does not answer.
   * Ends that the earlier program told shortly before its own are told again.
   */
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
  /**
   * Ends the container, or takes the request back. `ended` follows in any case, unless it was told before: if the
   * container's node does not answer, it is the ResourceManager that ends it, and if that has forgotten it, time.
   */
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
      /** Bytes; no more than 4 MiB are given. */
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
      /** The largest container that can be asked for now. It changes with the nodes; the ResourceManager refuses what is larger. */
      readonly maximum: Capability;
      readonly queue: string;
      /** Of an adopted one: what runs. */
      readonly running: readonly Running[];
    }
  /**
   * Its container is there, and is being started. Also told, with `started`, of one that runs already on a node that the
   * ResourceManager has heard of again.
   */
  | ({ readonly event: 'allocated'; readonly app: AppName } & Running)
  /** Its NodeManager has taken the start. */
  | { readonly event: 'started'; readonly app: AppName; readonly request: RequestId }
  | {
      readonly event: 'ended';
      readonly app: AppName;
      readonly request: RequestId;
      /** Absent where there was never a container. */
      readonly container?: string;
      /**
       * `ContainerExitStatus`: the program's exit code, or a negative one of YARN's, to -1000. Below that our own:
       * - -2000: the ResourceManager refuses the request, or the order is wrong, or the application is not open;
       * - -2001: stopped by order before it had a container;
       * - -2002: its node has not taken the start, or the program died before it could start it;
       * - -2003: it ended while nobody listened, and nobody knows how any more; `end` may tell.
       */
      readonly exitStatus: number;
      readonly diagnostics: string;
      /** Milliseconds between allocation and end, where this program has seen both. */
      readonly heldMs?: number;
      /** Content of `attempt.end.json` in the container's log directory, if it is there. */
      readonly end?: string;
    }
  /**
   * The application is over: closed by order, refused, killed, failed, or unknown to YARN. Its containers too; of them
   * nothing is told any more. Except that `state` is TAKEN_OVER: then it goes on with another program.
   */
  | {
      readonly event: 'closed';
      readonly app: AppName;
      readonly applicationId?: string;
      /** FINISHED, FAILED and KILLED are YARN's; REFUSED where it was not accepted, UNKNOWN where YARN has forgotten it. */
      readonly state: string;
      readonly diagnostics: string;
    }
  /** Room that the queue has for the application beyond what it uses, and the largest container: told when it changes.
   * Cores are 1,000,000 where the scheduler does not count them. */
  | {
      readonly event: 'headroom';
      readonly app: AppName;
      readonly available: Capability;
      readonly maximum: Capability;
    }
  /** A node has become unusable or usable: reason to ask the ResourceManager for its nodes. */
  | { readonly event: 'nodesChanged' }
  /**
   * `next` is the offset after `text`; whole characters only. `error` in words where it cannot be read, beginning with
   * `not found` where there is no such file.
   */
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
