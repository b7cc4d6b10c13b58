import { Type } from 'typebox';
import type { Static } from 'typebox';

import { Count, JOB_STATES } from './schemas.ts';

/** What can be done to jobs, and what came of it. */

const PRIORITY = {
  priority: Type.Optional(Type.Integer({ minimum: 0, maximum: 200 })),
  group: Type.Optional(Type.String({ minLength: 1, maxLength: 500 })),
};
const RETRY = {
  cause: Type.Optional(
    Type.String({ minLength: 1, maxLength: 500, description: 'Part of a cause, or its kind' }),
  ),
  memoryMb: Type.Optional(Type.Integer({ minimum: 1, description: 'For each attempt' })),
  version: Type.Optional(
    Type.String({ minLength: 1, maxLength: 200, description: 'Of the bundle; for ended jobs' }),
  ),
};

const RESUME = {
  maxCpuHours: Type.Optional(
    Type.Number({
      exclusiveMinimum: 0,
      maximum: 1e12,
      description: 'A higher ceiling, for a job that has used what it may',
    }),
  ),
};
export const Resume = Type.Object(RESUME, { additionalProperties: false });

export const JobChange = Type.Object(PRIORITY, { additionalProperties: false });

export const Retry = Type.Object(
  {
    tasks: Type.Optional(Type.Array(Count, { minItems: 1, maxItems: 100_000 })),
    ...RETRY,
  },
  { additionalProperties: false },
);

export const SelectedAction = Type.Object(
  {
    action: Type.Enum(['pause', 'resume', 'cancel', 'retry', 'prioritise']),
    ids: Type.Optional(Type.Array(Type.String({ maxLength: 200 }))),
    filter: Type.Optional(
      Type.Object(
        {
          state: Type.Optional(Type.Array(Type.Enum([...JOB_STATES]), { maxItems: 10 })),
          user: Type.Optional(Type.String({ maxLength: 500 })),
          process: Type.Optional(Type.String({ maxLength: 500 })),
          group: Type.Optional(Type.String({ maxLength: 500 })),
        },
        { additionalProperties: false },
      ),
    ),
    dryRun: Type.Optional(Type.Boolean({ default: false })),
    ...PRIORITY,
    ...RESUME,
    ...RETRY,
  },
  { additionalProperties: false },
);
export type SelectedAction = Static<typeof SelectedAction>;

export const Outcome = Type.Object({
  jobId: Type.String(),
  done: Type.Boolean(),
  message: Type.String({ description: 'What was done, or why not' }),
  newJobId: Type.Optional(Type.String({ description: 'The job that does an ended one again' })),
});
export type Outcome = Static<typeof Outcome>;

export const Report = Type.Object({
  message: Type.String(),
  items: Type.Array(Outcome),
});
export type Report = Static<typeof Report>;
