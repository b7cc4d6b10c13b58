/**
 * The words of the core, one per thing (see docs/architecture.md). Plain data, no behaviour:
 * everything here can be written to a store, sent to a node or shown to an operator as it is.
 */

export type JobId = string;
/** `<jobId>.<task number>` */
export type TaskId = string;
/** `<jobId>.<task number>.<attempt number>`; also the idempotency key of a launch. */
export type AttemptId = string;
export type EngineId = string;
export type NodeId = string;
export type OfferId = string;
/** Milliseconds since 1970-01-01T00:00:00Z. */
export type Millis = number;
/** A calendar day in UTC, `yyyy-MM-dd`. */
export type Day = string;

export interface Resources {
  readonly cpus: number;
  readonly memoryMb: number;
  /** Whole devices; none where absent. */
  readonly gpus?: number;
}

/**
 * Where something lies, from near to far: on nodes, in racks of nodes, in pools (sites, storage systems). What is absent
 * is not known.
 */
export interface Location {
  readonly nodes?: readonly NodeId[];
  readonly racks?: readonly string[];
  readonly pools?: readonly string[];
  /** Only engines whose nodes can reach it; all of them where absent. */
  readonly engines?: readonly EngineId[];
}

/** How near to its input an attempt runs. */
export const LOCALITIES = ['node', 'rack', 'pool', 'any'] as const;
export type Locality = (typeof LOCALITIES)[number];

/** Both days inclusive. */
export interface Period {
  readonly from: Day;
  readonly to: Day;
}

/** OGC's words (OGC 18-062r2, 7.11 statusCode). */
export type JobState = 'accepted' | 'running' | 'successful' | 'failed' | 'dismissed';
export type TaskState = 'ready' | 'running' | 'finished' | 'failed';
/** `failed` is the program's fault, `lost` the infrastructure's, `killed` our own wish. */
export type AttemptState = 'launched' | 'running' | 'finished' | 'failed' | 'lost' | 'killed';

/** The steps of a job's workflow that consist of tasks; staging follows them and has none. */
export const STEPS = ['process', 'aggregate', 'format'] as const;
export type Step = (typeof STEPS)[number];

/** What one task of a step may use. */
export interface StepPlan {
  readonly resources: Resources;
  /** An attempt is killed after so many seconds. */
  readonly wallTimeLimit: number;
  /** An attempt is killed when it has said nothing on stdout or stderr for so many seconds. */
  readonly silenceLimit: number;
}

/**
 * What a job does to its products.
 *
 * - `L2Plus`: every product is processed, then formatted if there is a `format` step.
 * - `L3`: every product is processed; per period the results are aggregated in `partitions`
 *   and, if there is a `format` step, put together into one result.
 * - `Local`: there are no products and no tasks; the service makes the results itself when they are due.
 */
export interface Workflow {
  readonly type: 'L2Plus' | 'L3' | 'Local';
  readonly process: StepPlan;
  readonly aggregate?: StepPlan & { readonly processor: string; readonly partitions: number };
  readonly format?: StepPlan;
}

export interface RetryPolicy {
  /** Failed attempts of one task before the task is failed. At least 1. */
  readonly maxAttempts: number;
  /** Lost attempts of one task (node gone, runner died) before the task is failed. */
  readonly maxLosses: number;
  /** Wait before the second attempt in seconds; doubled for each further one. */
  readonly delay: number;
  readonly maxDelay: number;
  /** An attempt that ran out of memory is made again with twice as much, up to so much. */
  readonly maxMemoryMb: number;
  /** A step with at most this percentage of failed tasks still succeeds. */
  readonly failurePercent: number;
}

/** The bundle and processor that a job runs. The hash is of the bundle's archive, so it never changes. */
export interface ProcessorRef {
  readonly bundle: string;
  readonly version: string;
  readonly processor: string;
  readonly bundleHash: string;
  /** Container image in which all its programs run, where it asks for one. */
  readonly image?: string;
}

/** Which products a job wants. */
export interface ProductQuery {
  readonly dataset: string;
  /** Datasets of one name can hold different types. */
  readonly productType: string;
  /** Days to search; absent for a dataset without dates. */
  readonly range?: Period;
  /** Polygon in EPSG:4326, longitude first, as the user gave it. */
  readonly regionWkt?: string;
  /** Replaces `${region}` and `${site}` in the dataset's path pattern. */
  readonly regionName?: string;
  /** Absolute path patterns that the request brought: `dataset` then is only what they are called. */
  readonly patterns?: readonly string[];
}

/** How one output is wanted. */
export interface OutputWish {
  readonly id: string;
  /** As the output allows where absent. */
  readonly transmission?: 'value' | 'reference';
  readonly mediaType?: string;
}

/** How an Execute wants its results, for whoever fetches them when the job has ended. */
export interface ResponseWish {
  readonly form: 'raw' | 'document';
  /** All outputs where absent. */
  readonly outputs?: readonly OutputWish[];
  /** XML that WPS 1.0.0 repeats before the results: the request's inputs and output definitions. */
  readonly lineage?: string;
}

/** One accepted Execute request, resolved: nothing that is deployed or configured later changes it. */
export interface Job {
  readonly id: JobId;
  /** `bundle~version~processor` */
  readonly process: string;
  readonly title: string;
  /** On whose behalf it runs; names the staging directory. */
  readonly user: string;
  /** Whose share of the cluster it uses: path of a leaf of the share tree, e.g. `project/tep`. */
  readonly group: string;
  /** Within its group; higher goes first. */
  readonly priority: number;
  readonly acceptedAt: Millis;
  readonly processor: ProcessorRef;
  readonly workflow: Workflow;
  readonly retry: RetryPolicy;
  readonly products: ProductQuery;
  /** Ordered by start. L3: what is aggregated together. L2Plus: the days that are searched, all where there are none. */
  readonly periods: readonly Period[];
  /** What the processor's parameters file holds. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly outputFormat?: string;
  /** The request's inputs as they came in, for the record and for doing it again. */
  readonly inputs: Readonly<Record<string, string>>;
  /** The portal's own reference of this job, for its accounting. */
  readonly reference?: string;
  readonly response?: ResponseWish;
  /** It may use so many at first: what an operator says later is in its `Control`. No limit where absent. */
  readonly maxCpuHours?: number;
  /** `L3` or another type of the production dialect, where the request was in it: `inputs` are production parameters. */
  readonly productionType?: string;
  /** It does again what an ended job left undone, and takes over what that one finished. */
  readonly retryOf?: {
    readonly jobId: JobId;
    /** Keys of failed tasks that are left out: nobody wanted them again. */
    readonly without: readonly string[];
  };
}

/** What an operator may change about a job while it runs. */
export interface Control {
  readonly group: string;
  readonly priority: number;
  /** Nothing of it is launched; what runs goes on. */
  readonly isPaused: boolean;
  /** Why it was paused, in words that follow `Paused: `, where no operator has done it. */
  readonly pauseReason?: string;
  /** CPUs that are kept for its attempts, times hours: at so many it is paused. */
  readonly maxCpuHours?: number;
}

/** One input product of a dataset, found by its path. */
export interface Product {
  /** Absolute path or URL. */
  readonly path: string;
  /** Indices into the job's periods, both inclusive, to which the product contributes. */
  readonly firstPeriod: number;
  readonly lastPeriod: number;
  readonly location?: Location;
}

/** One unit of work of a step, as split from the job. The key is the same whenever the job is split again. */
export interface Task {
  readonly jobId: JobId;
  readonly number: number;
  readonly step: Step;
  readonly key: string;
  /** `process`: path of the product. */
  readonly input?: string;
  /** `format` after `process`: number of the task whose outputs it formats. */
  readonly source?: number;
  /** `aggregate`: which share of the rows, 0-based. */
  readonly partition?: number;
  readonly firstPeriod: number;
  readonly lastPeriod: number;
  /** Where the input lies. */
  readonly location?: Location;
}

export interface Attempt {
  readonly id: AttemptId;
  readonly jobId: JobId;
  readonly task: number;
  readonly number: number;
  readonly engine: EngineId;
  readonly node: NodeId;
  readonly launchedAt: Millis;
  /** Absent where the task's input has no known place. */
  readonly locality?: Locality;
  /** A second attempt beside one that takes far longer than its peers. */
  readonly isSpeculative?: true;
}

/** Free resources on a node, now, until they are used, declined or rescinded. */
export interface Offer {
  readonly id: OfferId;
  readonly engine: EngineId;
  readonly node: NodeId;
  readonly resources: Resources;
  /** When its engine wants it back if nothing has used it; never where it is nobody else's. */
  readonly until?: Millis;
}

export interface OutputFile {
  /** Relative to the task's result directory. */
  readonly path: string;
  /** The processor's symbolic name for it, if it gave one. */
  readonly name?: string;
  readonly size: number;
  readonly sha256?: string;
}

/** What an attempt cost. A figure that could not be measured is absent, never zero. */
export interface Usage {
  readonly wallMs: number;
  readonly cpuUserMs?: number;
  readonly cpuSystemMs?: number;
  readonly peakMemoryBytes?: number;
  readonly readBytes?: number;
  readonly writtenBytes?: number;
  /** What its runner has brought from storages and to them; programs read and write that on the node once more. */
  readonly storageReadBytes?: number;
  readonly storageWrittenBytes?: number;
  /** What its cluster has kept for it, whether it was used or not: CPUs, and MiB, times milliseconds. */
  readonly reservedCpuMs?: number;
  readonly reservedMemoryMbMs?: number;
  /** Where each figure comes from, e.g. `{ cpu: 'proc-stat-children', memory: 'proc-status-poll' }`. */
  readonly sources: Readonly<Record<string, string>>;
}

/**
 * What is to blame:
 *
 * - `input`: the product is corrupt or gone; trying again is of little use
 * - `processor`: the program, its bundle or what it left behind
 * - `memory`, `time`: a limit of the attempt; `disk`: the node's or the service's disk is full
 * - `network`, `engine`: the infrastructure; not the job's fault
 * - `capacity`: the cluster had no room for it after all, or took it back: preempted, a request that was never granted,
 *   an offer that had gone
 * - `operator`: somebody wanted it so
 */
export const FAILURE_KINDS = [
  'input',
  'processor',
  'memory',
  'disk',
  'time',
  'network',
  'engine',
  'capacity',
  'operator',
] as const;
export type FailureKind = (typeof FAILURE_KINDS)[number];

/** Why something failed, in words for the person who has to act on it. */
export interface Failure {
  readonly kind: FailureKind;
  readonly message: string;
}

/** What the runner says about an attempt that has ended. */
export interface AttemptResult {
  readonly startedAt?: Millis;
  readonly exitCode?: number;
  readonly signal?: string;
  readonly outputs?: readonly OutputFile[];
  readonly usage?: Usage;
  readonly failure?: Failure;
}

/** One file or document that a job leaves to its user. */
export interface JobResult {
  /** Relative to the job's staging directory. */
  readonly path: string;
  readonly type: string;
  readonly size: number;
  readonly sha256: string;
  readonly role: 'product' | 'quicklook' | 'metadata';
  /** Of its process's outputs; where absent, its role says it. */
  readonly output?: string;
}
