import { describe, expect, test } from 'vitest';

import { L2, aJob, l3, periods, product, stepPlan } from '../../test/fixtures/jobs.ts';
import { failing, story } from '../../test/fixtures/story.ts';
import { explain } from './explain.ts';
import { DEFAULT_POLICY, createGroupPolicy } from './policy.ts';

const NODE = { cpus: 4, memoryMb: 8192 };
const ONE = { cpus: 1, memoryMb: 512 };
const job = aJob();

function told(what = job) {
  const one = story(what);
  return {
    ...one,
    why: (id: string = what.id, at = 0) => explain(one.state, id, at),
    codes: (at = 0) => explain(one.state, what.id, at)?.reasons.map(({ code }) => code),
  };
}

describe('a job is explained that', () => {
  test('looks for its products', () => {
    expect(told().why()).toMatchObject({
      summary: 'Its products are being looked for: 0 so far.',
      reasons: [{ code: 'splitting' }],
    });
  });

  test('finds no node', () => {
    const { find, endSplit, why, nodeUp } = told(
      aJob({ workflow: { ...L2, process: stepPlan({ resources: { cpus: 8, memoryMb: 1 } }) } }),
    );
    find(product('a'));
    endSplit();
    expect(why()!.summary).toBe('A task needs 8 cpus and 1 MB, and no node is up.');
    nodeUp('n', NODE);
    expect(why()!.summary).toBe('A task needs 8 cpus and 1 MB, and none of 1 nodes is that large.');
    expect(why()!.reasons[0]).toMatchObject({ code: 'no-node', tasks: 1 });
  });

  test('finds no node with GPUs, and waits for one', () => {
    const resources = { cpus: 1, memoryMb: 2048, gpus: 1 };
    const { find, endSplit, why, nodeUp, offer, place } = told(
      aJob({ workflow: { ...L2, process: stepPlan({ resources }) } }),
    );
    find(product('a'));
    endSplit();
    for (const node of ['m', 'n']) {
      nodeUp(node, NODE);
      offer(node, NODE);
    }
    expect(place()).toEqual([]);
    expect(why()!.summary).toBe(
      'A task needs 1 cpus, 2048 MB and 1 gpus, and none of 2 nodes is that large.',
    );
    nodeUp('o', { ...NODE, gpus: 1 });
    expect(why()!.reasons[0]).toMatchObject({ code: 'share' });
    offer('o', { ...NODE, gpus: 1 });
    expect(place()).toEqual(['/archive/a o 1']);
  });

  test('finds only nodes that get no work, and why those do not', () => {
    const { find, endSplit, why, nodeUp, happens } = told(
      aJob({ workflow: { ...L2, process: stepPlan({ resources: { cpus: 4, memoryMb: 1 } }) } }),
    );
    const drain = (node: string, reason?: string) =>
      happens({
        type: 'nodeDrained',
        engine: 'e',
        node,
        isDrained: true,
        ...(reason !== undefined && { reason }),
      });
    find(product('a'));
    endSplit();
    nodeUp('m', NODE, { away: 'Mesos says: draining' });
    expect(why()!.reasons[0]).toMatchObject({ code: 'no-node', tasks: 1 });
    expect(why()!.summary).toBe(
      'A task needs 4 cpus and 1 MB, and none of 1 nodes gets work: they are drained, cooling off or away (Mesos says: draining).',
    );
    nodeUp('n', NODE, { away: 'Mesos says: draining' });
    for (const node of ['s', 't', 'u']) nodeUp(node, ONE);
    drain('u', 'it is small');
    expect(why()!.summary).toBe(
      'A task needs 4 cpus and 1 MB, and none of 3 nodes is that large; 2 are drained, cooling off or away (Mesos says: draining).',
    );
    nodeUp('o', NODE);
    drain('o');
    for (const node of ['p', 'q']) nodeUp(node, NODE);
    drain('p', 'disk is dying');
    drain('q', 'new disk');
    expect(why()!.summary).toContain(
      '; 5 are drained, cooling off or away (Mesos says: draining; drained; disk is dying; …).',
    );
    nodeUp('m', NODE);
    expect(why()!.reasons[0]).toMatchObject({ code: 'share' });
  });

  test('finds only a node that cools off', () => {
    const { find, endSplit, why, nodeUp, state } = told();
    find(product('a'));
    endSplit();
    nodeUp('n', NODE);
    state.cooling.set('e/n', { until: 60_000, reason: 'tasks of 2 jobs failed on it' });
    expect(why()!.summary).toBe(
      'A task needs 1 cpus and 512 MB, and none of 1 nodes gets work: they are drained, cooling off or away (tasks of 2 jobs failed on it).',
    );
  });

  test('finds no node that can run its container image, or none that is large enough', () => {
    const image = 'registry.example/snap:9';
    const what = aJob({ processor: { ...job.processor, image } });
    const { find, endSplit, why, nodeUp } = told(what);
    find(product('a'));
    endSplit();
    expect(why()!.summary).toBe('A task needs 1 cpus and 512 MB, and no node is up.');
    nodeUp('plain', NODE);
    expect(why()!.reasons[0]).toEqual({
      code: 'no-node',
      message:
        'A task wants to run in the container image registry.example/snap:9, and no node can do that.',
      tasks: 1,
    });
    nodeUp('small', { cpus: 1, memoryMb: 256 }, { hasImages: true });
    expect(why()!.summary).toBe(
      'A task needs 1 cpus and 512 MB, and none of 1 nodes with container images is that large.',
    );
    nodeUp('large', NODE, { hasImages: true, away: 'maintenance' });
    expect(why()!.summary).toBe(
      'A task needs 1 cpus and 512 MB, and none of 1 nodes with container images is that large; 1 are drained, cooling off or away (maintenance).',
    );
    nodeUp('large', NODE, { hasImages: true });
    expect(why()!.reasons[0]).toMatchObject({ code: 'share' });
  });

  test('has come to a limit', () => {
    const { find, nodeUp, offer, place, happens, why } = told();
    happens({ type: 'policySet', policy: { ...DEFAULT_POLICY, userLimits: { runningTasks: 1 } } });
    nodeUp('n', NODE);
    find(product('a'), product('b'));
    offer('n', NODE);
    place();
    expect(why()!.reasons).toMatchObject([
      { code: 'running', message: 'One attempt runs on node n.' },
      {
        code: 'limit',
        message: "The user 'alice' uses all of its limit of 1 running tasks.",
        tasks: 1,
      },
      { code: 'splitting' },
    ]);
  });

  test('waits for its turn, with its place in the line and when it may come', () => {
    const groups = [createGroupPolicy({ name: 'a' }), createGroupPolicy({ name: 'b' })];
    const first = aJob({ id: 'first', group: 'a' });
    const second = aJob({ id: 'second', group: 'b' });
    const { happens, findFor, nodeUp, offer, place, end, state, at } = story(first, second);
    happens({ type: 'policySet', policy: { ...DEFAULT_POLICY, groups } });
    nodeUp('n', { cpus: 2, memoryMb: 8192 });
    findFor(first, ...Array.from({ length: 5 }, (_, n) => product(`${n}`)));
    offer('n', { cpus: 2, memoryMb: 8192 });
    place();
    at(1000);
    end(0, 1, {}, 'finished', first);
    offer('n', ONE);
    place();
    findFor(second, product('x'));
    expect(explain(state, 'second', 1000)).toMatchObject({
      reasons: [{ code: 'share' }, { code: 'splitting' }],
      position: 1,
      of: 2,
      expectedStart: 1500,
    });
    expect(explain(state, 'first', 1000)).toMatchObject({ position: 2, of: 2 });
  });

  test('waits for a node near its data', () => {
    const { find, nodeUp, offer, place, why } = told();
    nodeUp('near', NODE);
    nodeUp('far', NODE);
    find({ ...product('a'), location: { nodes: ['near'] } });
    offer('far', NODE);
    place();
    expect(why()!.reasons[0]).toMatchObject({
      code: 'locality',
      until: 1000 * DEFAULT_POLICY.locality.nodeWait,
    });
    expect(why(`${job.id}.0`)!.reasons[0]!.code).toBe('locality');
  });

  test('has tasks that failed', () => {
    const { find, launch, end, why } = told();
    find(product('a'));
    launch();
    end(0, 1, failing('processor'), 'failed');
    const backoff = { code: 'backoff', until: 1000 };
    expect(why()!.reasons[0]).toMatchObject({ ...backoff, tasks: 1 });
    expect(why(`${job.id}.0`)!.reasons).toMatchObject([backoff]);
  });

  test('is paused', () => {
    const { find, happens, why, codes } = told();
    find(product('a'));
    happens({ type: 'jobControlled', jobId: job.id, control: { isPaused: true } });
    expect(codes()![0]).toBe('paused');
    expect(why()).not.toHaveProperty('position');
    expect(why(`${job.id}.0`)!.summary).toBe('An operator has paused its job: resume it.');
  });

  test('has periods that wait for others of their tasks', () => {
    const { find, endSplit, launch, codes } = told(aJob({ workflow: l3(1), periods: periods(2) }));
    find(product('a', 0), product('b', 1));
    endSplit();
    launch();
    expect(codes()).toEqual(['running', 'dependency']);
  });

  test('is being staged, or has ended', () => {
    const { find, endSplit, launch, end, codes } = told();
    find(product('a'));
    endSplit();
    launch();
    end(0);
    expect(codes()).toEqual(['staging']);

    const dismissed = told();
    dismissed.find(product('a'));
    dismissed.launch();
    dismissed.happens({ type: 'jobDismissed', jobId: job.id });
    expect(dismissed.codes()).toEqual(['ended']);
  });
});

test('tasks and attempts are explained too, and what is over or unknown is not', () => {
  const { find, launch, why } = told();
  find(product('a'));
  launch();
  expect(why(`${job.id}.0`)).toMatchObject({ state: 'running', reasons: [{ code: 'running' }] });
  expect(why(`${job.id}.0.1`)).toMatchObject({ state: 'launched', reasons: [{ code: 'running' }] });
  for (const id of ['none', `${job.id}.7`, `${job.id}.0.9`, `${job.id}.x`, '..']) {
    expect(why(id)).toBeUndefined();
  }
});
