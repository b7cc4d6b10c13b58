import { isJobEnded } from '../core/lifecycle.ts';
import { PushbroomError } from '../errors.ts';
import { pauseOf } from './deps.ts';
import type { CliDeps, Output } from './deps.ts';
import { createProgress } from './progress.ts';
import type { JobSight } from './wps.ts';

const LOOK_AGAIN_MS = 250;

/** A submitted job and a way to look at it again. */
export interface Submitted {
  readonly first: JobSight;
  look(): Promise<JobSight & { readonly text?: string }>;
}

/**
 * Looks at a job again and again, as a portal does, and shows its progress until it has ended.
 *
 * @throws UNAVAILABLE when the signal aborts before
 */
export async function watch(
  deps: CliDeps,
  { first, look }: Submitted,
  output: Output,
  signal: AbortSignal,
): Promise<JobSight> {
  if (isJobEnded(first.state)) return first;
  const progress = createProgress(output);
  try {
    for (;;) {
      const { text, ...seen } = await look();
      progress.update(seen.percent, text ?? seen.state);
      if (isJobEnded(seen.state)) return seen;
      await pauseOf(deps)(LOOK_AGAIN_MS);
      if (signal.aborted) {
        throw new PushbroomError('UNAVAILABLE', `interrupted: job ${first.job} has not ended yet`);
      }
    }
  } finally {
    progress.stop();
  }
}

export const notSuccessful = ({ job, state, message }: JobSight): PushbroomError =>
  new PushbroomError(
    'JOB_FAILED',
    state === 'dismissed'
      ? `job ${job} was dismissed`
      : `job ${job} failed: ${message ?? 'no reason given'}`,
  );
