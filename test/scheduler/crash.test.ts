import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { isJobEnded } from '../../src/core/lifecycle.ts';
import type { Job, JobState, Product } from '../../src/core/model.ts';
import { DEFAULT_POLICY } from '../../src/core/policy.ts';
import type { Policy } from '../../src/core/policy.ts';
import type { Scheduler } from '../../src/scheduler/scheduler.ts';
import type { JobView } from '../../src/store/store.ts';
import { L2, L2_FORMATTED, aJob, l3, periods, product } from '../fixtures/jobs.ts';
import type { Fate } from './cluster.ts';
import { createWorld, settle } from './world.ts';
import type { World } from './world.ts';

interface History {
  readonly jobs: readonly {
    readonly job: Job;
    readonly products: readonly Product[];
    readonly dismissAt: number;
  }[];
  /** Deaths of the server, each at so many half calls to store, engine and the rest. */
  readonly deaths: readonly number[];
  readonly nodes: readonly number[];
  readonly choices: readonly number[];
  /** What operators and machines do besides, each at its step. */
  readonly doings: readonly { readonly at: number; readonly what: Doing; readonly job: number }[];
  readonly fates: readonly Fate[];
}

const DOINGS = ['pause', 'resume', 'retry', 'crash', 'drain', 'undrain', 'prioritise'] as const;
type Doing = (typeof DOINGS)[number];

/** Everything that runs is late at once: wherever there is room, it runs twice. */
const HASTY: Policy = {
  ...DEFAULT_POLICY,
  stragglers: { isEnabled: true, factor: 0, minimum: 0, peers: 1 },
};

const FATES: readonly Fate[] = [
  'finish',
  'finish',
  'finish',
  'finish',
  'finishEmpty',
  'fail',
  'lose',
];

const job = fc.record({
  workflow: fc.constantFrom(L2, L2_FORMATTED, l3(1, false), l3(3)),
  products: fc.integer({ min: 0, max: 5 }),
  periods: fc.integer({ min: 1, max: 3 }),
  overlap: fc.integer({ min: 0, max: 1 }),
  failurePercent: fc.constantFrom(0, 0, 40, 100),
  maxAttempts: fc.integer({ min: 1, max: 3 }),
  maxLosses: fc.integer({ min: 2, max: 8 }),
  dismissAt: fc.oneof(
    { weight: 4, arbitrary: fc.constant(Infinity) },
    { weight: 1, arbitrary: fc.nat(12) },
  ),
});

const history: fc.Arbitrary<History> = fc
  .record({
    jobs: fc.array(job, { minLength: 1, maxLength: 3 }),
    deaths: fc.array(fc.integer({ min: 2, max: 60 }), { maxLength: 3 }),
    nodes: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 }),
    choices: fc.array(fc.nat(50), { minLength: 10, maxLength: 30 }),
    doings: fc.array(
      fc.record({ at: fc.nat(30), what: fc.constantFrom(...DOINGS), job: fc.nat(5) }),
      { maxLength: 6 },
    ),
    fates: fc.array(fc.constantFrom(...FATES), { minLength: 5, maxLength: 20 }),
  })
  .map(({ jobs, ...rest }) => ({
    ...rest,
    jobs: jobs.map((shape, index) => {
      const { workflow, failurePercent, maxAttempts, maxLosses } = shape;
      const id = `2020010100000${index}_${workflow.type}_${index}`;
      const lastPeriod = shape.periods - 1;
      return {
        job: aJob({
          id,
          workflow,
          periods: workflow.aggregate ? periods(shape.periods) : [],
          retry: { failurePercent, maxAttempts, maxLosses },
        }),
        products: Array.from({ length: shape.products }, (_, number) => {
          const first = workflow.aggregate
            ? Math.floor((number * shape.periods) / shape.products)
            : 0;
          const last = workflow.aggregate ? Math.min(first + shape.overlap, lastPeriod) : 0;
          return product(`${id}-${number}`, first, last);
        }),
        dismissAt: shape.dismissAt,
      };
    }),
  }));

const LIVES = 40;
const STEPS = 600;
const MEDDLING_ENDS = 40;

/** Plays a history to its end and says what every job came to. */
async function play({ jobs, deaths, nodes, choices, doings, fates }: History) {
  const world = createWorld({
    nodes: nodes.map((cpus) => ({ cpus, memoryMb: 512 * cpus })),
    fateOf: (attemptId) => fates[hash(attemptId) % fates.length]!,
    products: ({ id }) => jobs.find((each) => each.job.id === id)!.products,
    policy: HASTY,
    window: 3,
  });
  const accepted = new Set<string>();
  const dismissed = new Set<string>();
  let step = 0;
  let isMadeGood = false;
  for (let life = 0; life < LIVES; life += 1) {
    const { scheduler, death } = await world.start(deaths[life]);
    await submitAll(world, scheduler, jobs, accepted);
    while (!death.isDead && step < STEPS) {
      await settle();
      if (death.isDead || (await isOver(world, accepted, jobs))) break;
      for (const {
        job: { id },
        dismissAt,
      } of jobs) {
        if (step < dismissAt || dismissed.has(id)) continue;
        dismissed.add(id);
        void scheduler.dismiss(id).catch(() => undefined);
      }
      for (const { at, what, job: choice } of doings) {
        if (at === step) await meddle(world, scheduler, what, jobs[choice % jobs.length]!.job.id);
      }
      // An operator who forgot to resume or to undrain comes back in the end, and again if the server
      // died over the answer.
      if (step >= MEDDLING_ENDS && !isMadeGood) {
        await makeGood(world, scheduler, jobs);
        isMadeGood = !death.isDead;
      }
      if (!world.cluster.step(choices[step % choices.length]!)) world.time.advance();
      step += 1;
    }
    if (!death.isDead) {
      await scheduler.stop();
      return { world, accepted, views: await viewsOf(world, accepted) };
    }
  }
  throw new Error('the history did not come to an end');
}

/** Requests may be refused, and their askers may die; nothing else may come of them. */
async function meddle(world: World, scheduler: Scheduler, what: Doing, jobId: string) {
  const node = jobId.length % 2 === 0 ? 'node-0' : 'node-1';
  const asked = {
    pause: () => scheduler.control(jobId, { isPaused: true }),
    resume: () => scheduler.control(jobId, { isPaused: false }),
    prioritise: () => scheduler.control(jobId, { priority: 7 }),
    drain: () => scheduler.drain('sim', node, true, 'for a test'),
    undrain: () => scheduler.drain('sim', node, false),
    crash: async () => world.cluster.crash(jobId.length),
    retry: async () => {
      const failed = await world.store.failedTasks(jobId, { limit: 10 });
      await scheduler.retryTasks(jobId, failed);
    },
  }[what]();
  asked.catch(() => undefined);
  await settle();
}

async function makeGood(world: World, scheduler: Scheduler, jobs: History['jobs']) {
  for (const { job: each } of jobs) await meddle(world, scheduler, 'resume', each.id);
  for (const node of ['node-0', 'node-1']) {
    scheduler.drain('sim', node, false).catch(() => undefined);
  }
  await settle();
}

/** Submits what is not stored yet; a job is accepted from the moment when its submitter is told so. */
async function submitAll(
  world: World,
  scheduler: Scheduler,
  jobs: History['jobs'],
  accepted: Set<string>,
) {
  for (const { job: each } of jobs) {
    if (await world.store.job(each.id)) {
      // Stored, but the server died over the answer: it counts all the same.
      accepted.add(each.id);
      continue;
    }
    if (accepted.has(each.id)) throw new Error(`${each.id} was accepted and is gone`);
    scheduler.submit(each).then(
      () => accepted.add(each.id),
      () => undefined,
    );
    await settle();
  }
}

async function viewsOf(world: World, ids: ReadonlySet<string>): Promise<JobView[]> {
  const views = await Promise.all(Array.from(ids, (id) => world.store.job(id)));
  return views.filter((view) => view !== undefined);
}

async function isOver(world: World, accepted: ReadonlySet<string>, jobs: History['jobs']) {
  const views = await viewsOf(world, accepted);
  return (
    views.length === jobs.length &&
    views.every(({ state }) => isJobEnded(state)) &&
    world.cluster.running.size === 0
  );
}

const hash = (text: string): number =>
  [...text].reduce((sum, character) => (sum * 31 + character.codePointAt(0)!) % 1_000_003, 7);

async function speculativeOf({ store }: World, { job: { id } }: JobView): Promise<number> {
  const { items } = await store.tasks(id, { limit: 1000 });
  const attempts = await Promise.all(items.map(({ task }) => store.attempts(id, task.number)));
  return attempts.flat().filter(({ isSpeculative }) => isSpeculative).length;
}

async function expectGuarantees({ world, accepted, views }: Awaited<ReturnType<typeof play>>) {
  expect(views.map(({ job: { id } }) => id).toSorted()).toEqual([...accepted].toSorted());
  expect(views.filter(({ state }) => !isJobEnded(state))).toEqual([]);
  expect([...world.cluster.running.keys()]).toEqual([]);
  expect([...world.cluster.starts.values()].every((starts) => starts === 1)).toBe(true);
  for (const view of views) {
    const { items } = await world.store.tasks(view.job.id, { limit: 1000 });
    const keys = items.map(({ task }) => `${task.step} ${task.key}`);
    expect(new Set(keys).size).toBe(keys.length);
    for (const { task } of items) {
      const attempts = await world.store.attempts(view.job.id, task.number);
      expect(attempts.filter(({ state }) => state === 'finished').length).toBeLessThanOrEqual(1);
      expect(attempts.every(({ endedAt }) => endedAt !== undefined)).toBe(true);
    }
    if (view.state !== 'successful') continue;
    expect(items.every(({ state }) => state === 'finished' || state === 'failed')).toBe(true);
    expect(world.staged).toContain(view.job.id);
  }
  expect(world.defects.filter((line) => line.includes('defect'))).toEqual([]);
}

describe('a server that may die at any call', () => {
  const seen = {
    states: new Set<JobState>(),
    deaths: 0,
    lost: 0,
    formatted: 0,
    tolerated: 0,
    twice: 0,
  };

  test('loses no accepted job, runs nothing twice to commit and brings every job to one end', async () => {
    await fc.assert(
      fc.asyncProperty(history, async (generated) => {
        const outcome = await play(generated);
        await expectGuarantees(outcome);
        for (const view of outcome.views) {
          seen.states.add(view.state);
          seen.twice += await speculativeOf(outcome.world, view);
          if (view.steps.format.finished > 0) seen.formatted += 1;
          if (view.state === 'successful' && view.steps.process.failed > 0) seen.tolerated += 1;
        }
        seen.deaths += generated.deaths.length;
        seen.lost += [...outcome.world.cluster.ended.values()].filter(
          ({ state }) => state === 'lost',
        ).length;
      }),
      { numRuns: Number(process.env['CRASH_RUNS'] ?? 400) },
    );
  });

  test('the generated histories reach every end', () => {
    expect([...seen.states].toSorted()).toEqual(['dismissed', 'failed', 'successful']);
    expect(seen.deaths).toBeGreaterThan(20);
    expect(seen.lost).toBeGreaterThan(20);
    expect(seen.formatted).toBeGreaterThan(10);
    expect(seen.tolerated).toBeGreaterThan(2);
    expect(seen.twice).toBeGreaterThan(20);
  });
});
