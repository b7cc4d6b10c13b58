import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { createTestNode } from '../../../test/fixtures/bundles.ts';
import type { TestNode } from '../../../test/fixtures/bundles.ts';
import type { Assignment } from '../../runner/assignment.ts';
import type { RunnerEnd } from '../../runner/sandbox.ts';
import { runnerProgram } from '../../runner/program-file.ts';
import { serveNodeFiles } from '../node-files.ts';
import type { NodeFiles } from '../node-files.ts';
import type { MesosResource } from './protocol.ts';
import { agentAssignment, taskInfo } from './task.ts';
import type { TaskOptions, TaskSettings } from './task.ts';
import { createTasks } from './tasks.ts';

const SETTINGS: TaskSettings = {
  cacheDirectory: '/var/tmp/pushbroom',
  killGraceSeconds: 10,
  containerizer: 'mesos',
  cacheInputs: false,
  isolation: 'none',
  sharedDirectories: ['/mnt/shared'],
};

const ASSIGNMENT: Assignment = {
  attemptId: '20261122204817_L3_12ab.17.2',
  bundle: { name: 'snap', version: '9.0', hash: 'ab12', archive: '/mnt/shared/bundles/snap.zip' },
  executables: { main: 'x-process' },
  step: 'process',
  input: '/mnt/shared/archive/scene.tif',
  parameters: { region: 'POLYGON((0 0,1 1,0 1,0 0))' },
  directories: {
    cache: '/mnt/shared/work/cache',
    scratch: '/mnt/shared/work/jobs/j/scratch/j.17.2',
    result: '/mnt/shared/work/jobs/j/results/17',
    log: '/mnt/shared/work/jobs/j/logs/17.2',
  },
  limits: { wallTime: 3600, silence: 600, memoryMb: 2048, outputBytes: 1e6 },
  isolation: 'none',
  checksum: false,
};

const RESOURCES: readonly MesosResource[] = [
  { name: 'cpus', type: 'SCALAR', scalar: { value: 0.5 }, allocation_info: { role: 'eo' } },
  { name: 'mem', type: 'SCALAR', scalar: { value: 2048 }, allocation_info: { role: 'eo' } },
];

const FILES = { runner: 'http://files/files/1/runner', node: 'http://files/files/2/node' };

/** What of a task is looked at here. */
interface Task {
  readonly command: {
    readonly shell: boolean;
    readonly value: string;
    readonly arguments?: readonly string[];
    readonly user?: string;
    readonly uris: readonly {
      readonly value: string;
      readonly output_file: string;
      readonly cache: boolean;
      readonly executable?: boolean;
    }[];
    readonly environment: { readonly variables: readonly { name: string; value: string }[] };
  };
  readonly container?: unknown;
}

const make = (
  assignment: Partial<Assignment> = {},
  settings: Partial<TaskSettings> = {},
  others: Partial<TaskOptions> = {},
) =>
  taskInfo({
    assignment: { ...ASSIGNMENT, ...assignment },
    agentId: 'agent-S0',
    resources: RESOURCES,
    files: FILES,
    bundleUrl: 'http://files/files/3/snap.zip',
    settings: { ...SETTINGS, ...settings },
    ...others,
  }) as unknown as Task;

const handedOver = ({ command }: Task) =>
  JSON.parse(command.environment.variables[0]!.value) as Assignment;

test('an attempt is a task of the command executor, with all that its agent needs', () => {
  const assignment = {
    ...ASSIGNMENT,
    bundle: { ...ASSIGNMENT.bundle, archive: './bundle.zip' },
    directories: {
      ...ASSIGNMENT.directories,
      cache: '/var/tmp/pushbroom',
      scratch: './scratch',
      collected: ASSIGNMENT.directories.scratch,
    },
  };
  const uri = { cache: true, extract: false };
  expect(make()).toEqual({
    name: 'snap-9.0 process',
    task_id: { value: ASSIGNMENT.attemptId },
    agent_id: { value: 'agent-S0' },
    resources: RESOURCES,
    command: {
      shell: false,
      value: './node',
      arguments: ['node', '--max-semi-space-size=1', 'runner.cjs'],
      uris: [
        { ...uri, value: FILES.node, output_file: 'node', executable: true },
        { ...uri, value: FILES.runner, output_file: 'runner.cjs' },
        { ...uri, value: 'http://files/files/3/snap.zip', output_file: 'bundle.zip' },
      ],
      environment: {
        variables: [{ name: 'PUSHBROOM_ASSIGNMENT', value: JSON.stringify(assignment) }],
      },
    },
    kill_policy: { grace_period: { nanoseconds: 10e9 } },
    max_completion_time: { nanoseconds: 4500e9 },
    labels: {
      labels: [
        { key: 'pushbroom.job', value: '20261122204817_L3_12ab' },
        { key: 'pushbroom.task', value: '17' },
      ],
    },
  });
});

test('an agent with Node of its own fetches none', () => {
  const { command } = make(
    {},
    { nodePath: '/opt/node/bin/node' },
    { files: { runner: 'http://r' } },
  );
  expect(command.value).toBe('/opt/node/bin/node');
  expect(command.uris.map(({ output_file: name }) => name)).toEqual(['runner.cjs', 'bundle.zip']);
  expect(() => make({}, {}, { files: { runner: 'http://r' } })).toThrow('agents need Node');
});

test('a user is named where there is one', () => {
  expect('user' in make().command).toBe(false);
  expect(make({}, { user: 'eo' }).command.user).toBe('eo');
});

describe('an input', () => {
  const fetched = (input: string, settings: Partial<TaskSettings> = {}) => {
    const task = make({ input }, settings);
    const [, , , uri] = task.command.uris;
    return {
      value: uri?.value,
      as: uri?.output_file,
      cache: uri?.cache,
      given: handedOver(task).input,
    };
  };

  test.each([
    ['http://archive.example/a/S2.zip', 'S2.zip'],
    [
      'HTTPS://archive.example/a/S2.zip?token=1#x',
      'S2.zip',
      'https://archive.example/a/S2.zip?token=1#x',
    ],
    ['https://archive.example/a/it%27s%20one.tif', "it's one.tif"],
    [
      "https://archive.example/a/it's one.tif",
      "it's one.tif",
      'https://archive.example/a/it%27s%20one.tif',
    ],
    ['https://archive.example', 'product', 'https://archive.example/'],
    ['https://archive.example/a/..%2f..%2fetc', 'product'],
    ['https://archive.example/%00', 'product'],
    ['https://archive.example/a/%E0', '%E0'],
    [`https://archive.example/${'x'.repeat(300)}`, 'product'],
    ['hdfs:///eodata/S2.zip', 'S2.zip'],
    ['s3://bucket/key?with#all', 'key?with#all'],
    ['file:///data/S2.zip', 'S2.zip'],
  ])('that is a URL is fetched by Mesos: %s', (input, name, value = input) => {
    const as = `input/${name}`;
    expect(fetched(input)).toEqual({ value, as, cache: false, given: `./${as}` });
  });

  test('that is fetched is kept where that is wanted', () => {
    expect(fetched('http://archive.example/a', { cacheInputs: true }).cache).toBe(true);
  });

  test.each(['/mnt/shared/a.tif', '/data/http://x', 'relative', 'a:b'])(
    'that is none is read where it lies: %s',
    (input) => expect(fetched(input)).toMatchObject({ value: undefined, given: input }),
  );

  test('is given as it is to a bundle that prepares its inputs', () => {
    const input = 'https://archive.example/S2.zip';
    const task = make({ input, executables: { main: 'x-process', prepare: 'x-prepare' } });
    expect(task.command.uris).toHaveLength(3);
    expect(handedOver(task).input).toBe(input);
  });

  test('whatever it is, never leaves its directory', () => {
    const url = fc
      .tuple(fc.constantFrom('http', 'https', 'ftp', 'hdfs', 's3'), fc.string({ unit: 'binary' }))
      .map(([scheme, rest]) => `${scheme}://${rest}`);
    fc.assert(
      fc.property(url, (input) => {
        const { as, given } = fetched(input);
        const [, name = ''] = /^input\/(.*)$/s.exec(as!)!;
        expect(name).not.toMatch(/^$|^\.\.?$|\/|\0/);
        expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255);
        expect(given).toBe(`./${as}`);
      }),
    );
  });
});

describe('a container', () => {
  const image = 'registry.example/snap@sha256:12';
  const volumes = [{ mode: 'RW', container_path: '/mnt/shared', host_path: '/mnt/shared' }];

  test("of an image is made by Mesos's own containerizer", () => {
    expect(make({ image }).container).toEqual({
      type: 'MESOS',
      mesos: { image: { type: 'DOCKER', docker: { name: image } } },
      volumes,
    });
  });

  test("of an image is made by Docker's where that is wanted", () => {
    expect(make({ image }, { containerizer: 'docker' }).container).toEqual({
      type: 'DOCKER',
      docker: { image, network: 'HOST', force_pull_image: false },
      volumes,
    });
  });

  test('keeps its bundle in its sandbox and isolates by itself', () => {
    const given = handedOver(make({ image }, { isolation: 'bubblewrap' }));
    expect(given.directories.cache).toBe('./cache');
    expect(given.isolation).toBe('none');
    expect(handedOver(make({}, { isolation: 'bubblewrap' })).isolation).toBe('bubblewrap');
    expect(make().container).toBeUndefined();
  });
});

test('nothing of a request is part of a shell’s text', () => {
  const word = fc.string({ unit: 'binary', minLength: 1 });
  const { value } = make({ image: 'a' }).command;
  const request = fc.record({
    input: fc.oneof(
      word,
      word.map((path) => `http://x/${path}`),
    ),
    image: word,
    parameters: fc.dictionary(word, word),
    executables: fc.record({ main: word }),
  });
  fc.assert(
    fc.property(request, (some) => {
      expect(make(some).command).toMatchObject({ shell: true, value });
      const { image: _, ...others } = some;
      const { command } = make(others);
      expect(command).toMatchObject({ shell: false, value: './node' });
      expect(command.arguments).toEqual(['node', '--max-semi-space-size=1', 'runner.cjs']);
    }),
  );
});

test.each(['', '.', '..', 'a/b', 'a\\b', 'a\nb', 'x'.repeat(256)])(
  'Mesos would not take the id %j',
  (attemptId) => expect(() => make({ attemptId })).toThrow('Mesos takes no task of the id'),
);

test('times beyond what a number tells exactly are as long as can be told', () => {
  const limits = { ...ASSIGNMENT.limits, wallTime: 1e12 };
  const task = JSON.parse(JSON.stringify(make({ limits }))) as Record<string, unknown>;
  expect(task['max_completion_time']).toEqual({ nanoseconds: Number.MAX_SAFE_INTEGER });
});

describe('an assignment that the environment has no room for', () => {
  const large = { parameters: { some: 'x'.repeat(50_000) } };

  test('is refused without a file', () => {
    expect(() => make(large)).toThrow('is too large for an environment');
  });

  test('is handed over by the name of its file', () => {
    const { command } = make(large, {}, { assignmentFile: '/mnt/shared/a.json' });
    const variables = [{ name: 'PUSHBROOM_ASSIGNMENT_FILE', value: '/mnt/shared/a.json' }];
    expect(command.environment).toEqual({ variables });
  });

  test('also counts what JSON adds when it is put into JSON', () => {
    expect(make({ parameters: { some: 'x'.repeat(40_000) } })).toBeDefined();
    expect(() => make({ parameters: { some: '"'.repeat(20_000) } })).toThrow('too large');
  });
});

/** The agent's part, as the recordings show it: URIs are fetched into a sandbox, and the command is run there. */
describe('on an agent', () => {
  let programs: string;
  let files: NodeFiles;
  let runner: string;
  beforeAll(async () => {
    programs = await mkdtemp(join(tmpdir(), 'programs-'));
    files = await serveNodeFiles({ host: '127.0.0.1', port: 0, logger: pino({ level: 'silent' }) });
    ({ path: runner } = await runnerProgram(programs));
  });
  afterAll(async () => {
    await files.close();
    await rm(programs, { recursive: true });
  });

  let shared: TestNode;
  let agent: string;
  beforeEach(async () => {
    shared = await createTestNode();
    agent = await realpath(await mkdtemp(join(tmpdir(), 'agent-')));
  });
  afterEach(async () => {
    await shared[Symbol.asyncDispose]();
    await rm(agent, { recursive: true });
  });

  async function perform({ command }: Task) {
    const sandbox = join(agent, 'sandbox');
    await rm(sandbox, { recursive: true, force: true });
    await mkdir(sandbox);
    for (const { value, output_file: name, executable } of command.uris) {
      const target = join(sandbox, name);
      await mkdir(dirname(target), { recursive: true });
      const body = Buffer.from(await (await fetch(value)).arrayBuffer());
      await writeFile(target, body, { mode: executable ? 0o755 : 0o644 });
    }
    const variables = command.environment.variables.map(({ name, value }) => [name, value]);
    const [file, ...args] = command.shell
      ? ['/bin/sh', '-c', command.value]
      : [command.value, ...command.arguments!.slice(1)];
    const child = spawn(file, args, {
      // An image has a working directory of its own.
      cwd: command.shell ? '/' : sandbox,
      env: { MESOS_SANDBOX: sandbox, ...Object.fromEntries(variables) },
      stdio: 'inherit',
    });
    const code = await new Promise((resolve) => child.once('close', resolve));
    return { code, left: (await readdir(sandbox)).toSorted() };
  }

  async function attempt(
    script: string,
    over: Parameters<TestNode['assign']>[1] = {},
    some: Partial<TaskSettings> = {},
  ) {
    const assignment = await shared.assign(script, over);
    const settings = { ...SETTINGS, cacheDirectory: join(agent, 'cache'), ...some };
    const tasks = createTasks({ files, runner, settings });
    const task = (await tasks.describe(assignment, 'agent-S0', RESOURCES)) as Task;
    const { code, left } = await perform(task);
    const end = JSON.parse(
      await readFile(`${assignment.directories.log}.end.json`, 'utf8'),
    ) as RunnerEnd;
    /** Another attempt with what the service has learnt from this one. */
    const again = async () => {
      tasks.learn(assignment.attemptId, 'agent-S0', end.isKept);
      const next = await shared.assign(script, over);
      const described = (await tasks.describe(next, 'agent-S0', RESOURCES)) as Task;
      const names = described.command.uris.map(({ output_file: name }) => name);
      return { ...(await perform(described)), names };
    };
    return { code, left, end, again };
  }

  const JAVASCRIPT = `#!/usr/bin/env node
    const fs = require('fs');
    fs.copyFileSync(process.argv[2], 'out');
    console.log('OUTPUT_PRODUCT out');`;

  test('what an attempt has kept on its agent is not fetched again', async () => {
    const { end, again } = await attempt(JAVASCRIPT);
    expect(end.isKept).toBe(true);
    expect(await again()).toMatchObject({ code: 0, names: ['runner.cjs'] });
  });

  test('what could not be kept is fetched again', async () => {
    await mkdir(join(agent, 'cache'), { recursive: true, mode: 0o755 });
    const { end, again } = await attempt(JAVASCRIPT);
    expect(end.isKept).toBe(false);
    expect((await again()).names).toEqual(['node', 'runner.cjs', 'bundle.zip']);
  });

  test('an attempt is made with nothing but what was fetched', async () => {
    const { code, left, end } = await attempt(JAVASCRIPT);
    expect({ code, left }).toEqual({ code: 0, left: ['attempt.out'] });
    expect(end).toMatchObject({ to: 'finished', result: { outputs: [{ path: 'out', size: 8 }] } });
    expect(await shared.read('results', '1', 'out')).toBe('a scene\n');
  });

  test('an attempt in a container finds its sandbox', async () => {
    const { code, left, end } = await attempt(JAVASCRIPT, { image: 'registry.example/snap' });
    expect({ code, left, to: end.to }).toEqual({ code: 0, left: ['attempt.out'], to: 'finished' });
  });

  test('the path of Node is no text for the shell', async () => {
    const nodePath = join(agent, "no'de; $(exit 1)");
    await writeFile(nodePath, `#!/bin/sh\nexec ${process.execPath} "$@"\n`, { mode: 0o755 });
    const { code } = await attempt('exit 0', { image: 'registry.example/snap' }, { nodePath });
    expect(code).toBe(0);
  });

  test('an input is fetched', async () => {
    const input = await files.publish(shared.input, { name: 'scene.txt' });
    const { code } = await attempt('cat scene.txt > out; echo OUTPUT_PRODUCT out', { input });
    expect(code).toBe(0);
    expect(await shared.read('results', '1', 'out')).toBe('a scene\n');
  });

  test('a large assignment arrives', async () => {
    const parameters = { large: 'x'.repeat(200_000) };
    const { code, end } = await attempt('wc -c < "$2"', { parameters });
    expect({ code, to: end.to }).toEqual({ code: 0, to: 'finished' });
    expect(await shared.list('logs')).toContain('1.1.assignment.json');
  });
});

test('the assignment for an agent differs in places only', () => {
  const { bundle, directories, input, isolation, ...same } = agentAssignment(ASSIGNMENT, SETTINGS);
  expect(ASSIGNMENT).toMatchObject(same);
  expect({ input, isolation }).toEqual({ input: ASSIGNMENT.input, isolation: 'none' });
  expect(bundle.hash).toBe(ASSIGNMENT.bundle.hash);
  expect(directories.result).toBe(ASSIGNMENT.directories.result);
  expect(directories.log).toBe(ASSIGNMENT.directories.log);
});

test('what is on a storage of the configuration is left to the runner', () => {
  const storages = [{ type: 'webhdfs', name: 'calvalus', urls: ['http://nn:9870'] }] as const;
  const input = 'hdfs://calvalus/eodata/a.tif';
  const result = 'hdfs://calvalus/work/j/results/17';
  const task = make({ storages, input, directories: { ...ASSIGNMENT.directories, result } });
  expect(task.command.uris.map(({ value }) => value)).not.toContain(input);
  expect(handedOver(task)).toMatchObject({ storages, input, directories: { result } });
  expect(handedOver(task).directories).not.toHaveProperty('collected');
  const other = make({ storages, input: 'hdfs://other/a.tif' });
  expect(handedOver(other).input).toBe('./input/a.tif');
});
