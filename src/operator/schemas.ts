import { Type } from 'typebox';
import type { Static, TProperties } from 'typebox';

/** What the operator API takes and gives; types, validation and OpenAPI come from here. */

const JOB_STATES = ['accepted', 'running', 'successful', 'failed', 'dismissed'] as const;
const TASK_STATES = ['ready', 'running', 'finished', 'failed'] as const;
const ATTEMPT_STATES = ['launched', 'running', 'finished', 'failed', 'lost', 'killed'] as const;
const STEP_NAMES = ['process', 'aggregate', 'format'] as const;

const Time = Type.String({ format: 'date-time' });
const Texts = Type.Record(Type.String(), Type.String());
const Count = Type.Integer({ minimum: 0 });
const StepCount = Type.Object({ total: Count, finished: Count, failed: Count });
const Resources = Type.Object({ cpus: Type.Number(), memoryMb: Type.Number() });
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
  message: Type.Optional(Type.String()),
  acceptedAt: Time,
  startedAt: Type.Optional(Time),
  endedAt: Type.Optional(Time),
  updatedAt: Time,
  splitEnded: Type.Boolean({ description: 'Whether all products are known' }),
  steps: Type.Object({ process: StepCount, aggregate: StepCount, format: StepCount }),
  attempts: Count,
};

export const Job = Type.Object(JOB);
export type Job = Static<typeof Job>;

export const JobDetails = Type.Object({
  ...JOB,
  workflow: Type.Enum(['L2Plus', 'L3']),
  processor: Type.Object({
    bundle: Type.String(),
    version: Type.String(),
    processor: Type.String(),
    bundleHash: Type.String(),
  }),
  dataset: Type.String(),
  regionWkt: Type.Optional(Type.String()),
  periods: Type.Array(Type.Object({ from: Type.String(), to: Type.String() })),
  parameters: Texts,
  outputFormat: Type.Optional(Type.String()),
  inputs: Texts,
});
export type JobDetails = Static<typeof JobDetails>;

export const Submission = Type.Object(
  {
    process: Type.String({ minLength: 1, maxLength: 500 }),
    inputs: Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean()])),
    user: Type.Optional(
      Type.String({ pattern: String.raw`^(?!\.)[A-Za-z0-9._@-]{1,100}$`, default: 'operator' }),
    ),
    reference: Type.Optional(Type.String({ maxLength: 500 })),
  },
  { additionalProperties: false },
);

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
  sources: Texts,
});

export const Attempt = Type.Object({
  id: Type.String(),
  number: Count,
  state: Type.Enum([...ATTEMPT_STATES]),
  engine: Type.String(),
  node: Type.String(),
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

export const Bundle = Type.Object({
  name: Type.String(),
  version: Type.String(),
  hash: Type.String({ description: 'SHA-256 of the archive' }),
  size: Count,
  deployedAt: Time,
  deployedBy: Type.String(),
  aggregators: Type.Array(Type.String()),
  processes: Type.Array(Type.Object({ id: Type.String(), title: Type.String() })),
});
export type Bundle = Static<typeof Bundle>;

export const Dataset = Type.Object({
  name: Type.String(),
  productType: Type.String(),
  patterns: Type.Array(Type.String()),
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
  resources: Resources,
  free: Type.Optional(Resources),
});
export type Node = Static<typeof Node>;

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
export const AttemptPath = Type.Object({
  id: Type.String({ pattern: String.raw`^[A-Za-z0-9_-]{1,200}\.\d{1,9}\.\d{1,9}$` }),
});
