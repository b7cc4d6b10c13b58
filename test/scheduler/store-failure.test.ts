import { describe, expect, test } from 'vitest';

import type { Change } from '../../src/core/change.ts';
import { PushbroomError } from '../../src/errors.ts';
import { aJob, product } from '../fixtures/jobs.ts';
import { createWorld, settle } from './world.ts';

const other = '20200101000000_L2Plus_2';

/** A world whose store can be made to refuse commits. */
function createRefusingWorld() {
  const world = createWorld({
    nodes: [{ cpus: 2, memoryMb: 4096 }],
    fateOf: () => 'finish',
    products: () => [product('a')],
  });
  let refusal: ((changes: readonly Change[]) => Error | undefined) | undefined;
  const commit = world.store.commit.bind(world.store);
  world.store.commit = async (changes) => {
    const error = refusal?.(changes);
    if (error) throw error;
    return commit(changes);
  };
  const refuse = (reason: typeof refusal) => {
    refusal = reason;
  };
  return { ...world, refuse };
}

const full = () => new PushbroomError('STORAGE_FULL', 'no space is left');

describe('a store that is full', () => {
  test('refuses a request, which is not accepted, and takes the next one', async () => {
    const { start, store, refuse } = createRefusingWorld();
    const { scheduler } = await start();
    await settle();
    refuse(full);
    await expect(scheduler.submit(aJob())).rejects.toMatchObject({ code: 'STORAGE_FULL' });
    refuse(undefined);
    expect(await store.job(aJob().id)).toBeUndefined();
    await scheduler.submit(aJob());
    expect(await store.job(aJob().id)).toMatchObject({ state: 'accepted' });
    await scheduler.stop();
  });

  test('keeps the news of engines waiting until there is space, and loses none', async () => {
    const { start, store, cluster, time, refuse } = createRefusingWorld();
    const { scheduler } = await start();
    await scheduler.submit(aJob());
    await settle();
    expect(cluster.running.size).toBe(1);
    refuse(full);
    cluster.step(0);
    await settle();
    expect(await store.job(aJob().id)).toMatchObject({ steps: { process: { finished: 0 } } });
    refuse(undefined);
    while (time.advance()) await settle();
    expect(await store.job(aJob().id)).toMatchObject({ state: 'successful' });
    await scheduler.stop();
  });
});

describe('a change that no store would take', () => {
  test('costs the one event that made it; the others of its batch go through', async () => {
    const { start, store, defects, refuse } = createRefusingWorld();
    const { scheduler } = await start();
    await settle();
    refuse((changes) =>
      changes.some((change) => change.type === 'addJob' && change.job.id === other)
        ? new Error('a broken invariant')
        : undefined,
    );
    const [good, bad] = await Promise.allSettled([
      scheduler.submit(aJob()),
      scheduler.submit(aJob({ id: other })),
    ]);
    expect(good.status).toBe('fulfilled');
    expect(bad).toMatchObject({ status: 'rejected', reason: { code: 'INTERNAL' } });
    expect(await store.job(aJob().id)).toBeDefined();
    expect(await store.job(other)).toBeUndefined();
    expect(defects.join('')).toContain('defect');
    await scheduler.stop();
  });
});
