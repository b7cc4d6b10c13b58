import { expect, test } from 'vitest';

import type { JobLabel } from '../../src/engines/engine.ts';
import { aJob, product } from '../fixtures/jobs.ts';
import { createWorld, settle } from './world.ts';

test('an engine is told on whose behalf an attempt is made, with the group and priority of now', async () => {
  const job = aJob({ user: 'alice', group: 'default', priority: 100 });
  const world = createWorld({
    nodes: [{ cpus: 1, memoryMb: 512 }],
    fateOf: () => 'finish',
    products: () => [product('a'), product('b')],
  });
  const labels: JobLabel[] = [];
  const { engine } = world.cluster;
  const { launch } = engine;
  engine.launch = (order) => {
    labels.push(...order.attempts.map(({ job: label }) => label));
    return launch(order);
  };
  const { scheduler } = await world.start();
  await scheduler.submit(job);
  await settle();
  await scheduler.control(job.id, { priority: 7 });
  world.cluster.step(0);
  await settle();
  const { id, user } = job;
  expect(labels).toEqual([
    { id, user, group: 'default', priority: 100 },
    { id, user, group: 'default', priority: 7 },
  ]);
  await scheduler.stop();
});
