import { expect, test } from 'vitest';

import { aJob, product } from '../fixtures/jobs.ts';
import { createWorld, settle } from './world.ts';

const nodes = [{ cpus: 1, memoryMb: 512 }];

test('a job that is dismissed while its products are looked for ends the search', async () => {
  let found = 0;
  let isOver = false;
  const world = createWorld({
    nodes,
    fateOf: () => 'finish',
    products: () => [],
    findProducts: async function* (_job, signal) {
      try {
        // An archive without an end.
        while (!signal.aborted) yield [product(`${(found += 1)}`)];
      } finally {
        isOver = true;
      }
    },
  });
  const { scheduler } = await world.start();
  await scheduler.submit(aJob());
  await settle();
  expect(found).toBeGreaterThan(1);
  await scheduler.dismiss(aJob().id);
  await settle();
  expect(isOver).toBe(true);
  expect(world.cleaned).toEqual([aJob().id]);
  await scheduler.stop();
});

test('a job that is dismissed while it is being staged is cleaned after the staging', async () => {
  const staging = Promise.withResolvers<[]>();
  const world = createWorld({
    nodes,
    fateOf: () => 'finish',
    products: () => [product('a')],
    stage: () => staging.promise,
  });
  const { scheduler } = await world.start();
  await scheduler.submit(aJob());
  await settle();
  world.cluster.step(0);
  await settle();
  await scheduler.dismiss(aJob().id);
  await settle();
  expect(world.cleaned).toEqual([]);
  staging.resolve([]);
  await settle();
  expect(world.cleaned).toEqual([aJob().id]);
  expect(await world.store.job(aJob().id)).toMatchObject({ state: 'dismissed' });
  await scheduler.stop();
});
