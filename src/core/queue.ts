import type { Millis } from './model.ts';
import { isBefore, rankOf } from './rank.ts';
import { leafOf, servedOf } from './shares.ts';
import type { ShareGroup } from './shares.ts';
import type { JobRecord, State } from './state.ts';

/** A job's place among those with waiting tasks, and when its turn may come. */
export function queueOf(
  state: State,
  record: JobRecord,
  at: Millis,
): { position: number; of: number; expectedStart?: Millis } {
  const waiting = Array.from(state.waiting, (id) => state.jobs.get(id)!).filter(
    ({ control }) => !control.isPaused,
  );
  const before = waiting.filter((other) => goesBefore(state, other, record)).length;
  const rate = endsPerMilli(state);
  return {
    position: before + 1,
    of: waiting.length,
    ...(rate > 0 && { expectedStart: Math.round(at + (before + 1) / rate) }),
  };
}

/** Jobs of one group are compared themselves; of others, the groups where their ways part. */
function goesBefore(state: State, a: JobRecord, b: JobRecord): boolean {
  if (a === b) return false;
  const [wayA, wayB] = [a, b].map(({ control }) => wayTo(leafOf(state.shares, control.group)));
  const fork = wayA!.findIndex((group, depth) => group !== wayB![depth]);
  if (fork >= 0) return servedOf(wayA![fork]!, state.total) < servedOf(wayB![fork]!, state.total);
  const leaf = wayA!.at(-1)!;
  return isBefore(
    { record: a, rank: rankOf(state, a, leaf) },
    { record: b, rank: rankOf(state, b, leaf) },
  );
}

const wayTo = (group: ShareGroup): ShareGroup[] =>
  group.parent ? [...wayTo(group.parent), group] : [group];

/** Attempts that end per millisecond, by what runs and how long its like took. */
function endsPerMilli({ jobs }: State): number {
  let rate = 0;
  for (const { attempts, tasks, steps } of jobs.values()) {
    for (const { attempt } of attempts.values()) {
      const step = tasks.get(attempt.task)?.task.step;
      const mean = step && steps[step].durations.mean;
      if (mean) rate += 1 / mean;
    }
  }
  return rate;
}
