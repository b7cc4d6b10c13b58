import { expect, test } from 'vitest';

import { aJob, product } from '../fixtures/jobs.ts';
import { createWorld, settle } from './world.ts';

test('an engine is told whether a task waits that could run there', async () => {
  const products = new Map([
    ['far', [{ ...product('a'), location: { engines: ['other'] } }]],
    ['near', [product('c'), product('d')]],
  ]);
  const world = createWorld({
    nodes: [{ cpus: 1, memoryMb: 512 }],
    fateOf: () => 'finish',
    products: ({ id }) => products.get(id)!,
  });
  const told: boolean[] = [];
  world.cluster.engine.demand = (isWaiting) => void told.push(isWaiting);
  const { scheduler } = await world.start();
  await scheduler.submit(aJob({ id: 'far' }));
  await settle();
  expect(told).toEqual([false]);
  await scheduler.submit(aJob({ id: 'near' }));
  await settle();
  // One runs, one waits.
  expect(told).toEqual([false, true]);
  await scheduler.control('near', { isPaused: true });
  expect(told).toEqual([false, true, false]);
  await scheduler.control('near', { isPaused: false });
  world.cluster.step(0);
  await settle();
  expect(told).toEqual([false, true, false, true, false]);
  await scheduler.stop();
});
