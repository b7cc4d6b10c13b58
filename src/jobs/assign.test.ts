import { expect, test } from 'vitest';

import { bundle, execute, IMAGE } from '../../test/fixtures/requests.ts';
import type { Attempt, Step, Task } from '../core/model.ts';
import { createLayout } from '../layout.ts';
import type { Registry } from '../processes/registry.ts';
import type { Store } from '../store/store.ts';
import { createAssigner } from './assign.ts';

const registry = {
  bundle: () => bundle,
  find: (process: string) => ({
    bundle,
    processor: bundle.processors.find(({ executableName }) => process.endsWith(executableName))!,
  }),
} as unknown as Registry;

function assignmentOf(executable: string, step: Step) {
  const job = execute({}, executable);
  const task: Task = {
    jobId: job.id,
    number: 3,
    step,
    key: '/archive/a.tif',
    input: '/archive/a.tif',
    firstPeriod: 0,
    lastPeriod: 0,
  };
  const attempt: Attempt = {
    id: `${job.id}.3.1`,
    jobId: job.id,
    task: 3,
    number: 1,
    engine: 'e',
    node: 'n',
    launchedAt: 0,
  };
  const assign = createAssigner({
    store: {} as Store,
    registry,
    layout: createLayout('/data'),
    isolation: 'none',
    outputLimit: 100,
  });
  return assign(job, task, attempt, job.workflow[step]!.resources);
}

test.each<Step>(['process', 'aggregate'])(
  'the image that a bundle wants is that of the step %s',
  async (step) => {
    expect(await assignmentOf('Deep', step)).toMatchObject({ step, image: IMAGE });
  },
);

test('a bundle that wants no image gets none', async () => {
  expect(await assignmentOf('Indices', 'process')).not.toHaveProperty('image');
});
