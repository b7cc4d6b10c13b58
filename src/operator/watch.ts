import type { JobId } from '../core/model.ts';
import type { Jobs } from '../jobs/jobs.ts';
import type { Scheduler } from '../scheduler/scheduler.ts';
import type { JobChange } from './events.ts';

/** A job that changes a thousand times a second is looked at so often. */
const PAUSE_MS = 200;

type Listener = (change: JobChange) => void;

/** Tells how jobs move, looking at each at most once per pause and only while somebody listens. */
export function watchJobs(scheduler: Scheduler, jobs: Jobs) {
  const listeners = new Set<Listener>();
  const touched = new Set<JobId>();
  let timer: NodeJS.Timeout | undefined;

  async function tell(): Promise<void> {
    timer = undefined;
    const ids = [...touched];
    touched.clear();
    for (const id of ids) {
      const { state, percent, control } = await jobs.status(id);
      const paused = control.pauseReason && { paused: control.pauseReason };
      for (const listener of listeners) listener({ jobId: id, state, percent, ...paused });
    }
  }

  scheduler.onCommit((ids) => {
    if (listeners.size === 0) return;
    for (const id of ids) touched.add(id);
    // Who listens has missed a change when the store cannot be read, nothing worse.
    timer ??= setTimeout(() => void tell().catch(() => undefined), PAUSE_MS).unref();
  });

  return (listener: Listener): (() => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
}
