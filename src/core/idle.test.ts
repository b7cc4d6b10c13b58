import { expect, test } from 'vitest';

import { aJob, product } from '../../test/fixtures/jobs.ts';
import { story } from '../../test/fixtures/story.ts';
import { DEFAULT_POLICY } from './policy.ts';

const NODE = { cpus: 2, memoryMb: 1024 };

function told() {
  const tale = story(aJob());
  const declined = () =>
    tale.effects.flatMap((effect) => (effect.type === 'decline' ? effect.offerIds : []));
  return { ...tale, declined };
}

test('an offer that nothing uses is given back when its time is over', () => {
  const { nodeUp, offer, place, at, declined, state } = told();
  nodeUp('a', NODE);
  offer('a', NODE, 5000);
  offer('a', NODE);
  place();
  expect(state.lookAgainAt).toBe(5000);
  at(4999);
  place();
  expect(declined()).toEqual([]);
  at(5000);
  place();
  expect(declined()).toEqual(['1']);
  // What has no time is nobody else's.
  expect(state.nodes.get('e/a')?.offers.map(({ id }) => id)).toEqual(['2']);
  place();
  expect(declined()).toEqual(['1']);
});

test('an offer of a node that gets no work is given back too', () => {
  const { offer, place, happens, declined } = told();
  happens({ type: 'nodeUp', engine: 'e', node: 'a', resources: NODE, away: 'maintenance' });
  happens({ type: 'nodeDrained', engine: 'e', node: 'b', isDrained: true });
  offer('a', NODE, 0);
  offer('b', NODE, 0);
  place();
  expect(declined()).toEqual(['1', '2']);
});

test('an offer that is used is not given back', () => {
  const { offer, place, find, declined } = told();
  offer('a', NODE, 0);
  find(product('1'));
  expect(place()).toHaveLength(1);
  expect(declined()).toEqual([]);
});

test('an offer that tasks let pass is kept for as long as they wait for a nearer one', () => {
  const { nodeUp, offer, place, find, at, declined } = told();
  nodeUp('near', NODE);
  nodeUp('far', NODE);
  find({ ...product('1'), location: { nodes: ['near'] } });
  offer('far', NODE, 100);
  place();
  at(200);
  place();
  expect(declined()).toEqual([]);
  at(1000 * DEFAULT_POLICY.locality.nodeWait);
  expect(place()).toEqual(['/archive/1 far 1']);
});

test('a node that is away gets no work until its engine gives it back', () => {
  const { happens, offer, place, find, lines } = told();
  const up = { type: 'nodeUp', engine: 'e', node: 'a', resources: NODE } as const;
  happens({ ...up, away: 'maintenance from noon' });
  offer('a', NODE);
  find(product('1'));
  expect(place()).toEqual([]);
  happens(up);
  expect(place()).toEqual(['/archive/1 a 1']);
  expect(lines()).toEqual([
    'node e/a has joined',
    'node e/a gets no work: maintenance from noon',
    'node e/a gets work again',
  ]);
});
