import type { Framework } from './framework.ts';
import { amount, forRole, isNothing } from './resources.ts';
import type { Resources } from './resources.ts';
import type { AgentEntry } from './registry.ts';
import { can, rolesOf } from './statuses.ts';

type Amounts = Record<(typeof COUNTED)[number], number>;
const COUNTED = ['cpus', 'mem', 'disk', 'gpus'] as const;
const zero = (): Amounts => ({ cpus: 0, mem: 0, disk: 0, gpus: 0 });

/** How much of the cluster roles and frameworks hold, offers included. */
export class Shares {
  readonly #total = zero();
  readonly #roles = new Map<string, Amounts>();
  readonly #frameworks = new Map<string, Amounts>();

  total(resources: Resources, sign: 1 | -1): void {
    add(this.#total, resources, sign);
  }

  held(frameworkId: string, role: string, resources: Resources, sign: 1 | -1): void {
    add(entry(this.#roles, role), resources, sign);
    add(entry(this.#frameworks, frameworkId), resources, sign);
  }

  forget(frameworkId: string): void {
    this.#frameworks.delete(frameworkId);
  }

  ofRole = (role: string): number => this.#dominant(this.#roles.get(role));
  ofFramework = (id: string): number => this.#dominant(this.#frameworks.get(id));

  #dominant(amounts: Amounts | undefined): number {
    if (!amounts) return 0;
    let share = 0;
    for (const name of COUNTED) {
      if (this.#total[name] > 0) share = Math.max(share, amounts[name] / this.#total[name]);
    }
    return share;
  }
}

function entry(map: Map<string, Amounts>, key: string): Amounts {
  const had = map.get(key) ?? zero();
  map.set(key, had);
  return had;
}

function add(to: Amounts, resources: Resources, sign: 1 | -1): void {
  for (const name of COUNTED) to[name] += sign * amount(resources, name);
}

interface Cluster {
  readonly entries: ReadonlyMap<string, AgentEntry>;
  readonly frameworks: ReadonlyMap<string, Framework>;
  readonly shares: Shares;
  /** Takes the resources from the agent and counts them as held. */
  makeOffer(framework: Framework, agent: AgentEntry, role: string, resources: Resources): string;
}

/**
 * Offers all that is free to the role, and within it to the framework, that holds the least (dominant resource
 * fairness), agent by agent; all offers of one framework in one event.
 */
export function allocate(cluster: Cluster, now: number): void {
  const wanting = [...cluster.frameworks.values()].filter(
    (framework) =>
      framework.isConnected && rolesOf(framework.info).some((r) => framework.wantsRole(r)),
  );
  if (wanting.length === 0) return;
  const made = new Map<Framework, string[]>();
  for (const agent of shuffled(cluster.entries)) {
    if (!agent.isActive || !isAllocatable(agent.free)) continue;
    for (const { framework, role } of inOrder(cluster.shares, wanting)) {
      const resources = forRole(agent.free, role);
      if (isNothing(resources) || !isAllocatable(resources)) continue;
      // An agent with GPUs is offered only to those who can use them.
      if (amount(agent.total, 'gpus') > 0 && !can(framework.info, 'GPU_RESOURCES')) continue;
      if (framework.refuses(role, agent.id, resources, now)) continue;
      const offers = made.get(framework) ?? [];
      offers.push(cluster.makeOffer(framework, agent, role, resources));
      made.set(framework, offers);
    }
  }
  for (const [framework, offers] of made) {
    framework.stream?.record(`{"type":"OFFERS","offers":{"offers":[${offers.join(',')}]}}`);
  }
}

/** The recorded `min_allocatable_resources`: `cpus:0.01|mem:32`. */
const isAllocatable = (resources: Resources): boolean =>
  amount(resources, 'cpus') >= 0.01 || amount(resources, 'mem') >= 32;

function inOrder(shares: Shares, frameworks: readonly Framework[]) {
  const [first] = frameworks;
  if (frameworks.length === 1 && rolesOf(first!.info).length === 1) {
    return [{ framework: first!, role: rolesOf(first!.info)[0]! }];
  }
  return frameworks
    .flatMap((framework) =>
      rolesOf(framework.info)
        .filter((role) => framework.wantsRole(role))
        .map((role) => ({ framework, role })),
    )
    .toSorted(
      (a, b) =>
        shares.ofRole(a.role) - shares.ofRole(b.role) ||
        (a.role === b.role ? 0 : a.role < b.role ? -1 : 1) ||
        shares.ofFramework(a.framework.id) - shares.ofFramework(b.framework.id),
    );
}

/** Starts at another agent each time, so that nobody always gets the same one first. */
function shuffled(entries: ReadonlyMap<string, AgentEntry>): readonly AgentEntry[] {
  const list = [...entries.values()];
  const start = Math.floor(Math.random() * list.length);
  return [...list.slice(start), ...list.slice(0, start)];
}
