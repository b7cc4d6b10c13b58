import { DEFAULT_GROUP, createGroupPolicy } from '../core/policy.ts';
import type { GroupPolicy } from '../core/policy.ts';

/** What a leaf of the share tree could use now, as parts of all processors, memory and GPUs: 0 and more. */
export interface Wish {
  readonly cpus: number;
  readonly memory: number;
  readonly gpus: number;
}

/** Halvings of a search: as exact as a figure can be shown. */
const HALVINGS = 24;

/**
 * What each leaf of a share tree is due, by the rules alone and without a scheduler's eyes: siblings share what their
 * parent has by weight; nobody gets more than it wants or may have, nor less than it was promised while it wants it.
 * Where one wants processors and another memory, both together can have more than the half each.
 *
 * @returns dominant shares by path
 */
export function fairShares(
  groups: readonly GroupPolicy[],
  wishes: ReadonlyMap<string, Wish>,
): ReadonlyMap<string, number> {
  const hasDefault = groups.some(({ name }) => name === DEFAULT_GROUP);
  const all = hasDefault ? groups : [...groups, createGroupPolicy({ name: DEFAULT_GROUP })];
  const claims = all.map((group) => claimOf(group, '', wishes));
  const divided = (amount: number) => {
    const shares = new Map<string, number>();
    divide(amount, claims, shares);
    return shares;
  };
  const enough = claims.reduce((sum, { most }) => sum + most, 0);
  return divided(search(Math.min(1, enough), enough, (amount) => fits(divided(amount), wishes)));
}

/** Whether there are processors, memory and GPUs for such dominant shares. */
function fits(shares: ReadonlyMap<string, number>, wishes: ReadonlyMap<string, Wish>): boolean {
  let cpus = 0;
  let memory = 0;
  let gpus = 0;
  for (const [path, wish] of wishes) {
    const part = (shares.get(path) ?? 0) / dominant(wish);
    cpus += part * wish.cpus;
    memory += part * wish.memory;
    gpus += part * wish.gpus;
  }
  return Math.max(cpus, memory, gpus) <= 1;
}

const dominant = ({ cpus, memory, gpus }: Wish): number => Math.max(cpus, memory, gpus);

/** The largest number between two bounds, of which the lower one holds, for which a condition holds. */
function search(low: number, high: number, holds: (value: number) => boolean): number {
  if (holds(high)) return high;
  let [below, above] = [low, high];
  for (let step = 0; step < HALVINGS; step += 1) {
    const middle = (below + above) / 2;
    if (holds(middle)) below = middle;
    else above = middle;
  }
  return below;
}

interface Claim {
  readonly path: string;
  readonly weight: number;
  readonly least: number;
  readonly most: number;
  readonly children: readonly Claim[];
}

function claimOf(group: GroupPolicy, prefix: string, wishes: ReadonlyMap<string, Wish>): Claim {
  const path = prefix + group.name;
  const children = group.groups.map((child) => claimOf(child, `${path}/`, wishes));
  const wish = wishes.get(path);
  const wanted =
    children.length > 0
      ? children.reduce((sum, { most }) => sum + most, 0)
      : wish
        ? dominant(wish)
        : 0;
  const most = Math.min(wanted, group.maximumPercent / 100);
  const least = Math.min(most, group.minimumPercent / 100);
  return { path, weight: group.weight, least, most, children };
}

/** Raises a level until what is there is given away: each gets its weight times the level, within its bounds. */
function divide(amount: number, claims: readonly Claim[], shares: Map<string, number>): void {
  const partOf = ({ weight, least, most }: Claim, level: number) =>
    Math.min(most, Math.max(least, weight * level));
  const sumAt = (level: number) => claims.reduce((sum, claim) => sum + partOf(claim, level), 0);
  const highest = Math.max(...claims.map(({ most, weight }) => most / weight));
  const level = search(0, highest, (value) => sumAt(value) <= amount);
  for (const claim of claims) {
    const part = partOf(claim, level);
    if (claim.children.length === 0) shares.set(claim.path, part);
    else divide(part, claim.children, shares);
  }
}

/** Jain's index of fairness: 1 when all got the same part of what was due to them, 1/n when one got all. */
export function jainIndex(parts: readonly number[]): number {
  const sum = parts.reduce((total, part) => total + part, 0);
  const squares = parts.reduce((total, part) => total + part * part, 0);
  return squares === 0 ? 1 : (sum * sum) / (parts.length * squares);
}
