import type { ServerResponse } from 'node:http';

import { pino } from 'pino';
import { afterEach, describe, expect, test, vi } from 'vitest';

import type { Follower } from '../../../test/fixtures/mesos-follower.ts';
import { follow } from '../../../test/fixtures/mesos-follower.ts';
import {
  answerWell,
  firstThenWell,
  HEARTBEAT,
  openStream,
  record,
  startBareMaster,
  subscribed,
} from '../../../test/servers/bare-master.ts';
import type { Asked, BareMaster } from '../../../test/servers/bare-master.ts';
import { CallError } from './connection.ts';
import { createComplaints } from './subscription.ts';

const masters: BareMaster[] = [];
const followers: Follower[] = [];
afterEach(async () => {
  for (const follower of followers.splice(0)) await follower.stop();
  for (const master of masters.splice(0)) await master.stop();
});

async function start(answer?: (asked: Asked) => void): Promise<BareMaster> {
  const master = await startBareMaster(answer);
  masters.push(master);
  return master;
}

function connect(...args: Parameters<typeof follow>): Follower {
  const follower = follow(...args);
  followers.push(follower);
  return follower;
}

describe('the stream', () => {
  test('is given up where nothing complete is heard for three intervals', async () => {
    const one = await start(
      firstThenWell((asked) => void openStream(asked, subscribed('a', 0.005))),
    );
    const { heard } = connect([one]);
    await heard('subscribed', 'lost: nothing was heard for 0.015 s', 'subscribed');
  });

  test('is given up where it hangs in a record, although bytes drip', async () => {
    let drip: NodeJS.Timeout | undefined;
    const one = await start(
      firstThenWell((asked) => {
        const stream = openStream(asked, subscribed('a', 0.005));
        stream.write('1000000\n');
        drip = setInterval(() => stream.write('{'), 1);
      }),
    );
    const { heard } = connect([one]);
    await heard('subscribed', 'lost: nothing was heard for 0.015 s', 'subscribed');
    clearInterval(drip);
  });

  test('lives on heartbeats', async () => {
    let beat: NodeJS.Timeout | undefined;
    const one = await start(
      firstThenWell((asked) => {
        const stream = openStream(asked, subscribed('a', 0.5));
        beat = setInterval(() => stream.write(record(HEARTBEAT)), 1);
      }),
    );
    const { story } = connect([one], { heartbeatsMissed: 2 });
    await vi.waitFor(() => expect(story.length).toBeGreaterThan(800), { timeout: 30_000 });
    clearInterval(beat);
    expect(story.slice(1).every((word) => word === 'heartbeat')).toBe(true);
  });

  test('is given up where SUBSCRIBE is not answered, or with silence', async () => {
    const deaf = await start(() => undefined);
    const mute = await start((asked) => void openStream(asked));
    const { log, heard } = connect([deaf, mute, await start()], { answerMs: 20 });
    await heard('subscribed');
    const silent = log.filter(({ msg }) =>
      msg.includes('SUBSCRIBE was not answered within 0.02 s'),
    );
    expect(silent).toHaveLength(2);
  });

  test('a record that is no event is logged once and skipped', async () => {
    const one = await start((asked) => {
      const stream = openStream(asked, subscribed());
      stream.write('8\nnot json'.repeat(50));
      stream.write(record(HEARTBEAT));
    });
    const { log, heard } = connect([one]);
    await heard('subscribed', 'heartbeat');
    expect(log).toHaveLength(1);
    expect(log[0]).toMatchObject({ msg: 'the master told something that is no event: skipped' });
    expect(JSON.stringify(log[0])).toContain('not json');
  });

  test('what is told before SUBSCRIBED is skipped', async () => {
    const one = await start((asked) => void openStream(asked, HEARTBEAT, subscribed()));
    const { log, heard } = connect([one]);
    await heard('subscribed');
    expect(log[0]!.msg).toContain('before SUBSCRIBED');
  });

  test('broken framing ends it, and nothing that follows is heard', async () => {
    const one = await start(
      firstThenWell((asked) => {
        openStream(asked, subscribed()).write(`20 ${record(HEARTBEAT)}`);
      }),
    );
    const { heard } = connect([one]);
    const why =
      'the stream cannot be understood: " 20\\n{\\"type\\":\\"HEARTBEAT\\"}" is no length of a record';
    await heard('subscribed', `lost: ${why}`, 'subscribed');
  });

  test('an error instead of SUBSCRIBED is heard, and nothing is lost by it', async () => {
    const message = 'Framework has been removed';
    const one = await start(
      firstThenWell((asked) => void openStream(asked, { type: 'ERROR', error: { message } }).end()),
    );
    const { events, heard, logged } = connect([one]);
    await heard('error', 'subscribed');
    expect(events[0]).toEqual({ type: 'error', message });
    await logged(`cannot subscribe: http://127.0.0.1:${one.port}: the master said '${message}'`);
  });

  test('who steps back hears nothing more and does not come again', async () => {
    const failedOver = { type: 'ERROR', error: { message: 'Framework failed over' } };
    const one = await start((asked) => {
      openStream(asked, subscribed(), failedOver, subscribed(), HEARTBEAT);
    });
    const { connection, story, done } = connect([one], {}, (event) => {
      if (event.type === 'error') connection.stop();
    });
    await done;
    expect(story).toEqual(['subscribed', 'error']);
    expect(one.asked).toHaveLength(1);
    await expect(connection.call({ type: 'REVIVE' })).rejects.toThrow('not subscribed');
  });

  test('an event that is not dealt with costs only itself, but for SUBSCRIBED', async () => {
    const one = await start((asked) => {
      openStream(asked, subscribed(), HEARTBEAT, HEARTBEAT);
    });
    const failing = [true, false, true];
    const { log, heard } = connect([one], {}, () => {
      if (failing.shift()) throw new Error('a defect');
    });
    await heard('subscribed', 'lost: a defect', 'subscribed', 'heartbeat', 'heartbeat');
    expect(log.filter(({ msg }) => msg === 'an event was not dealt with')).toHaveLength(2);
  });
});

describe('calls', () => {
  const failureOf = async (call: Promise<unknown>): Promise<CallError> => {
    const error = await call.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(CallError);
    return error as CallError;
  };

  test('without a subscription are not sent', async () => {
    const { connection } = connect(['127.0.0.1:1']);
    const error = await failureOf(connection.call({ type: 'REVIVE' }));
    expect(error).toMatchObject({ isSent: false, status: undefined });
    await expect(connection.operator({ type: 'GET_AGENTS' })).rejects.toThrow('not subscribed');
  });

  test('that are refused say why', async () => {
    const text = 'Failed to convert JSON into Call protobuf: Not expecting a JSON number';
    const one = await start((asked) => {
      if (asked.body.type === 'DECLINE') asked.response.writeHead(400).end(text);
      else answerWell(asked);
    });
    const { connection, heard } = connect([one]);
    await heard('subscribed');
    const error = await failureOf(connection.call({ type: 'DECLINE' }));
    expect(error).toMatchObject({ status: 400, isSent: true, message: `it answered 400: ${text}` });
    expect(connection.isSubscribed).toBe(true);
  });

  test('whose connection breaks may have been seen; those without a connection were not', async () => {
    const one = await start((asked) => {
      if (asked.body.type === 'KILL') asked.response.destroy();
      else answerWell(asked);
    });
    const { connection, heard } = connect([one]);
    await heard('subscribed');
    expect(await failureOf(connection.call({ type: 'KILL' }))).toMatchObject({ isSent: true });
    one.close();
    const refused = await failureOf(connection.call({ type: 'KILL' }));
    expect(refused).toMatchObject({ isSent: false, status: undefined });
    expect(refused.message).toContain('ECONNREFUSED');
  });

  test('arrive in the order in which they were made', async () => {
    const one = await start((asked) => {
      if (asked.body.type === 'SUBSCRIBE') answerWell(asked);
      else setTimeout(() => answerWell(asked), (asked.body['n'] as number) % 3);
    });
    const { connection, heard } = connect([one]);
    await heard('subscribed');
    const numbers = Array.from({ length: 60 }, (_, n) => n);
    await Promise.all(
      numbers.map((n) => connection.call({ type: n % 2 ? 'KILL' : 'RECONCILE', n })),
    );
    expect(one.asked.slice(1).map(({ body }) => body['n'])).toEqual(numbers);
  });

  test('do not wait for acknowledgements, nor these for each other', async () => {
    const waiting: Asked[] = [];
    const one = await start((asked) => {
      if (asked.body.type === 'ACKNOWLEDGE') waiting.push(asked);
      else answerWell(asked);
    });
    const { connection, heard } = connect([one]);
    await heard('subscribed');
    const acknowledged = [1, 2, 3].map((n) => connection.call({ type: 'ACKNOWLEDGE', n }));
    await connection.call({ type: 'REVIVE' });
    await vi.waitFor(() => expect(waiting).toHaveLength(3));
    waiting.forEach(answerWell);
    await Promise.all(acknowledged);
  });

  test.each([
    [403, 'Framework is not subscribed'],
    [
      400,
      "The stream ID 'stream-1' included in this request didn't match the stream ID currently associated",
    ],
    [400, 'Framework cannot be found'],
    [307, ''],
  ])('that are answered %i %s show that the subscription is over', async (status, text) => {
    const one = await start((asked) => {
      if (asked.body.type === 'REVIVE') asked.response.writeHead(status).end(text);
      else answerWell(asked);
    });
    const { connection, story, heard } = connect([one]);
    await heard('subscribed');
    expect(await failureOf(connection.call({ type: 'REVIVE' }))).toMatchObject({ status });
    await vi.waitFor(() => expect(one.calls('SUBSCRIBE')).toHaveLength(2));
    expect(story.find((word) => word.startsWith('lost'))).toContain('a call shows that');
  });

  test('are answered, although the stream ends first', async () => {
    let stream: ServerResponse | undefined;
    const one = await start((asked) => {
      if (asked.body.type === 'SUBSCRIBE') stream = openStream(asked, subscribed());
      else stream!.end(() => answerWell(asked));
    });
    const { connection, heard } = connect([one]);
    await heard('subscribed');
    await connection.call({ type: 'TEARDOWN' });
    await heard('subscribed', 'lost: the master ended the stream');
  });

  test('without an answer end the subscription, and with it those that wait', async () => {
    const one = await start((asked) => {
      if (asked.body.type === 'SUBSCRIBE') answerWell(asked);
    });
    const { connection, heard } = connect([one], { answerMs: 100 });
    await heard('subscribed');
    const calls = ['RECONCILE', 'KILL'].map((type) => failureOf(connection.call({ type })));
    const [reconcile, kill] = await Promise.all(calls);
    expect(reconcile).toMatchObject({ isSent: true, isTimeout: true });
    expect(kill).toMatchObject({ isSent: false, message: 'the subscription is over' });
    await heard('subscribed', 'heartbeat', 'lost: a call was not answered in time', 'subscribed');
  });
});

test('each kind of complaint is logged at most once a minute, with how many were not', () => {
  const lines: { msg: string; record: string }[] = [];
  const logger = pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) });
  let now = 0;
  const complain = createComplaints(logger, () => now);
  for (let index = 0; index < 10; index += 1) complain('no event', `record ${index}`);
  complain('too early', 'x'.repeat(10_000));
  now = 59_999;
  complain('no event', 'record 10');
  now = 60_000;
  complain('no event', 'record 11');
  now = 120_000;
  complain('no event', 'record 12');
  expect(lines.map(({ msg }) => msg)).toEqual([
    'no event: skipped',
    'too early: skipped',
    'no event: skipped (and 10 more since the last was logged)',
    'no event: skipped',
  ]);
  expect(lines.map((line) => line.record)).toEqual([
    'record 0',
    `${'x'.repeat(300)}…`,
    'record 11',
    'record 12',
  ]);
});
