import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { policyProblems } from './policy-problems.ts';
import { createGroupPolicy, DEFAULT_POLICY, groupOf, leavesOf, productLimit } from './policy.ts';
import type { GroupPolicy, Policy } from './policy.ts';

type Draft = Partial<Omit<GroupPolicy, 'groups'>> & {
  readonly name: string;
  readonly groups?: readonly Draft[];
};
const grow = (groups: readonly Draft[]): GroupPolicy[] =>
  groups.map((draft) => createGroupPolicy({ ...draft, groups: grow(draft.groups ?? []) }));
const policy = (groups: readonly Draft[], rest: Partial<Policy> = {}): Policy => ({
  ...DEFAULT_POLICY,
  ...rest,
  groups: grow(groups),
});

/** `groups.0.name: what is wrong` */
const problems = (...input: Parameters<typeof policy>): string[] =>
  policyProblems(policy(...input)).map(({ path, reason }) => `${path.join('.')}: ${reason}`);

const CENTRE: readonly Draft[] = [
  { name: 'service', groups: [{ name: 'nrt' }, { name: 'consolidation' }] },
  { name: 'project', groups: [{ name: 'tep', users: ['anna'] }, { name: 'other' }] },
];

test('the leaves of the share tree are named by their paths, and a user has one of them', () => {
  const { groups } = policy(CENTRE);
  expect(leavesOf(groups).map(({ path }) => path)).toEqual([
    'service/nrt',
    'service/consolidation',
    'project/tep',
    'project/other',
  ]);
  expect(groupOf({ groups }, 'anna')).toBe('project/tep');
  expect(groupOf({ groups }, 'bert')).toBe('default');
});

describe('of limits of products', () => {
  const limits = (products: number) => ({ productsPerRequest: products });
  const shared = policy(
    [
      {
        name: 'project',
        limits: limits(500),
        userLimits: limits(400),
        groups: [
          { name: 'tep', limits: limits(300) },
          { name: 'other', userLimits: limits(350) },
        ],
      },
    ],
    { userLimits: limits(450) },
  );

  test.each([
    ['project/tep', 1000, 300, "group 'project/tep'"],
    ['project/other', 1000, 350, "user 'anna' in group 'project/other'"],
    ['project/gone', 1000, 400, "user 'anna' in group 'project'"],
    ['default', 1000, 450, "user 'anna'"],
    ['project/tep', 300, 300, 'the service'],
  ])('in %s, where the service allows %d, the lowest is %d', (group, service, products, whose) => {
    expect(productLimit(shared, 'anna', group, service)).toEqual({ products, whose });
  });

  test('there is that of the service where nobody else has one', () => {
    const whose = 'the service';
    expect(productLimit(policy(CENTRE), 'anna', 'project/tep', 9)).toEqual({ products: 9, whose });
  });
});

describe('what is wrong with a policy:', () => {
  test('nothing with the default and with a sound tree', () => {
    expect(policyProblems(DEFAULT_POLICY)).toEqual([]);
    expect(problems(CENTRE)).toEqual([]);
  });

  test.each<[string, readonly Draft[], string[]]>([
    [
      'promises beyond the whole',
      [
        { name: 'a', minimumPercent: 60 },
        { name: 'b', minimumPercent: 50 },
      ],
      ['groups: are promised 110 % together, of 100 % that there are'],
    ],
    [
      "promises beyond the parent's maximum",
      [{ name: 'a', maximumPercent: 8, groups: [{ name: 'b', minimumPercent: 9 }] }],
      ["groups.0.groups: are promised 9 % together, of 8 % that 'a' may have"],
    ],
    [
      'a minimum above the maximum',
      [{ name: 'a', minimumPercent: 9, maximumPercent: 8 }],
      ["groups.0.minimumPercent: is more than the group's maximumPercent (8)"],
    ],
    [
      'two groups of one name',
      [{ name: 'a' }, { name: 'b' }, { name: 'a' }],
      ["groups.2.name: there is another group 'a'"],
    ],
    [
      'a name that is none',
      [{ name: 'a/b' }],
      [expect.stringContaining('groups.0.name: must be of letters')],
    ],
    [
      'a user of two groups',
      [
        { name: 'a', groups: [{ name: 'x', users: ['u'] }] },
        { name: 'b', users: ['v', 'u'] },
      ],
      ["groups.1.users.1: 'u' is a user of 'a/x' already"],
    ],
    [
      'a user of one group twice',
      [{ name: 'a', users: ['u', 'u'] }],
      ["groups.0.users.1: 'u' is a user of 'a' already"],
    ],
    [
      'users of a group that has groups',
      [{ name: 'a', users: ['u'], groups: [{ name: 'b' }] }],
      [expect.stringContaining('groups.0.users: belong to one of the groups below it')],
    ],
    [
      'a default group that is divided',
      [{ name: 'default', groups: [{ name: 'b' }] }],
      [expect.stringContaining("groups.0.groups: 'default' has jobs of its own")],
    ],
    [
      'a thousand groups and one',
      Array.from({ length: 1001 }, (_, index) => ({ name: `g${index}` })),
      ['groups: has 1001 groups; at most 1000 are possible'],
    ],
  ])('%s', (_, groups, expected) => {
    expect(problems(groups)).toEqual(expected);
  });

  test('two places of a node, and a pause that shrinks', () => {
    const nodes = [
      { node: 'n1', rack: 'r1' },
      { node: 'n1', rack: 'r2' },
    ];
    const avoid = { ...DEFAULT_POLICY.avoid, coolOff: 20, maxCoolOff: 10 };
    expect(problems([], { nodes, avoid })).toEqual([
      "nodes.1.node: 'n1' has a place already",
      'avoid.maxCoolOff: is less than avoid.coolOff',
    ]);
  });

  test('never that a whole is divided, into whatever parts', () => {
    const shares = fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(shares, (parts) => {
        const sum = parts.reduce((total, part) => total + part, 0);
        const groups = parts.map((part, index) => ({
          name: `g${index}`,
          minimumPercent: (100 * part) / sum,
        }));
        expect(problems(groups)).toEqual([]);
        expect(problems([...groups, { name: 'more', minimumPercent: 0.1 }])).toHaveLength(1);
      }),
    );
  });
});
