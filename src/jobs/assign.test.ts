import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { bundle, execute, IMAGE } from '../../test/fixtures/requests.ts';
import type { Attempt, Step, Task } from '../core/model.ts';
import { createLayout } from '../layout.ts';
import type { Registry } from '../processes/registry.ts';
import type { Store, TaskView } from '../store/store.ts';
import { createTestStorage, storagesWith } from '../../test/fixtures/storages.ts';
import { parseUrl } from '../storage/location.ts';
import { createAssigner } from './assign.ts';
import type { AssignOptions } from './assign.ts';

const registry = {
  bundle: () => bundle,
  find: (process: string) => ({
    bundle,
    processor: bundle.processors.find(({ executableName }) => process.endsWith(executableName))!,
  }),
} as unknown as Registry;

const ATTEMPT: Attempt = {
  id: 'set below',
  jobId: 'set below',
  task: 3,
  number: 1,
  engine: 'e',
  node: 'n',
  launchedAt: 0,
};

interface Wish {
  readonly executable?: string;
  readonly step?: Step;
  readonly task?: Partial<Task>;
  readonly options?: Partial<AssignOptions>;
}

function assignmentOf({ executable = 'Indices', step = 'process', task, options }: Wish) {
  const job = execute({}, executable);
  const input = { key: '/archive/a.tif', ...(!task && { input: '/archive/a.tif' }) };
  const periods = { firstPeriod: 0, lastPeriod: 0 };
  const wanted: Task = { jobId: job.id, number: 3, step, ...input, ...periods, ...task };
  const attempt: Attempt = { ...ATTEMPT, id: `${job.id}.3.1`, jobId: job.id };
  const assign = createAssigner({
    store: {} as Store,
    registry,
    layout: createLayout('/data'),
    storages: storagesWith(),
    access: async (location) => ({ type: 'webhdfs', name: parseUrl(location)!.name, urls: [] }),
    pathFor: (_job, _engine, path) => path,
    isolation: 'none',
    outputLimit: 100,
    ...options,
  });
  return assign(job, wanted, attempt, job.workflow[step]!.resources);
}

test.each<Step>(['process', 'aggregate'])(
  'the image that a bundle wants is that of the step %s',
  async (step) => {
    expect(await assignmentOf({ executable: 'Deep', step })).toMatchObject({ step, image: IMAGE });
  },
);

test('a bundle that wants no image gets none', async () => {
  expect(await assignmentOf({})).not.toHaveProperty('image');
});

test('without storages nothing is said of any', async () => {
  const assignment = await assignmentOf({});
  expect(assignment).not.toHaveProperty('storages');
  expect(assignment).not.toHaveProperty('isList');
  expect(assignment.input).toBe('/archive/a.tif');
});

test('a product is read where it is near to the engine, which is told how', async () => {
  const pathFor = (_job: unknown, engine: string, path: string) => `hdfs://of-${engine}${path}`;
  const assignment = await assignmentOf({ options: { pathFor } });
  expect(assignment.input).toBe('hdfs://of-e/archive/a.tif');
  expect(assignment.storages).toEqual([{ type: 'webhdfs', name: 'of-e', urls: [] }]);
});

test('a URL of a storage that nobody can reach is an error', async () => {
  const pathFor = () => 'hdfs://gone/a.tif';
  await expect(
    assignmentOf({ options: { pathFor, access: async () => undefined } }),
  ).rejects.toThrow('hdfs://gone/a.tif is on no storage that nodes can reach');
});

describe('where results are on a storage', () => {
  let directory: string;
  let options: Partial<AssignOptions>;
  const outputs: Readonly<Record<number, string[]>> = { 0: ['a b.tif', 'c.tif'], 1: ['d.tif'] };
  const finished = (number: number): TaskView =>
    ({
      task: { jobId: 'j', number },
      outputs: outputs[number]!.map((path) => ({ path, size: 1 })),
    }) as unknown as TaskView;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'assign-'));
    const store = {
      task: async (_job: string, number: number) => finished(number),
      finishedTasks: async () => [finished(0), finished(1)],
    };
    options = {
      layout: createLayout('/data', { workDir: 'hdfs://test/work' }),
      storages: storagesWith(createTestStorage(directory)),
      store: store as unknown as Store,
    };
  });
  afterEach(() => rm(directory, { recursive: true }));

  test('its URL is that of the result, and how it is reached is said once', async () => {
    const pathFor = () => 'hdfs://test/a.tif';
    const assignment = await assignmentOf({ options: { ...options, pathFor } });
    const id = assignment.attemptId.split('.')[0]!;
    expect(assignment.directories).toMatchObject({
      result: `hdfs://test/work/${id}/results/3`,
      log: `/data/work/jobs/${id}/logs/3.1`,
      scratch: `/data/work/jobs/${id}/scratch/${assignment.attemptId}`,
    });
    expect(assignment.storages).toHaveLength(1);
  });

  test('several inputs are listed there, line by line', async () => {
    const assignment = await assignmentOf({ step: 'aggregate', task: { partition: 0 }, options });
    const id = assignment.attemptId.split('.')[0]!;
    expect(assignment).toMatchObject({
      isList: true,
      input: `hdfs://test/work/${id}/inputs/3.txt`,
    });
    expect(assignment.storages).toHaveLength(1);
    expect(await readFile(join(directory, `work/${id}/inputs/3.txt`), 'utf8')).toBe(
      [
        'hdfs://test/work/j/results/0/a b.tif\n',
        'hdfs://test/work/j/results/0/c.tif\n',
        'hdfs://test/work/j/results/1/d.tif\n',
      ].join(''),
    );
  });

  test('a single one is named itself', async () => {
    const assignment = await assignmentOf({ step: 'process', task: { source: 1 }, options });
    expect(assignment.input).toBe('hdfs://test/work/j/results/1/d.tif');
    expect(assignment).not.toHaveProperty('isList');
    expect(assignment.storages).toHaveLength(1);
  });
});
