import { type Static, Type } from 'typebox';
import { canMove } from '../core/lifecycle.ts';
import type { Millis } from '../core/model.ts';
import { PushbroomError } from '../errors.ts';

const BUNDLE_STATES = ['uploaded', 'vetted', 'deployed', 'withdrawn'] as const;
/**
 * `uploaded`: the machine has checked it, and it is its owner's alone; `vetted`: an operator has approved it; `deployed`:
 * offered to those who may see it; `withdrawn`: takes no new jobs.
 */
export type BundleState = (typeof BUNDLE_STATES)[number];

const BUNDLE_VISIBILITIES = ['private', 'public'] as const;
/** For whom a deployed bundle is there: its owner, or everybody whom the configuration does not exclude. */
export type BundleVisibility = (typeof BUNDLE_VISIBILITIES)[number];

const BUNDLE_MOVES: Readonly<Record<BundleState, readonly BundleState[]>> = {
  uploaded: ['vetted', 'withdrawn'],
  vetted: ['deployed', 'withdrawn'],
  deployed: ['withdrawn'],
  withdrawn: ['vetted', 'deployed'],
};

/** How far a bundle has come, for whom it is there, and who has decided that. */
export const Standing = Type.Object({
  state: Type.Enum([...BUNDLE_STATES]),
  visibility: Type.Enum([...BUNDLE_VISIBILITIES]),
  history: Type.Array(
    Type.Object({
      at: Type.Integer({ description: 'milliseconds since 1970' }),
      by: Type.String(),
      to: Type.Enum([...BUNDLE_STATES, ...BUNDLE_VISIBILITIES]),
    }),
  ),
});
export type Standing = Static<typeof Standing>;

/** What somebody wants of a bundle. */
export interface StandingWish {
  readonly state?: BundleState;
  readonly visibility?: BundleVisibility;
}

/** That of bundles which were there before bundles had any: everybody could use them. */
export const DEPLOYED: Standing = { state: 'deployed', visibility: 'public', history: [] };

/** An owner may change his mind for ever; the record is written anew each time. */
const MOST_REMEMBERED = 200;

/** How it came here stays known: whether it has to be vetted follows from that. */
const shortened = (history: Standing['history']): Standing['history'] =>
  history.length <= MOST_REMEMBERED
    ? history
    : [history[0]!, ...history.slice(1 - MOST_REMEMBERED)];

export const firstStanding = (
  state: BundleState,
  visibility: BundleVisibility,
  by: string,
  at: Millis,
): Standing => ({ state, visibility, history: [{ at, by, to: state }] });

/**
 * The standing after a change. A visibility that it has already is no change.
 *
 * @param key `name~version`
 * @throws CONFLICT for a state that does not follow
 */
export function changedStanding(
  key: string,
  standing: Standing,
  { state, visibility }: StandingWish,
  by: string,
  at: Millis,
): Standing {
  if (state !== undefined) checkMove(key, standing, state);
  const words = [state, visibility === standing.visibility ? undefined : visibility];
  const steps = words.flatMap((to) => (to === undefined ? [] : [{ at, by, to }]));
  return {
    state: state ?? standing.state,
    visibility: visibility ?? standing.visibility,
    history: shortened([...standing.history, ...steps]),
  };
}

function checkMove(key: string, standing: Standing, to: BundleState): void {
  const refuse = (reason: string) => new PushbroomError('CONFLICT', `Bundle ${key} ${reason}.`);
  const { state } = standing;
  if (state === to) throw refuse(`is ${state} already`);
  if (!canMove(BUNDLE_MOVES, state, to)) {
    const remedy = to === 'deployed' ? 'vet it first' : `it can become ${next(state)}`;
    throw refuse(`is ${state} and can not become ${to}: ${remedy}`);
  }
  if (to === 'deployed' && !wasVetted(standing)) {
    throw refuse('was withdrawn before anybody had vetted it: vet it first');
  }
}

const next = (state: BundleState): string => BUNDLE_MOVES[state].join(' or ');

/** Whether an operator has ever approved it. What was there before bundles had a history is taken as approved. */
export const wasVetted = ({ history }: Standing): boolean =>
  history.every(({ to }) => to !== 'uploaded') ||
  history.some(({ to }) => to === 'vetted' || to === 'deployed');
