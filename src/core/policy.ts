import type { EngineId, NodeId } from './model.ts';

/** How the cluster is shared and how patient the scheduler is: what an operator sets, and may change while it runs. */
export interface Policy {
  /** Children of the root of the share tree. */
  readonly groups: readonly GroupPolicy[];
  /** For each user over the whole cluster. */
  readonly userLimits: Limits;
  /** Racks and pools of nodes whose engine does not say. */
  readonly nodes: readonly NodePlace[];
  readonly locality: LocalityPolicy;
  /** What a processor costs for an hour on an engine, in relation to the others; 1 where none is said. */
  readonly costs: Readonly<Record<EngineId, number>>;
  /** Seconds after which what waits goes before everything else, and a node is kept free for it. */
  readonly agingLimit: number;
  /**
   * Seconds after which nodes are kept free for tasks that fit only on emptier ones, while their job has less than
   * others.
   */
  readonly reserveAfter: number;
  readonly avoid: AvoidPolicy;
  readonly stragglers: StragglerPolicy;
}

export interface GroupPolicy {
  /** Without a slash: paths are made of names. */
  readonly name: string;
  /** Share beside its siblings, in relation to their weights. */
  readonly weight: number;
  /** Of the cluster, in percent: goes first while it has less. */
  readonly minimumPercent: number;
  /** Of the cluster, in percent: never has more, however idle the rest is. */
  readonly maximumPercent: number;
  readonly limits: Limits;
  /** For each user within the group. */
  readonly userLimits: Limits;
  /** Whose jobs run here when they do not say where. */
  readonly users: readonly string[];
  readonly groups: readonly GroupPolicy[];
}

/** What is absent is not limited. */
export interface Limits {
  readonly runningTasks?: number;
  readonly cpus?: number;
  /** Jobs that have not ended. */
  readonly queuedJobs?: number;
  readonly productsPerRequest?: number;
}

export interface NodePlace {
  readonly node: NodeId;
  readonly rack?: string;
  readonly pool?: string;
}

export interface LocalityPolicy {
  /** Seconds that a job lets a free node pass by, waiting for one that is nearer: then anything in the rack will do. */
  readonly nodeWait: number;
  /** Seconds more until anything in the pool will do. */
  readonly rackWait: number;
  /** Seconds more until anything will do. */
  readonly poolWait: number;
  /** Short tasks wait less: no wait is longer than this share of a job's mean attempt. */
  readonly patience: number;
}

export interface AvoidPolicy {
  /** A job avoids a node on which so many of its tasks failed and none succeeded since. */
  readonly failures: number;
  /** A node that so many jobs avoid gets no work at all for a while. */
  readonly jobs: number;
  /** Seconds; doubled each time it happens again, up to `maxCoolOff`. */
  readonly coolOff: number;
  readonly maxCoolOff: number;
}

export interface StragglerPolicy {
  readonly isEnabled: boolean;
  /** A second attempt where one takes so many times as long as the median of its peers. */
  readonly factor: number;
  /** Seconds; what is quicker is nobody's straggler. */
  readonly minimum: number;
  /** Peers that must have finished before. */
  readonly peers: number;
}

/** Where jobs run that name no group and whose user is in none. Always there. */
export const DEFAULT_GROUP = 'default';

export const createGroupPolicy = (
  group: Partial<GroupPolicy> & Pick<GroupPolicy, 'name'>,
): GroupPolicy => ({
  weight: 1,
  minimumPercent: 0,
  maximumPercent: 100,
  limits: {},
  userLimits: {},
  users: [],
  groups: [],
  ...group,
});

export const DEFAULT_POLICY: Policy = {
  groups: [],
  userLimits: {},
  nodes: [],
  locality: { nodeWait: 3, rackWait: 3, poolWait: 3, patience: 0.2 },
  costs: {},
  agingLimit: 3600,
  reserveAfter: 60,
  avoid: { failures: 3, jobs: 2, coolOff: 300, maxCoolOff: 3600 },
  stragglers: { isEnabled: true, factor: 3, minimum: 60, peers: 10 },
};

/** A leaf of the share tree, as jobs name it. */
export interface Leaf {
  readonly path: string;
  readonly group: GroupPolicy;
}

/** The leaves of a tree by their paths, e.g. `project/tep`. */
export function leavesOf(groups: readonly GroupPolicy[], prefix = ''): Leaf[] {
  return groups.flatMap((group) => {
    const path = prefix + group.name;
    return group.groups.length === 0 ? [{ path, group }] : leavesOf(group.groups, `${path}/`);
  });
}

/** Paths of the groups that jobs may name. */
export const jobGroups = ({ groups }: Pick<Policy, 'groups'>): string[] => [
  ...new Set([DEFAULT_GROUP, ...leavesOf(groups).map(({ path }) => path)]),
];

/** The group of a user's jobs that do not name one: the first leaf that lists the user. */
export const groupOf = ({ groups }: Pick<Policy, 'groups'>, user: string): string =>
  leavesOf(groups).find(({ group }) => group.users.includes(user))?.path ?? DEFAULT_GROUP;

/** The most products that a job may have, and who says so. */
export interface ProductLimit {
  readonly products: number;
  readonly whose: string;
}

/**
 * The lowest of the limits that hold for a user's job in a group.
 *
 * @param group path of the job's group; what is no longer there limits nothing
 */
export function productLimit(
  { groups, userLimits }: Pick<Policy, 'groups' | 'userLimits'>,
  user: string,
  group: string,
  ofService: number,
): ProductLimit {
  let lowest: ProductLimit = { products: ofService, whose: 'the service' };
  const limit = (whose: string, { productsPerRequest = Infinity }: Limits) => {
    if (productsPerRequest < lowest.products) lowest = { products: productsPerRequest, whose };
  };
  limit(`user '${user}'`, userLimits);
  let siblings = groups;
  let path = '';
  for (const name of group.split('/')) {
    const next = siblings.find((sibling) => sibling.name === name);
    if (!next) break;
    path = path === '' ? name : `${path}/${name}`;
    limit(`group '${path}'`, next.limits);
    limit(`user '${user}' in group '${path}'`, next.userLimits);
    siblings = next.groups;
  }
  return lowest;
}
