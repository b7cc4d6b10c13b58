import fc from 'fast-check';
import { expect, test } from 'vitest';

import { aJob, product } from '../fixtures/jobs.ts';
import { createWorld, settle } from './world.ts';
import type { World } from './world.ts';

const HOUR = 3_600_000;
const TASKS = 12;
const job = aJob({ maxCpuHours: 2 });

const startWorld = () =>
  createWorld({
    nodes: [
      { cpus: 2, memoryMb: 1024 },
      { cpus: 1, memoryMb: 512 },
    ],
    fateOf: () => 'finish',
    products: () => Array.from({ length: TASKS }, (_, index) => product(String(index))),
  });

/** What all attempts have kept, as the store has it of each. */
async function usedOf({ store }: World): Promise<number> {
  let used = 0;
  for (let task = 0; task < TASKS; task += 1) {
    for (const { resources, launchedAt, endedAt } of await store.attempts(job.id, task)) {
      if (endedAt !== undefined) used += resources.cpus * (endedAt - launchedAt);
    }
  }
  return used;
}

/** Plays a job, dying as told, until nothing happens any more. */
async function play(world: World, deaths: readonly number[], minutes: number): Promise<void> {
  for (let life = 0; ; life += 1) {
    const { scheduler, death } = await world.start(deaths[life]);
    if (!(await world.store.job(job.id))) void scheduler.submit(job).catch(() => undefined);
    for (let isMoving = true; isMoving && !death.isDead;) {
      await settle();
      world.time.pass(minutes * 60_000);
      isMoving = world.cluster.step(0);
      await settle();
    }
    if (!death.isDead) return scheduler.stop();
  }
}

test('no death makes a job forget what it has used, or go on over its ceiling', async () => {
  const deaths = fc.array(fc.integer({ min: 2, max: 50 }), { maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(deaths, fc.integer({ min: 5, max: 40 }), async (dieAt, minutes) => {
      const world = startWorld();
      await play(world, dieAt, minutes);
      const view = await world.store.job(job.id);
      expect(view).toMatchObject({
        state: 'running',
        control: {
          isPaused: true,
          maxCpuHours: 2,
          pauseReason: expect.stringMatching(/ CPU hours$/),
        },
      });
      expect(view!.usedCpuMs).toBe(await usedOf(world));
      expect(view!.usedCpuMs).toBeGreaterThanOrEqual(2 * HOUR);
      // What ran when the ceiling was reached went on, and that was all.
      expect(view!.steps.process.finished).toBeLessThan(TASKS);

      const { scheduler } = await world.start();
      await expect(scheduler.control(job.id, { isPaused: false })).rejects.toThrow('stays paused');
      await scheduler.control(job.id, { isPaused: false, maxCpuHours: 1000 });
      for (let isMoving = true; isMoving; isMoving = world.cluster.step(0)) await settle();
      await settle();
      expect((await world.store.job(job.id))?.state).toBe('successful');
      expect([...world.cluster.starts.values()].every((starts) => starts === 1)).toBe(true);
      await scheduler.stop();
    }),
    { numRuns: 40 },
  );
});
