import { expect, test } from 'vitest';

import { aJob, product } from '../../test/fixtures/jobs.ts';
import { failing, story } from '../../test/fixtures/story.ts';
import { DEFAULT_POLICY } from './policy.ts';

const NODE = { cpus: 4, memoryMb: 8192 };
const ONE = { cpus: 1, memoryMb: 512 };
const { factor, peers } = DEFAULT_POLICY.stragglers;
const MINUTE = 60_000;
const LATE = factor * MINUTE;

/** A job whose tasks take a minute each, but for the last one, which runs on node `slow` and does not end. */
function oneLate() {
  const job = aJob();
  const told = story(job);
  told.nodeUp('slow', NODE);
  told.nodeUp('other', NODE);
  told.find(...Array.from({ length: peers + 1 }, (_, n) => product(`${n}`)));
  told.endSplit();
  told.offer('other', { cpus: peers, memoryMb: 99_999 });
  told.place();
  told.offer('slow', ONE);
  told.place();
  told.at(MINUTE);
  for (let task = 0; task < peers; task += 1) told.end(task);
  return { ...told, job };
}

test('a second attempt is made elsewhere where one takes far longer than its peers', () => {
  const { at, offer, place, state } = oneLate();
  offer('slow', ONE);
  offer('other', ONE);
  at(LATE - 1);
  expect(place()).toEqual([]);
  expect(state.lookAgainAt).toBe(LATE);
  at(LATE);
  expect(place()).toEqual([`/archive/${peers} other 2`]);
  offer('other', ONE);
  at(9 * LATE);
  expect(place()).toEqual([]);
});

test('what waits goes before a second attempt', () => {
  const { at, offer, place, findFor, happens } = oneLate();
  const next = aJob({ id: 'next' });
  happens({ type: 'jobAccepted', job: next });
  findFor(next, product('next'));
  at(LATE);
  offer('other', ONE);
  expect(place()).toEqual(['/archive/next other 1']);
});

test('the first to finish wins, and the other one is ended without leaving anything', () => {
  const { at, offer, place, end, effects, changes, kinds, job } = oneLate();
  at(LATE);
  offer('other', ONE);
  place();
  end(peers, 2);
  expect(effects.findLast(({ type }) => type === 'kill')).toEqual({
    type: 'kill',
    engine: 'e',
    attemptId: `${job.id}.${peers}.1`,
  });
  // It finished all the same before the kill reached it.
  end(peers, 1);
  const ends = changes.flatMap((change) =>
    change.type === 'moveAttempt' && change.attempt.task === peers ? [change.to] : [],
  );
  expect(ends).toEqual(['finished', 'killed']);
  expect(
    changes.filter((change) => change.type === 'endTask' && change.task.number === peers),
  ).toHaveLength(1);
  expect(kinds().filter((kind) => kind === 'stage')).toHaveLength(1);
});

test('a task is not tried a third time while one of its attempts still runs', () => {
  const { at, offer, place, end, state, job } = oneLate();
  at(LATE);
  offer('other', ONE);
  place();
  end(peers, 1, failing('engine'), 'lost');
  const task = state.jobs.get(job.id)!.tasks.get(peers)!;
  expect([task.state, task.live]).toEqual(['running', 1]);
  end(peers, 2, failing('engine'), 'lost');
  offer('other', ONE);
  offer('slow', ONE);
  expect(place()).toHaveLength(1);
});

test('nobody is late before enough peers have finished, or when an operator has switched it off', () => {
  const { find, nodeUp, offer, place, at } = story(aJob());
  nodeUp('a', NODE);
  nodeUp('b', NODE);
  find(product('1'));
  offer('a', ONE);
  place();
  at(1000 * MINUTE);
  offer('b', ONE);
  expect(place()).toEqual([]);

  const late = oneLate();
  const stragglers = { ...DEFAULT_POLICY.stragglers, isEnabled: false };
  late.happens({ type: 'policySet', policy: { ...DEFAULT_POLICY, stragglers } });
  late.at(LATE);
  late.offer('other', ONE);
  expect(late.place()).toEqual([]);
});
