import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';

import type { Follower } from '../../../test/fixtures/mesos-follower.ts';
import { follow } from '../../../test/fixtures/mesos-follower.ts';
import {
  answerWell,
  firstThenWell,
  HEARTBEAT,
  openStream,
  startBareMaster,
  subscribed,
} from '../../../test/servers/bare-master.ts';
import type { Asked, BareMaster } from '../../../test/servers/bare-master.ts';
import { pauseAfter } from './connection.ts';

const SECRET = 's3cret-of-eo-jobs';

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

function expectPauses(log: Follower['log'], limits: readonly number[]): void {
  for (const [index, limit] of limits.entries()) {
    expect(log[index]!.retryInMs).toBeLessThanOrEqual(limit);
    expect(log[index]!.retryInMs).toBeGreaterThanOrEqual(limit / 2);
  }
}

describe('subscribing', () => {
  test('what comes with SUBSCRIBED in one piece is heard, and can be answered at once', async () => {
    const offers = { type: 'OFFERS', offers: { offers: [] } };
    const one = await start((asked) => {
      if (asked.body.type === 'SUBSCRIBE') openStream(asked, subscribed(), HEARTBEAT, offers);
      else answerWell(asked);
    });
    const answers: Promise<void>[] = [];
    const { connection, heard } = connect([one], {}, () => {
      answers.push(connection.call({ type: 'REVIVE' }));
    });
    await heard('subscribed', 'heartbeat', 'offers');
    await Promise.all(answers);
    expect(one.calls('REVIVE')).toHaveLength(3);
  });

  test('headers and bodies are as a master wants them', async () => {
    const one = await start();
    const { connection, heard } = connect([one], {
      credentials: { principal: 'eo-jobs', secret: SECRET },
    });
    await heard('subscribed');
    await connection.call({ type: 'SUPPRESS', suppress: { roles: ['eo'] } });
    const [subscribe, suppress] = one.asked;
    const authorization = `Basic ${Buffer.from(`eo-jobs:${SECRET}`).toString('base64')}`;
    const common = {
      'content-type': 'application/json',
      accept: 'application/json',
      authorization,
    };
    expect(subscribe).toMatchObject({ method: 'POST', path: '/api/v1/scheduler', headers: common });
    expect(subscribe!.headers).not.toHaveProperty('mesos-stream-id');
    expect(subscribe!.body).toEqual({
      type: 'SUBSCRIBE',
      subscribe: { framework_info: { name: 'test' } },
    });
    expect(suppress).toMatchObject({ path: '/api/v1/scheduler', headers: common });
    expect(suppress!.headers['mesos-stream-id']).toBe('stream-1');
    expect(suppress!.body).toEqual({
      framework_id: { value: 'framework-1' },
      type: 'SUPPRESS',
      suppress: { roles: ['eo'] },
    });
  });

  test('each try asks for the call anew', async () => {
    const one = await start(firstThenWell((asked) => openStream(asked, subscribed('id-7')).end()));
    let id: string | undefined;
    const subscribe = () => ({
      type: 'SUBSCRIBE',
      ...(id !== undefined && { framework_id: { value: id } }),
    });
    const { heard } = connect([one], { subscribe }, (event) => {
      if (event.type === 'subscribed') id = event.frameworkId;
    });
    await heard('subscribed', 'lost: the master ended the stream', 'subscribed');
    const [first, second] = one.calls('SUBSCRIBE');
    expect(first!.body).not.toHaveProperty('framework_id');
    expect(second!.body).toMatchObject({ framework_id: { value: 'id-7' } });
  });

  test.each([307, 308])('a %i to who leads is followed', async (status) => {
    const leader = await start();
    const other = await start(({ response }) => {
      response.writeHead(status, { Location: `//127.0.0.1:${leader.port}` }).end();
    });
    const { connection, heard } = connect([other]);
    await heard('subscribed');
    await connection.call({ type: 'REVIVE' });
    expect(leader.calls('REVIVE')).toHaveLength(1);
    expect(other.asked).toHaveLength(1);
  });

  test('redirects in a circle are left after five', async () => {
    const one = await start(({ response }) => {
      response.writeHead(307, { Location: '/api/v1/scheduler' }).end();
    });
    const { logged } = connect([one], { backoff: { first: 60_000, longest: 60_000 } });
    await logged('more than 5 redirects');
    expect(one.asked).toHaveLength(6);
  });

  test('a redirect to another kind of place is not followed', async () => {
    const one = await start(({ response }) => {
      response.writeHead(307, { Location: 'ftp://127.0.0.1/' }).end();
    });
    const { logged } = connect([one]);
    await logged('which is neither http nor https');
  });

  test('after a master that is not ready, the next of the list is asked', async () => {
    const waiting = await start(({ response }) => void response.writeHead(503).end('No leader'));
    const one = await start();
    const { log, heard } = connect(['127.0.0.1:1', waiting, one]);
    await heard('subscribed');
    const reasons = log.map(({ msg }) => msg);
    expect(reasons[0]).toContain('cannot subscribe: http://127.0.0.1:1: connect ECONNREFUSED');
    expect(reasons[1]).toContain('or is not ready yet: it answered 503: No leader');
  });

  test('after a loss, the master that led is asked first', async () => {
    const one = await start(firstThenWell((asked) => openStream(asked, subscribed()).end()));
    const other = await start(({ response }) => {
      response.writeHead(307, { Location: one.url }).end();
    });
    connect([other, one]);
    await vi.waitFor(() => expect(one.calls('SUBSCRIBE')).toHaveLength(2));
    expect(other.asked).toHaveLength(1);
  });

  test.each([
    [
      401,
      '401 Unauthorized.',
      "the master does not accept principal 'eo-jobs': check engines.mesos.principal",
    ],
    [403, 'Forbidden', "the master forbids it to principal 'eo-jobs': it answered 403: Forbidden"],
    [
      400,
      "Authenticated principal 'a' does not match",
      'does not take what engines.mesos says: it answered 400: Auth',
    ],
  ])(
    'a %i is said with its remedy and tried again after the longest pause',
    async (status, text, said) => {
      const one = await start(({ response }) => void response.writeHead(status).end(text));
      const backoff = { first: 1, longest: 1_000_000 };
      const credentials = { principal: 'eo-jobs', secret: SECRET };
      const { log, logged } = connect([one], { credentials, backoff });
      await logged(said);
      expect(log[0]!.retryInMs).toBeGreaterThanOrEqual(500_000);
      expect(JSON.stringify(log)).not.toContain(SECRET);
      expect(JSON.stringify(log)).not.toContain(
        Buffer.from(`eo-jobs:${SECRET}`).toString('base64'),
      );
    },
  );

  test('who gives no credentials is told to', async () => {
    const one = await start(({ response }) => void response.writeHead(401).end());
    const { logged } = connect([one]);
    await logged('does not accept no principal: set engines.mesos.principal and secretFile');
  });

  test.each([
    [
      'no API',
      (asked: Asked) => void asked.response.writeHead(404).end(),
      'there is no /api/v1/scheduler',
    ],
    [
      '202 to everything',
      (asked: Asked) => void asked.response.writeHead(202).end(),
      'it does not subscribe: it answered 202',
    ],
    ['a page', (asked: Asked) => void asked.response.end('<html>'), 'no Mesos-Stream-Id'],
    [
      'a redirect to nowhere',
      (asked: Asked) => void asked.response.writeHead(307).end(),
      'redirects to nowhere',
    ],
    [
      'an endless refusal',
      ({ response }: Asked) => void response.writeHead(500).write('x'.repeat(100_000)),
      'it answered 500: xxx',
    ],
    ['a hang-up', ({ response }: Asked) => void response.destroy(), 'other side closed'],
  ])('%s is no subscription', async (_, answer, said) => {
    const { story, logged } = connect([await start(answer)]);
    await logged(said);
    expect(story).toEqual([]);
  });

  test('pauses grow with each failure', async () => {
    const one = await start(({ response }) => void response.writeHead(503).end());
    const { log } = connect([one], { backoff: { first: 2, longest: 40 } });
    await vi.waitFor(() => expect(log.length).toBeGreaterThan(6));
    expectPauses(log, [2, 4, 8, 16, 32, 40, 40]);
  });

  test('pauses begin anew after a subscription that held, not after one that did not', async () => {
    const closing =
      (...more: readonly object[]) =>
      (asked: Asked) =>
        void openStream(asked, subscribed(), HEARTBEAT, ...more).end();
    const answers = [503, 503, closing(), 503, closing(HEARTBEAT), 503];
    const one = await start((asked) => {
      const next = answers.shift() ?? 503;
      if (typeof next === 'number') asked.response.writeHead(next).end();
      else next(asked);
    });
    const { log } = connect([one], { backoff: { first: 8, longest: 10_000 } });
    await vi.waitFor(() => expect(log.length).toBeGreaterThan(3));
    expectPauses(log, [8, 16, 64, 16]);
  });
});

test('a pause is between half and all of what has doubled, up to the longest', () => {
  const backoff = { first: 500, longest: 30_000 };
  expect(pauseAfter(0, backoff, 0)).toBe(250);
  expect(pauseAfter(3, backoff, 0.5)).toBe(3000);
  expect(pauseAfter(Infinity, backoff, 0)).toBe(15_000);
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(fc.nat({ max: 100_000 }), random, (failures, chance) => {
      const ms = pauseAfter(failures, backoff, chance);
      expect(ms).toBeGreaterThanOrEqual(250);
      expect(ms).toBeLessThanOrEqual(30_000);
    }),
  );
});
