import { describe, expect, test } from 'vitest';

import {
  ID,
  PATIENCE,
  REQUEST,
  RUNNING,
  START,
  attemptsWorld,
} from '../../../test/fixtures/yarn-attempts.ts';
import { PushbroomError } from '../../errors.ts';
import { requestOf } from './ids.ts';

describe('an attempt', () => {
  test('is asked for, runs and ends, each told once', async () => {
    const { run, end, kinds, isOver, orders, attempts, places } = attemptsWorld();
    await run();
    attempts.started('job', REQUEST);
    expect(orders).toMatchObject([{ order: 'run', request: REQUEST, node: 'n1', start: START }]);
    expect(places.get(ID)).toMatchObject({
      applicationId: 'application_1_0001',
      container: 'container_1',
    });
    const word = JSON.stringify({ attemptId: ID, to: 'finished', result: { outputs: [] } });
    await end(0, { end: word });
    await end(0, { end: word });
    expect(kinds()).toEqual(['running', 'finished']);
    expect(isOver()).toBe(true);
    expect(attempts.find(ID)).toMatchObject({ state: 'finished' });
  });

  test('waits for its application', async () => {
    const { begin, orders, attempts, state, pass, kinds } = attemptsWorld();
    state.isOpen = false;
    await begin();
    expect(orders).toEqual([]);
    await pass(PATIENCE.wait - 1);
    expect(kinds()).toEqual([]);
    state.isOpen = true;
    attempts.opened('job', [], false);
    expect(orders).toHaveLength(1);
  });

  test('is lost for want of room where YARN grants nothing', async () => {
    const { begin, pass, kinds, end, given, isOver } = attemptsWorld();
    await begin();
    await pass(PATIENCE.wait + 1);
    expect(given()).toEqual(['run', 'stop']);
    expect(kinds()).toEqual([]);
    await end(-2001);
    expect(kinds()).toEqual(['lost capacity']);
    expect(isOver()).toBe(true);
  });

  test('is lost for want of room where its application is not admitted', async () => {
    const { begin, pass, kinds, state, given } = attemptsWorld();
    state.isOpen = false;
    await begin();
    await pass(PATIENCE.wait + 1);
    expect(kinds()).toEqual(['lost capacity']);
    expect(given()).toEqual([]);
  });

  test('that was granted after all, while it was taken back, is ended and lost all the same', async () => {
    const { begin, pass, kinds, end, attempts } = attemptsWorld();
    await begin();
    await pass(PATIENCE.wait + 1);
    attempts.allocated('job', RUNNING);
    await end(-105);
    expect(kinds()).toEqual(['lost capacity']);
  });

  test('is given up where its node takes it and never starts it', async () => {
    const { begin, pass, kinds, end, given, attempts } = attemptsWorld();
    await begin();
    attempts.allocated('job', RUNNING);
    await pass(PATIENCE.start + 1);
    expect(given()).toEqual(['run', 'stop']);
    await end(-105);
    expect(kinds()).toEqual(['lost engine']);
  });

  test('is given up where its node has taken the start and its files never come', async () => {
    const { run, pass, kinds, end, given } = attemptsWorld();
    await run();
    await pass(PATIENCE.start + 1);
    expect(given()).toEqual(['run', 'stop']);
    await end(-105);
    expect(kinds()).toEqual(['running', 'lost engine']);
  });

  test('goes on where it has begun', async () => {
    const { run, pass, given, files } = attemptsWorld();
    files.set('prelaunch.out', '');
    await run();
    await pass(PATIENCE.start + 1);
    await pass(PATIENCE.start + 1);
    expect(given()).toEqual(['run']);
  });

  test('is ended far beyond its limit of time', async () => {
    const { run, pass, kinds, end, files } = attemptsWorld();
    files.set('prelaunch.out', '');
    await run();
    await pass(3_600_000 + PATIENCE.margin + 1);
    await end(137);
    expect(kinds()).toEqual(['running', 'lost time']);
  });

  test('is ended at the scheduler’s wish, wherever it is', async () => {
    const ahead = attemptsWorld();
    ahead.state.isOpen = false;
    await ahead.begin();
    ahead.attempts.kill(ID);
    expect(ahead.kinds()).toEqual(['killed']);
    const requested = attemptsWorld();
    await requested.begin();
    requested.attempts.kill(ID);
    await requested.end(-2001);
    expect(requested.kinds()).toEqual(['killed']);
    const runs = attemptsWorld();
    await runs.run();
    runs.attempts.kill(ID);
    await runs.end(-105);
    expect(runs.kinds()).toEqual(['running', 'killed']);
    runs.attempts.kill(ID);
    runs.attempts.kill('nobody.1.1');
  });

  test('is asked again to end, and in the end no longer waited for', async () => {
    const { run, pass, attempts, given, kinds, isOver } = attemptsWorld();
    await run();
    attempts.kill(ID);
    await pass(PATIENCE.stopAgain + 1);
    expect(given()).toEqual(['run', 'stop', 'stop']);
    await pass(PATIENCE.stop);
    expect(kinds()).toEqual(['running', 'killed']);
    expect(isOver()).toBe(true);
  });

  test('whose files cannot be laid out is lost in words', async () => {
    const full = new PushbroomError('STORAGE_FULL', 'hdfs://c/cache: quota exceeded');
    const { begin, kinds, told, isOver } = attemptsWorld();
    await begin(Promise.reject(full));
    expect(kinds()).toEqual(['lost disk']);
    expect(told[0]).toMatchObject({
      result: { failure: { message: expect.stringContaining('quota exceeded') } },
    });
    expect(isOver()).toBe(true);
  });

  test('whose node did not find its files makes them be looked at again', async () => {
    const { run, end, state, kinds } = attemptsWorld();
    await run();
    await end(-1000, { diagnostics: 'Resource x changed on src filesystem' });
    expect(state.missed).toBe(1);
    expect(kinds()).toEqual(['running', 'lost engine']);
  });

  test('that ended well without a word is what it has left', async () => {
    const good = attemptsWorld();
    good.outputs.set(ID, [{ path: 'a', size: 1 }]);
    await good.run();
    await good.end(0);
    expect(good.kinds()).toEqual(['running', 'finished']);
    const bad = attemptsWorld();
    await bad.run();
    await bad.end(0, { end: '{"attemptId":"job.7.1"' });
    expect(bad.kinds()).toEqual(['running', 'lost engine']);
  });

  test('of which it cannot be said what it has left is asked after until it can', async () => {
    let isAway = true;
    const outputsOf = async () => {
      if (isAway) throw new PushbroomError('UNAVAILABLE', 'no name node');
      return [];
    };
    const { run, end, kinds, pass } = attemptsWorld({ outputsOf });
    await run();
    await end(0);
    await pass(9_000);
    expect(kinds()).toEqual(['running']);
    isAway = false;
    await pass(2_000);
    expect(kinds()).toEqual(['running', 'finished']);
  });
});

describe('an application that ends', () => {
  test('takes what ran in it along, in words; what waits waits for the next', async () => {
    const { run, attempts, kinds, settle, told } = attemptsWorld();
    await run();
    attempts.closed('job', 'KILLED', 'killed by user bob', false);
    await settle();
    expect(kinds()).toEqual(['running', 'lost operator']);
    expect(told[1]).toMatchObject({
      result: { failure: { message: expect.stringContaining('bob') } },
    });
    const waits = attemptsWorld();
    waits.state.isOpen = false;
    await waits.begin();
    waits.attempts.closed('job', 'KILLED', '', false);
    expect(waits.kinds()).toEqual([]);
    waits.attempts.closed('job', 'REFUSED', 'no queue x', true);
    expect(waits.kinds()).toEqual(['lost engine']);
  });

  test('does not undo what has finished in it', async () => {
    const { run, attempts, kinds, settle, outputs } = attemptsWorld();
    outputs.set(ID, []);
    await run();
    attempts.closed('job', 'FAILED', 'the master expired', false);
    await settle();
    expect(kinds()).toEqual(['running', 'finished']);
  });
});

describe('a program that follows another', () => {
  test('finds what runs, and what runs although nobody knows it', async () => {
    const { run, attempts, kinds } = attemptsWorld();
    await run();
    attempts.unsettled();
    const other = { ...RUNNING, request: requestOf('job.9.3')!.request };
    attempts.opened('job', [RUNNING, other], true);
    attempts.settled();
    expect(kinds()).toEqual(['running', 'running']);
    expect(attempts.find('job.9.3')).toEqual({ state: 'running' });
  });

  test('ends what should have been ended meanwhile', async () => {
    const { run, attempts, given, state } = attemptsWorld();
    await run();
    state.isListening = false;
    attempts.kill(ID);
    state.isListening = true;
    attempts.opened('job', [RUNNING], true);
    expect(given()).toEqual(['run', 'stop']);
  });

  test('gives up what was asked for and does not run, without blame', async () => {
    const { begin, attempts, pass, kinds } = attemptsWorld();
    await begin();
    attempts.unsettled();
    attempts.opened('job', [], true);
    attempts.settled();
    await pass(PATIENCE.silence - 1);
    expect(kinds()).toEqual([]);
    await pass(2);
    expect(kinds()).toEqual(['lost capacity']);
  });

  test('hears of the end of what does not run any more', async () => {
    const { run, attempts, kinds, end, pass } = attemptsWorld();
    await run();
    attempts.unsettled();
    attempts.opened('job', [], true);
    await end(1, { end: JSON.stringify({ attemptId: ID, to: 'failed', result: { exitCode: 4 } }) });
    await pass(PATIENCE.silence + 1);
    expect(kinds()).toEqual(['running', 'failed']);
  });

  test('asks the container’s log for an end of which nobody has heard', async () => {
    const { run, attempts, kinds, pass, files } = attemptsWorld();
    await run();
    files.set(
      'attempt.end.json',
      JSON.stringify({ attemptId: ID, to: 'failed', result: { exitCode: 9 } }),
    );
    attempts.unsettled();
    attempts.opened('job', [], true);
    await pass(PATIENCE.silence + 1);
    expect(kinds()).toEqual(['running', 'failed']);
  });

  test('gives up what has run and does not any more, and has left nothing', async () => {
    const { run, attempts, pass, kinds } = attemptsWorld();
    await run();
    attempts.unsettled();
    attempts.opened('job', [], true);
    attempts.settled();
    await pass(PATIENCE.silence + 1);
    expect(kinds()).toEqual(['running', 'lost engine']);
  });

  test('takes what is in no application for lost', async () => {
    const { run, attempts, kinds, state, settle } = attemptsWorld();
    await run();
    attempts.unsettled();
    state.has = false;
    attempts.settled();
    await settle();
    expect(kinds()).toEqual(['running', 'lost engine']);
  });
});

describe('a question', () => {
  test('is answered by what is known', async () => {
    const { run, attempts } = attemptsWorld();
    await run();
    expect(await attempts.ask([ID], 10)).toEqual(new Map([[ID, { state: 'running' }]]));
  });

  test('of what nobody knows is answered at once where all is known', async () => {
    const { attempts, state, outputs, kinds } = attemptsWorld();
    state.isOpen = false;
    state.has = false;
    outputs.set('job.2.1', []);
    const found = await attempts.ask(['job.1.1', 'job.2.1', 'not an attempt'], 1000);
    expect(found.get('job.1.1')).toMatchObject({
      state: 'lost',
      result: { failure: { kind: 'engine' } },
    });
    expect(found.get('job.2.1')).toMatchObject({ state: 'finished' });
    expect(found.get('not an attempt')).toMatchObject({ state: 'lost' });
    expect(kinds()).toEqual([]);
  });

  test('before anything is known is answered later', async () => {
    const { attempts, kinds, settle, state } = attemptsWorld();
    attempts.unsettled();
    expect((await attempts.ask([ID], 10)).get(ID)).toEqual({ state: 'launched' });
    state.has = false;
    attempts.settled();
    await settle();
    expect(kinds()).toEqual(['lost engine']);
  });
});
