import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { recordsOf, transcripts } from '../../../test/fixtures/mesos-transcripts.ts';
import { FAILURE_KINDS } from '../../core/model.ts';
import type { AttemptResult } from '../../core/model.ts';
import type { AttemptNews } from '../engine.ts';
import { parseEvent } from './parse.ts';
import type { TaskStatus } from './protocol.ts';
import { wins } from '../runner-end.ts';
import { newsOf } from './states.ts';
import type { News } from './states.ts';

const status = (state: string, more: Partial<TaskStatus> = {}): TaskStatus => ({
  taskId: 'job.0.1',
  agentId: 'S0',
  state,
  ...more,
});

/** Every status that was recorded. */
const recorded = transcripts().flatMap((transcript) =>
  recordsOf(transcript).flatMap((record) => {
    const event = parseEvent(record);
    return event.type === 'update' ? [{ transcript, status: event.status }] : [];
  }),
);

const recordedOf = (transcript: string, taskId: string, state: string): TaskStatus => {
  const found = recorded.find(
    (one) =>
      one.transcript.startsWith(`${transcript}-`) &&
      one.status.taskId === taskId &&
      one.status.state === state,
  );
  if (!found) throw new Error(`there is no ${state} of ${taskId} in ${transcript}`);
  return found.status;
};

function endOf(news: News): { news: AttemptNews; isKnown: boolean } {
  if (news.kind !== 'ended') throw new Error(`no end but ${news.kind}`);
  return news;
}

const LOOK = "see stderr in the task's sandbox, and whether the agent has the shared file system";

describe('newsOf', () => {
  test('every recorded status has a meaning', () => {
    const kinds = recorded.map(({ status: one }) => `${one.state} ${newsOf(one).kind}`);
    expect([...new Set(kinds)].toSorted()).toEqual([
      'TASK_DROPPED ended',
      'TASK_ERROR ended',
      'TASK_FAILED ended',
      'TASK_FINISHED ended',
      'TASK_GONE ended',
      'TASK_GONE_BY_OPERATOR ended',
      'TASK_KILLED ended',
      'TASK_KILLING none',
      'TASK_LOST ended',
      'TASK_RUNNING running',
      'TASK_STARTING none',
      'TASK_UNKNOWN ended',
      'TASK_UNREACHABLE unreachable',
    ]);
    expect(recorded).toHaveLength(254);
  });

  test.each([
    [
      '02',
      'fetch-1',
      'TASK_FINISHED',
      { exitCode: 0 },
      `the runner ended with exit code 0 without saying how the attempt went; ${LOOK}`,
    ],
    [
      '03',
      'exit-3',
      'TASK_FAILED',
      { exitCode: 3 },
      `the runner ended with exit code 3 without saying how the attempt went; ${LOOK}`,
    ],
    [
      '03',
      'no-such-cmd',
      'TASK_FAILED',
      { exitCode: 127 },
      `the runner ended with exit code 127 (its Node, or a library that it needs, is not on the agent) without saying how the attempt went; ${LOOK}`,
    ],
    [
      '03',
      'sig-segv',
      'TASK_FAILED',
      { signal: 'SIGSEGV' },
      `the runner was ended by SIGSEGV without saying how the attempt went; ${LOOK}`,
    ],
    [
      '07d',
      'ex-1',
      'TASK_FAILED',
      {},
      "the executor died (Mesos: Executor terminated); see the agent's log and its kernel's",
    ],
    [
      '03',
      'wrong-agent',
      'TASK_ERROR',
      {},
      'Mesos refused the task (Mesos: Task uses invalid agent nope-S9 while agent 285d786d-700e-43b1-82c6-ab5192495734-S1 is expected)',
    ],
    [
      '17',
      'as-nobody',
      'TASK_ERROR',
      {},
      "Mesos does not allow the task (Mesos: Principal 'eo-jobs' no authorized to launch task as-nobody of framework 9141a497-f9d0-44cf-96fe-c9cc9d86df38-0000 under user 'nobody'); see the master's ACLs",
    ],
    [
      '07b',
      'lost-2',
      'TASK_LOST',
      {},
      'the agent was cut off from the master (Mesos: Agent 127.0.0.1 disconnected)',
    ],
    [
      '07c',
      'lost-3',
      'TASK_LOST',
      {},
      'the agent has left the cluster (Mesos: Agent 127.0.0.1 removed: the agent unregistered)',
    ],
  ])('%s: %s, %s is lost', (transcript, taskId, state, exit, message) => {
    expect(newsOf(recordedOf(transcript, taskId, state))).toEqual({
      kind: 'ended',
      isKnown: true,
      news: { state: 'lost', result: { ...exit, failure: { kind: 'engine', message } } },
    });
  });

  test('03: an offer that has gone is a matter of room', () => {
    expect(newsOf(recordedOf('03', 'stale-offer', 'TASK_DROPPED'))).toEqual({
      kind: 'ended',
      isKnown: true,
      news: {
        state: 'lost',
        result: {
          failure: {
            kind: 'capacity',
            message:
              'the offers were no longer valid (Mesos: Task launched with invalid offers: Offer 285d786d-700e-43b1-82c6-ab5192495734-O24 is no longer valid)',
          },
        },
      },
    });
  });

  test.each(['REASON_CONTAINER_PREEMPTED', 'REASON_EXECUTOR_PREEMPTED'])(
    '%s is a matter of room, whatever its runner saw of it',
    (reason) => {
      const { news } = endOf(newsOf(status('TASK_FAILED', { reason })));
      const failure = {
        kind: 'capacity',
        message: 'the agent took the container back for others',
      } as const;
      expect(news).toMatchObject({ state: 'lost', result: { failure } });
      const seen = { kind: 'processor', message: 'ended by SIGTERM' } as const;
      expect(wins({ to: 'failed', result: { failure: seen } }, news)).toMatchObject({
        state: 'lost',
        result: { failure: { kind: 'capacity' } },
      });
    },
  );

  test('02: what could not be fetched is a matter of the network', () => {
    const { news } = endOf(newsOf(recordedOf('02', 'fetch-5', 'TASK_FAILED')));
    expect(news).toEqual({
      state: 'lost',
      result: {
        failure: {
          kind: 'network',
          message:
            "the agent could not fetch the files of the task (Mesos: Failed to launch container: Failed to fetch all URIs for container 'a41063f3-2dd7-4e46-a351-2df403ae37c1': exited with status 1); see stderr in the task's sandbox or the agent's log, and whether the agent reaches the addresses",
        },
      },
    });
  });

  test('03: a task that took too long has failed', () => {
    const { news } = endOf(newsOf(recordedOf('03', 'max-time', 'TASK_FAILED')));
    expect(news).toMatchObject({
      state: 'failed',
      result: { signal: 'SIGTERM', failure: { kind: 'time' } },
    });
  });

  test.each([
    ['04', 'k-early'],
    ['04', 'k-plain'],
    ['04', 'k-trap'],
    ['04b', 'g-clean'],
    ['03', 'unhealthy'],
    ['11', 'h-b'],
  ])('%s: %s was killed, and no failure', (transcript, taskId) => {
    const { news, isKnown } = endOf(newsOf(recordedOf(transcript, taskId, 'TASK_KILLED')));
    expect(news).toStrictEqual({ state: 'killed' });
    expect(isKnown).toBe(true);
  });

  test.each([
    [
      'drain-1',
      'TASK_KILLED',
      'the agent is being drained by an operator (Mesos: Command terminated with signal Terminated)',
    ],
    [
      'gone-1',
      'TASK_GONE_BY_OPERATOR',
      'an operator has given up the agent (Mesos: Agent has been marked gone)',
    ],
  ])('07e: %s is lost by the wish of an operator', (taskId, state, message) => {
    const { news, isKnown } = endOf(newsOf(recordedOf('07e', taskId, state)));
    expect(news).toMatchObject({
      state: 'lost',
      result: { failure: { kind: 'operator', message } },
    });
    expect(isKnown).toBe(true);
  });

  test('what the master says of tasks that it has no record of is not known', () => {
    const unknown = recorded.filter(({ status: one }) => {
      const news = newsOf(one);
      return news.kind === 'ended' && !news.isKnown;
    });
    const words = unknown.map(({ status: one }) => `${one.state} ${one.message}`);
    expect([...new Set(words)].toSorted()).toEqual([
      'TASK_GONE Reconciliation: Task is unknown to the agent',
      'TASK_GONE_BY_OPERATOR Reconciliation: Task is gone',
      'TASK_UNKNOWN Reconciliation: Task is unknown',
    ]);
    expect(unknown).toHaveLength(10);
    for (const { status: one } of unknown) expect(endOf(newsOf(one)).news.state).toBe('lost');
  });

  test.each([
    ['REASON_CONTAINER_LIMITATION_MEMORY', 'failed', 'memory'],
    ['REASON_CONTAINER_LIMITATION_DISK', 'failed', 'disk'],
    ['REASON_CONTAINER_LAUNCH_FAILED', 'lost', 'engine'],
    ['REASON_FRAMEWORK_REMOVED', 'lost', 'operator'],
    ['REASON_AGENT_RESTARTED', 'lost', 'engine'],
    ['REASON_NEVER_HEARD_OF', 'lost', 'engine'],
    ['constructor', 'lost', 'engine'],
    ['__proto__', 'lost', 'engine'],
  ])('a task that failed for %s is %s: %s', (reason, state, kind) => {
    const { news } = endOf(newsOf(status('TASK_FAILED', { reason, message: 'Oh.' })));
    expect(news).toMatchObject({ state, result: { failure: { kind } } });
    expect(news.result?.failure?.message).toContain('Oh.');
  });

  test('a reason that is not known is told', () => {
    const said = status('TASK_FAILED', { reason: 'REASON_NEW', message: 'Oh.' });
    expect(endOf(newsOf(said)).news.result?.failure?.message).toBe(
      "the task failed (Mesos: Oh., REASON_NEW); see stderr in the task's sandbox",
    );
    const silent = status('TASK_GONE');
    expect(endOf(newsOf(silent)).news.result?.failure?.message).toBe(
      "the task is no longer on its agent; see the agent's log",
    );
  });

  test('a reason explains an end whatever the exit code', () => {
    const said = status('TASK_FAILED', {
      reason: 'REASON_CONTAINER_LIMITATION_MEMORY',
      message:
        'Memory limit exceeded: Requested: 64MB Maximum Used: 64MB\n\nMEMORY STATISTICS: \ncache 0',
    });
    expect(endOf(newsOf(said)).news.result?.failure?.message).toBe(
      'the container used more memory than it has (Mesos: Memory limit exceeded: Requested: 64MB Maximum Used: 64MB)',
    );
  });

  test('an end that was only asked for keeps no exit code', () => {
    const said = status('TASK_FINISHED', {
      reason: 'REASON_RECONCILIATION',
      message: 'Reconciliation: Latest task state',
    });
    const { news, isKnown } = endOf(newsOf(said));
    expect(isKnown).toBe(true);
    expect(news.result).toEqual({
      failure: {
        kind: 'engine',
        message: `the runner ended without saying how the attempt went; ${LOOK}`,
      },
    });
  });

  test.each([
    ['Command exited with status 126', { exitCode: 126 }, /another architecture/],
    ['Command exited with status 137', { exitCode: 137 }, /no memory left/],
    [
      'Command terminated with signal Killed',
      { signal: 'SIGKILL' },
      /by SIGKILL \(.*no memory left/,
    ],
    ['Command terminated with signal Aborted (core dumped)', { signal: 'SIGABRT' }, /by SIGABRT/],
    ['Command terminated with signal Real-time signal 3', {}, /by Real-time signal 3 without/],
    ['Failed to fetch: exited with status 1', {}, /^the task failed/],
    ['Failed to get exit status for Command', {}, /^the task failed/],
    ['x'.repeat(100_000), {}, /^.{0,500}$/],
  ])('%.60s', (message, exit: AttemptResult, expected) => {
    const { failure, ...rest } = endOf(newsOf(status('TASK_FAILED', { message }))).news.result!;
    expect(rest).toEqual(exit);
    expect(failure?.message).toMatch(expected);
  });

  test('a state that is not known is no news, but can be told', () => {
    expect(newsOf(status('TASK_PAUSED'))).toEqual({ kind: 'none', unknown: 'TASK_PAUSED' });
    expect(newsOf(status('toString'))).toEqual({ kind: 'none', unknown: 'toString' });
    expect(newsOf(status('TASK_STAGING'))).toStrictEqual({ kind: 'none' });
  });

  test('whatever Mesos says, an end that is no wish of ours has a failure', () => {
    const word = fc.constantFrom(...recorded.flatMap(({ status: one }) => one.state));
    const reason = fc.constantFrom(...recorded.map(({ status: one }) => one.reason ?? ''));
    fc.assert(
      fc.property(word, reason, fc.string({ unit: 'binary' }), (state, why, message) => {
        const news = newsOf(status(state, { reason: why, message }));
        if (news.kind !== 'ended' || news.news.state === 'killed') return;
        expect(FAILURE_KINDS).toContain(news.news.result?.failure?.kind);
        expect(['failed', 'lost']).toContain(news.news.state);
      }),
    );
  });
});

describe('wins', () => {
  const usage = { wallMs: 7, sources: {} };
  const finished = { to: 'finished', result: { exitCode: 0, outputs: [], usage } } as const;
  const failure = { kind: 'processor', message: 'main failed with exit code 3' } as const;
  const failed = { to: 'failed', result: { exitCode: 3, usage, failure } } as const;
  const killed = { to: 'killed', result: { usage } } as const;
  const newsFor = (state: string, reason = '', message = '') =>
    endOf(newsOf(status(state, { reason, message }))).news;

  test.each([
    newsFor('TASK_FINISHED', '', 'Command exited with status 0'),
    newsFor('TASK_KILLED'),
    newsFor('TASK_FAILED', 'REASON_CONTAINER_LIMITATION_MEMORY'),
    newsFor('TASK_KILLED', 'REASON_AGENT_DRAINING'),
    newsFor('TASK_GONE_BY_OPERATOR'),
    newsFor('TASK_UNKNOWN', 'REASON_RECONCILIATION'),
  ])('what the runner finished is finished (%j)', (news) => {
    expect(wins(finished, news)).toEqual({ state: 'finished', result: finished.result });
  });

  test.each([
    newsFor('TASK_FINISHED', '', 'Command exited with status 0'),
    newsFor('TASK_FAILED', '', 'Command exited with status 1'),
    newsFor('TASK_FAILED', 'REASON_EXECUTOR_TERMINATED', 'Executor terminated'),
    newsFor('TASK_LOST', 'REASON_AGENT_REMOVED'),
    newsFor('TASK_GONE', 'REASON_RECONCILIATION'),
  ])('what the runner says of a failure counts (%j)', (news) => {
    expect(wins(failed, news)).toEqual({ state: 'failed', result: failed.result });
  });

  test.each([
    ['TASK_FAILED', 'REASON_CONTAINER_LIMITATION_MEMORY', 'failed', 'memory'],
    ['TASK_FAILED', 'REASON_CONTAINER_LIMITATION_DISK', 'failed', 'disk'],
    ['TASK_FAILED', 'REASON_MAX_COMPLETION_TIME_REACHED', 'failed', 'time'],
    ['TASK_KILLED', 'REASON_AGENT_DRAINING', 'lost', 'operator'],
  ])('%s, %s tells why the runner saw what it saw', (word, reason, state, kind) => {
    const news = newsFor(word, reason);
    const what = news.result!.failure!.message;
    expect(wins(failed, news)).toEqual({
      state,
      result: {
        exitCode: 3,
        usage,
        failure: { kind, message: `${what}; the runner says: ${failure.message}` },
      },
    });
    expect(wins(killed, news)).toMatchObject({
      state,
      result: { usage, failure: { kind, message: what } },
    });
  });

  test('where both say the same, the runner says it better', () => {
    const memory = { kind: 'memory', message: 'main used 70 MB' } as const;
    const end = { to: 'failed', result: { failure: memory } } as const;
    const news = newsFor('TASK_FAILED', 'REASON_CONTAINER_LIMITATION_MEMORY');
    expect(wins(end, news)).toEqual({ state: 'failed', result: end.result });
  });

  test('a kill explains what TERM did to the program', () => {
    const end = { to: 'failed', result: { signal: 'SIGTERM', usage, failure } } as const;
    expect(wins(end, newsFor('TASK_KILLED'))).toEqual({
      state: 'killed',
      result: { signal: 'SIGTERM', usage },
    });
    expect(wins(killed, newsFor('TASK_KILLED'))).toEqual({ state: 'killed', result: { usage } });
  });

  test('a runner that somebody else ended is lost', () => {
    const news = newsFor('TASK_FAILED', '', 'Command exited with status 143');
    expect(wins(killed, news)).toMatchObject({
      state: 'lost',
      result: { exitCode: 143, usage, failure: { kind: 'engine' } },
    });
  });
});
