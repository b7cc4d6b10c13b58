import { add, nothing } from './amount.ts';
import type { Amount } from './amount.ts';
import type { CoolingOff, NodeKey, Wish } from './change.ts';
import { Durations } from './durations.ts';
import { Heap } from './heap.ts';
import type { Lane, Need } from './lane.ts';
import type {
  Attempt,
  AttemptId,
  AttemptState,
  Control,
  EngineId,
  Failure,
  Job,
  JobId,
  JobState,
  Millis,
  NodeId,
  Offer,
  Resources,
  Step,
  Task,
} from './model.ts';
import { DEFAULT_POLICY } from './policy.ts';
import type { Policy } from './policy.ts';
import { Recent } from './recent.ts';
import { createShares } from './shares.ts';
import type { Shares } from './shares.ts';

/** A task that has not ended and is in memory. Ended ones live on as counts only: memory follows the work ahead. */
export interface TaskRecord {
  readonly task: Task;
  state: 'ready' | 'running';
  /** Number of the last attempt; 0 before the first. */
  attempts: number;
  failures: number;
  losses: number;
  /** How often in a row the cluster had no room for it after all. Forgotten with the process. */
  refusals?: number;
  /** Where that is not what its step says. */
  memoryMb?: number;
  /** Nodes where it should not be tried again. */
  avoid?: readonly NodeKey[];
  /** Attempts that have not ended: two where one takes very long. */
  live: number;
  /** Whether it has had its second attempt beside the first: there is no third before both have failed. */
  isDoubled?: true;
  /** Where it waits to be placed; absent while it runs or is delayed. */
  lane?: Lane;
}

export interface AttemptRecord {
  readonly attempt: Attempt;
  readonly resources: Resources;
  state: AttemptState;
}

export interface StepRecord {
  total: number;
  finished: number;
  failed: number;
  readonly durations: Durations;
}

/** What is still to be done for one period, by counts. */
export interface PeriodRecord {
  /** The step whose tasks `open` counts. */
  step: Step;
  open: number;
  /** Tasks of each step that left outputs. */
  readonly productive: Record<Step, number>;
}

/** A product, partition or period that a job had to do without. */
export interface Loss {
  readonly key: string;
  readonly step: Step;
  readonly failure: Failure;
}

export interface JobRecord {
  readonly job: Job;
  control: Control;
  state: JobState;
  splitEnded: boolean;
  /** Products of periods before this one are all known: products are found in the order of their periods. */
  splitUpTo: number;
  nextTask: number;
  readonly tasks: Map<number, TaskRecord>;
  /** Ready tasks of the first step that wait in the store; they follow task `loadedTo`. */
  unloaded: number;
  loadedTo: number;
  readonly failedTasks: Set<number>;
  readonly attempts: Map<AttemptId, AttemptRecord>;
  /** With ready tasks; in the order in which they are placed. */
  readonly lanes: Lane[];
  readonly steps: Readonly<Record<Step, StepRecord>>;
  readonly periods: readonly PeriodRecord[];
  /** Periods whose count of open tasks has come to nothing since `advance` looked. */
  readonly due: Set<number>;
  /** The first few, for the message at the end. */
  readonly losses: Loss[];
  readonly use: Amount;
  /** What `ceiling.ts` adds up. */
  readonly cpuMs: {
    /** CPUs times milliseconds of attempts that have ended. */
    ended: number;
    /** CPUs of attempts that are out, times when they were launched: milliseconds since the job was accepted. */
    launched: number;
  };
  /** Failures on a node since a task succeeded there; what fails at one time is one failure. */
  readonly trouble: Map<NodeKey, { readonly failures: number; readonly at: Millis }>;
  /** What has been asked of the world since this process started. */
  readonly requested: Set<Wish>;
}

/** Never changed in place: a new value replaces the old one, so that a batch can be taken back. */
export interface NodeRecord {
  readonly engine: EngineId;
  readonly node: NodeId;
  readonly total?: Resources;
  readonly rack?: string;
  readonly pool?: string;
  /** Why its engine lets nothing start there for now. */
  readonly away?: string;
  /** Its engine can run container images there. */
  readonly hasImages?: true;
  readonly offers: readonly Offer[];
}

interface Delayed {
  readonly until: Millis;
  readonly jobId: JobId;
  readonly task: number;
}

/** What a node is known to have at hand. A guess that costs nothing when it is wrong. */
export interface Caches {
  /** Hashes of the bundles that ran on a node. */
  readonly bundles: Map<NodeKey, Set<string>>;
  /** Where an input was processed last. */
  readonly inputs: Recent<string, NodeId>;
}

/** What a state knows of the world that the store does not. */
export type Knowledge = Partial<
  Pick<State, 'nodes' | 'cooling' | 'strikes' | 'caches' | 'policy' | 'window'>
>;

/** All that the scheduler knows. Jobs are a copy of what the store holds; the rest is learned anew by each process. */
export interface State {
  /** Jobs that have not ended, and ended ones with attempts still out. */
  readonly jobs: Map<JobId, JobRecord>;
  readonly nodes: Map<NodeKey, NodeRecord>;
  /** Nodes that an operator has taken out of work, and why. */
  readonly drained: Map<NodeKey, string>;
  /** Nodes that get no work for a while. */
  readonly cooling: Map<NodeKey, CoolingOff>;
  /** How often a node had to cool off since a task succeeded there. */
  readonly strikes: Map<NodeKey, number>;
  /** Since when a node has had something free that lanes let pass, waiting for nodes nearer to their data. */
  readonly passed: Map<NodeKey, Millis>;
  readonly caches: Caches;
  /** Of all nodes together. */
  total: Readonly<Amount>;
  policy: Policy;
  shares: Shares;
  /** Jobs with ready tasks. */
  readonly waiting: Set<JobId>;
  /** Tasks that wait for their next attempt. */
  readonly delayed: Heap<Delayed>;
  /** When to place anew although nothing has happened. */
  lookAgainAt?: Millis;
  /** Tasks of one job's first step that are held in memory; the rest wait in the store. */
  readonly window: number;
}

export const nodeKey = (engine: EngineId, node: NodeId): NodeKey => `${engine}/${node}`;

/** Inputs whose last place is remembered. */
const INPUTS_KEPT = 25_000;

/** Losses kept for the message of a job. */
export const LOSSES_KEPT = 20;

/** Tasks of one job that are held in memory by default; those of its first step beyond wait in the store. */
const WINDOW = 10_000;

const emptyStep = (): StepRecord => ({
  total: 0,
  finished: 0,
  failed: 0,
  durations: new Durations(),
});

/** @param before what a state that has to be read anew knew of the world */
export function createState(before?: Knowledge): State {
  const policy = before?.policy ?? DEFAULT_POLICY;
  const nodes = new Map(before?.nodes);
  return {
    jobs: new Map(),
    nodes,
    drained: new Map(),
    cooling: new Map(before?.cooling),
    strikes: new Map(before?.strikes),
    passed: new Map(),
    caches: before?.caches ?? { bundles: new Map(), inputs: new Recent(INPUTS_KEPT) },
    total: totalOf(nodes.values()),
    policy,
    shares: createShares(policy.groups, policy.userLimits),
    waiting: new Set(),
    delayed: new Heap((a, b) => a.until < b.until),
    window: before?.window ?? WINDOW,
  };
}

export function totalOf(nodes: Iterable<NodeRecord>): Amount {
  const all = nothing();
  for (const { total } of nodes) if (total) add(all, total, 1);
  return all;
}

/** What a job asks for, until an operator says otherwise. */
export const controlOf = ({ group, priority, maxCpuHours }: Job): Control => ({
  group,
  priority,
  isPaused: false,
  ...(maxCpuHours !== undefined && { maxCpuHours }),
});

export function createJobRecord(job: Job): JobRecord {
  return {
    job,
    control: controlOf(job),
    state: 'accepted',
    splitEnded: false,
    splitUpTo: 0,
    nextTask: 0,
    tasks: new Map(),
    unloaded: 0,
    loadedTo: -1,
    failedTasks: new Set(),
    attempts: new Map(),
    lanes: [],
    steps: { process: emptyStep(), aggregate: emptyStep(), format: emptyStep() },
    periods: job.periods.map(() => ({
      step: 'process',
      open: 0,
      productive: { process: 0, aggregate: 0, format: 0 },
    })),
    due: new Set(),
    losses: [],
    use: nothing(),
    cpuMs: { ended: 0, launched: 0 },
    trouble: new Map(),
    requested: new Set(),
  };
}

/** Whose use of the cluster a job's tasks are. */
export const consumerOf = ({ job: { user }, control }: JobRecord) => ({ user, control });

/** Whether a node can run tasks in their container image, where they have one. */
export const canRunImage = ({ hasImages }: NodeRecord, { image }: Pick<Need, 'image'>): boolean =>
  image === undefined || hasImages === true;

/** Whether a node reaches the input. */
export const canReach = (
  { engine }: Pick<NodeRecord, 'engine'>,
  { engines }: Pick<Need, 'engines'>,
): boolean => engines === undefined || engines.includes(engine);

/** Whether a node can run tasks at all, however large it is. */
export const canRun = (node: NodeRecord, need: Pick<Need, 'image' | 'engines'>): boolean =>
  canRunImage(node, need) && canReach(node, need);

/** What an attempt of a task may use. */
export function resourcesOf({ job }: JobRecord, { task, memoryMb }: TaskRecord): Resources {
  const { resources } = job.workflow[task.step]!;
  return memoryMb === undefined ? resources : { ...resources, memoryMb };
}

export const needOf = (record: JobRecord, task: TaskRecord): Need => ({
  resources: resourcesOf(record, task),
  image: record.job.processor.image,
  engines: task.task.location?.engines,
});

/** Whether a node gets work at all. */
export const isUsable = (state: State, key: NodeKey): boolean =>
  !state.drained.has(key) && !state.cooling.has(key) && state.nodes.get(key)?.away === undefined;

/** Whether a task waits that could run on an engine. */
export const isWanted = ({ waiting, jobs }: State, engine: EngineId): boolean =>
  waiting.values().some((id) => {
    const { control, lanes } = jobs.get(id)!;
    return !control.isPaused && lanes.some((lane) => canReach({ engine }, lane));
  });

/** When time alone brings something about. */
export function nextAlarm(state: State): Millis {
  const cooled = Array.from(state.cooling.values(), ({ until }) => until);
  return Math.min(
    state.delayed.peek()?.until ?? Infinity,
    state.lookAgainAt ?? Infinity,
    ...cooled,
  );
}

/** Whether the job has anything left to place or to wait for, apart from splitting. */
export const hasOpenTasks = ({ tasks, unloaded }: JobRecord): boolean =>
  tasks.size > 0 || unloaded > 0;
