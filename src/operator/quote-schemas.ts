import { Type } from 'typebox';
import type { Static } from 'typebox';

import { Count } from './schemas.ts';

/** What a request would cost. */

const COST = {
  cpuMs: Count,
  wallMs: Type.Integer({ minimum: 0, description: 'Of all tasks, one after the other' }),
  reservedCpuMs: Type.Integer({
    minimum: 0,
    description: 'CPUs that are kept for it, times how long: what a ceiling of CPU hours counts',
  }),
  peakMemoryBytes: Type.Integer({ minimum: 0, description: 'Of one task' }),
  volumeBytes: Type.Integer({ minimum: 0, description: 'Read and written' }),
};

export const Quote = Type.Object({
  process: Type.String(),
  title: Type.String(),
  user: Type.String(),
  group: Type.String({ description: 'Whose share of the cluster it would use' }),
  products: Count,
  lowerBound: Type.Boolean({ description: 'There was no time to count all products' }),
  tasks: Count,
  ...COST,
  maxCpuHours: Type.Optional(Type.Number({ description: 'At which the job would be paused' })),
  history: Type.Object({
    jobs: Type.Integer({ minimum: 0, description: 'That it rests on; 0 where all is assumed' }),
    process: Type.String({ description: 'Which they ran; maybe in another version' }),
  }),
  steps: Type.Array(
    Type.Object({
      step: Type.String(),
      tasks: Count,
      basis: Type.Enum(['history', 'default']),
      ...COST,
    }),
  ),
});
export type Quote = Static<typeof Quote>;
