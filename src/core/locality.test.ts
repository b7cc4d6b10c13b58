import fc from 'fast-check';
import { expect, test } from 'vitest';

import { aJob, product } from '../../test/fixtures/jobs.ts';
import { story } from '../../test/fixtures/story.ts';
import type { Location, Product } from './model.ts';
import { DEFAULT_POLICY } from './policy.ts';

const NODE = { cpus: 2, memoryMb: 1024 };
const ONE = { cpus: 1, memoryMb: 512 };
const { nodeWait, rackWait, poolWait } = DEFAULT_POLICY.locality;

const at = (name: string, location: Location): Product => ({ ...product(name), location });

/** Four nodes: two in one rack, all but the last in one pool. */
function cluster(...products: Product[]) {
  const told = story(aJob());
  told.nodeUp('a', NODE, { rack: 'r1', pool: 'p' });
  told.nodeUp('b', NODE, { rack: 'r1', pool: 'p' });
  told.nodeUp('c', NODE, { rack: 'r2', pool: 'p' });
  told.nodeUp('far', NODE);
  told.find(...products);
  const localities = () =>
    told.changes.flatMap((change) =>
      change.type === 'addAttempt' ? [change.attempt.locality] : [],
    );
  return { ...told, localities };
}

test('a task goes to a node where its input lies, whatever is offered first', () => {
  const { offer, place, localities } = cluster(
    at('1', { nodes: ['c'] }),
    at('2', { nodes: ['a'] }),
  );
  for (const node of ['far', 'a', 'b', 'c']) offer(node, NODE);
  expect(place().toSorted()).toEqual(['/archive/1 c 1', '/archive/2 a 1']);
  expect(localities()).toEqual(['node', 'node']);
});

test('a task waits for its node, then for the rack, then for the pool, then goes anywhere', () => {
  const far = (seconds: number, node: string) => {
    const { offer, place, at: time, localities } = cluster(at('1', { nodes: ['a'] }));
    offer(node, NODE);
    expect(place()).toEqual([]);
    time(1000 * seconds - 1);
    expect(place()).toEqual([]);
    time(1000 * seconds);
    expect(place()).toEqual([`/archive/1 ${node} 1`]);
    return localities();
  };
  expect(far(nodeWait, 'b')).toEqual(['rack']);
  expect(far(nodeWait + rackWait, 'c')).toEqual(['pool']);
  expect(far(nodeWait + rackWait + poolWait, 'far')).toEqual(['any']);
});

test('the scheduler knows when the wait is over', () => {
  const { offer, place, state } = cluster(at('1', { nodes: ['a'] }));
  offer('far', NODE);
  place();
  expect(state.lookAgainAt).toBe(1000 * nodeWait);
});

test('nobody waits for nodes that are not there', () => {
  const { offer, place, localities } = cluster(at('1', { nodes: ['gone'] }), product('2'));
  offer('far', NODE);
  expect(place()).toHaveLength(2);
  expect(localities()).toEqual(['any', undefined]);
});

test('a node that is drained is not waited for', () => {
  const { offer, place, happens } = cluster(at('1', { nodes: ['a'] }));
  for (const node of ['a', 'b', 'c']) {
    happens({ type: 'nodeDrained', engine: 'e', node, isDrained: true });
  }
  offer('a', NODE);
  offer('far', NODE);
  expect(place()).toEqual(['/archive/1 far 1']);
});

test('short tasks wait shorter', () => {
  const { offer, place, end, find, at: time, state } = cluster(at('1', { nodes: ['a'] }));
  offer('a', ONE);
  place();
  time(1000);
  end(0);
  find(at('2', { nodes: ['a'] }));
  offer('far', ONE);
  place();
  const shorter = 1000 * DEFAULT_POLICY.locality.patience;
  expect(state.lookAgainAt).toBe(1000 + shorter);
});

test('another job takes the node that one lets pass', () => {
  const other = aJob({ id: 'other', user: 'bob', acceptedAt: 9 });
  const told = story(aJob(), other);
  told.nodeUp('a', NODE);
  told.nodeUp('far', NODE);
  told.find(at('1', { nodes: ['a'] }));
  told.findFor(other, product('2'));
  told.offer('far', ONE);
  expect(told.place()).toEqual(['/archive/2 far 1']);
});

test('a node that has the bundle is preferred to one that would have to fetch it', () => {
  const told = story(aJob());
  for (const node of ['a', 'b']) told.nodeUp(node, NODE);
  told.find(product('1'));
  told.offer('b', NODE);
  told.place();
  told.end(0);
  told.find(product('2'));
  told.offer('a', NODE);
  told.offer('b', NODE);
  expect(told.place()).toEqual(['/archive/2 b 1']);
});

test('an input goes where it was worked on last, but does not wait for that', () => {
  const again = aJob({ id: 'again', acceptedAt: 1 });
  const told = story(aJob(), again);
  for (const node of ['a', 'b']) told.nodeUp(node, NODE);
  told.find(product('1'), product('2'));
  told.offer('b', ONE);
  told.offer('a', ONE);
  expect(told.place().toSorted()).toEqual(['/archive/1 a 1', '/archive/2 b 1']);
  told.end(0);
  told.end(1);
  told.findFor(again, product('2'));
  told.offer('a', ONE);
  told.offer('b', ONE);
  expect(told.place()).toEqual(['/archive/2 b 1']);
  told.findFor(again, product('2'));
  expect(told.place()).toEqual(['/archive/2 a 1']);
});

const somewhere: fc.Arbitrary<Location> = fc.record(
  {
    nodes: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'far', 'gone'), { maxLength: 3 }),
    racks: fc.uniqueArray(fc.constantFrom('r1', 'r2', 'gone'), { maxLength: 2 }),
    pools: fc.uniqueArray(fc.constantFrom('p', 'gone'), { maxLength: 2 }),
  },
  { requiredKeys: [] },
);

test('locality never costs liveness: when all waits are over, everything that fits runs', () => {
  fc.assert(
    fc.property(
      fc.array(somewhere, { minLength: 1, maxLength: 8 }),
      fc.subarray(['a', 'b', 'c', 'far'], { minLength: 1 }),
      (locations, nodes) => {
        const told = cluster(...locations.map((location, n) => at(`${n}`, location)));
        const free = new Map(nodes.map((node) => [node, 2]));
        const placed: string[] = [];
        // As an engine does: what a launch has left comes back.
        const offerAndPlace = () => {
          for (const [node, cpus] of free) {
            const isOffered = told.state.nodes.get(`e/${node}`)!.offers.length > 0;
            if (cpus > 0 && !isOffered) told.offer(node, { cpus, memoryMb: 512 * cpus });
          }
          const now = told.place();
          for (const line of now) {
            const node = line.split(' ')[1]!;
            free.set(node, free.get(node)! - 1);
          }
          placed.push(...now);
          return now.length > 0;
        };
        for (let look = 0; look < 20; look += 1) {
          while (offerAndPlace());
          if (told.state.lookAgainAt === undefined) break;
          told.at(told.state.lookAgainAt);
        }
        expect(placed).toHaveLength(Math.min(locations.length, 2 * nodes.length));
      },
    ),
  );
});
