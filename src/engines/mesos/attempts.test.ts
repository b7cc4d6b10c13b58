import fc from 'fast-check';
import { pino } from 'pino';
import { expect, test } from 'vitest';

import { ATTEMPT_MOVES, canMove, isAttemptEnded } from '../../core/lifecycle.ts';
import type { AttemptState } from '../../core/model.ts';
import type { RunnerEnd } from '../../runner/sandbox.ts';
import type { EngineEvent } from '../engine.ts';
import { Attempts } from './attempts.ts';
import type { Call, TaskStatus } from './protocol.ts';

const PATIENCE = {
  launch: 60_000,
  silence: 600_000,
  unreachable: 300_000,
  recheck: 900_000,
  killAgain: 30_000,
};

type Moved = Extract<EngineEvent, { type: 'attemptMoved' }>;

/** Attempts whose master is the test, and whose news is stored when the test says so. */
function world() {
  const told: Moved[] = [];
  const sent: Call[] = [];
  const ends = new Map<string, RunnerEnd>();
  const stores: PromiseWithResolvers<void>[] = [];
  let at = 0;
  let holdsBack = false;
  const attempts = new Attempts({
    engine: 'mesos',
    patience: PATIENCE,
    killGrace: 5,
    logger: pino({ level: 'silent' }),
    now: () => at,
    emit: (event) => {
      told.push(event as Moved);
      const store = Promise.withResolvers<void>();
      if (holdsBack) stores.push(store);
      else store.resolve();
      return store.promise;
    },
    send: async (call) => void sent.push(call),
    readEnd: async (attemptId) => ends.get(attemptId),
  });
  return {
    attempts,
    told,
    ends,
    stores,
    holdBack: () => (holdsBack = true),
    pass: (ms: number) => {
      at += ms;
      attempts.tick();
    },
    calls: (type: string) => sent.filter((call) => call.type === type),
    moves: (id = 'j.0.1') => told.filter(({ attemptId }) => attemptId === id).map(({ to }) => to),
    launch: (id = 'j.0.1') => attempts.begin([id], 'S0', Promise.resolve()),
    /** Lets all that was heard come to its end. */
    rest: () => new Promise<void>((resolve) => setImmediate(resolve)),
  };
}

const status = (state: string, more: Partial<TaskStatus> = {}): TaskStatus => ({
  taskId: 'j.0.1',
  agentId: 'S0',
  state,
  source: 'SOURCE_EXECUTOR',
  ...more,
});

const RECONCILED = { source: 'SOURCE_MASTER', reason: 'REASON_RECONCILIATION' } as const;

const FINISHED: RunnerEnd = {
  attemptId: 'j.0.1',
  to: 'finished',
  result: { exitCode: 0, outputs: [] },
  isKept: true,
};

test('an update is acknowledged once, and only when what it means is stored', async () => {
  const { attempts, launch, holdBack, stores, calls, moves, ends, rest } = world();
  launch();
  holdBack();
  ends.set('j.0.1', FINISHED);
  attempts.hear(status('TASK_STARTING', { uuid: 'a' }));
  expect(calls('ACKNOWLEDGE')).toHaveLength(1);
  attempts.hear(status('TASK_RUNNING', { uuid: 'b' }));
  attempts.hear(status('TASK_RUNNING', { uuid: 'b' }));
  await rest();
  expect(calls('ACKNOWLEDGE')).toHaveLength(1);
  stores.shift()!.resolve();
  await rest();
  expect(calls('ACKNOWLEDGE')).toHaveLength(2);
  attempts.hear(status('TASK_FINISHED', { uuid: 'c' }));
  await rest();
  attempts.hear(status('TASK_FINISHED', { uuid: 'c' }));
  await rest();
  expect(calls('ACKNOWLEDGE')).toHaveLength(2);
  stores.shift()!.resolve();
  await rest();
  expect(
    calls('ACKNOWLEDGE').map((call) => (call['acknowledge'] as { uuid: string }).uuid),
  ).toEqual(['a', 'b', 'c']);
  expect(moves()).toEqual(['running', 'finished']);
});

test('an update that could not be stored is not acknowledged', async () => {
  const { attempts, launch, holdBack, stores, calls, rest } = world();
  launch();
  holdBack();
  attempts.hear(status('TASK_RUNNING', { uuid: 'a' }));
  stores.shift()!.reject(new Error('a defect'));
  await rest();
  expect(calls('ACKNOWLEDGE')).toEqual([]);
});

test('an update without a uuid is never acknowledged', async () => {
  const { attempts, launch, calls, moves, rest } = world();
  launch();
  attempts.hear(status('TASK_RUNNING', RECONCILED));
  attempts.hear(status('TASK_UNREACHABLE', { source: 'SOURCE_MASTER' }));
  attempts.hear(status('TASK_LOST', { source: 'SOURCE_MASTER' }));
  await rest();
  expect(calls('ACKNOWLEDGE')).toEqual([]);
  expect(moves()).toEqual(['running', 'lost']);
});

test('what the master no longer knows does not undo an end', async () => {
  const { attempts, launch, ends, moves, rest } = world();
  launch();
  ends.set('j.0.1', FINISHED);
  attempts.hear(status('TASK_FINISHED', { uuid: 'a' }));
  await rest();
  attempts.hear(status('TASK_GONE', RECONCILED));
  await rest();
  expect(moves()).toEqual(['finished']);
});

test("the runner's word counts where the master has forgotten the task", async () => {
  const { attempts, launch, ends, told, rest } = world();
  launch();
  await rest();
  ends.set('j.0.1', FINISHED);
  attempts.hear(status('TASK_GONE', RECONCILED));
  await rest();
  expect(told).toMatchObject([{ to: 'finished', result: FINISHED.result }]);
});

test('an answer that may be older than the launch is no answer', async () => {
  const { attempts, moves, rest } = world();
  const accepted = Promise.withResolvers<void>();
  attempts.begin(['j.0.1'], 'S0', accepted.promise);
  attempts.hear(status('TASK_UNKNOWN', RECONCILED));
  await rest();
  expect(moves()).toEqual([]);
  accepted.resolve();
  await rest();
  attempts.hear(status('TASK_UNKNOWN', RECONCILED));
  await rest();
  expect(moves()).toEqual(['lost']);
});

test('a launch that the master refuses is lost at once', async () => {
  const { attempts, told, rest } = world();
  attempts.begin(['j.0.1'], 'S0', Promise.reject(new Error('Framework is not subscribed')));
  await rest();
  expect(told).toMatchObject([
    { to: 'lost', result: { failure: { kind: 'engine', message: /not subscribed/ } } },
  ]);
});

test('an agent that comes back in time brings its attempt back', async () => {
  const { attempts, launch, pass, moves, ends, rest } = world();
  launch();
  attempts.hear(status('TASK_RUNNING', { uuid: 'a' }));
  attempts.hear(status('TASK_UNREACHABLE', { source: 'SOURCE_MASTER' }));
  pass(PATIENCE.unreachable);
  attempts.hear(
    status('TASK_RUNNING', { source: 'SOURCE_MASTER', reason: 'REASON_AGENT_REREGISTERED' }),
  );
  pass(PATIENCE.unreachable);
  ends.set('j.0.1', FINISHED);
  attempts.hear(status('TASK_FINISHED', { uuid: 'b' }));
  await rest();
  expect(moves()).toEqual(['running', 'finished']);
});

test('an agent that stays away loses its attempt, which is killed should it come back', async () => {
  const { attempts, launch, pass, calls, moves, rest } = world();
  launch();
  attempts.hear(status('TASK_UNREACHABLE', { source: 'SOURCE_MASTER' }));
  pass(PATIENCE.unreachable + 1);
  expect(moves()).toEqual(['lost']);
  expect(calls('KILL')).toHaveLength(1);
  // The scheduler, told of a runner that it does not know, has it killed.
  attempts.hear(status('TASK_RUNNING', { uuid: 'b' }));
  await rest();
  expect(moves()).toEqual(['lost', 'running']);
  await attempts.kill('j.0.1');
  expect(calls('KILL')).toHaveLength(2);
});

test('a silent master is asked again and again, less and less often, and in the end not waited for', () => {
  const { attempts, launch, pass, calls, moves } = world();
  launch();
  attempts.subscribed();
  const asked = () =>
    calls('RECONCILE').filter(
      (call) => (call['reconcile'] as { tasks: unknown[] }).tasks.length === 1,
    ).length;
  expect(asked()).toBe(1);
  for (let seconds = 0; seconds < 60; seconds += 1) pass(1000);
  const early = asked();
  expect(early).toBeGreaterThan(4);
  for (let seconds = 0; seconds < 60; seconds += 1) pass(1000);
  expect(asked() - early).toBeLessThan(3);
  expect(moves()).toEqual([]);
  pass(PATIENCE.silence);
  expect(moves()).toEqual(['lost']);
});

test('nobody is blamed for silence while there is no subscription', () => {
  const { attempts, launch, pass, moves } = world();
  launch();
  attempts.subscribed();
  pass(2000);
  attempts.unsubscribed();
  pass(PATIENCE.silence * 2);
  expect(moves()).toEqual([]);
});

test('a kill is sent again until it has had an effect, and after a new subscription at once', async () => {
  const { attempts, launch, pass, calls, moves, rest } = world();
  launch();
  attempts.subscribed();
  await attempts.kill('j.0.1');
  expect(calls('KILL')).toHaveLength(1);
  pass(PATIENCE.killAgain + 1);
  expect(calls('KILL')).toHaveLength(2);
  attempts.unsubscribed();
  pass(PATIENCE.killAgain + 1);
  expect(calls('KILL')).toHaveLength(2);
  attempts.subscribed();
  expect(calls('KILL')).toHaveLength(3);
  attempts.hear(status('TASK_KILLED', { uuid: 'a' }));
  await rest();
  pass(PATIENCE.killAgain + 1);
  expect(calls('KILL')).toHaveLength(3);
  expect(moves()).toEqual(['killed']);
});

test('an attempt that somebody else has killed is lost, and so is one that had to leave its node', async () => {
  const { attempts, launch, told, rest } = world();
  launch();
  attempts.hear(status('TASK_KILLED', { uuid: 'a' }));
  launch('j.1.1');
  await attempts.kill('j.1.1', { kind: 'operator', message: 'maintenance' });
  attempts.hear(status('TASK_KILLED', { taskId: 'j.1.1', uuid: 'b' }));
  await rest();
  expect(told).toMatchObject([
    { to: 'lost', result: { failure: { kind: 'operator' } } },
    { to: 'lost', result: { failure: { kind: 'operator', message: 'maintenance' } } },
  ]);
});

test('attempts of an earlier service are out until the master says otherwise', async () => {
  const { attempts, moves, ends, calls, rest } = world();
  const found = await attempts.ask(['j.0.1', 'j.1.1'], 10);
  expect([...found.values()]).toEqual([{ state: 'launched' }, { state: 'launched' }]);
  attempts.subscribed();
  expect(calls('RECONCILE')).toHaveLength(2);
  ends.set('j.0.1', FINISHED);
  attempts.hear(status('TASK_GONE', RECONCILED));
  attempts.hear(status('TASK_RUNNING', { ...RECONCILED, taskId: 'j.1.1' }));
  await rest();
  expect(moves('j.0.1')).toEqual(['finished']);
  expect(moves('j.1.1')).toEqual(['running']);
});

test('whatever the master says in whatever order, what is told is a life: once running, one end, nothing after', async () => {
  const STATES = [
    'TASK_STAGING',
    'TASK_STARTING',
    'TASK_RUNNING',
    'TASK_KILLING',
    'TASK_FINISHED',
    'TASK_FAILED',
    'TASK_KILLED',
    'TASK_ERROR',
    'TASK_LOST',
    'TASK_DROPPED',
    'TASK_UNREACHABLE',
    'TASK_GONE',
    'TASK_GONE_BY_OPERATOR',
    'TASK_UNKNOWN',
    'TASK_OF_THE_FUTURE',
  ];
  const deed = fc.oneof(
    { weight: 5, arbitrary: fc.record({ state: fc.constantFrom(...STATES), uuid: fc.nat(8) }) },
    fc.constantFrom('kill', 'subscribed', 'unsubscribed', 'word', 'pass', 'rest'),
  );
  const play = async (deeds: readonly (string | { state: string; uuid: number })[]) => {
    const { attempts, launch, moves, ends, pass, rest, calls } = world();
    launch();
    await rest();
    const uuids = new Set<string>();
    for (const one of deeds) {
      if (typeof one === 'object') {
        const uuid = one.uuid === 0 ? undefined : `${one.state} ${one.uuid}`;
        if (uuid !== undefined) uuids.add(uuid);
        attempts.hear(status(one.state, uuid === undefined ? RECONCILED : { uuid }));
      } else if (one === 'kill') await attempts.kill('j.0.1');
      else if (one === 'word') ends.set('j.0.1', FINISHED);
      else if (one === 'pass') pass(100_000);
      else if (one === 'rest') await rest();
      else if (one === 'subscribed') attempts.subscribed();
      else attempts.unsubscribed();
    }
    await rest();
    const seen = moves();
    const end = seen.findIndex(isAttemptEnded);
    let state: AttemptState = 'launched';
    for (const to of end < 0 ? seen : seen.slice(0, end + 1)) {
      expect(canMove(ATTEMPT_MOVES, state, to)).toBe(true);
      state = to;
    }
    // What runs all the same is told, so that it is killed; nothing has a second end.
    if (end >= 0)
      expect(new Set([...seen.slice(end + 1), 'running'])).toEqual(new Set(['running']));
    // What was not acknowledged comes again.
    for (const uuid of uuids) attempts.hear(status(uuid.split(' ')[0]!, { uuid }));
    await rest();
    const acknowledged = calls('ACKNOWLEDGE').map(
      (call) => (call['acknowledge'] as { uuid: string }).uuid,
    );
    expect(new Set(acknowledged)).toEqual(uuids);
  };
  await fc.assert(fc.asyncProperty(fc.array(deed, { maxLength: 25 }), play), { numRuns: 300 });
});
