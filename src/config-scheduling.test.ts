import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createConfigFile } from '../test/fixtures/config.ts';
import { reloadPolicy } from './config.ts';
import { createGroupPolicy, DEFAULT_POLICY } from './core/policy.ts';

const { file, load, problems } = createConfigFile();

const groups = (...lines: string[]) =>
  ['scheduling:', '  groups:', ...lines.map((line) => `    ${line}`)].join('\n');

describe('scheduling', () => {
  test('is a policy in which what is not said is as by default', async () => {
    const { scheduling } = await load(`
scheduling:
  groups:
    - name: project
      weight: 5
      groups:
        - { name: tep, weight: 8, maximumPercent: 8, users: [anna], limits: { cpus: 32.5 } }
  userLimits: { queuedJobs: 100 }
  nodes: [{ node: n1, rack: r1 }]
  locality: { nodeWait: 0 }
  stragglers: { enabled: false }
`);
    expect(scheduling).toEqual({
      ...DEFAULT_POLICY,
      groups: [
        createGroupPolicy({
          name: 'project',
          weight: 5,
          groups: [
            createGroupPolicy({
              name: 'tep',
              weight: 8,
              maximumPercent: 8,
              users: ['anna'],
              limits: { cpus: 32.5 },
            }),
          ],
        }),
      ],
      userLimits: { queuedJobs: 100 },
      nodes: [{ node: 'n1', rack: 'r1' }],
      locality: { ...DEFAULT_POLICY.locality, nodeWait: 0 },
      stragglers: { ...DEFAULT_POLICY.stragglers, isEnabled: false },
    });
  });

  const nested = (levels: number): string =>
    levels === 0 ? '' : `{ name: g${levels}, groups: [${nested(levels - 1)}] }`;

  test('has groups within groups, but not endlessly', async () => {
    expect(await problems(groups(`- ${nested(5)}`))).toEqual([]);
    expect(await problems(groups(`- ${nested(6)}`))).toEqual([
      expect.stringMatching(/scheduling(?:\.groups\[0\]){5}\.groups: is nested too deep$/),
    ]);
    expect(await problems('scheduling:\n  groups: &g [{ name: a, groups: *g }]')).toEqual([
      'pushbroom.yaml: line 2, column 34: *g is inside of what it stands for',
    ]);
  });

  test.each([
    [
      '- { name: a, weight: 0 }',
      'line 3, column 18: scheduling.groups[0].weight: must be > 0, is 0',
    ],
    ['- { name: a, weight: .inf }', 'scheduling.groups[0].weight: must be number, is null'],
    ['- { name: a, maximumPercent: 101 }', 'groups[0].maximumPercent: must be <= 100, is 101'],
    ['- { name: a, minimumPercent: -1 }', 'groups[0].minimumPercent: must be >= 0, is -1'],
    ['- { name: a, maximumPercent: 0 }', 'groups[0].maximumPercent: must be > 0, is 0'],
    ['- { name: a, limits: { cpus: 0 } }', 'groups[0].limits.cpus: must be > 0, is 0'],
    [
      '- { name: a, userLimits: { runningTasks: 0 } }',
      'groups[0].userLimits.runningTasks: must be >= 1, is 0',
    ],
    [
      '- { name: a, limits: { task: 1 } }',
      'groups[0].limits.task: unknown key, there are runningTasks, cpus, queuedJobs, productsPerRequest',
    ],
    [
      '- { name: a, groups: [{ name: b, wieght: 2 }] }',
      'line 3, column 38: scheduling.groups[0].groups[0].wieght: unknown key, did you mean weight?',
    ],
    ['- { weight: 1 }', 'line 3, column 7: scheduling.groups[0]: has no name'],
    [
      '- { name: a, minimumPercent: 50, maximumPercent: 40 }',
      "line 3, column 18: scheduling.groups[0].minimumPercent: is more than the group's maximumPercent (40)",
    ],
    [
      '- { name: a }\n    - { name: b, users: [u] }\n    - { name: c, users: [v, u] }',
      "line 5, column 29: scheduling.groups[2].users[1]: 'u' is a user of 'b' already",
    ],
  ])('with the group %s is refused', async (group, expected) => {
    const found = await problems(groups(group));
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(expected);
  });

  test.each([
    ['agingLimit: 0', 'scheduling.agingLimit: must be > 0, is 0'],
    ['stragglers: { factor: 1 }', 'scheduling.stragglers.factor: must be > 1, is 1'],
    ['costs: { yarn: -1 }', 'scheduling.costs.yarn: must be >= 0, is -1'],
    [
      'costs: { yam: 1 }',
      'column 24: scheduling.costs.yam: there is no engine "yam", there are local, mesos, yarn',
    ],
    ['locality: { nodeWait: 1e9 }', 'scheduling.locality.nodeWait: must be <= 1000000'],
    ['avoid: { coolOff: 9, maxCoolOff: 8 }', 'maxCoolOff: is less than avoid.coolOff'],
    [
      'nodes: [{ node: a, rack: r }, { node: a, pool: p }]',
      "column 47: scheduling.nodes[1].node: 'a' has a place already",
    ],
  ])('with %s is refused', async (line, expected) => {
    const found = await problems(`scheduling: { ${line} }`);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(expected);
  });

  test('can be read again, and what else has changed is named', async () => {
    const running = await load('jobs: { maxAttempts: 3 }\nscheduling: { agingLimit: 10 }', {
      public: { port: 9 },
    });
    const reload = (yaml: string) => {
      writeFileSync(file, yaml);
      return reloadPolicy({ file, overrides: { public: { port: 9 } } }, running);
    };
    const scheduling = 'scheduling: { agingLimit: 20 }';
    expect(await reload(scheduling)).toEqual({
      policy: { ...DEFAULT_POLICY, agingLimit: 20 },
      unapplied: [],
    });
    const changed = `jobs: { maxAttempts: 4, maxMemoryMb: 9000 }\nbundles: [x.zip]\n${scheduling}`;
    expect((await reload(changed)).unapplied).toEqual([
      'bundles',
      'jobs.maxAttempts',
      'jobs.maxMemoryMb',
    ]);
    await expect(reload('scheduling: { agingLimit: soon }')).rejects.toMatchObject({
      code: 'INVALID_PARAMETER',
      message: `${file}: line 1, column 15: scheduling.agingLimit: must be number, is "soon"`,
    });
  });
});
