import { DEFAULT_GROUP } from './policy.ts';
import type { GroupPolicy, Policy } from './policy.ts';

export interface PolicyProblem {
  /** Keys and indices that lead to it, e.g. `['groups', '0', 'minimumPercent']`. */
  readonly path: readonly string[];
  readonly reason: string;
}

const MOST_GROUPS = 1000;
const MOST_LEVELS = 5;
/** Sums of percentages that are no binary fractions. */
const EPSILON = 1e-6;

/** What is wrong with a policy that none of its values shows alone. */
export function policyProblems(policy: Policy): PolicyProblem[] {
  const { groups, nodes, avoid } = policy;
  const count = countGroups(groups);
  if (count > MOST_GROUPS) {
    return [
      { path: ['groups'], reason: `has ${count} groups; at most ${MOST_GROUPS} are possible` },
    ];
  }
  const placed = new Set<string>();
  return [
    ...siblingProblems(groups, { keys: ['groups'], name: '', available: 100, homes: new Map() }),
    ...nodes.flatMap(({ node }, index) =>
      placed.size < placed.add(node).size
        ? []
        : [{ path: ['nodes', String(index), 'node'], reason: `'${node}' has a place already` }],
    ),
    ...(avoid.maxCoolOff < avoid.coolOff
      ? [{ path: ['avoid', 'maxCoolOff'], reason: 'is less than avoid.coolOff' }]
      : []),
  ];
}

const countGroups = (groups: readonly GroupPolicy[]): number =>
  groups.reduce((sum, group) => sum + 1 + countGroups(group.groups), 0);

interface Siblings {
  readonly keys: readonly string[];
  /** Path of their parent. */
  readonly name: string;
  /** What they can be promised together, in percent. */
  readonly available: number;
  /** Users that have a group already, and which. */
  readonly homes: Map<string, string>;
}

function siblingProblems(siblings: readonly GroupPolicy[], family: Siblings): PolicyProblem[] {
  const { keys, name, available } = family;
  if (siblings.length > 0 && keys.filter((key) => key === 'groups').length > MOST_LEVELS) {
    return [{ path: keys, reason: 'is nested too deep' }];
  }
  const promised = siblings.reduce((sum, { minimumPercent }) => sum + minimumPercent, 0);
  const names = siblings.map((group) => group.name);
  const tooMuch = {
    path: keys,
    reason: `are promised ${Number(promised.toFixed(3))} % together, of ${available} % that ${name === '' ? 'there are' : `'${name}' may have`}`,
  };
  return [
    ...(promised > available + EPSILON ? [tooMuch] : []),
    ...siblings.flatMap((group, index) => {
      const path = name === '' ? group.name : `${name}/${group.name}`;
      const own = [...keys, String(index)];
      const twice = names.indexOf(group.name) < index;
      return [
        ...(twice ? [{ path: [...own, 'name'], reason: `there is another group '${path}'` }] : []),
        ...groupProblems(group, path, family.homes).map(({ path: key, reason }) => ({
          path: [...own, ...key],
          reason,
        })),
        ...siblingProblems(group.groups, {
          keys: [...own, 'groups'],
          name: path,
          available: group.maximumPercent,
          homes: family.homes,
        }),
      ];
    }),
  ];
}

function groupProblems(
  { name, minimumPercent, maximumPercent, users, groups }: GroupPolicy,
  path: string,
  homes: Map<string, string>,
): PolicyProblem[] {
  const problems: PolicyProblem[] = [];
  const add = (reason: string, ...key: readonly string[]) => problems.push({ path: key, reason });
  if (!NAME.test(name)) {
    add(
      'must be of letters, digits and . _ - only: paths are made of names, as project/tep',
      'name',
    );
  }
  if (minimumPercent > maximumPercent) {
    add(`is more than the group's maximumPercent (${maximumPercent})`, 'minimumPercent');
  }
  if (path === DEFAULT_GROUP && groups.length > 0) {
    add(`'${path}' has jobs of its own, which name no group: it cannot be divided`, 'groups');
  }
  if (users.length > 0 && groups.length > 0) {
    add('belong to one of the groups below it: no job runs in the group itself', 'users');
  }
  users.forEach((user, index) => {
    const home = homes.get(user);
    if (home !== undefined) add(`'${user}' is a user of '${home}' already`, 'users', String(index));
    else homes.set(user, path);
  });
  return problems;
}

const NAME = /^[\p{L}\p{N}][\p{L}\p{N}._-]*$/u;
