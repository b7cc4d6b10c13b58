import { add, nothing } from '../core/amount.ts';
import type { Amount } from '../core/amount.ts';
import type { Millis, Resources } from '../core/model.ts';

/** Resources that are there for a while; faster ones count as more. */
export interface Supply extends Resources {
  readonly from: Millis;
  /** Infinity where there is no end. */
  readonly to: Millis;
}

/** What a job needs at least. */
export interface Need {
  readonly at: Millis;
  /** Resources by the milliseconds for which they are used. */
  readonly work: Resources;
  /** Its longest chain of tasks on the fastest node. */
  readonly chainMs: Millis;
}

/**
 * The earliest time at which any schedule could be done: no job before its longest chain, and nothing that comes from
 * some time on before the cluster could have done it all since then. Nodes that break down are not known here.
 */
export function earliestEnd(needs: readonly Need[], supplies: readonly Supply[]): Millis {
  const curves = PARTS.map((part) => ({ part, curve: supplyCurve(supplies, part) }));
  let end = 0;
  const work = nothing();
  for (const need of needs.toSorted((a, b) => b.at - a.at)) {
    add(work, need.work, 1);
    const given = curves.map(({ part, curve }) => timeToGive(curve, need.at, work[part]));
    end = Math.max(end, need.at + need.chainMs, ...given);
  }
  return end;
}

const PARTS = ['cpus', 'memoryMb', 'gpus'] as const;

interface Stretch {
  readonly from: Millis;
  readonly to: Millis;
  readonly rate: number;
}

function supplyCurve(supplies: readonly Supply[], part: keyof Amount): Stretch[] {
  const times = [...new Set(supplies.flatMap(({ from, to }) => [from, to]))].toSorted(
    (a, b) => a - b,
  );
  return times.slice(0, -1).map((from, index) => {
    const there = supplies.filter((supply) => supply.from <= from && supply.to > from);
    return {
      from,
      to: times[index + 1]!,
      rate: there.reduce((sum, each) => sum + (each[part] ?? 0), 0),
    };
  });
}

/** When so much has been supplied since a time; Infinity if never. */
function timeToGive(curve: readonly Stretch[], since: Millis, amount: number): Millis {
  let left = amount;
  if (left === 0) return since;
  for (const { from, to, rate } of curve) {
    const begin = Math.max(from, since);
    if (to <= begin || rate === 0) continue;
    if (left <= rate * (to - begin)) return begin + left / rate;
    left -= rate * (to - begin);
  }
  return Infinity;
}
