import { asResources } from '../core/amount.ts';
import type { Millis } from '../core/model.ts';
import type { Chance } from './chance.ts';
import type { VirtualClock } from './clock.ts';
import type { SimulatedNode } from './engine.ts';
import type { NodesSpec, Scenario } from './scenario.ts';

export interface ScenarioNode {
  readonly node: SimulatedNode;
  readonly spec: NodesSpec;
}

/** All nodes of a scenario; those of one name are numbered through. */
export function nodesOf({ nodes }: Scenario): ScenarioNode[] {
  const counts = new Map<string, number>();
  return nodes.flatMap((spec) =>
    Array.from({ length: spec.count }, (): ScenarioNode => {
      const number = (counts.get(spec.name) ?? 0) + 1;
      counts.set(spec.name, number);
      const { rack, pool } = spec;
      const node: SimulatedNode = {
        name: `${spec.name}-${number}`,
        ...asResources(spec),
        ...(rack !== undefined && { rack }),
        ...(pool !== undefined && { pool }),
      };
      return { node, spec };
    }),
  );
}

interface Listener {
  join(node: SimulatedNode): void;
  leave(node: SimulatedNode): void;
}

/** Lets a node join and leave as its scenario says, and break down and be repaired between. */
export function live(
  { node, spec }: ScenarioNode,
  clock: VirtualClock,
  chance: Chance,
  listener: Listener,
): void {
  const { joins, leaves = Infinity, meanTimeBetweenFailures: mean, repairTime } = spec;
  const start = clock.now();
  const end = start + 1000 * leaves;
  const at = (time: Millis, callback: () => void) => time < end && clock.wakeAt(time, callback);
  let failures = 0;
  let isUp = false;
  const up = (): void => {
    isUp = true;
    listener.join(node);
    if (mean === undefined) return;
    failures += 1;
    const wait = chance.exponential(`${node.name} failure ${failures}`, 1000 * mean);
    at(Math.round(clock.now() + wait), down);
  };
  const leave = (): void => {
    if (isUp) listener.leave(node);
    isUp = false;
  };
  const down = (): void => {
    leave();
    at(clock.now() + 1000 * repairTime, up);
  };
  if (joins === 0) up();
  else at(start + 1000 * joins, up);
  if (Number.isFinite(end)) clock.wakeAt(end, leave);
}
