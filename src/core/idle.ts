import type { Change, Effect, NodeKey, Plan } from './change.ts';
import type { Millis } from './model.ts';
import type { State } from './state.ts';

/**
 * Gives offers back that their engine wants for others and that nothing has used: a cluster's other users go hungry
 * where somebody sits on what he has been offered. What tasks wait for stays: a node near their data that is let pass,
 * and what is kept for one that is large.
 *
 * @param kept nodes with something that is kept for a task
 */
export function returnIdle(state: State, kept: ReadonlySet<NodeKey>, at: Millis): Plan {
  const changes: Change[] = [];
  const effects: Effect[] = [];
  let next = Infinity;
  for (const [key, record] of state.nodes) {
    if (kept.has(key) || state.passed.has(key)) continue;
    const idle = record.offers.filter(({ until = Infinity }) => until <= at);
    for (const { until = Infinity } of record.offers) if (until > at) next = Math.min(next, until);
    if (idle.length === 0) continue;
    const offers = record.offers.filter((offer) => !idle.includes(offer));
    changes.push({ type: 'setNode', ...record, offers });
    effects.push({ type: 'decline', engine: record.engine, offerIds: idle.map(({ id }) => id) });
  }
  if (next < Infinity) changes.push({ type: 'lookAgain', at: next });
  return { changes, effects };
}
