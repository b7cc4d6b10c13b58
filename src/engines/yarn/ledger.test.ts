import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { Ledger } from './ledger.ts';
import { Queues, othersOf } from './queues.ts';

const container = (memoryMb: number, vcores = 1) => ({ memoryMb, vcores });
const entry = (capability = container(100)) => ({
  job: 'job',
  node: 'n1',
  resources: { cpus: 1, memoryMb: 90 },
  capability,
});

describe('the ledger', () => {
  test('counts what is asked for, corrects it by what is given, and forgets it', () => {
    const ledger = new Ledger();
    ledger.begin('a', entry(container(1000)));
    expect(ledger.held('n1')).toEqual(container(1000));
    ledger.allocate('a', 'n1', 'job', container(1024), 5);
    ledger.allocate('a', 'n1', 'job', container(2048), 6);
    expect(ledger.held('n1')).toEqual(container(1024));
    expect(ledger.held()).toEqual(container(1024));
    ledger.end('a', 7);
    ledger.end('a', 8);
    expect(ledger.held()).toEqual(container(0, 0));
    expect(ledger.isBusy('n1')).toBe(false);
  });

  test('tells what of a node’s use is ours for certain', () => {
    const ledger = new Ledger();
    ledger.allocate('before', 'n1', 'job', container(1), 100);
    ledger.allocate('since', 'n1', 'job', container(10), 300);
    ledger.begin('asked', entry(container(100)));
    ledger.allocate('ended', 'n1', 'job', container(1000), 100);
    ledger.end('ended', 150);
    ledger.allocate('elsewhere', 'n2', 'job', container(7), 1);
    expect(ledger.share(200, 'n1')).toEqual({ certain: container(1), maybe: container(1110, 3) });
    expect(ledger.share(200).certain).toEqual(container(8, 2));
    // By now the ResourceManager knows that it has ended.
    expect(ledger.share(10_000, 'n1').maybe).toEqual(container(100));
  });

  test('expects what ends soon by how long a job’s attempts take', () => {
    const ledger = new Ledger();
    const run = (id: string, from: number) =>
      ledger.allocate(id, 'n1', 'job', container(100), from);
    for (const id of ['a', 'b', 'c', 'd']) run(id, 0);
    expect(ledger.ending('n1', 2000)).toEqual(container(0, 0));
    ledger.end('d', 4000);
    // Three, of which half end within 2 s of 4: one.
    expect(ledger.ending('n1', 2000)).toEqual(container(100));
    ledger.begin('asked', entry());
    expect(ledger.ending('n1', 2000)).toEqual(container(100));
  });

  test('never expects a place to be free more than twice', () => {
    const ledger = new Ledger();
    ledger.allocate('old', 'n1', 'job', container(100), 0);
    ledger.end('old', 0);
    ledger.allocate('a', 'n1', 'job', container(100), 0);
    expect(ledger.ending('n1', 2000)).toEqual(container(200, 2));
  });

  test('knows what the core’s shares cost in containers', () => {
    const ledger = new Ledger();
    expect(ledger.rate()).toEqual({ cpus: 1, memoryMb: 1 });
    const half = { ...entry(container(1024)), resources: { cpus: 0.5, memoryMb: 512 } };
    ledger.begin('a', half);
    expect(ledger.rate()).toEqual({ cpus: 0.5, memoryMb: 0.5 });
    ledger.end('a', 1);
    // The runner’s memory is likely to be needed again.
    expect(ledger.rate()).toEqual({ cpus: 1, memoryMb: 0.5 });
  });

  test('is empty when everything has ended, whatever came before', () => {
    const step = fc.record({
      id: fc.constantFrom('a', 'b', 'c'),
      what: fc.constantFrom('begin', 'allocate', 'end'),
      memoryMb: fc.integer({ min: 1, max: 100 }),
    });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const ledger = new Ledger();
        const out = new Set<string>();
        for (const { id, what, memoryMb } of steps) {
          if (what === 'begin' && !out.has(id)) ledger.begin(id, entry(container(memoryMb)));
          if (what === 'allocate') ledger.allocate(id, 'n1', 'job', container(memoryMb), 1);
          if (what === 'end') ledger.end(id, 2);
          if (what === 'end') out.delete(id);
          else out.add(id);
          expect(ledger.held('n1').vcores).toBe(out.size);
          expect(ledger.held()).toEqual(ledger.held('n1'));
        }
        for (const id of out) ledger.end(id, 3);
        expect(ledger.held()).toEqual(container(0, 0));
        expect(ledger.rate().cpus).toBe(1);
      }),
    );
  });
});

describe('what others use', () => {
  const nothing = container(0, 0);

  test('is what is used and not ours', () => {
    expect(
      othersOf(container(500, 5), { certain: container(200, 2), maybe: nothing }, undefined),
    ).toEqual(container(300, 3));
  });

  test('stays what it was as long as that can be', () => {
    const ours = { certain: container(100, 1), maybe: container(200, 2) };
    // 200 to 400 of them.
    expect(othersOf(container(500, 5), ours, container(300, 3))).toEqual(container(300, 3));
    expect(othersOf(container(500, 5), ours, container(900, 9))).toEqual(container(400, 4));
    expect(othersOf(container(500, 5), ours, nothing)).toEqual(container(200, 2));
  });

  test('is never less than nothing, nor more than what is used', () => {
    const amount = fc.record({ memoryMb: fc.nat(1000), vcores: fc.nat(10) });
    fc.assert(
      fc.property(amount, amount, amount, amount, (used, certain, maybe, before) => {
        const others = othersOf(used, { certain, maybe }, before);
        expect(others.memoryMb).toBeGreaterThanOrEqual(0);
        expect(others.memoryMb).toBeLessThanOrEqual(used.memoryMb);
        expect(others.vcores).toBeLessThanOrEqual(used.vcores);
      }),
    );
  });
});

describe('queues', () => {
  const cluster = container(10_000, 100);
  const none = { certain: container(0, 0), maybe: container(0, 0) };
  const share = (path: string, maximum: number, used = container(0, 0)) => ({
    path,
    percent: 0,
    maximum,
    used,
    isRunning: true,
  });

  test('limit what we may have, less what others have', () => {
    const queues = new Queues(['eo', 'root.tep']);
    expect(queues.limit(none.certain)).toBeUndefined();
    const listed = [
      share('root.eo', 30, container(1000, 10)),
      share('root.tep', 20),
      share('root.others', 100),
    ];
    queues.learn(listed, cluster, none);
    expect(queues.limit(container(500, 5))).toEqual(container(3500, 35));
    expect(queues.text()).toMatch(/root.eo .*30 %, queue root.tep/);
  });

  test('that may have everything do not limit at all', () => {
    const queues = new Queues(['default']);
    queues.learn([share('root.default', 100)], cluster, none);
    expect(queues.limit(none.certain)).toBeUndefined();
  });

  test('that are not told do not limit either', () => {
    const queues = new Queues(['default']);
    queues.learn([], cluster, none);
    expect(queues.limit(none.certain)).toBeUndefined();
    expect(queues.text()).toBe('');
  });
});
