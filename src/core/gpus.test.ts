import { expect, test } from 'vitest';

import { L2, aJob, product, stepPlan } from '../../test/fixtures/jobs.ts';
import { story } from '../../test/fixtures/story.ts';
import { DEFAULT_POLICY } from './policy.ts';

const PLAIN = { cpus: 2, memoryMb: 1024 };
const RICH = { ...PLAIN, gpus: 2 };
const ONE = { cpus: 1, memoryMb: 512 };

const wanting = (gpus: number, job: Parameters<typeof aJob>[0] = {}) =>
  aJob({
    ...job,
    workflow: { ...L2, process: stepPlan({ resources: { ...ONE, ...(gpus > 0 && { gpus }) } }) },
  });

/** A node with GPUs, which joins first, and one without. */
function cluster(...jobs: ReturnType<typeof aJob>[]) {
  const told = story(...jobs);
  told.nodeUp('rich', RICH);
  told.nodeUp('plain', PLAIN);
  return told;
}

test('a task with GPUs goes where there are as many free', () => {
  const { find, offer, place, effects } = cluster(wanting(2));
  find(product('a'), product('b'));
  offer('plain', PLAIN);
  offer('rich', { ...PLAIN, gpus: 1 });
  expect(place()).toEqual([]);
  offer('rich', { ...PLAIN, gpus: 1 });
  expect(place()).toEqual(['/archive/a rich 1']);
  const launch = effects.findLast((effect) => effect.type === 'launch');
  expect(launch!.attempts[0]!.resources).toEqual({ ...ONE, gpus: 2 });
});

test('tasks without GPUs fill the node without first, then the other one', () => {
  const { find, offer, place } = cluster(wanting(0));
  find(product('a'), product('b'), product('c'));
  offer('rich', RICH);
  offer('plain', PLAIN);
  expect(place().toSorted()).toEqual([
    '/archive/a plain 1',
    '/archive/b plain 1',
    '/archive/c rich 1',
  ]);
});

test('a node whose GPUs are all in use is left to others as well', () => {
  const { find, offer, place } = cluster(wanting(0));
  find(product('a'));
  offer('rich', PLAIN);
  offer('plain', PLAIN);
  expect(place()).toEqual(['/archive/a plain 1']);
});

test('that its bundle is there draws no task to a node with GPUs, but data does', () => {
  const { find, offer, place, end } = cluster(wanting(0));
  find(product('a'));
  offer('rich', ONE);
  expect(place()).toEqual(['/archive/a rich 1']);
  end(0);
  find(product('b'));
  offer('rich', RICH);
  offer('plain', PLAIN);
  expect(place()).toEqual(['/archive/b plain 1']);
  find({ ...product('c'), location: { nodes: ['rich'] } });
  offer('plain', PLAIN);
  expect(place()).toEqual(['/archive/c rich 1']);
});

test('among nodes with GPUs one that has the bundle is preferred', () => {
  const { find, offer, place, end, nodeUp } = cluster(wanting(1));
  nodeUp('other', RICH);
  find(product('a'));
  offer('other', RICH);
  place();
  end(0);
  find(product('b'));
  for (const node of ['plain', 'rich', 'other']) offer(node, RICH);
  expect(place()).toEqual(['/archive/b other 1']);
});

test('what wants GPUs lets no node pass to be nearer to its data, but takes the nearer one of two', () => {
  const near = (name: string) => ({ ...product(name), location: { nodes: ['plain', 'other'] } });
  const { find, offer, place, nodeUp } = cluster(wanting(1));
  nodeUp('other', RICH);
  find(near('a'));
  offer('rich', { ...ONE, gpus: 1 });
  expect(place()).toEqual(['/archive/a rich 1']);
  find(near('b'));
  offer('rich', { ...ONE, gpus: 1 });
  offer('other', { ...ONE, gpus: 1 });
  expect(place()).toEqual(['/archive/b other 1']);
});

test('a second attempt of a task with GPUs needs as many', () => {
  const { peers, factor } = DEFAULT_POLICY.stragglers;
  const many = { cpus: 99, memoryMb: 99_999 };
  const told = cluster(wanting(1));
  told.nodeUp('other', RICH);
  told.find(...Array.from({ length: peers + 1 }, (_, n) => product(`${n}`)));
  told.offer('rich', { ...many, gpus: 99 });
  told.place();
  told.at(60_000);
  for (let task = 0; task < peers; task += 1) told.end(task);
  told.at(60_000 * factor);
  told.offer('plain', PLAIN);
  expect(told.place()).toEqual([]);
  told.offer('other', RICH);
  expect(told.place()).toEqual([`/archive/${peers} other 2`]);
});

test('of nodes with GPUs, the one with most of what it needs is kept for a task that has waited too long', () => {
  const small = wanting(0, { id: 'small' });
  const large = wanting(2, { id: 'large', acceptedAt: 1 });
  const { findFor, offer, place, at, nodeUp } = cluster(small, large);
  nodeUp('other', RICH);
  findFor(large, product('gpus'));
  at(1000 * DEFAULT_POLICY.agingLimit);
  findFor(small, ...Array.from({ length: 4 }, (_, n) => product(`${n}`)));
  offer('rich', PLAIN);
  offer('other', { ...ONE, gpus: 1 });
  expect(place().map((line) => line.split(' ')[1])).toEqual(['rich', 'rich']);
});

test('for a task with GPUs that has waited too long a node that has some is kept', () => {
  const small = wanting(0, { id: 'small' });
  const large = wanting(2, { id: 'large', acceptedAt: 1 });
  const { findFor, offer, place, at } = cluster(small, large);
  findFor(large, product('gpus'));
  at(1000 * DEFAULT_POLICY.agingLimit);
  findFor(small, ...Array.from({ length: 4 }, (_, n) => product(`${n}`)));
  offer('plain', PLAIN);
  offer('rich', { ...PLAIN, gpus: 1 });
  expect(place().map((line) => line.split(' ')[1])).toEqual(['plain', 'plain']);
  offer('rich', { cpus: 0, memoryMb: 0, gpus: 1 });
  expect(place()).toEqual(['/archive/gpus rich 1', '/archive/2 rich 1']);
});
