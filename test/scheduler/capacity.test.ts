import { expect, test } from 'vitest';

import { OfferGone } from '../../src/engines/engine.ts';
import { aJob, product } from '../fixtures/jobs.ts';
import { createWorld, settle } from './world.ts';

test('what there was no room for after all is tried again later, and costs its job nothing', async () => {
  const job = aJob({ retry: { maxAttempts: 1, maxLosses: 1 } });
  const world = createWorld({
    nodes: [{ cpus: 1, memoryMb: 512 }],
    fateOf: () => 'finish',
    products: () => [product('a')],
  });
  const { engine } = world.cluster;
  const { launch } = engine;
  let refused = 0;
  engine.launch = async (order) => {
    if (refused === 3) return launch(order);
    refused += 1;
    await launch({ ...order, attempts: [] });
    throw new OfferGone('the offer has gone');
  };
  const { scheduler } = await world.start();
  await scheduler.submit(job);
  await settle();
  const pauses: number[] = [];
  for (let before = world.time.clock.now(); world.time.advance(); before = world.time.clock.now()) {
    await settle();
    pauses.push(world.time.clock.now() - before);
  }
  expect(pauses).toEqual([1000, 2000, 4000]);
  world.cluster.step(0);
  await settle();
  expect(await world.store.job(job.id)).toMatchObject({ state: 'successful', attempts: 4 });
  expect(await world.store.failures(job.id)).toMatchObject([
    { kind: 'capacity', count: 3, message: 'the offer has gone' },
  ]);
  await scheduler.stop();
});
