import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { NODE, ONE, at, many, twoEngines } from '../../test/fixtures/engines.ts';
import { aJob, product } from '../../test/fixtures/jobs.ts';
import { story } from '../../test/fixtures/story.ts';
import type { Location } from './model.ts';
import { DEFAULT_POLICY } from './policy.ts';

const { nodeWait, rackWait, poolWait } = DEFAULT_POLICY.locality;

describe('of nodes that are equally near', () => {
  const costs = { mesos: 2, yarn: 0.5 };

  test('those of the cheaper engine go first, whatever is offered first, and then the others', () => {
    const { find, offerAll, nodes } = twoEngines({ costs });
    find(...many(7));
    offerAll('m1', 'm2', 'y1', 'y2');
    expect(nodes().toSorted()).toEqual(['m1', 'm1', 'm2', 'y1', 'y1', 'y2', 'y2']);
    const other = twoEngines({ costs: { yarn: 1.5 } });
    other.find(...many(5));
    other.offerAll('y1', 'y2', 'm1', 'm2');
    expect(other.nodes().toSorted()).toEqual(['m1', 'm1', 'm2', 'm2', 'y1']);
    const third = twoEngines({ costs: { yarn: 0.5 } });
    third.find(...many(1));
    third.offerAll('m1', 'y1');
    expect(third.nodes()).toEqual(['y1']);
  });

  test('a cheaper one goes before one that has the bundle', () => {
    const { find, offerAll, nodes, end } = twoEngines({ costs });
    find(product('a'));
    offerAll('m1');
    expect(nodes()).toEqual(['m1']);
    end(0);
    find(product('b'));
    offerAll('m1', 'y1');
    expect(nodes()).toEqual(['y1']);
  });

  test('a dearer one without GPUs goes before a cheaper one with GPUs, where none are wanted', () => {
    const { find, offerAll, nodes, nodeUp, offer } = twoEngines({ costs });
    nodeUp('y3', { ...NODE, gpus: 1 }, { engine: 'yarn' });
    find(product('a'));
    offer('y3', { ...NODE, gpus: 1 });
    offerAll('m1');
    expect(nodes()).toEqual(['m1']);
  });

  test('what is nearer goes before what is cheaper', () => {
    const { find, offerAll, nodes } = twoEngines({ costs });
    find(at('a', { nodes: ['m2'] }));
    offerAll('m1', 'm2', 'y1', 'y2');
    expect(nodes()).toEqual(['m2']);
  });

  test('of equal costs, the engine goes first that has the larger part of it free', () => {
    const told = twoEngines();
    told.nodeUp('y3', NODE, { engine: 'yarn' });
    told.nodeUp('y4', NODE, { engine: 'yarn' });
    told.find(...many(6));
    told.offerAll('m1', 'm2', 'y1', 'y2', 'y3', 'y4');
    const filled = told.nodes().map((node) => node[0]);
    expect(filled.filter((engine) => engine === 'y')).toHaveLength(4);
    const other = twoEngines();
    other.find(...many(2));
    other.offerAll('m1', 'y1', 'y2');
    expect(other.nodes()).toEqual(['y1', 'y1']);
  });
});

describe('data in two pools', () => {
  /** HDFS knows the nodes of its blocks; all nodes of the other pool share a storage. */
  const both = (node: string): Location => ({ nodes: [node], pools: ['xfs', 'hdfs'] });

  test('are worked on in both at once: what shares a storage waits for nothing nearer', () => {
    const { find, offerAll, nodes, changes } = twoEngines();
    find(at('a', both('y1')), at('b', both('y1')), at('c', both('y2')), at('d', both('y2')));
    offerAll('m1', 'y2');
    expect(nodes().toSorted()).toEqual(['m1', 'm1', 'y2', 'y2']);
    const localities = changes.flatMap((change) =>
      change.type === 'addAttempt' ? [`${change.attempt.node} ${change.attempt.locality}`] : [],
    );
    expect(localities.toSorted()).toEqual(['m1 pool', 'm1 pool', 'y2 node', 'y2 node']);
  });

  test('draw to the cheaper pool first', () => {
    for (const [costs, expected] of [
      [{ yarn: 2 }, ['m1', 'm1', 'y1']],
      [{ mesos: 2 }, ['m1', 'y1', 'y1']],
    ] as const) {
      const { find, offerAll, nodes } = twoEngines({ costs });
      find(...many(3, both('y1')));
      offerAll('y1', 'm1');
      expect(nodes().toSorted()).toEqual(expected);
    }
  });

  test('have nodes in the one pool that wait for those of the data', () => {
    const { find, offerAll, nodes, at: time } = twoEngines();
    find(at('a', both('y1')));
    offerAll('y2');
    time(1000 * nodeWait - 1);
    expect(nodes()).toEqual([]);
    offerAll('m1');
    expect(nodes()).toEqual(['m1']);
  });

  test('in one pool are worked on there first, elsewhere after the wait', () => {
    const told = twoEngines({ costs: { yarn: 9 } });
    told.find(at('a', { pools: ['hdfs'] }), at('b', { pools: ['hdfs'] }));
    told.offerAll('m1');
    told.offer('y1', ONE);
    expect(told.nodes()).toEqual(['y1']);
    told.at(1000 * poolWait - 1);
    expect(told.nodes()).toEqual([]);
    told.at(1000 * poolWait);
    expect(told.nodes()).toEqual(['m1']);
    const localities = told.changes.flatMap((change) =>
      change.type === 'addAttempt' ? [change.attempt.locality] : [],
    );
    expect(localities).toEqual(['pool', 'any']);
  });

  test('in a pool that has no nodes now are not waited for', () => {
    const { find, offerAll, nodes } = twoEngines();
    find(at('a', { pools: ['gone'] }));
    offerAll('m1');
    expect(nodes()).toEqual(['m1']);
  });

  test('that were worked on before in a pool that shares a storage are not waited for at that node', () => {
    const again = aJob({ id: 'again', acceptedAt: 1 });
    const told = twoEngines({}, aJob(), again);
    const shared = { pools: ['xfs'] };
    told.find(at('a', shared));
    told.offer('m1', ONE);
    told.place();
    told.end(0);
    told.findFor(again, at('a', shared));
    told.offerAll('m2');
    expect(told.nodes()).toEqual(['m2']);
    expect(rackWait).toBeGreaterThan(0);
  });
});

/** Whatever the cluster and the tasks. What runs where is reckoned here, not by the code under test. */
describe('whatever there is', () => {
  const ENGINES = ['e', 'f', 'g'];
  const reached = fc.constantFrom(undefined, ['e'], ['f'], ['e', 'f'], ['f', 'g'], ['gone']);
  const names = ['n0', 'n1', 'n2', 'n3', 'n4', 'n5'];
  const engineOf = (node: string): string => ENGINES[Number(node[1]) % ENGINES.length]!;
  const situation = fc.record({
    engines: fc.array(reached, { maxLength: 12 }),
    near: fc.array(fc.constantFrom(...names, undefined), { minLength: 12, maxLength: 12 }),
    offers: fc.array(fc.record({ node: fc.constantFrom(...names), cpus: fc.nat(3) }), {
      maxLength: 8,
    }),
    costs: fc.record({ e: fc.constantFrom(0, 1, 2), f: fc.constantFrom(1, 3) }),
  });
  type Situation = typeof situation extends fc.Arbitrary<infer S> ? S : never;

  /** @param isNear whether inputs lie on nodes */
  function play({ engines, near, offers, costs }: Situation, isNear: boolean) {
    const told = story(aJob());
    const noWait = { nodeWait: 0, rackWait: 0, poolWait: 0, patience: 1 };
    told.happens({ type: 'policySet', policy: { ...DEFAULT_POLICY, locality: noWait, costs } });
    for (const node of names) told.nodeUp(node, NODE, { engine: engineOf(node) });
    told.find(
      ...engines.map((its, n) => {
        const nodes = isNear ? near[n] : undefined;
        const where = { ...(its && { engines: its }), ...(nodes && { nodes: [nodes] }) };
        return at(`${n}`, where);
      }),
    );
    const left = new Map<string, number>();
    for (const { node, cpus } of offers) {
      if (cpus === 0) continue;
      told.offer(node, { cpus, memoryMb: 512 * cpus });
      left.set(node, (left.get(node) ?? 0) + cpus);
    }
    const placed = told.place().map((line) => {
      const [key = '', node = ''] = line.split(' ');
      left.set(node, left.get(node)! - 1);
      return { task: Number(key.slice('/archive/'.length)), node };
    });
    const mayRunOn = (task: number, node: string): boolean => {
      const its: readonly string[] | undefined = engines[task];
      return its?.includes(engineOf(node)) ?? true;
    };
    return { placed, left, mayRunOn };
  }

  test('nothing is launched on an engine that does not reach it, and nothing waits that fits', () => {
    const seen = { placed: 0, waiting: 0, unreached: 0 };
    fc.assert(
      fc.property(situation, fc.boolean(), (generated, isNear) => {
        const { placed, left, mayRunOn } = play(generated, isNear);
        for (const { task, node } of placed) expect(mayRunOn(task, node)).toBe(true);
        for (const rest of left.values()) expect(rest).toBeGreaterThanOrEqual(0);
        const free = [...left].filter(([, cpus]) => cpus > 0).map(([node]) => node);
        const done = new Set(placed.map(({ task }) => task));
        generated.engines.forEach((_, task) => {
          if (done.has(task)) return;
          expect(free.filter((node) => mayRunOn(task, node))).toEqual([]);
          seen.waiting += 1;
          if (free.length > 0) seen.unreached += 1;
        });
        seen.placed += placed.length;
      }),
    );
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(20);
  });

  test('nothing runs on a dearer engine while a cheaper one has room and is as near', () => {
    let onDearer = 0;
    fc.assert(
      fc.property(situation, (generated) => {
        const { placed, left, mayRunOn } = play(generated, false);
        const costs: Readonly<Record<string, number>> = generated.costs;
        const costOf = (node: string) => costs[engineOf(node)] ?? 1;
        for (const { task, node } of placed) {
          const cheaper = [...left].filter(
            ([other, cpus]) => cpus > 0 && costOf(other) < costOf(node) && mayRunOn(task, other),
          );
          expect(cheaper).toEqual([]);
          if (costOf(node) > 0) onDearer += 1;
        }
      }),
    );
    expect(onDearer).toBeGreaterThan(20);
  });
});
