import type { Step } from '../core/model.ts';
import type { StorageAccess } from '../storage/storage.ts';

/**
 * Everything that a runner needs to know to make one attempt, and nothing else: it travels to the node as JSON.
 * All paths are absolute and valid on the node. In an assignment for an agent, `bundle.archive`, `input`,
 * `directories.cache` and `directories.scratch` may also begin with `./`: they are relative to the attempt's sandbox, the
 * directory in which its runner is started.
 */
export interface Assignment {
  readonly attemptId: string;
  readonly bundle: {
    readonly name: string;
    readonly version: string;
    /** SHA-256 of the archive, lower-case hexadecimal; the key of the node's cache. */
    readonly hash: string;
    /** The bundle as one zip file. */
    readonly archive: string;
    /** Where its cluster has unpacked it on the node already: nothing is unpacked, nor cached by us, then. */
    readonly unpacked?: string;
  };
  /** Programs of this step, relative to the unpacked bundle (specification D.6). */
  readonly executables: {
    readonly main: string;
    readonly prepare?: string;
    readonly finalize?: string;
  };
  readonly step: Step;
  /**
   * The product to process. Steps that take several inputs get a file that lists them, one location a line. What is
   * a URL of one of the storages is brought to the scratch directory first.
   */
  readonly input: string;
  /** Whether `input` is such a list. */
  readonly isList?: true;
  /** How the storages are reached that URLs in this assignment name. */
  readonly storages?: readonly StorageAccess[];
  /** Lines of the parameters file. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly directories: {
    /** Unpacked bundles, shared by all attempts of the node. */
    readonly cache: string;
    /** Made fresh for this attempt and removed after it. */
    readonly scratch: string;
    /**
     * Where outputs are brought together before they are moved to `result`, on the same file system as that; inside
     * the scratch directory where absent.
     */
    readonly collected?: string;
    /**
     * Of the task: appears once, by an atomic rename, with the outputs of its first successful attempt. May be a URL
     * of one of the storages.
     */
    readonly result: string;
    /** Prefix of the attempt's log files; `.out` and `.err` are appended. */
    readonly log: string;
  };
  readonly limits: {
    /** Seconds. */
    readonly wallTime: number;
    /** Seconds without a line on stdout or stderr. */
    readonly silence: number;
    /** Resident memory of all the attempt's processes together. */
    readonly memoryMb: number;
    /** Bytes on stdout and stderr together. */
    readonly outputBytes: number;
  };
  /** `bubblewrap`: the attempt can write only below its scratch directory. */
  readonly isolation: 'none' | 'bubblewrap';
  /**
   * Container image that the bundle wants to run in, e.g. `registry.example/snap@sha256:…`. Making it is the engine's
   * work: a runner fails an attempt that asks for one.
   */
  readonly image?: string;
  /** Whether the outputs' SHA-256 is wanted: only for what a job leaves to its user. */
  readonly checksum: boolean;
}
