import { advance } from '../core/advance.ts';
import { apply } from '../core/apply.ts';
import type { Change, Effect, Event, Plan, Refusal } from '../core/change.ts';
import { decide } from '../core/decide.ts';
import { parseAttemptId } from '../core/ids.ts';
import type { JobId, Millis } from '../core/model.ts';
import { place } from '../core/place.ts';
import type { State } from '../core/state.ts';

export interface Reaction {
  readonly changes: readonly Change[];
  readonly effects: readonly Effect[];
  /** Why nothing came of some of the events, by their places. */
  readonly refusals: ReadonlyMap<number, Refusal>;
}

/**
 * Everything that a batch of events means, already applied to the state.
 *
 * @param isFresh the state was read from the store and not looked through yet: what it asks of the world is not known
 */
export function react(
  state: State,
  events: readonly Event[],
  isFresh: boolean,
  at: Millis,
): Reaction {
  const changes: Change[] = [];
  const effects: Effect[] = [];
  const refusals = new Map<number, Refusal>();
  const follow = (plan: Plan): void => {
    apply(state, plan.changes);
    for (const change of plan.changes) changes.push(change);
    for (const effect of plan.effects) effects.push(effect);
  };
  follow({ changes: [{ type: 'wake', until: at }], effects: [] });
  const touched = new Set<JobId>(isFresh ? state.jobs.keys() : []);
  const happen = (event: Event): Plan => {
    const plan = decide(state, event, at);
    follow(plan);
    const jobId = jobOf(event);
    if (jobId !== undefined) touched.add(jobId);
    for (const next of plan.events ?? []) happen(next);
    return plan;
  };
  events.forEach((event, index) => {
    const { refusal } = happen(event);
    if (refusal) refusals.set(index, refusal);
  });
  for (const jobId of touched) follow(advance(state, jobId, at));
  for (const plan of place(state, at)) follow(plan);
  return { changes, effects, refusals };
}

function jobOf(event: Event): JobId | undefined {
  if (event.type === 'jobAccepted') return event.job.id;
  if (event.type === 'attemptMoved') return parseAttemptId(event.attemptId)?.jobId;
  return 'jobId' in event ? event.jobId : undefined;
}
