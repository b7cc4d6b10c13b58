import { pino } from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';

import type { EngineEvent } from '../engine.ts';
import type { ClusterNode } from './answers.ts';
import { Ledger } from './ledger.ts';
import { Nodes } from './nodes.ts';
import type { NodesOptions } from './nodes.ts';
import { Offers } from './offers.ts';
import { Queues } from './queues.ts';

const node = (over: Partial<ClusterNode> = {}): ClusterNode => ({
  host: 'n1',
  port: 45_454,
  rack: '/r1',
  state: 'RUNNING',
  healthReport: '',
  labels: [],
  attributes: new Map(),
  total: { memoryMb: 1000, vcores: 4 },
  used: { memoryMb: 0, vcores: 0 },
  ...over,
});

let events: EngineEvent[];
let busy: Set<string>;
beforeEach(() => {
  events = [];
  busy = new Set();
});

const create = (over: Partial<NodesOptions> = {}) =>
  new Nodes({
    engine: 'yarn',
    constraints: {},
    logger: pino({ level: 'silent' }),
    emit: async (event) => void events.push(event),
    isBusy: (host) => busy.has(host),
    ...over,
  });

describe('nodes', () => {
  test('are told once, with rack and pool, and again when something has changed', () => {
    const nodes = create({ pool: 'dlr' });
    nodes.learn([node()]);
    nodes.learn([node({ used: { memoryMb: 500, vcores: 1 } })]);
    nodes.learn([node({ rack: '/r2' })]);
    const first = {
      type: 'nodeUp',
      engine: 'yarn',
      node: 'n1',
      resources: { cpus: 4, memoryMb: 1000 },
      rack: '/r1',
      pool: 'dlr',
    };
    expect(events).toEqual([first, { ...first, rack: '/r2' }]);
    expect(nodes.racks()).toEqual({ n1: '/r2' });
  });

  test.each([
    ['UNHEALTHY', '1/1 local-dirs are bad: /data', /unhealthy: 1\/1 local-dirs are bad/],
    ['DECOMMISSIONING', '', /being decommissioned/],
    ['SLEEPY', '', /YARN says: SLEEPY/],
  ])('%s take nothing new', (state, healthReport, why) => {
    const nodes = create();
    nodes.learn([node()]);
    nodes.learn([node({ state, healthReport })]);
    expect(events.at(-1)).toMatchObject({ type: 'nodeUp', away: expect.stringMatching(why) });
    expect(nodes.usable()).toEqual([]);
  });

  test.each(['LOST', 'SHUTDOWN', 'DECOMMISSIONED', 'REBOOTED'])(
    '%s are gone, but not before what ran there has ended',
    (state) => {
      const nodes = create();
      const gone = node({ state, total: { memoryMb: 0, vcores: 0 } });
      nodes.learn([gone]);
      expect(events).toEqual([]);
      nodes.learn([node()]);
      busy.add('n1');
      nodes.learn([gone]);
      expect(events.at(-1)).toMatchObject({
        type: 'nodeUp',
        away: expect.any(String),
        resources: { cpus: 4 },
      });
      busy.clear();
      nodes.learn([gone]);
      expect(events.at(-1)).toEqual({ type: 'nodeDown', engine: 'yarn', node: 'n1' });
    },
  );

  test('that are no longer listed are gone too', () => {
    const nodes = create();
    nodes.learn([node(), node({ host: 'n2' })]);
    nodes.learn([node()]);
    expect(events.at(-1)).toMatchObject({ type: 'nodeDown', node: 'n2' });
    expect(nodes.count).toBe(1);
  });

  test('are used where they have the attributes, and are of the partition', () => {
    const debian = node({ host: 'd', attributes: new Map([['os', 'debian']]) });
    const labelled = node({ host: 'l', labels: ['fast'] });
    const all = [node(), debian, labelled];
    const of = (over: Partial<NodesOptions>) => {
      const nodes = create(over);
      nodes.learn(all);
      return nodes.usable().map(({ host }) => host);
    };
    expect(of({})).toEqual(['n1', 'd']);
    expect(of({ constraints: { os: ['debian', 'sles'] } })).toEqual(['d']);
    expect(of({ nodeLabel: 'fast' })).toEqual(['l']);
  });
});

describe('offers', () => {
  let now = 1000;
  const queues = new Queues([]);

  async function world(over: { lookAhead?: number; queues?: Queues } = {}) {
    now = 1000;
    const ledger = new Ledger();
    const nodes = create();
    const emit = async (event: EngineEvent) => void events.push(event);
    const options = { engine: 'yarn', nodes, ledger, lookAhead: 0, queues, emit };
    const offers = new Offers({ ...options, now: () => now, ...over });
    const settled = () => new Promise<void>((resolve) => setImmediate(resolve));
    const learn = async (...all: ClusterNode[]) => {
      nodes.learn(all);
      offers.learn(all, now);
      await settled();
    };
    /** What is offered now, by node. */
    const open = () => {
      const all = new Map<string, { id: string; node: string; resources: object }>();
      for (const event of events) {
        if (event.type === 'offered') for (const each of event.offers) all.set(each.id, each);
        if (event.type === 'rescinded') for (const id of event.offerIds) all.delete(id);
      }
      return Object.fromEntries(Array.from(all.values(), (each) => [each.node, each.resources]));
    };
    const idOf = (host: string) =>
      events
        .flatMap((event) => (event.type === 'offered' ? event.offers : []))
        .findLast((offer) => offer.node === host)!.id;
    offers.open();
    return { ledger, nodes, offers, learn, settled, open, idOf };
  }

  const begin = (ledger: Ledger, id: string, memoryMb: number, vcores = 1) =>
    ledger.begin(id, {
      job: 'job',
      node: 'n1',
      resources: { cpus: vcores, memoryMb },
      capability: { memoryMb, vcores },
    });

  test('hold what nobody uses, and are given anew when that changes', async () => {
    const { learn, open, ledger, offers, settled } = await world();
    await learn(node({ used: { memoryMb: 300, vcores: 1 } }));
    expect(open()).toEqual({ n1: { cpus: 3, memoryMb: 700 } });
    begin(ledger, 'a', 200);
    offers.touch();
    await settled();
    expect(open()).toEqual({ n1: { cpus: 2, memoryMb: 500 } });
    await learn(node({ used: { memoryMb: 500, vcores: 2 } }));
    expect(open()).toEqual({ n1: { cpus: 2, memoryMb: 500 } });
    ledger.end('a', now);
    await learn(node({ used: { memoryMb: 500, vcores: 2 } }));
    expect(open()).toEqual({ n1: { cpus: 3, memoryMb: 700 } });
  });

  test('are not told twice, nor of nodes without room or that take nothing', async () => {
    const { learn, open } = await world();
    const full = node({ host: 'n2', used: { memoryMb: 1000, vcores: 1 } });
    await learn(node(), full, node({ host: 'n3', state: 'UNHEALTHY' }));
    await learn(node(), full, node({ host: 'n3', state: 'UNHEALTHY' }));
    expect(events.filter(({ type }) => type === 'offered')).toHaveLength(1);
    expect(open()).toEqual({ n1: { cpus: 4, memoryMb: 1000 } });
    await learn(node({ state: 'UNHEALTHY' }));
    expect(open()).toEqual({});
  });

  test('are used up by a launch; one that was replaced shortly before still counts', async () => {
    const { learn, offers, idOf, ledger, settled, open } = await world();
    await learn(node());
    const first = idOf('n1');
    begin(ledger, 'a', 400);
    offers.touch();
    await settled();
    const second = idOf('n1');
    expect(second).not.toBe(first);
    expect(offers.take('n1', [first])).toMatchObject({ cpus: 4, memoryMb: 1000 });
    expect(offers.take('n1', [first])).toMatchObject({ cpus: 0, memoryMb: 0 });
    expect(offers.take('n2', [second])).toMatchObject({ cpus: 0 });
    // What there is really is looked at beside it.
    expect(offers.room('n1')).toEqual({ memoryMb: 600, vcores: 3 });
    now += 60_000;
    await learn(node());
    expect(offers.take('n1', [second])).toMatchObject({ cpus: 3 });
    await settled();
    expect(open()).toEqual({ n1: { cpus: 3, memoryMb: 600 } });
  });

  test('are void when nobody can launch', async () => {
    const { learn, offers, idOf, open } = await world();
    await learn(node());
    const id = idOf('n1');
    offers.close();
    expect(open()).toEqual({});
    expect(offers.take('n1', [id])).toMatchObject({ cpus: 0 });
  });

  test('hold what probably ends soon', async () => {
    const { learn, open, ledger, offers, settled } = await world({ lookAhead: 2000 });
    ledger.allocate('old', 'n1', 'job', { memoryMb: 250, vcores: 1 }, 0);
    ledger.end('old', 1000);
    for (const id of ['a', 'b', 'c', 'd']) {
      ledger.allocate(id, 'n1', 'job', { memoryMb: 250, vcores: 1 }, 500);
    }
    await learn(node({ used: { memoryMb: 1000, vcores: 4 } }));
    expect(open()).toEqual({ n1: { cpus: 8, memoryMb: 2000 } });
    begin(ledger, 'e', 2000, 8);
    offers.touch();
    await settled();
    expect(open()).toEqual({});
  });

  test('never hold more than the queues let us have, and take turns then', async () => {
    const narrow = new Queues(['eo']);
    const queue = { path: 'root.eo', percent: 0, maximum: 50, isRunning: true };
    const nothing = { memoryMb: 0, vcores: 0 };
    const none = { certain: nothing, maybe: nothing };
    narrow.learn([{ ...queue, used: nothing }], { memoryMb: 2000, vcores: 8 }, none);
    const { learn, open } = await world({ queues: narrow });
    const both = [node(), node({ host: 'n2' })];
    await learn(...both);
    const first = open();
    await learn(...both);
    const second = open();
    expect([first, second]).toContainEqual({ n1: { cpus: 4, memoryMb: 1000 } });
    expect([first, second]).toContainEqual({ n2: { cpus: 4, memoryMb: 1000 } });
  });
});
