import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { L2, aJob, product, stepPlan } from '../../test/fixtures/jobs.ts';
import { placeAll, story } from '../../test/fixtures/story.ts';
import { apply } from './apply.ts';
import type { Job, JobId, Resources } from './model.ts';
import { DEFAULT_POLICY, createGroupPolicy } from './policy.ts';
import type { GroupPolicy, Limits } from './policy.ts';
import { createState } from './state.ts';
import type { State } from './state.ts';

const ONE: Resources = { cpus: 1, memoryMb: 1 };

function cluster(groups: readonly GroupPolicy[], cpus: number, userLimits: Limits = {}): State {
  const state = createState();
  const total = { cpus, memoryMb: cpus };
  apply(state, [
    { type: 'setPolicy', policy: { ...DEFAULT_POLICY, groups, userLimits } },
    { type: 'setNode', engine: 'e', node: 'n', total, offers: [] },
  ]);
  return state;
}

let offers = 0;

/** Offers a part of the node and places what goes there. */
function offer(state: State, resources: Resources, at = 0): void {
  offers += 1;
  const node = state.nodes.get('e/n')!;
  const offered = { id: `${offers}`, engine: 'e', node: 'n', resources };
  apply(state, [{ type: 'setNode', ...node, offers: [...node.offers, offered] }]);
  placeAll(state, at);
}

function submit(state: State, job: Partial<Job>, tasks: number, needs = ONE, at = 0): Job {
  const whole = aJob({ workflow: { ...L2, process: stepPlan({ resources: needs }) }, ...job });
  apply(state, [
    { type: 'addJob', job: whole },
    {
      type: 'addTasks',
      jobId: whole.id,
      at,
      tasks: Array.from({ length: tasks }, (_, number) => ({
        jobId: whole.id,
        number,
        step: 'process',
        key: `${number}`,
        firstPeriod: 0,
        lastPeriod: 0,
      })),
    },
  ]);
  return whole;
}

const running = (state: State, id: JobId): number => state.jobs.get(id)!.attempts.size;

/** Ends the attempt of a job that was launched first. */
function endOne(state: State, id: JobId, at = 0): void {
  const record = state.jobs.get(id)!;
  const { attempt, resources } = record.attempts.values().next().value!;
  const { task } = record.tasks.get(attempt.task)!;
  const counts = { attempts: 1, failures: 0, losses: 0 };
  apply(state, [
    { type: 'moveAttempt', attempt, resources, to: 'finished', at },
    { type: 'endTask', task, ...counts, to: 'finished', at, outputs: [] },
  ]);
}

const weights = fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 2, maxLength: 5 });

describe('groups that want all they can get', () => {
  test('come to share by their weights: none is ahead by more than a task', () => {
    fc.assert(
      fc.property(weights, fc.integer({ min: 10, max: 60 }), (each, cpus) => {
        const groups = each.map((weight, n) => createGroupPolicy({ name: `g${n}`, weight }));
        const state = cluster(groups, cpus);
        each.forEach((_, n) => submit(state, { id: `j${n}`, group: `g${n}`, user: `u${n}` }, cpus));
        offer(state, { cpus, memoryMb: cpus });
        const served = each.map((weight, n) => running(state, `j${n}`) / weight);
        const least = Math.min(...served);
        each.forEach((weight, n) => {
          expect(served[n]! - least).toBeLessThanOrEqual(1 / weight + 1e-9);
        });
      }),
    );
  });

  test('get back to their shares when one that was alone meets another', () => {
    const groups = ['a', 'b'].map((name) => createGroupPolicy({ name }));
    const state = cluster(groups, 20);
    submit(state, { id: 'a', group: 'a' }, 100);
    offer(state, { cpus: 20, memoryMb: 20 });
    expect(running(state, 'a')).toBe(20);
    submit(state, { id: 'b', group: 'b' }, 100);
    for (let end = 0; end < 10; end += 1) {
      endOne(state, 'a');
      offer(state, ONE);
    }
    expect([running(state, 'a'), running(state, 'b')]).toEqual([10, 10]);
    endOne(state, 'b');
    offer(state, ONE);
    expect([running(state, 'a'), running(state, 'b')]).toEqual([10, 10]);
  });

  test('share level by level: a group of many children gets no more than one of few', () => {
    const groups = [
      createGroupPolicy({
        name: 'many',
        groups: ['1', '2', '3', '4'].map((name) => createGroupPolicy({ name })),
      }),
      createGroupPolicy({ name: 'one' }),
    ];
    const state = cluster(groups, 16);
    for (const name of ['1', '2', '3', '4']) {
      submit(state, { id: name, group: `many/${name}`, user: name }, 99);
    }
    submit(state, { id: 'one', group: 'one' }, 99);
    offer(state, { cpus: 16, memoryMb: 16 });
    expect(['1', '2', '3', '4', 'one'].map((id) => running(state, id))).toEqual([2, 2, 2, 2, 8]);
  });

  test('are compared by what they use most of', () => {
    const groups = ['wide', 'deep'].map((name) => createGroupPolicy({ name }));
    const state = cluster(groups, 0);
    const total = { cpus: 9, memoryMb: 18 };
    apply(state, [{ type: 'setNode', engine: 'e', node: 'n', total, offers: [] }]);
    // The example of Ghodsi et al. 2011, section 4.1: three of one, two of the other.
    submit(state, { id: 'deep', group: 'deep' }, 9, { cpus: 1, memoryMb: 4 });
    submit(state, { id: 'wide', group: 'wide' }, 9, { cpus: 3, memoryMb: 1 });
    offer(state, total);
    expect([running(state, 'deep'), running(state, 'wide')]).toEqual([3, 2]);
  });

  test('are compared by GPUs too, where there are any', () => {
    const groups = ['gpu', 'cpu'].map((name) => createGroupPolicy({ name }));
    const state = cluster(groups, 0);
    const total = { cpus: 8, memoryMb: 80, gpus: 4 };
    apply(state, [{ type: 'setNode', engine: 'e', node: 'n', total, offers: [] }]);
    submit(state, { id: 'gpu', group: 'gpu' }, 9, { cpus: 1, memoryMb: 1, gpus: 1 });
    submit(state, { id: 'cpu', group: 'cpu' }, 9, ONE);
    // A quarter of the GPUs is worth two of the processors.
    offer(state, { cpus: 6, memoryMb: 60, gpus: 4 });
    expect([running(state, 'gpu'), running(state, 'cpu')]).toEqual([2, 4]);
    expect(state.shares.groups.get('gpu')!.use).toMatchObject({ cpus: 2, gpus: 2, tasks: 2 });
    expect(state.jobs.get('gpu')!.use.gpus).toBe(2);
  });

  test('never have more than their maximum of the GPUs', () => {
    const state = cluster([createGroupPolicy({ name: 'g', maximumPercent: 50 })], 0);
    const total = { cpus: 80, memoryMb: 80, gpus: 4 };
    apply(state, [{ type: 'setNode', engine: 'e', node: 'n', total, offers: [] }]);
    submit(state, { id: 'g', group: 'g' }, 9, { cpus: 1, memoryMb: 1, gpus: 1 });
    offer(state, total);
    expect(running(state, 'g')).toBe(2);
  });
});

describe('a group', () => {
  const groups = [
    createGroupPolicy({ name: 'capped', maximumPercent: 25, weight: 9 }),
    createGroupPolicy({ name: 'promised', minimumPercent: 60, weight: 1 }),
    createGroupPolicy({ name: 'other', weight: 9 }),
  ];

  test('never has more than its maximum, however idle the rest is', () => {
    const state = cluster(groups, 20);
    submit(state, { id: 'c', group: 'capped' }, 99);
    offer(state, { cpus: 20, memoryMb: 20 });
    expect(running(state, 'c')).toBe(5);
  });

  test('has its minimum before others have their shares', () => {
    const state = cluster(groups, 20);
    submit(state, { id: 'p', group: 'promised', user: 'p' }, 99);
    submit(state, { id: 'o', group: 'other', user: 'o' }, 99);
    offer(state, { cpus: 20, memoryMb: 20 });
    expect([running(state, 'p'), running(state, 'o')]).toEqual([12, 8]);
  });

  test('lends what it does not want', () => {
    const state = cluster(groups, 20);
    submit(state, { id: 'o', group: 'other' }, 99);
    offer(state, { cpus: 20, memoryMb: 20 });
    expect(running(state, 'o')).toBe(20);
  });

  test('serves the higher priority first, then the user who has less, then the older job', () => {
    const state = cluster([], 9);
    submit(state, { id: 'low', user: 'a', priority: 50 }, 9);
    submit(state, { id: 'old', user: 'b', acceptedAt: 1 }, 4);
    submit(state, { id: 'young', user: 'b', acceptedAt: 2 }, 4);
    submit(state, { id: 'other', user: 'c', acceptedAt: 3 }, 2);
    for (let slot = 0; slot < 6; slot += 1) offer(state, ONE);
    expect(['old', 'young', 'other', 'low'].map((id) => running(state, id))).toEqual([2, 2, 2, 0]);
  });

  test('that is gone from the policy leaves its jobs to the default group', () => {
    const state = cluster(groups, 20);
    submit(state, { id: 'c', group: 'capped' }, 99);
    offer(state, { cpus: 10, memoryMb: 10 });
    expect(running(state, 'c')).toBe(5);
    apply(state, [{ type: 'setPolicy', policy: DEFAULT_POLICY }]);
    placeAll(state);
    offer(state, { cpus: 10, memoryMb: 10 });
    expect(running(state, 'c')).toBeGreaterThanOrEqual(15);
    expect(state.shares.groups.get('default')!.use.tasks).toBe(running(state, 'c'));
  });
});

describe('limits', () => {
  test('of users and groups hold whatever is free', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        (runningTasks, cpus) => {
          const limits = { runningTasks };
          const state = cluster([createGroupPolicy({ name: 'g', limits })], 20, { cpus });
          submit(state, { id: 'a', group: 'g', user: 'a' }, 20);
          submit(state, { id: 'b', group: 'g', user: 'b' }, 20);
          submit(state, { id: 'a2', user: 'a' }, 20);
          offer(state, { cpus: 20, memoryMb: 20 });
          const [a, b, a2] = ['a', 'b', 'a2'].map((id) => running(state, id));
          expect(b).toBe(Math.min(cpus, runningTasks - a!));
          expect(a! + a2!).toBe(cpus);
        },
      ),
    );
  });

  test('smaller than a single task let one run alone', () => {
    const state = cluster([createGroupPolicy({ name: 'g', maximumPercent: 1 })], 20);
    submit(state, { id: 'a', group: 'g' }, 3, { cpus: 4, memoryMb: 4 });
    offer(state, { cpus: 20, memoryMb: 20 });
    expect(running(state, 'a')).toBe(1);
  });

  test('of open jobs refuse one more, until one has ended', () => {
    const limits = { queuedJobs: 2 };
    const groups = [createGroupPolicy({ name: 'g', limits })];
    const jobs = ['1', '2', '3'].map((id) => aJob({ id, group: 'g' }));
    const { happens } = story(aJob({ id: 'else' }));
    happens({ type: 'policySet', policy: { ...DEFAULT_POLICY, groups } });
    const accept = (job: Job) => happens({ type: 'jobAccepted', job }).refusal;
    expect([accept(jobs[0]!), accept(jobs[1]!)]).toEqual([undefined, undefined]);
    expect(accept(jobs[2]!)).toMatchObject({ code: 'LIMIT_REACHED' });
    happens({ type: 'jobDismissed', jobId: '1' });
    expect(accept(jobs[2]!)).toBeUndefined();
  });
});

describe('a job that waits', () => {
  test('is served at the latest after the aging limit, whatever goes before it', () => {
    const state = cluster([], 4);
    submit(state, { id: 'low', priority: 0, user: 'low' }, 1, ONE, 0);
    const limit = 1000 * DEFAULT_POLICY.agingLimit;
    let served: number | undefined;
    for (let at = 0; at <= limit + 1000; at += 60_000) {
      submit(state, { id: `high-${at}`, priority: 200, user: 'high' }, 4, ONE, at);
      offer(state, { cpus: 2, memoryMb: 2 }, at);
      if (running(state, 'low') > 0) served ??= at;
    }
    expect(served).toBe(limit);
  });

  test('for a whole node gets one although small ones take every part that becomes free', () => {
    const state = cluster([], 4);
    submit(state, { id: 'large', user: 'large' }, 1, { cpus: 4, memoryMb: 4 }, 0);
    submit(state, { id: 'small', user: 'small' }, 1000, ONE, 0);
    // Three quarters are taken before the large one can have them together.
    offer(state, { cpus: 3, memoryMb: 3 });
    const aged = 1000 * DEFAULT_POLICY.agingLimit;
    for (let at = 0; at < aged + 10_000 && running(state, 'large') === 0; at += 60_000) {
      if (running(state, 'small') > 0) {
        endOne(state, 'small', at);
        offer(state, ONE, at);
      }
    }
    expect(running(state, 'large')).toBe(0);
    for (let step = 0; step < 4 && running(state, 'large') === 0; step += 1) {
      if (running(state, 'small') > 0) {
        endOne(state, 'small', aged);
        offer(state, ONE, aged);
      } else offer(state, ONE, aged);
    }
    expect(running(state, 'large')).toBe(1);
  });

  test('while it is paused is passed over, and goes on when it is resumed', () => {
    const job = aJob();
    const { happens, find, launch } = story(job);
    find(product('a'));
    const control = (isPaused: boolean) =>
      happens({ type: 'jobControlled', jobId: job.id, control: { isPaused } });
    control(true);
    expect(launch()).toEqual([]);
    control(false);
    expect(launch()).toEqual(['process /archive/a']);
  });
});

describe('counting', () => {
  test('comes back to nothing when everything has ended', () => {
    const needs = { cpus: 0.1, memoryMb: 1, gpus: 1 };
    const state = cluster([createGroupPolicy({ name: 'g' })], 20);
    submit(state, { id: 'a', group: 'g' }, 30, needs);
    offer(state, { cpus: 20, memoryMb: 20, gpus: 20 });
    const count = running(state, 'a');
    expect(count).toBeGreaterThan(10);
    for (let end = 0; end < count; end += 1) endOne(state, 'a');
    const { use, users } = state.shares.groups.get('g')!;
    expect(use).toEqual({ cpus: 0, memoryMb: 0, gpus: 0, tasks: 0, jobs: 1 });
    expect(users.get('alice')).toEqual({ cpus: 0, memoryMb: 0, gpus: 0, tasks: 0, jobs: 1 });
  });
});
