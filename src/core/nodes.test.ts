import { describe, expect, test } from 'vitest';

import { aJob, product } from '../../test/fixtures/jobs.ts';
import { OUTPUT, failing, story } from '../../test/fixtures/story.ts';
import type { Job } from './model.ts';
import { DEFAULT_POLICY } from './policy.ts';

const NODE = { cpus: 4, memoryMb: 8192 };
/** Also for what else waits. */
const PLENTY = { cpus: 99, memoryMb: 99_999 };
const ONE = { cpus: 1, memoryMb: 512 };
const { failures, jobs: accusers, coolOff } = DEFAULT_POLICY.avoid;

const PATIENT = { maxAttempts: 99, maxLosses: 99, delay: 0, failurePercent: 100 };
const jobs = ['1', '2', '3'].map((id) => aJob({ id, user: id, retry: PATIENT }));

function cluster(nodes: readonly string[] = ['good', 'bad', 'other', 'more']) {
  const told = story(...jobs);
  for (const node of nodes) told.nodeUp(node, NODE);
  let products = 0;
  let now = 0;
  /** Runs a task of a job on a node, if it goes there. */
  const run = (job: Job, node: string, isGood: boolean, kind = 'engine' as const): boolean => {
    told.findFor(job, product(`${(products += 1)}`));
    // What fails at one time counts once.
    told.at((now += 1));
    told.offer(node, PLENTY);
    told.place();
    const launched = told.changes.findLast(
      (change) => change.type === 'addAttempt' && change.attempt.jobId === job.id,
    );
    if (launched?.type !== 'addAttempt') return false;
    const { id } = launched.attempt;
    if (launched.attempt.node !== node || !told.state.jobs.get(job.id)!.attempts.has(id)) {
      return false;
    }
    const result = isGood ? OUTPUT : failing(kind);
    const to = isGood ? 'finished' : 'failed';
    told.happens({ type: 'attemptMoved', engine: 'e', attemptId: id, to, result });
    return true;
  };
  const at = (time: number): void => told.at((now = time));
  return { ...told, run, at };
}

describe('a node on which tasks fail', () => {
  test('is avoided by the job first, then gets nothing at all until it has cooled off', () => {
    const { run, lines, state, at } = cluster();
    for (const job of jobs.slice(0, accusers)) {
      expect(run(job, 'good', true)).toBe(true);
      for (let n = 0; n < failures; n += 1) expect(run(job, 'bad', false)).toBe(true);
    }
    expect(lines().filter((line) => line.includes('avoids node e/bad'))).toHaveLength(accusers - 1);
    expect(lines().at(-1)).toBe(
      `node e/bad gets no work for ${coolOff} s: tasks of ${accusers} jobs failed on it`,
    );
    expect(run(jobs[2]!, 'bad', true)).toBe(false);
    expect(run(jobs[2]!, 'good', true)).toBe(true);
    at(state.cooling.get('e/bad')!.until);
    expect(state.cooling.size).toBe(0);
    expect(run(jobs[0]!, 'bad', true)).toBe(true);
  });

  test('cools off longer each time, until something succeeds there', () => {
    const { run, state, at } = cluster();
    const fail = () => {
      for (const job of jobs.slice(0, accusers)) {
        for (let n = 0; n < failures; n += 1) run(job, 'bad', false);
      }
    };
    const wait = () => {
      const failed = state.jobs.get('2')!.trouble.get('e/bad')!;
      return (state.cooling.get('e/bad')!.until - failed.at) / 1000;
    };
    fail();
    expect(wait()).toBe(coolOff);
    at(state.cooling.get('e/bad')!.until);
    fail();
    expect(wait()).toBe(2 * coolOff);
  });

  test('is given work by other jobs as long as one alone avoids it', () => {
    const { run } = cluster();
    for (let n = 0; n < failures; n += 1) run(jobs[0]!, 'bad', false);
    expect(run(jobs[0]!, 'bad', true)).toBe(false);
  });

  test('is not blamed where the program has never worked anywhere', () => {
    const { find, findFor, offer, place, end, state } = cluster();
    find(...Array.from({ length: failures }, (_, n) => product(`x${n}`)));
    expect(findFor).toBeDefined();
    offer('bad', NODE);
    place();
    for (let n = 0; n < failures; n += 1) end(n, 1, failing('processor'), 'failed');
    expect(state.jobs.get('1')!.trouble.size).toBe(0);
  });

  test('is forgiven when a task succeeds there', () => {
    const { run, state } = cluster();
    for (let n = 1; n < failures; n += 1) run(jobs[0]!, 'bad', false);
    expect(state.jobs.get('1')!.trouble.get('e/bad')!.failures).toBe(failures - 1);
    run(jobs[0]!, 'bad', true);
    expect(state.jobs.get('1')!.trouble.has('e/bad')).toBe(false);
  });

  test('stays in work where half of the others have cooled off: then it is not the nodes', () => {
    const { run, state } = cluster();
    for (const node of ['good', 'bad', 'other', 'more']) {
      for (const job of jobs.slice(0, accusers)) {
        for (let n = 0; n < failures; n += 1) run(job, node, false);
      }
    }
    expect(state.cooling.size).toBe(2);
  });

  test('is used all the same by a job that avoids every one', () => {
    const { run } = cluster(['only']);
    for (let n = 0; n < failures; n += 1) expect(run(jobs[0]!, 'only', false)).toBe(true);
    expect(run(jobs[0]!, 'only', true)).toBe(true);
  });
});

describe('a node', () => {
  test('that joins gets work at once', () => {
    const { find, nodeUp, offer, place } = cluster([]);
    find(product('a'));
    nodeUp('new', NODE);
    offer('new', NODE);
    expect(place()).toEqual(['/archive/a new 1']);
  });

  test('that is drained gets nothing new, and what runs there goes on', () => {
    const { find, offer, place, happens, end, state } = cluster();
    const drain = (isDrained: boolean) =>
      happens({ type: 'nodeDrained', engine: 'e', node: 'good', isDrained, reason: 'new disk' });
    find(product('a'), product('b'));
    offer('good', ONE);
    place();
    drain(true);
    offer('good', ONE);
    expect(place()).toEqual([]);
    expect(state.drained.get('e/good')).toBe('new disk');
    end(0);
    expect(state.jobs.get('1')!.steps.process.finished).toBe(1);
    drain(false);
    expect(place()).toEqual(['/archive/b good 1']);
  });

  test('that goes takes its attempts with it: they are tried again elsewhere at once', () => {
    const { find, offer, place, happens, effects } = cluster();
    find(product('a'), product('b'));
    offer('bad', NODE);
    expect(place()).toHaveLength(2);
    happens({ type: 'nodeDown', engine: 'e', node: 'bad' });
    offer('good', NODE);
    expect(place().toSorted()).toEqual(['/archive/a good 2', '/archive/b good 2']);
    const attemptId = '1.0.1';
    happens({ type: 'attemptMoved', engine: 'e', attemptId, to: 'running' });
    expect(effects.at(-1)).toEqual({ type: 'kill', engine: 'e', attemptId });
  });

  test('that goes with the last attempts of an ended job lets that leave', () => {
    const { find, offer, place, happens, state } = cluster();
    find(product('a'), product('b'));
    offer('bad', NODE);
    place();
    happens({ type: 'jobDismissed', jobId: '1' });
    happens({ type: 'nodeDown', engine: 'e', node: 'bad' });
    expect(state.jobs.has('1')).toBe(false);
  });

  test.each([
    { cpus: Number.NaN, memoryMb: 1 },
    { cpus: -1, memoryMb: 1 },
    { cpus: Infinity, memoryMb: 1 },
    { cpus: 1, memoryMb: 1e18 },
    { cpus: 1, memoryMb: 1, gpus: 0.5 },
    { cpus: 1, memoryMb: 1, gpus: -1 },
    { cpus: 1, memoryMb: 1, gpus: Number.NaN },
    { cpus: 1, memoryMb: 1, gpus: 1e6 },
  ])('that says to have %j is not believed', (resources) => {
    const { nodeUp, offer, state, lines } = cluster([]);
    nodeUp('liar', resources);
    offer('liar', resources);
    expect(state.nodes.size).toBe(0);
    expect(state.total).toEqual({ cpus: 0, memoryMb: 0, gpus: 0 });
    expect(lines().filter((line) => line.includes('cannot be'))).toHaveLength(2);
  });

  test('keeps several offers, the same one once, and loses what is rescinded', () => {
    const { happens, nodeUp, state } = cluster([]);
    const offer = (id: string) => ({ id, engine: 'e', node: 'n', resources: ONE });
    const offers = () => state.nodes.get('e/n')?.offers.map(({ id }) => id);
    nodeUp('n', NODE, { rack: 'r' });
    happens({ type: 'offered', offers: [offer('1'), offer('2')] });
    happens({ type: 'offered', offers: [offer('2'), offer('3')] });
    expect(offers()).toEqual(['1', '2', '3']);
    happens({ type: 'rescinded', engine: 'e', offerIds: ['2'] });
    expect(offers()).toEqual(['1', '3']);
    expect(state.nodes.get('e/n')).toMatchObject({ total: NODE, rack: 'r' });
    happens({ type: 'nodeDown', engine: 'e', node: 'n' });
    expect(state.nodes.size).toBe(0);
  });
});
