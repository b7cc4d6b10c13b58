import fc from 'fast-check';
import { expect, test } from 'vitest';
import { changedStanding, DEPLOYED, firstStanding, wasVetted } from './standing.ts';
import type { BundleState, Standing, StandingWish } from './standing.ts';

const STATES: readonly BundleState[] = ['uploaded', 'vetted', 'deployed', 'withdrawn'];
const uploaded = firstStanding('uploaded', 'private', 'anna', 1);

/** What is refused changes nothing. */
const change = (standing: Standing, wish: StandingWish): Standing => {
  try {
    return changedStanding('b~1', standing, wish, 'olga', 2);
  } catch {
    return standing;
  }
};
const wishes = fc.array(
  fc.record(
    { state: fc.constantFrom(...STATES), visibility: fc.constantFrom('private', 'public') },
    { requiredKeys: [] },
  ),
  { maxLength: 12 },
);

test('a bundle goes from hand to hand, and who did it is remembered', () => {
  const steps: StandingWish[] = [
    { state: 'vetted' },
    { state: 'deployed', visibility: 'public' },
    { state: 'withdrawn' },
    { state: 'deployed' },
  ];
  const { state, visibility, history } = steps.reduce(change, uploaded);
  expect([state, visibility]).toEqual(['deployed', 'public']);
  expect(history.map(({ by, to }) => `${by}: ${to}`)).toEqual([
    'anna: uploaded',
    'olga: vetted',
    'olga: deployed',
    'olga: public',
    'olga: withdrawn',
    'olga: deployed',
  ]);
});

test.each<[string, Standing, BundleState, string]>([
  [
    'deployed unseen',
    uploaded,
    'deployed',
    'Bundle b~1 is uploaded and can not become deployed: vet it first.',
  ],
  [
    'vetted afterwards',
    DEPLOYED,
    'vetted',
    'Bundle b~1 is deployed and can not become vetted: it can become withdrawn.',
  ],
  ['deployed twice', DEPLOYED, 'deployed', 'Bundle b~1 is deployed already.'],
  [
    'deployed unseen, by way of a withdrawal',
    change(uploaded, { state: 'withdrawn' }),
    'deployed',
    'Bundle b~1 was withdrawn before anybody had vetted it: vet it first.',
  ],
])('a bundle is not %s', (_, from, state, message) => {
  expect(() => changedStanding('b~1', from, { state }, 'olga', 2)).toThrow(message);
});

test('what was there before bundles had a state can be withdrawn and deployed again', () => {
  const steps: StandingWish[] = [{ state: 'withdrawn' }, { state: 'deployed' }];
  expect(steps.reduce(change, DEPLOYED).state).toBe('deployed');
});

test('no way leads to a deployment but by a vetting', () => {
  const reached = new Set<string>();
  fc.assert(
    fc.property(wishes, (all) => {
      const end = all.reduce(change, uploaded);
      reached.add(end.state);
      const { history } = end;
      const first = history.findIndex(({ to }) => to === 'deployed');
      const vetted = history.findIndex(({ to }) => to === 'vetted');
      expect(first === -1 || (vetted !== -1 && vetted < first)).toBe(true);
    }),
    { numRuns: 500 },
  );
  expect([...reached].toSorted()).toEqual([...STATES].toSorted());
});

test('the history has an end, and its beginning is kept', () => {
  const toggles = Array.from({ length: 500 }, (_, index): StandingWish => {
    return { visibility: index % 2 === 0 ? 'public' : 'private' };
  });
  const end = toggles.reduce(change, uploaded);
  expect(end.history).toHaveLength(200);
  expect(end.history[0]).toEqual({ at: 1, by: 'anna', to: 'uploaded' });
  expect(wasVetted(end)).toBe(false);
});

test('the visibility that it has already is no news', () => {
  expect(change(uploaded, { visibility: 'private' })).toEqual(uploaded);
});
