import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { NODE, ONE, at, many, twoEngines } from '../../test/fixtures/engines.ts';
import { L2, aJob, product, stepPlan } from '../../test/fixtures/jobs.ts';
import { OUTPUT, failing, launches, story } from '../../test/fixtures/story.ts';
import { explain } from './explain.ts';
import { DEFAULT_POLICY } from './policy.ts';

describe('an input that only some engines reach', () => {
  const onlyYarn = { engines: ['yarn'] };

  test('is worked on there, however long that is full', () => {
    const { find, offerAll, nodes, at: time } = twoEngines();
    find(...many(3, onlyYarn));
    offerAll('m1', 'm2', 'y1');
    expect(nodes()).toEqual(['y1', 'y1']);
    time(1_000_000);
    expect(nodes()).toEqual([]);
    offerAll('y2');
    expect(nodes()).toEqual(['y2']);
  });

  test('keeps no other task from the others', () => {
    const { find, offerAll, nodes } = twoEngines();
    find(at('a', onlyYarn), product('b'), at('c', { engines: ['mesos'] }));
    offerAll('m1');
    expect(nodes()).toEqual(['m1', 'm1']);
  });

  test('is not waited for near its data, and ran at no known distance', () => {
    const { find, offerAll, nodes, changes } = twoEngines();
    find(at('a', { engines: ['yarn', 'mesos'] }));
    offerAll('m1');
    expect(nodes()).toEqual(['m1']);
    const { attempt } = changes.findLast(({ type }) => type === 'addAttempt') as never as {
      attempt: object;
    };
    expect(attempt).not.toHaveProperty('locality');
  });

  test('is not waited for on nodes that do not reach it', () => {
    const { find, offerAll, nodes } = twoEngines();
    find(at('a', { nodes: ['m1'], engines: ['yarn'] }));
    offerAll('y1');
    expect(nodes()).toEqual(['y1']);
  });

  test('is tried again there only, also where that is the only node', () => {
    const { find, offerAll, nodes, end, happens } = twoEngines();
    happens({ type: 'nodeDown', engine: 'yarn', node: 'y2' });
    find(at('a', onlyYarn));
    offerAll('y1');
    expect(nodes()).toEqual(['y1']);
    end(0, 1, failing('engine'), 'lost');
    offerAll('m1', 'm2');
    expect(nodes()).toEqual([]);
    offerAll('y1');
    expect(nodes()).toEqual(['y1']);
  });

  test('gets its second attempt there only', () => {
    const { peers, factor } = DEFAULT_POLICY.stragglers;
    const told = twoEngines();
    told.find(...many(peers + 1, onlyYarn));
    told.offer('y1', { cpus: 99, memoryMb: 99_999 });
    told.place();
    told.at(60_000);
    for (let task = 0; task < peers; task += 1) told.end(task);
    told.at(60_000 * factor);
    told.offerAll('m1');
    expect(told.nodes()).toEqual([]);
    told.offerAll('y2');
    expect(told.nodes()).toEqual(['y2']);
  });

  test('has no more memory next time than a node has that reaches it', () => {
    const workflow = { ...L2, process: stepPlan({ resources: ONE }) };
    const told = twoEngines({}, aJob({ workflow, retry: { maxMemoryMb: 9000 } }));
    told.nodeUp('y1', { cpus: 2, memoryMb: 700 }, { engine: 'yarn' });
    told.nodeUp('y2', { cpus: 2, memoryMb: 600 }, { engine: 'yarn' });
    told.find(at('a', onlyYarn));
    told.offerAll('y1');
    told.place();
    told.end(0, 1, failing('memory'), 'failed');
    expect(told.changes.findLast(({ type }) => type === 'retryTask')).toMatchObject({
      memoryMb: 700,
    });
  });

  test('leaves the step after it to all of them', () => {
    const told = twoEngines({}, aJob({ workflow: { ...L2, format: stepPlan() } }));
    told.find(at('a', onlyYarn));
    told.offerAll('y1');
    told.place();
    told.end(0);
    told.offerAll('m1');
    expect(told.nodes()).toEqual(['m1']);
  });
});

describe('why it waits is said where', () => {
  const why = (told: ReturnType<typeof twoEngines>) =>
    explain(told.state, aJob().id, 0)!.reasons[0]!;
  const gone = (told: ReturnType<typeof twoEngines>, ...nodes: string[]) =>
    nodes.forEach((node) => told.happens({ type: 'nodeDown', engine: 'yarn', node }));

  test('no engine that reaches the data has nodes', () => {
    const told = twoEngines();
    told.find(at('a', { engines: ['yarn'] }));
    gone(told, 'y1', 'y2');
    expect(why(told)).toEqual({
      code: 'no-node',
      message: 'Its input can be reached by yarn only, which has no nodes now.',
      tasks: 1,
    });
  });

  test('none of several engines that reach it has nodes', () => {
    const told = twoEngines();
    told.find(at('a', { engines: ['yarn', 'slurm'] }));
    gone(told, 'y1', 'y2');
    expect(why(told).message).toBe(
      'Its input can be reached by yarn and slurm only, which have no nodes now.',
    );
  });

  test('no engine reaches it at all', () => {
    const told = twoEngines();
    told.find(at('a', { engines: [] }));
    expect(why(told).message).toBe('No engine reaches its input.');
  });

  test('no node of theirs is large enough, gets work or can run its image', () => {
    const workflow = { ...L2, process: stepPlan({ resources: { cpus: 3, memoryMb: 512 } }) };
    const large = twoEngines({}, aJob({ workflow }));
    large.nodeUp('m3', { cpus: 9, memoryMb: 9999 }, { engine: 'mesos' });
    large.find(at('a', { engines: ['yarn'] }));
    expect(why(large).message).toBe(
      'A task needs 3 cpus and 512 MB, and none of 2 nodes of yarn is that large.',
    );
    const image = 'registry.example/snap:9';
    const contained = twoEngines({}, aJob({ processor: { ...aJob().processor, image } }));
    contained.nodeUp('m3', NODE, { engine: 'mesos', hasImages: true });
    contained.find(at('a', { engines: ['yarn'] }));
    expect(why(contained).message).toBe(
      `A task wants to run in the container image ${image}, and no node of yarn can do that.`,
    );
  });

  test('their nodes are full while others are free', () => {
    const told = twoEngines();
    told.find(at('a', { engines: ['yarn'] }));
    told.offerAll('m1');
    expect(why(told)).toMatchObject({
      code: 'share',
      message: 'Its input can be reached by yarn only, whose nodes are full.',
    });
    told.offerAll('y1');
    expect(why(told).message).toMatch(/^Other jobs go first/);
    // All that is free is too small for anybody.
    const full = twoEngines();
    full.find(at('a', { engines: ['yarn'] }));
    full.offer('m1', { cpus: 0.5, memoryMb: 512 });
    expect(why(full).message).toMatch(/^Other jobs go first/);
  });
});

const ENGINES = ['e', 'f', 'g'];
const names = ['n0', 'n1', 'n2', 'n3', 'n4', 'n5'];
const engineOf = (node: string): string => ENGINES[Number(node[1]) % ENGINES.length]!;
const reached = fc.constantFrom(undefined, ['e'], ['f'], ['e', 'f'], ['f', 'g'], ['gone']);

const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ type: fc.constant('find' as const), engines: reached }) },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('offer' as const),
      node: fc.constantFrom(...names),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('end' as const),
      which: fc.nat(9),
      kind: fc.constantFrom(undefined, 'engine' as const, 'memory' as const, 'capacity' as const),
    }),
  },
  fc.record({ type: fc.constant('pass' as const), seconds: fc.constantFrom(1, 60, 4000) }),
);

test('whatever happens, retries and second attempts reach their input as well', () => {
  const seen = { again: 0, beside: 0 };
  fc.assert(
    fc.property(fc.array(step, { minLength: 30, maxLength: 60 }), (steps) => {
      const retry = { maxAttempts: 99, maxLosses: 99, failurePercent: 100 };
      const told = story(aJob({ retry }));
      told.happens({
        type: 'policySet',
        policy: {
          ...DEFAULT_POLICY,
          stragglers: { isEnabled: true, factor: 2, minimum: 1, peers: 1 },
        },
      });
      for (const node of names) told.nodeUp(node, NODE, { engine: engineOf(node) });
      let [now, found] = [0, 0];
      for (const one of steps) {
        if (one.type === 'find') {
          told.find(at(`${(found += 1)}`, one.engines ? { engines: one.engines } : {}));
        } else if (one.type === 'offer') told.offer(one.node, NODE);
        else if (one.type === 'pass') told.at((now += 1000 * one.seconds));
        else {
          const attempts = [...told.state.jobs.values()].flatMap((job) => [
            ...job.attempts.values(),
          ]);
          const out = attempts[one.which]?.attempt;
          if (out && one.kind) told.end(out.task, out.number, failing(one.kind), 'lost');
          else if (out) told.end(out.task, out.number, OUTPUT);
        }
        const before = told.effects.length;
        told.place();
        for (const { engine, attempts } of launches(told.effects.slice(before))) {
          for (const { task, attempt } of attempts) {
            const its: readonly string[] = task.location?.engines ?? ENGINES;
            expect(its).toContain(engine);
            if (!task.location?.engines) continue;
            if (attempt.isSpeculative) seen.beside += 1;
            else if (attempt.number > 1) seen.again += 1;
          }
        }
      }
    }),
  );
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(20);
});
