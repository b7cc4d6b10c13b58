import fc from 'fast-check';
import { expect, test } from 'vitest';

import { L2, aJob, product, stepPlan } from '../../test/fixtures/jobs.ts';
import { OUTPUT, failing, launches, story } from '../../test/fixtures/story.ts';
import type { Job } from './model.ts';
import { DEFAULT_POLICY } from './policy.ts';

const NODE = { cpus: 2, memoryMb: 1024 };
const ONE = { cpus: 1, memoryMb: 512 };
const IMAGES = { hasImages: true } as const;

const contained = (job: Parameters<typeof aJob>[0] = {}): Job =>
  aJob({ ...job, processor: { ...aJob().processor, image: 'registry.example/snap:9' } });

/** A node that can run container images, and one that joins first and cannot. */
function cluster(...jobs: Job[]) {
  const told = story(...jobs);
  told.nodeUp('plain', NODE);
  told.nodeUp('able', NODE, IMAGES);
  return told;
}

test('a task in a container image goes only where that can be run, others go anywhere', () => {
  const bare = aJob({ id: 'bare' });
  const boxed = contained({ id: 'boxed' });
  const { findFor, offer, place } = cluster(boxed, bare);
  findFor(boxed, product('x'), product('y'), product('z'));
  offer('plain', NODE);
  expect(place()).toEqual([]);
  offer('able', ONE);
  expect(place()).toEqual(['/archive/x able 1']);
  findFor(bare, product('a'), product('b'), product('c'));
  offer('able', ONE);
  expect(place().toSorted()).toEqual([
    '/archive/a plain 1',
    '/archive/b plain 1',
    '/archive/y able 1',
  ]);
});

test('a node that is known by its offers only is not believed to run images', () => {
  const { find, offer, place, nodeUp } = story(contained());
  find(product('a'));
  offer('new', NODE);
  expect(place()).toEqual([]);
  nodeUp('new', NODE, IMAGES);
  expect(place()).toEqual(['/archive/a new 1']);
});

test('a node that can no longer do it gets no more of them', () => {
  const { find, offer, place, nodeUp } = cluster(contained());
  find(product('a'));
  nodeUp('able', NODE);
  offer('able', NODE);
  expect(place()).toEqual([]);
});

test('where a task failed on the only node that can run its image, it goes there again', () => {
  const { find, offer, place, end, at } = cluster(contained());
  find(product('a'));
  offer('able', ONE);
  place();
  end(0, 1, failing('processor'), 'failed');
  at(60_000);
  offer('plain', NODE);
  expect(place()).toEqual([]);
  offer('able', ONE);
  expect(place()).toEqual(['/archive/a able 2']);
});

test('nobody waits for a node near the data that cannot run the image', () => {
  const near = (name: string) => ({ ...product(name), location: { nodes: ['plain'] } });
  const waiting = cluster(aJob());
  waiting.find(near('a'));
  waiting.offer('able', ONE);
  expect(waiting.place()).toEqual([]);
  const { find, offer, place } = cluster(contained());
  find(near('a'));
  offer('able', ONE);
  expect(place()).toEqual(['/archive/a able 1']);
});

test('for a task that has waited too long a node is kept that can run its image', () => {
  const bare = aJob({ id: 'bare' });
  const boxed = contained({
    id: 'boxed',
    workflow: { ...L2, process: stepPlan({ resources: NODE }) },
  });
  const { findFor, offer, place, at } = cluster(boxed, bare);
  findFor(boxed, product('x'));
  at(1000 * DEFAULT_POLICY.agingLimit);
  findFor(bare, ...Array.from({ length: 4 }, (_, n) => product(`${n}`)));
  offer('plain', NODE);
  offer('able', ONE);
  expect(place().map((line) => line.split(' ')[1])).toEqual(['plain', 'plain']);
  offer('able', ONE);
  expect(place()).toEqual(['/archive/x able 1']);
});

test('a second attempt beside one that takes very long runs in the image as well', () => {
  const { peers, factor } = DEFAULT_POLICY.stragglers;
  const many = { cpus: 99, memoryMb: 99_999 };
  const told = cluster(contained());
  told.nodeUp('other', NODE, IMAGES);
  told.find(...Array.from({ length: peers + 1 }, (_, n) => product(`${n}`)));
  told.offer('able', many);
  told.place();
  told.at(60_000);
  for (let task = 0; task < peers; task += 1) told.end(task);
  told.at(60_000 * factor);
  told.offer('plain', NODE);
  expect(told.place()).toEqual([]);
  told.offer('other', NODE);
  expect(told.place()).toEqual([`/archive/${peers} other 2`]);
});

test('a task that ran out of memory gets no more than a node has that can run its image', () => {
  const { find, offer, place, end, effects, nodeUp, at } = story(contained());
  nodeUp('plain', { cpus: 2, memoryMb: 8192 });
  nodeUp('able', { cpus: 2, memoryMb: 768 }, IMAGES);
  find(product('a'));
  offer('able', ONE);
  place();
  end(0, 1, failing('memory'), 'failed');
  at(60_000);
  offer('able', { cpus: 2, memoryMb: 768 });
  expect(place()).toEqual(['/archive/a able 2']);
  expect(launches(effects).at(-1)!.attempts[0]!.resources.memoryMb).toBe(768);
});

const named = fc.nat(3).map((n) => `n${n}`);
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('find' as const),
      job: fc.nat(3),
      near: fc.option(named, { nil: undefined }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('offer' as const),
      node: named,
      cpus: fc.integer({ min: 1, max: 4 }),
      gpus: fc.constantFrom(0, 1),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('nodeUp' as const),
      node: named,
      hasImages: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('end' as const),
      which: fc.nat(9),
      to: fc.constantFrom('finished' as const, 'failed' as const, 'lost' as const),
    }),
  },
  fc.record({ type: fc.constant('nodeDown' as const), node: named }),
  fc.record({ type: fc.constant('pass' as const), seconds: fc.constantFrom(1, 10, 600, 4000) }),
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** Jobs of which all but the first run in an image, on nodes that come, change and go. */
function changingCluster() {
  const retry = { maxAttempts: 9, maxLosses: 9, failurePercent: 100 };
  const withGpu = { ...L2, process: stepPlan({ resources: { ...ONE, gpus: 1 } }) };
  const jobs = [
    aJob({ id: '0', retry }),
    contained({ id: '1', retry }),
    contained({ id: '2', retry, workflow: withGpu }),
    contained({ id: '3', retry, priority: 150 }),
  ];
  const told = story(...jobs);
  const able = new Set<string>();
  let now = 0;
  let found = 0;
  const happens = (one: Step): void => {
    switch (one.type) {
      case 'find': {
        const location = one.near === undefined ? {} : { location: { nodes: [one.near] } };
        told.findFor(jobs[one.job]!, { ...product(`${(found += 1)}`), ...location });
        return;
      }
      case 'offer':
        return told.offer(one.node, { ...ONE, cpus: one.cpus, gpus: one.gpus });
      case 'nodeUp':
        told.nodeUp(one.node, { cpus: 4, memoryMb: 4096, gpus: 1 }, one.hasImages ? IMAGES : {});
        if (one.hasImages) able.add(one.node);
        else able.delete(one.node);
        return;
      case 'nodeDown':
        told.happens({ type: 'nodeDown', engine: 'e', node: one.node });
        able.delete(one.node);
        return;
      case 'end': {
        const out = Array.from(told.state.jobs.values(), ({ attempts }) => [...attempts.keys()]);
        const attemptId = out.flat()[one.which];
        const result = one.to === 'finished' ? OUTPUT : failing('engine');
        const { to } = one;
        if (attemptId) told.happens({ type: 'attemptMoved', engine: 'e', attemptId, to, result });
        return;
      }
      case 'pass':
        told.at((now += 1000 * one.seconds));
    }
  };
  return { ...told, happens, able };
}

test('whatever happens, no task in an image is launched on a node that cannot run it', () => {
  let launched = 0;
  let refused = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 30, maxLength: 60 }), (steps) => {
      const { happens, place, effects, able, state } = changingCluster();
      for (const one of steps) {
        happens(one);
        const before = effects.length;
        place();
        for (const { node, attempts } of launches(effects.slice(before))) {
          const inImages = attempts.filter(({ job }) => job.processor.image !== undefined);
          if (inImages.length > 0) expect(able).toContain(node);
          launched += inImages.length;
        }
        const isFree = state.nodes.values().some(({ offers }) => offers.length > 0);
        if (isFree && state.waiting.has('1')) refused += 1;
      }
    }),
  );
  expect(launched).toBeGreaterThan(100);
  expect(refused).toBeGreaterThan(100);
});
