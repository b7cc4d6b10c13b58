import { add, nothing } from './amount.ts';
import type { Amount } from './amount.ts';
import type { Control, Resources } from './model.ts';
import { DEFAULT_GROUP, createGroupPolicy } from './policy.ts';
import type { GroupPolicy, Limits } from './policy.ts';

export interface Use extends Amount {
  tasks: number;
  /** Jobs that have not ended. */
  jobs: number;
}

/** A node of the share tree and what runs below it. */
export interface ShareGroup {
  readonly path: string;
  readonly policy: GroupPolicy;
  readonly parent?: ShareGroup;
  readonly children: ShareGroup[];
  readonly use: Use;
  readonly users: Map<string, Use>;
}

/** Who uses what: the share tree, and every user over all of it. */
export interface Shares {
  readonly root: ShareGroup;
  readonly groups: ReadonlyMap<string, ShareGroup>;
  readonly users: Map<string, Use>;
  readonly userLimits: Limits;
}

const ROOT = createGroupPolicy({ name: '' });

export function createShares(groups: readonly GroupPolicy[], userLimits: Limits): Shares {
  const all = new Map<string, ShareGroup>();
  const root = { path: '', policy: ROOT, children: [], use: noUse(), users: new Map() };
  const grow = (policy: GroupPolicy, parent: ShareGroup): void => {
    const path = parent.path === '' ? policy.name : `${parent.path}/${policy.name}`;
    const group = { path, policy, parent, children: [], use: noUse(), users: new Map() };
    parent.children.push(group);
    all.set(path, group);
    for (const child of policy.groups) grow(child, group);
  };
  for (const group of groups) grow(group, root);
  if (!all.has(DEFAULT_GROUP)) grow(createGroupPolicy({ name: DEFAULT_GROUP }), root);
  return { root, groups: all, users: new Map(), userLimits };
}

const noUse = (): Use => ({ ...nothing(), tasks: 0, jobs: 0 });

/** The leaf where a job's tasks count: its group, or the default one where that is gone. */
export function leafOf({ groups }: Shares, path: string): ShareGroup {
  const group = groups.get(path);
  if (group && group.children.length === 0) return group;
  const byDefault = groups.get(DEFAULT_GROUP)!;
  return byDefault.children.length === 0 ? byDefault : firstLeaf(byDefault);
}

const firstLeaf = (group: ShareGroup): ShareGroup =>
  group.children.length === 0 ? group : firstLeaf(group.children[0]!);

export const useOf = (users: Map<string, Use>, user: string): Use => {
  const use = users.get(user) ?? noUse();
  users.set(user, use);
  return use;
};

/** Everything that counts what a user's job in a group uses: the group, those above it, the user there and overall. */
export function* countersOf(shares: Shares, leaf: ShareGroup, user: string): Generator<Use> {
  yield useOf(shares.users, user);
  for (let group: ShareGroup | undefined = leaf; group; group = group.parent) {
    yield group.use;
    yield useOf(group.users, user);
  }
}

export interface Consumer {
  readonly user: string;
  readonly control: Pick<Control, 'group'>;
}

/** @param sign 1 when something begins, -1 when it ends */
export function countTask(
  shares: Shares,
  { user, control }: Consumer,
  resources: Resources,
  sign: 1 | -1,
): void {
  for (const use of countersOf(shares, leafOf(shares, control.group), user)) {
    add(use, resources, sign);
    use.tasks += sign;
    // Sums of fractions come back to nothing with an error that would add up.
    if (use.tasks === 0) use.cpus = use.memoryMb = 0;
  }
}

export function countJob(shares: Shares, { user, control }: Consumer, sign: 1 | -1): void {
  for (const use of countersOf(shares, leafOf(shares, control.group), user)) use.jobs += sign;
}

/**
 * The largest of its shares of the cluster's processors, memory and, where there are any, GPUs, 0 to 1 (Ghodsi et al.
 * 2011, NSDI, section 4). Of a cluster of unknown size, the plain numbers compare as well.
 */
export function dominantShare(use: Resources, total: Resources): number {
  const share = Math.max(use.cpus / (total.cpus || 1), use.memoryMb / (total.memoryMb || 1));
  return total.gpus && use.gpus ? Math.max(share, use.gpus / total.gpus) : share;
}

/**
 * How well a group is served beside its siblings; the lowest goes first. Below 0 while it has less than it was promised,
 * then its share by its weight.
 */
export function servedOf({ use, policy }: ShareGroup, total: Resources): number {
  const share = dominantShare(use, total);
  const promised = policy.minimumPercent / 100;
  return share < promised ? share / promised - 1 : share / policy.weight;
}

/** Why one more task may not run, in words. */
export interface BrokenLimit {
  readonly what: string;
  readonly limit: string;
}

/** The first limit that one more task of a consumer would break, if any. Who has nothing may always have one task. */
export function brokenLimit(
  shares: Shares,
  { user, control }: Consumer,
  wanted: Resources,
  total: Resources,
): BrokenLimit | undefined {
  const leaf = leafOf(shares, control.group);
  const ofUser = useOf(shares.users, user);
  const overall = broken(ofUser, shares.userLimits, wanted);
  if (overall) return { what: `user '${user}'`, limit: overall };
  for (let group: ShareGroup | undefined = leaf; group?.parent; group = group.parent) {
    const { policy, use, path } = group;
    const limit = broken(use, policy.limits, wanted) ?? beyondMaximum(group, wanted, total);
    if (limit) return { what: `group '${path}'`, limit };
    const forUser = broken(useOf(group.users, user), policy.userLimits, wanted);
    if (forUser) return { what: `user '${user}' in group '${path}'`, limit: forUser };
  }
  return undefined;
}

/** Tenths of a processor, added up. */
const EPSILON = 1e-6;

function broken(use: Use, limits: Limits, wanted: Resources): string | undefined {
  if (use.tasks === 0) return undefined;
  if (limits.runningTasks !== undefined && use.tasks >= limits.runningTasks) {
    return `${limits.runningTasks} running tasks`;
  }
  if (limits.cpus !== undefined && use.cpus + wanted.cpus > limits.cpus + EPSILON) {
    return `${limits.cpus} cpus`;
  }
  return undefined;
}

function beyondMaximum(
  { use, policy: { maximumPercent } }: ShareGroup,
  wanted: Resources,
  total: Resources,
): string | undefined {
  if (use.tasks === 0 || maximumPercent >= 100) return undefined;
  const { cpus, memoryMb, gpus } = use;
  const after = { cpus, memoryMb, gpus };
  add(after, wanted, 1);
  return dominantShare(after, total) > maximumPercent / 100 + EPSILON
    ? `${maximumPercent} % of the cluster`
    : undefined;
}

/** The limit of open jobs that one more would break, if any. */
export function brokenQueue(shares: Shares, { user, control }: Consumer): BrokenLimit | undefined {
  const full = (use: Use, { queuedJobs }: Limits): string | undefined =>
    queuedJobs !== undefined && use.jobs >= queuedJobs ? `${queuedJobs} open jobs` : undefined;
  const overall = full(useOf(shares.users, user), shares.userLimits);
  if (overall) return { what: `user '${user}'`, limit: overall };
  for (let group = leafOf(shares, control.group); group.parent; group = group.parent) {
    const name = `group '${group.path}'`;
    const limit = full(group.use, group.policy.limits);
    if (limit) return { what: name, limit };
    const forUser = full(useOf(group.users, user), group.policy.userLimits);
    if (forUser) return { what: `user '${user}' in ${name}`, limit: forUser };
  }
  return undefined;
}
