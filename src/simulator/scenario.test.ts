import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { loadScenario } from './scenario.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scenario-'));
});
afterAll(() => rm(directory, { recursive: true }));

async function load(yaml: string, files: Readonly<Record<string, string>> = {}) {
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
  const file = join(directory, 'scenario.yaml');
  await writeFile(file, yaml);
  return loadScenario(file);
}

const problems = async (...source: Parameters<typeof load>): Promise<string[]> =>
  load(...source).then(
    () => [],
    (error: Error) => error.message.replaceAll(`${directory}/`, '').split('\n'),
  );

const NODES = 'nodes: [{ cpus: 4, memoryMb: 4096 }]';
const JOBS = 'jobs: [{ tasks: 3, duration: { median: 60 } }]';

test('the smallest scenario has defaults for everything else', async () => {
  const scenario = await load(`${NODES}\n${JOBS}`);
  expect(scenario).toMatchObject({
    seed: 1,
    heartbeat: 1,
    nodes: [{ count: 1, name: 'node', speed: 1, joins: 0 }],
    data: { replicas: 3, placement: 'random', remoteRead: { any: 0 } },
    failures: { input: 0 },
    scheduling: { groups: [], agingLimit: 3600 },
    retries: { maxAttempts: 3, failurePercent: 0 },
    jobs: [{ at: 0, count: 1, user: 'anonymous', cpus: 1, duration: { median: 60, sigma: 0.3 } }],
  });
});

test.each([
  ['', ['line 1, column 1: has no nodes']],
  ['a: [', [expect.stringMatching(/^scenario.yaml: line 1, column \d: /)]],
  [`nodes: []\n${JOBS}`, ['line 1, column 1: nodes: must NOT have fewer than 1 items']],
  [`nodes: [{ cpus: 4 }]\n${JOBS}`, ['line 1, column 9: nodes[0]: has no memoryMb']],
  [
    `nodes: [{ cpus: 0, memoryMb: 1 }]\n${JOBS}`,
    ['line 1, column 11: nodes[0].cpus: must be > 0, is 0'],
  ],
  [`${NODES}\n${JOBS}\nnode: 1`, ['line 3, column 1: node: unknown key, did you mean nodes?']],
  [
    `${NODES}\njobs: [{ task: 3, duration: { median: 60 } }]`,
    [
      'line 2, column 8: jobs[0]: has no tasks',
      'line 2, column 10: jobs[0].task: unknown key, did you mean tasks?',
    ],
  ],
  [
    `${NODES}\njobs: [{ tasks: 3, duration: 60 }]`,
    ['line 2, column 20: jobs[0].duration: must be object, is 60'],
  ],
  [NODES, ['line 1, column 1: jobs: there is nothing to do: give jobs or a history']],
  [
    `${NODES}\njobs: [{ tasks: 3, count: 2, duration: { median: 60 } }]`,
    ['line 2, column 20: jobs[0].count: needs every, the time between its jobs'],
  ],
  [
    `${NODES}\njobs: [{ tasks: 3, group: tep, duration: { median: 60 } }]`,
    ["line 2, column 20: jobs[0].group: 'tep' is none of default"],
  ],
  [
    `${NODES}\n${JOBS}\ndata: { products: 2 }`,
    ['line 2, column 10: jobs[0].tasks: 3 are more than data.products (2)'],
  ],
  [
    `${NODES}\n${JOBS}\ndata: { pool: x }`,
    ['line 3, column 9: data.pool: no node is in the pool x'],
  ],
  [
    `nodes: [{ cpus: 4, memoryMb: 4096, pool: p }]\n${JOBS}\ndata: { pool: p, roots: [{ pool: p, engines: [e] }, { pool: q }] }`,
    [
      'line 3, column 9: data.pool: has no meaning beside roots',
      'line 3, column 37: data.roots[0].engines: no node is of the engine e',
      'line 3, column 55: data.roots[1].pool: no node is in the pool q',
    ],
  ],
  [
    `${NODES}\n${JOBS}\nscheduling: { costs: { yarn: 2 } }`,
    ['line 3, column 24: scheduling.costs.yarn: no node is of the engine yarn'],
  ],
  [
    `nodes: [{ cpus: 4, memoryMb: 1, joins: 5, leaves: 5 }]\n${JOBS}`,
    ['line 1, column 43: nodes[0].leaves: is not after joins'],
  ],
  [
    `nodes: [{ cpus: 4, memoryMb: 1, count: 9999 }, { cpus: 4, memoryMb: 1, count: 2 }]\n${JOBS}`,
    ['line 1, column 1: nodes: has 10001 nodes; at most 10000 can be simulated'],
  ],
  [
    `${NODES}\njobs: [{ tasks: 1000000, count: 6, every: 1, duration: { median: 60 } }]`,
    ['line 2, column 1: jobs: has 6000000 tasks; at most 5000000 can be simulated'],
  ],
  [
    `${NODES}\n${JOBS}\nscheduling: { groups: [{ name: a, minimumPercent: 60, maximumPercent: 50 }] }`,
    [
      "line 3, column 35: scheduling.groups[0].minimumPercent: is more than the group's maximumPercent (50)",
    ],
  ],
  [
    `${NODES}\n${JOBS}\nscheduling: { agingLimit: 0 }`,
    ['line 3, column 15: scheduling.agingLimit: must be > 0, is 0'],
  ],
])('refuses %j with line and reason', async (yaml, expected) => {
  expect(await problems(yaml)).toEqual(
    expected.map((line) => (typeof line === 'string' ? `scenario.yaml: ${line}` : line)),
  );
});

test('a file that is not there is said', async () => {
  await expect(loadScenario('/not/there.yaml')).rejects.toMatchObject({
    code: 'INVALID_PARAMETER',
    message: expect.stringMatching(/^\/not\/there.yaml: ENOENT/),
  });
});

describe('a history', () => {
  const withHistory = (name: string, text: string) =>
    [`${NODES}\nhistory: ${name}`, { [name]: text }] as const;

  test('is read as CSV, its times counted from the first', async () => {
    const { jobs } = await load(
      ...withHistory(
        'h.csv',
        'at,user,group,tasks,secondsPerTask,cpus,memoryMb,gpus\r\n' +
          '2017-01-09T10:01:00Z,ann,,5,12.5,2,2560,1\r\n\r\n2017-01-09T10:00:00Z,,default,1,3,,,\r\n',
      ),
    );
    expect(jobs).toEqual([
      {
        at: 60,
        count: 1,
        user: 'ann',
        priority: 0,
        tasks: 5,
        cpus: 2,
        memoryMb: 2560,
        gpus: 1,
        duration: { median: 12.5, sigma: 0 },
      },
      {
        at: 0,
        count: 1,
        user: 'anonymous',
        group: 'default',
        priority: 0,
        tasks: 1,
        cpus: 1,
        memoryMb: 1024,
        gpus: 0,
        duration: { median: 3, sigma: 0 },
      },
    ]);
  });

  test('is read as JSON lines', async () => {
    const { jobs } = await load(
      ...withHistory(
        'h.jsonl',
        '{"at":7,"tasks":2,"secondsPerTask":1}\n{"at":9,"user":"b","tasks":3,"secondsPerTask":1}\n',
      ),
    );
    expect(jobs.map(({ at, user, tasks }) => [at, user, tasks])).toEqual([
      [0, 'anonymous', 2],
      [2, 'b', 3],
    ]);
  });

  test.each([
    ['h.csv', 'at,tasks,secondsPerTask\n1,2', 'line 2: has 2 fields, the header has 3'],
    [
      'h.csv',
      'at,tasks,secondsPerTask\n1,0,3',
      'line 2: tasks must be a whole number from 1 to 1000000, is "0"',
    ],
    [
      'h.csv',
      'at,tasks,secondsPerTask\n1,2,',
      'line 2: secondsPerTask must be a number from 0.001 to 100000000, is ""',
    ],
    [
      'h.csv',
      'at,tasks,secondsPerTask\nsoon,2,3',
      'line 2: at must be seconds or a date and time, is "soon"',
    ],
    ['h.csv', 'at,task\n1,2', 'line 2: unknown key task, there are at, user'],
    ['h.csv', 'at,"tasks"\n1,2', 'line 1: fields in quotes are not read: write JSON lines instead'],
    ['h.jsonl', '{"at":1', 'line 1: '],
    ['h.jsonl', '[1]', 'line 1: is not a JSON object'],
    [
      'h.jsonl',
      '{"at":1,"tasks":1,"secondsPerTask":1,"user":{}}',
      'line 1: user must be a text, is {}',
    ],
  ])('in %s of %j is refused', async (name, text, expected) => {
    const [problem] = await problems(...withHistory(name, text));
    expect(problem).toContain(`${name}: ${expected}`);
  });

  test('is held to the limits as any jobs are, each offence said once', async () => {
    const text = '{"at":1,"tasks":1,"secondsPerTask":1,"group":"gone"}\n'.repeat(3);
    expect(await problems(...withHistory('h.jsonl', text))).toEqual([
      "scenario.yaml: line 2, column 1: history: group 'gone' is none of default",
    ]);
  });
});
