import fc from 'fast-check';
import { expect, test } from 'vitest';

import type { AttemptId, Offer, Resources } from '../core/model.ts';
import { JOB } from '../engines/contract.ts';
import type { EngineEvent, Launch } from '../engines/engine.ts';
import type { Assignment } from '../runner/assignment.ts';
import { createVirtualClock } from './clock.ts';
import { SimulatedEngine } from './engine.ts';
import type { Course, SimulatedEngineOptions } from './engine.ts';

const NODE = { name: 'n1', cpus: 4, memoryMb: 4000, rack: 'r1', pool: 'p1' };
const SHARE: Resources = { cpus: 1, memoryMb: 500 };
const done = (duration: number): Course => ({ duration, end: { state: 'finished' } });

/** Follows an engine as a scheduler does. */
function setUp({
  heartbeat = 0,
  courseOf = () => done(10_000),
}: Partial<Pick<SimulatedEngineOptions, 'heartbeat' | 'courseOf'>> = {}) {
  const clock = createVirtualClock(0);
  const engine = new SimulatedEngine({ id: 'sim', clock, heartbeat, courseOf });
  const events: EngineEvent[] = [];
  const offers = new Map<string, Offer>();
  const stop = new AbortController();
  const listen = () => {
    offers.clear();
    return engine.run((event) => {
      events.push(event);
      if (event.type === 'offered') for (const offer of event.offers) offers.set(offer.id, offer);
      if (event.type === 'nodeDown') {
        for (const { id, node } of offers.values()) if (node === event.node) offers.delete(id);
      }
    }, stop.signal);
  };
  const running = listen();
  const launch = async (ids: readonly AttemptId[], resources = SHARE, node = 'n1') => {
    const used = [...offers.values()].filter((offer) => offer.node === node);
    for (const { id } of used) offers.delete(id);
    const attempts = ids.map((attemptId) => ({
      resources,
      assignment: { attemptId } as Assignment,
      job: JOB,
    }));
    const order: Launch = { node, offerIds: used.map(({ id }) => id), attempts };
    await engine.launch(order);
    return order;
  };
  const free = () => {
    const sum = { cpus: 0, memoryMb: 0 };
    for (const { resources } of offers.values()) {
      sum.cpus += resources.cpus;
      sum.memoryMb += resources.memoryMb;
    }
    return sum;
  };
  const movesOf = (id: AttemptId) =>
    events.flatMap((event) =>
      event.type === 'attemptMoved' && event.attemptId === id ? [event.to] : [],
    );
  return { clock, engine, events, offers, launch, free, movesOf, listen, running, stop };
}

test('tells of a node with its place, and offers all of it', () => {
  const { engine, events, free } = setUp();
  engine.join(NODE);
  engine.join(NODE);
  expect(events).toHaveLength(2);
  expect(events[0]).toEqual({
    type: 'nodeUp',
    engine: 'sim',
    node: 'n1',
    resources: { cpus: 4, memoryMb: 4000 },
    rack: 'r1',
    pool: 'p1',
  });
  expect(free()).toEqual({ cpus: 4, memoryMb: 4000 });
});

test('an attempt takes its time; then what it had is offered again', async () => {
  const { clock, engine, launch, free, movesOf } = setUp();
  engine.join(NODE);
  await launch(['j.0.1', 'j.1.1']);
  expect(free()).toEqual({ cpus: 2, memoryMb: 3000 });
  expect(movesOf('j.0.1')).toEqual(['running']);
  clock.advance();
  expect(clock.now()).toBe(10_000);
  expect(movesOf('j.0.1')).toEqual(['running', 'finished']);
  expect(free()).toEqual({ cpus: 4, memoryMb: 4000 });
});

test('tells ends with its heartbeats only', async () => {
  const { clock, engine, launch } = setUp({ heartbeat: 3000 });
  engine.join(NODE);
  await launch(['j.0.1']);
  clock.advance();
  expect(clock.now()).toBe(12_000);
});

test('what is over at once is never seen running', async () => {
  const { clock, engine, launch, movesOf } = setUp({ courseOf: () => done(0) });
  engine.join(NODE);
  await launch(['j.0.1']);
  clock.advance();
  expect(movesOf('j.0.1')).toEqual(['finished']);
});

test('refuses more than it has offered and remembers it', async () => {
  const { engine, launch, movesOf } = setUp();
  engine.join(NODE);
  await expect(launch(['j.0.1', 'j.1.1'], { cpus: 3, memoryMb: 1 })).rejects.toThrow(
    '6 cpus and 2 MB do not fit into an offer of 4 cpus and 4000 MB on n1',
  );
  expect(engine.defect).toBeDefined();
  expect(movesOf('j.0.1')).toEqual([]);
});

test('has GPUs on some nodes, and refuses more of them than it has offered', async () => {
  const { clock, engine, events, offers, launch } = setUp();
  engine.join({ ...NODE, gpus: 2 });
  expect(events[0]).toMatchObject({ resources: { cpus: 4, memoryMb: 4000, gpus: 2 } });
  const free = () => Array.from(offers.values(), ({ resources }) => resources.gpus);
  expect(free()).toEqual([2]);
  await launch(['j.0.1', 'j.1.1'], { ...SHARE, gpus: 1 });
  expect(free()).toEqual([undefined]);
  await expect(launch(['j.2.1'], { ...SHARE, gpus: 1 })).rejects.toThrow(
    '1 cpus, 500 MB and 1 gpus do not fit into an offer of 2 cpus and 3000 MB on n1',
  );
  clock.advance();
  expect(free()).toEqual([2]);
});

test('tenths of a processor add up', async () => {
  const { engine, launch, free } = setUp();
  engine.join(NODE);
  const ids = Array.from({ length: 40 }, (_, index) => `j.${index}.1`);
  await launch(ids, { cpus: 0.1, memoryMb: 1 });
  expect(engine.defect).toBeUndefined();
  expect(free()).toEqual({ cpus: 0, memoryMb: 0 });
});

test('an offer that is gone is refused, and what it held is offered anew', async () => {
  const { engine, launch, free } = setUp();
  engine.join(NODE);
  const { offerIds } = await launch(['j.0.1']);
  await expect(engine.launch({ node: 'n1', offerIds, attempts: [] })).rejects.toThrow(
    'an offer of n1 is gone',
  );
  expect(free()).toEqual({ cpus: 3, memoryMb: 3500 });
  expect(engine.defect).toBeUndefined();
});

test('runs an attempt once, however often it is launched', async () => {
  const { clock, engine, launch, free, movesOf } = setUp();
  engine.join(NODE);
  await launch(['j.0.1']);
  await launch(['j.0.1']);
  expect(free()).toEqual({ cpus: 3, memoryMb: 3500 });
  clock.advance();
  await launch(['j.0.1']);
  expect(movesOf('j.0.1')).toEqual(['running', 'finished']);
  expect(clock.next()).toBeUndefined();
});

test('kills what runs, and knows nothing of what does not', async () => {
  const { clock, engine, launch, free, movesOf } = setUp();
  engine.join(NODE);
  await launch(['j.0.1']);
  await engine.kill('j.0.1');
  await engine.kill('j.0.1');
  await engine.kill('j.9.1');
  expect(free().cpus).toBe(4);
  clock.advance();
  expect(movesOf('j.0.1')).toEqual(['running', 'killed']);
});

test('what runs on a node that leaves is lost, and the node comes back empty', async () => {
  const { clock, engine, launch, free, movesOf } = setUp();
  engine.join(NODE);
  await launch(['j.0.1']);
  engine.leave('n1');
  engine.leave('n1');
  expect(free()).toEqual({ cpus: 0, memoryMb: 0 });
  engine.join(NODE);
  clock.advance();
  expect(movesOf('j.0.1')).toEqual(['running', 'lost']);
  expect(free()).toEqual({ cpus: 4, memoryMb: 4000 });
});

test('attempts run on while nobody listens, and their ends can be asked for', async () => {
  const { clock, engine, launch, listen, running, stop, free } = setUp({
    courseOf: ({ attemptId }) => done(attemptId === 'j.0.1' ? 1000 : 5000),
  });
  engine.join(NODE);
  await launch(['j.0.1', 'j.1.1']);
  stop.abort();
  await running;
  clock.advance();
  const news = await engine.reconcile(['j.0.1', 'j.1.1', 'j.2.1']);
  expect([...news.values()].map(({ state }) => state)).toEqual(['finished', 'running', 'lost']);
  void listen();
  expect(free()).toEqual({ cpus: 3, memoryMb: 3500 });
});

test('whatever is launched, ends or leaves: what is free and what runs is the node', async () => {
  const step = fc.record({ count: fc.nat(4), ends: fc.boolean(), kills: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const { clock, engine, launch, free } = setUp({
        courseOf: ({ attemptId }) => done(1000 * (attemptId.length % 5)),
      });
      engine.join(NODE);
      const ids: string[] = [];
      for (const { count, ends, kills } of steps) {
        const fresh = Array.from(
          { length: Math.min(count, free().cpus) },
          (_, index) => `j.${ids.length + index}.1`,
        );
        ids.push(...fresh);
        await launch(fresh);
        if (ends) clock.advance();
        if (kills && ids.length > 0) await engine.kill(ids.at(-1)!);
        const news = await engine.reconcile(ids);
        const out = [...news.values()].filter(({ state }) => state === 'running').length;
        expect(free().cpus + out).toBe(4);
      }
      while (clock.next() !== undefined) clock.advance();
      expect(free()).toEqual({ cpus: 4, memoryMb: 4000 });
    }),
  );
});
