import { Type } from 'typebox';
import type { Static, TProperties } from 'typebox';

/** What the operator API takes and gives; types, validation and OpenAPI come from here. */

export const JOB_STATES = ['accepted', 'running', 'successful', 'failed', 'dismissed'] as const;
const TASK_STATES = ['ready', 'running', 'finished', 'failed'] as const;
const ATTEMPT_STATES = ['launched', 'running', 'finished', 'failed', 'lost', 'killed'] as const;
const STEP_NAMES = ['process', 'aggregate', 'format'] as const;

const Time = Type.String({ format: 'date-time' });
const Texts = Type.Record(Type.String(), Type.String());
export const Count = Type.Integer({ minimum: 0 });
const StepCount = Type.Object({ total: Count, finished: Count, failed: Count });
const RESOURCES = {
  cpus: Type.Number(),
  memoryMb: Type.Number(),
  gpus: Type.Optional(Type.Integer({ minimum: 1, description: 'None where absent' })),
};
const Resources = Type.Object(RESOURCES);
const Failure = Type.Object({ kind: Type.String(), message: Type.String() });
const OutputFile = Type.Object({
  path: Type.String(),
  name: Type.Optional(Type.String()),
  size: Count,
  sha256: Type.Optional(Type.String()),
});

const JOB = {
  id: Type.String(),
  process: Type.String({ description: '`bundle~version~processor`' }),
  title: Type.String(),
  user: Type.String(),
  reference: Type.Optional(Type.String({ description: "The portal's own reference" })),
  state: Type.Enum([...JOB_STATES]),
  percent: Type.Number({ minimum: 0, maximum: 100 }),
  group: Type.String({ description: 'Whose share of the cluster it uses' }),
  priority: Type.Integer({ description: 'Within its group; higher goes first' }),
  paused: Type.Boolean(),
  message: Type.Optional(Type.String()),
  acceptedAt: Time,
  startedAt: Type.Optional(Time),
  endedAt: Type.Optional(Time),
  updatedAt: Time,
  splitEnded: Type.Boolean({ description: 'Whether all products are known' }),
  steps: Type.Object({ process: StepCount, aggregate: StepCount, format: StepCount }),
  attempts: Count,
  cpuHours: Type.Object(
    {
      used: Type.Number({ description: 'Kept for attempts that have ended, busy or not' }),
      ceiling: Type.Optional(Type.Number({ description: 'The job is paused at so many' })),
    },
    { description: 'CPUs times hours' },
  ),
};

export const Job = Type.Object(JOB);
export type Job = Static<typeof Job>;

export const JobDetails = Type.Object({
  ...JOB,
  productionType: Type.Optional(
    Type.String({ description: 'Of a request in the production dialect, as L3' }),
  ),
  workflow: Type.Enum(['L2Plus', 'L3', 'Local']),
  processor: Type.Object({
    bundle: Type.String(),
    version: Type.String(),
    processor: Type.String(),
    bundleHash: Type.String(),
    image: Type.Optional(Type.String({ description: 'Container image that it runs in' })),
  }),
  dataset: Type.String(),
  regionWkt: Type.Optional(Type.String()),
  periods: Type.Array(Type.Object({ from: Type.String(), to: Type.String() })),
  parameters: Texts,
  outputFormat: Type.Optional(Type.String()),
  inputs: Texts,
  retryOf: Type.Optional(Type.String({ description: 'The ended job that it does again' })),
});
export type JobDetails = Static<typeof JobDetails>;

const USER = { pattern: String.raw`^(?!\.)[A-Za-z0-9._@-]{1,100}$` };
const Reference = Type.Optional(Type.String({ maxLength: 500 }));

/** On whose behalf a job runs whose request has no place to say it. */
export const OnBehalf = Type.Object(
  { user: Type.Optional(Type.String(USER)), reference: Reference },
  { additionalProperties: false },
);

export const Submission = Type.Object(
  {
    process: Type.String({ minLength: 1, maxLength: 500 }),
    inputs: Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean()])),
    user: Type.Optional(Type.String({ ...USER, default: 'operator' })),
    reference: Reference,
  },
  { additionalProperties: false },
);
export type Submission = Static<typeof Submission>;

export const Task = Type.Object({
  id: Type.String(),
  number: Count,
  step: Type.Enum([...STEP_NAMES]),
  state: Type.Enum([...TASK_STATES]),
  key: Type.String(),
  input: Type.Optional(Type.String()),
  attempts: Count,
  failure: Type.Optional(Failure),
  outputs: Type.Optional(Type.Array(OutputFile)),
});
export type Task = Static<typeof Task>;

const Usage = Type.Object({
  wallMs: Type.Number(),
  cpuUserMs: Type.Optional(Type.Number()),
  cpuSystemMs: Type.Optional(Type.Number()),
  peakMemoryBytes: Type.Optional(Type.Number()),
  readBytes: Type.Optional(Type.Number()),
  writtenBytes: Type.Optional(Type.Number()),
  storageReadBytes: Type.Optional(Type.Number()),
  storageWrittenBytes: Type.Optional(Type.Number()),
  reservedCpuMs: Type.Optional(Type.Number()),
  reservedMemoryMbMs: Type.Optional(Type.Number()),
  sources: Texts,
});

export const Attempt = Type.Object({
  id: Type.String(),
  number: Count,
  state: Type.Enum([...ATTEMPT_STATES]),
  engine: Type.String(),
  node: Type.String(),
  resources: Type.Object(RESOURCES, { description: 'What it may use' }),
  locality: Type.Optional(
    Type.Enum(['node', 'rack', 'pool', 'any'], { description: 'How near to its input it ran' }),
  ),
  speculative: Type.Optional(
    Type.Boolean({ description: 'Made beside one that takes far longer than its peers' }),
  ),
  launchedAt: Time,
  endedAt: Type.Optional(Time),
  exitCode: Type.Optional(Type.Integer()),
  signal: Type.Optional(Type.String()),
  failure: Type.Optional(Failure),
  usage: Type.Optional(Usage),
});
export type Attempt = Static<typeof Attempt>;

export const Result = Type.Object({
  path: Type.String({ description: "Relative to the job's staging directory" }),
  href: Type.String({ description: 'Where users download it' }),
  type: Type.String(),
  size: Count,
  sha256: Type.String(),
  role: Type.Enum(['product', 'quicklook', 'metadata']),
});
export type Result = Static<typeof Result>;

const BUNDLE_STATES = ['uploaded', 'vetted', 'deployed', 'withdrawn'] as const;
const BUNDLE_VISIBILITIES = ['private', 'public'] as const;
const BundleState = Type.Enum([...BUNDLE_STATES]);
const BundleVisibility = Type.Enum([...BUNDLE_VISIBILITIES]);

export const BundlePath = Type.Object({ bundle: Type.String({ description: '`name~version`' }) });

export const BundleQuery = Type.Object({
  state: Type.Optional(BundleState),
  owner: Type.Optional(Type.String()),
});

/** What is to become of a bundle. */
export const BundleChange = Type.Object(
  { state: Type.Optional(BundleState), visibility: Type.Optional(BundleVisibility) },
  { additionalProperties: false, minProperties: 1 },
);
export type BundleChange = Static<typeof BundleChange>;

export const Bundle = Type.Object({
  name: Type.String(),
  version: Type.String(),
  hash: Type.String({ description: 'SHA-256 of the archive' }),
  size: Count,
  deployedAt: Time,
  deployedBy: Type.String(),
  owner: Type.Optional(Type.String({ description: 'Whose it is, unless it is the centre’s' })),
  state: BundleState,
  visibility: BundleVisibility,
  history: Type.Array(
    Type.Object({
      at: Time,
      by: Type.String(),
      to: Type.Enum([...BUNDLE_STATES, ...BUNDLE_VISIBILITIES]),
    }),
  ),
  aggregators: Type.Array(Type.String()),
  processes: Type.Array(Type.Object({ id: Type.String(), title: Type.String() })),
});
export type Bundle = Static<typeof Bundle>;

export const Dataset = Type.Object({
  name: Type.String(),
  productType: Type.String(),
  patterns: Type.Array(Type.String()),
  roots: Type.Optional(
    Type.Array(
      Type.Object({
        location: Type.String(),
        pool: Type.Optional(Type.String()),
        engines: Type.Optional(Type.Array(Type.String())),
      }),
      { description: 'Places that all have its products; the patterns are relative to each' },
    ),
  ),
  minDate: Type.Optional(Type.String()),
  maxDate: Type.Optional(Type.String()),
  regionName: Type.Optional(Type.String()),
  regionWkt: Type.Optional(Type.String()),
  bands: Type.Optional(Type.Array(Type.String())),
});
export type Dataset = Static<typeof Dataset>;

export const Node = Type.Object({
  engine: Type.String(),
  node: Type.String(),
  rack: Type.Optional(Type.String()),
  pool: Type.Optional(Type.String()),
  resources: Resources,
  free: Resources,
  attempts: Type.Integer({ minimum: 0, description: 'How many run there' }),
  drained: Type.Optional(Type.String({ description: 'Why an operator has taken it out of work' })),
  away: Type.Optional(Type.String({ description: 'Why its engine lets nothing start there now' })),
  coolingOff: Type.Optional(
    Type.Object({ until: Time, reason: Type.String() }, { description: 'It gets no work until' }),
  ),
});
export type Node = Static<typeof Node>;

export const Engine = Type.Object({
  id: Type.String(),
  connected: Type.Boolean({ description: 'Whether it can do its work now' }),
  detail: Type.String({ description: 'To what it is connected, or why it is not' }),
  nodes: Type.Integer({ minimum: 0, description: 'How many are up' }),
  attempts: Type.Integer({ minimum: 0, description: 'How many run there' }),
});
export type Engine = Static<typeof Engine>;

export const Teardown = Type.Object(
  {
    confirm: Type.Optional(
      Type.String({
        maxLength: 200,
        description: "The engine's id once more; nothing goes without",
      }),
    ),
  },
  { additionalProperties: false },
);

const Limits = Type.Object({
  runningTasks: Type.Optional(Count),
  cpus: Type.Optional(Type.Number()),
  queuedJobs: Type.Optional(Count),
  productsPerRequest: Type.Optional(Count),
});

export const Group = Type.Object({
  path: Type.String({ description: "Jobs name the leaves, e.g. 'project/tep'" }),
  weight: Type.Number(),
  minimumPercent: Type.Number(),
  maximumPercent: Type.Number(),
  limits: Limits,
  userLimits: Limits,
  users: Type.Array(Type.String()),
  use: Type.Object({ ...RESOURCES, tasks: Count, jobs: Count }),
  share: Type.Number({ description: 'Of the cluster, that it has: 0 to 1' }),
  fairShare: Type.Number({ description: 'Of the cluster, that is due to it now: 0 to 1' }),
});
export type Group = Static<typeof Group>;

export const Scheduling = Type.Object(
  {},
  { additionalProperties: true, description: 'The section of the configuration, with defaults' },
);

export const Reloaded = Type.Object({
  scheduling: Scheduling,
  unapplied: Type.Array(Type.String(), {
    description: 'Other keys that have changed; they wait for a restart',
  }),
});
export type Reloaded = Static<typeof Reloaded>;

export const Drain = Type.Object(
  { reason: Type.Optional(Type.String({ minLength: 1, maxLength: 500 })) },
  { additionalProperties: false },
);

export const FailureGroup = Type.Object({
  cause: Type.String({ description: 'What its failures have in common' }),
  kind: Type.String(),
  count: Type.Integer({ minimum: 0, description: 'Attempts that failed so' }),
  example: Type.String({ description: 'The first of them' }),
  message: Type.String({ description: 'What that one said' }),
  firstAt: Time,
  lastAt: Time,
});
export type FailureGroup = Static<typeof FailureGroup>;

export const SuspectInput = Type.Object({
  input: Type.String(),
  jobs: Type.Integer({ minimum: 0, description: 'In how many it failed' }),
  jobIds: Type.Array(Type.String(), { description: 'The latest few of them' }),
  message: Type.String({ description: 'What it failed with last' }),
  lastAt: Time,
});
export type SuspectInput = Static<typeof SuspectInput>;

export const Explanation = Type.Object({
  id: Type.String(),
  state: Type.String(),
  summary: Type.String(),
  reasons: Type.Array(
    Type.Object({
      code: Type.String(),
      message: Type.String(),
      tasks: Type.Optional(Count),
      until: Type.Optional(Time),
    }),
  ),
  position: Type.Optional(Type.Integer({ description: '1 is next' })),
  of: Type.Optional(Count),
  expectedStart: Type.Optional(Time),
  remedies: Type.Array(Type.String()),
});
export type Explanation = Static<typeof Explanation>;

export const Health = Type.Object({
  version: Type.String(),
  uptime: Type.Number({ description: 'Seconds' }),
  state: Type.Enum(['ready', 'stopping']),
});

export const ApiError = Type.Object({
  status: Type.Integer(),
  code: Type.String(),
  message: Type.String(),
  locator: Type.Optional(Type.String()),
});

/** One page of a list. */
export const pageOf = <T extends TProperties>(item: ReturnType<typeof Type.Object<T>>) =>
  Type.Object({
    items: Type.Array(item),
    next: Type.Optional(Type.String({ description: 'Give it as `after` for the next page' })),
  });

const paging = {
  limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
  after: Type.Optional(Type.String({ maxLength: 500 })),
};

export const JobFilter = Type.Object(
  {
    state: Type.Optional(Type.Array(Type.Enum([...JOB_STATES]), { maxItems: 10 })),
    user: Type.Optional(Type.String({ maxLength: 500 })),
    process: Type.Optional(Type.String({ maxLength: 500 })),
    group: Type.Optional(Type.String({ maxLength: 500 })),
    ...paging,
  },
  { additionalProperties: false },
);

export const TaskFilter = Type.Object(
  {
    state: Type.Optional(Type.Array(Type.Enum([...TASK_STATES]), { maxItems: 10 })),
    step: Type.Optional(Type.Enum([...STEP_NAMES])),
    ...paging,
  },
  { additionalProperties: false },
);

export const LogRange = Type.Object(
  {
    stream: Type.Enum(['out', 'err'], { default: 'out' }),
    offset: Type.Integer({
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      default: 0,
      description: 'Bytes',
    }),
    limit: Type.Integer({ minimum: 1, maximum: 1_048_576, default: 65_536, description: 'Bytes' }),
  },
  { additionalProperties: false },
);

export const JobPath = Type.Object({ id: Type.String({ maxLength: 200 }) });
export const TaskPath = Type.Object({
  id: Type.String({ maxLength: 200 }),
  n: Type.Integer({ minimum: 0, maximum: 2_147_483_647 }),
});
export const NodePath = Type.Object({
  engine: Type.String({ maxLength: 200 }),
  node: Type.String({ maxLength: 500 }),
});
export type NodePath = Static<typeof NodePath>;
export const EnginePath = Type.Object({ id: Type.String({ maxLength: 200 }) });
export const ExplainPath = Type.Object({ id: Type.String({ minLength: 1, maxLength: 300 }) });
export const AttemptPath = Type.Object({
  id: Type.String({ pattern: String.raw`^[A-Za-z0-9_-]{1,200}\.\d{1,9}\.\d{1,9}$` }),
});
