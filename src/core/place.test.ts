import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { L2, aJob, l3, periods, stepPlan } from '../../test/fixtures/jobs.ts';
import { launches, placeAll } from '../../test/fixtures/story.ts';
import type { Launch } from '../../test/fixtures/story.ts';
import { apply } from './apply.ts';
import type { Job, Resources } from './model.ts';
import { createState } from './state.ts';
import type { State } from './state.ts';

const resources = fc.record({
  cpus: fc.integer({ min: 1, max: 4 }),
  memoryMb: fc.integer({ min: 1, max: 8 }).map((parts) => parts * 256),
  gpus: fc.constantFrom(0, 0, 0, 1, 2, 3),
});

const situation = fc.record({
  jobs: fc.array(
    fc.record({
      needs: resources,
      tasks: fc.integer({ min: 0, max: 6 }),
      image: fc.constantFrom(undefined, undefined, 'registry.example/snap:9'),
    }),
    { maxLength: 4 },
  ),
  /** Which of the nodes can run container images. */
  hasImages: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
  offers: fc.array(fc.record({ node: fc.integer({ min: 0, max: 3 }), resources }), {
    maxLength: 8,
  }),
});

function build({
  jobs,
  hasImages,
  offers,
}: typeof situation extends fc.Arbitrary<infer S> ? S : never): State {
  const state = createState();
  jobs.forEach(({ needs, tasks, image }, index) => {
    const job = aJob({
      id: `job-${index}`,
      processor: { ...aJob().processor, ...(image !== undefined && { image }) },
      workflow: { ...L2, process: stepPlan({ resources: needs }) },
    });
    addTasks(state, job, tasks);
  });
  offers.forEach(({ node, resources: offered }, index) => {
    const key = `node-${node}`;
    const known = state.nodes.get(`e/${key}`)?.offers ?? [];
    const offer = { id: `offer-${index}`, engine: 'e', node: key, resources: offered };
    const able = hasImages[node]! ? { hasImages: true as const } : {};
    apply(state, [{ type: 'setNode', engine: 'e', node: key, ...able, offers: [...known, offer] }]);
  });
  return state;
}

function addTasks(state: State, job: Job, count: number): void {
  const tasks = Array.from({ length: count }, (_, number) => ({
    jobId: job.id,
    number,
    step: 'process' as const,
    key: `${number}`,
    firstPeriod: 0,
    lastPeriod: 0,
  }));
  apply(state, [{ type: 'addJob', job }]);
  if (count > 0) apply(state, [{ type: 'addTasks', jobId: job.id, tasks, at: 0 }]);
}

/** What is left of each node's offers, counted here and not by the code under test. */
function leftOver(nodes: State['nodes'], launched: readonly Launch[]) {
  const left = new Map<string, Required<Resources> & { readonly hasImages: boolean }>();
  for (const { node, offers, hasImages = false } of nodes.values()) {
    const used = launched
      .filter((launch) => launch.node === node)
      .flatMap(({ attempts }) => attempts);
    const total = (key: keyof Resources) =>
      offers.map((offer) => offer.resources[key] ?? 0).reduce((a, b) => a + b, 0) -
      used.map((attempt) => attempt.resources[key] ?? 0).reduce((a, b) => a + b, 0);
    left.set(node, {
      cpus: total('cpus'),
      memoryMb: total('memoryMb'),
      gpus: total('gpus'),
      hasImages,
    });
  }
  return left;
}

describe('place', () => {
  test('never exceeds an offer', () => {
    fc.assert(
      fc.property(situation, (generated) => {
        const state = build(generated);
        const offered = new Map(state.nodes);
        const launched = launches(placeAll(state).effects);
        for (const { cpus, memoryMb, gpus } of leftOver(offered, launched).values()) {
          expect(cpus).toBeGreaterThanOrEqual(0);
          expect(memoryMb).toBeGreaterThanOrEqual(0);
          expect(gpus).toBeGreaterThanOrEqual(0);
        }
      }),
    );
  });

  test('gives a task without GPUs a node that has some only where no other one has room', () => {
    let among = 0;
    fc.assert(
      fc.property(situation, (generated) => {
        const state = build(generated);
        const offered = new Map(state.nodes);
        const launched = launches(placeAll(state).effects);
        const hasGpus = (name: string) =>
          offered.get(`e/${name}`)!.offers.some((offer) => offer.resources.gpus! > 0);
        const left = [...leftOver(offered, launched)].filter(([node]) => !hasGpus(node));
        const guests = launched
          .filter(({ node }) => hasGpus(node))
          .flatMap(({ attempts }) => attempts.filter((attempt) => attempt.resources.gpus === 0));
        if (left.length > 0) among += guests.length;
        for (const { resources: needs, job } of guests) {
          const { image } = job.processor;
          expect(
            left.some(
              ([, { cpus, memoryMb, hasImages }]) =>
                cpus >= needs.cpus &&
                memoryMb >= needs.memoryMb &&
                (hasImages || image === undefined),
            ),
          ).toBe(false);
        }
      }),
    );
    expect(among).toBeGreaterThan(10);
  });

  test('gives a task in a container image a node that can run it', () => {
    let count = 0;
    fc.assert(
      fc.property(situation, (generated) => {
        const state = build(generated);
        const offered = new Map(state.nodes);
        for (const { node, attempts } of launches(placeAll(state).effects)) {
          const inImages = attempts.filter(({ job }) => job.processor.image !== undefined);
          count += inImages.length;
          if (inImages.length > 0) expect(offered.get(`e/${node}`)!.hasImages).toBe(true);
        }
      }),
    );
    expect(count).toBeGreaterThan(10);
  });

  test('leaves nothing waiting that would fit', () => {
    let waited = 0;
    fc.assert(
      fc.property(situation, (generated) => {
        const state = build(generated);
        const offered = new Map(state.nodes);
        const launched = launches(placeAll(state).effects);
        const left = [...leftOver(offered, launched).values()];
        generated.jobs.forEach(({ needs, tasks, image }, index) => {
          const placed = launched
            .flatMap(({ attempts }) => attempts)
            .filter(({ job }) => job.id === `job-${index}`).length;
          expect(placed).toBeLessThanOrEqual(tasks);
          if (placed === tasks) return;
          waited += 1;
          expect(
            left.some(
              ({ cpus, memoryMb, gpus, hasImages }) =>
                cpus >= needs.cpus &&
                memoryMb >= needs.memoryMb &&
                gpus >= needs.gpus &&
                (hasImages || image === undefined),
            ),
          ).toBe(false);
        });
      }),
    );
    expect(waited).toBeGreaterThan(10);
  });

  test('uses up each offer once and can be applied', () => {
    fc.assert(
      fc.property(situation, (generated) => {
        const state = build(generated);
        const ids = launches(placeAll(state).effects).flatMap(({ offerIds }) => offerIds);
        expect(new Set(ids).size).toBe(ids.length);
        expect(placeAll(state).effects).toEqual([]);
      }),
    );
  });

  test('shares a node evenly between jobs that ask for the same', () => {
    const state = createState();
    for (const id of ['a', 'b', 'c']) addTasks(state, aJob({ id }), 10);
    const offer = { id: 'o', engine: 'e', node: 'n', resources: { cpus: 6, memoryMb: 9999 } };
    apply(state, [{ type: 'setNode', engine: 'e', node: 'n', offers: [offer] }]);
    const [launch] = launches(placeAll(state).effects);
    const byJob = Map.groupBy(launch!.attempts, ({ job }) => job.id);
    expect([...byJob.values()].map((attempts) => attempts.length)).toEqual([2, 2, 2]);
  });

  test('gives the free processor to the job that uses fewer, and to the older one among equals', () => {
    const state = createState();
    addTasks(state, aJob({ id: 'young', acceptedAt: 2 }), 5);
    addTasks(state, aJob({ id: 'old', acceptedAt: 1 }), 5);
    const offer = (id: string) => ({
      id,
      engine: 'e',
      node: 'n',
      resources: { cpus: 1, memoryMb: 9999 },
    });
    const placed: string[] = [];
    for (const id of ['1', '2', '3']) {
      apply(state, [{ type: 'setNode', engine: 'e', node: 'n', offers: [offer(id)] }]);
      placed.push(launches(placeAll(state).effects)[0]!.attempts[0]!.job.id);
    }
    expect(placed).toEqual(['old', 'young', 'old']);
  });

  test('prefers later steps of a job', () => {
    const state = createState();
    const job = aJob({ workflow: l3(2), periods: periods(1) });
    addTasks(state, job, 2);
    const aggregate = {
      jobId: job.id,
      number: 2,
      step: 'aggregate',
      key: 'a',
      firstPeriod: 0,
      lastPeriod: 0,
    } as const;
    apply(state, [{ type: 'addTasks', jobId: job.id, tasks: [aggregate], at: 0 }]);
    const offer = { id: 'o', engine: 'e', node: 'n', resources: { cpus: 1, memoryMb: 9999 } };
    apply(state, [{ type: 'setNode', engine: 'e', node: 'n', offers: [offer] }]);
    expect(launches(placeAll(state).effects)[0]!.attempts.map(({ task }) => task.step)).toEqual([
      'aggregate',
    ]);
  });
});
