import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { pino } from 'pino';
import { describe, expect, test } from 'vitest';

import { readKey } from './master-channel.ts';
import { Masters } from './masters.ts';
import type { AmEvent } from './protocol.ts';
import { isPlainName, submissionOf } from './submission.ts';

const APPLICATION = 'application_1_0001';
const ORDER = { order: 'stop', app: 'job', request: 1 } as const;
const say = (message: string) => ({ event: 'say', level: 'info', message }) as const;

async function serve() {
  const heard: AmEvent[] = [];
  const dialled: string[] = [];
  const masters = new Masters({
    host: '127.0.0.1',
    port: 0,
    key: Buffer.from('key'),
    logger: pino({ level: 'silent' }),
    pollMs: 100,
    hear: (event) => void heard.push(event),
    dialled: (id) => void dialled.push(id),
  });
  await masters.listen();
  const ask = (
    path: string,
    { secret = masters.secretOf(APPLICATION), ...init }: RequestInit & { secret?: string } = {},
  ) =>
    fetch(`${masters.urlOf(APPLICATION)}/${path}`, {
      ...init,
      headers: { authorization: `Bearer ${secret}` },
    });
  const orders = async (master = 1, after = 0) => {
    const response = await ask(`orders?master=${master}&after=${after}`);
    const lines = (await response.text()).split('\n').filter((line) => line !== '');
    return { status: response.status, orders: lines.map((line) => JSON.parse(line) as object) };
  };
  const post = async (lines: readonly object[], master = 1) => {
    const body = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
    return (await ask(`events?master=${master}`, { method: 'POST', body })).status;
  };
  return {
    masters,
    heard,
    dialled,
    ask,
    orders,
    post,
    [Symbol.asyncDispose]: () => masters.close(),
  };
}

describe('masters that dial in', () => {
  test('are known by the secrets of their applications only', async () => {
    await using service = await serve();
    const { ask, masters } = service;
    masters.expect(APPLICATION, 'job');
    for (const secret of ['', 'x', masters.secretOf('application_1_0002')]) {
      expect((await ask('orders?master=1&after=0', { secret })).status).toBe(401);
    }
    expect((await ask('others?master=1')).status).toBe(404);
    expect(service.dialled).toEqual([]);
  });

  test('of applications that are not known yet ask again; of those that are over, they end', async () => {
    await using service = await serve();
    expect((await service.orders()).status).toBe(503);
    service.masters.expect(APPLICATION, 'job');
    expect((await service.orders()).status).toBe(200);
    const waiting = service.orders();
    service.masters.forget(APPLICATION);
    expect((await waiting).status).toBe(410);
    expect((await service.orders()).status).toBe(410);
    expect(service.masters.give(APPLICATION, ORDER)).toBe(false);
  });

  test('are given orders once they have them, in order, until they say so', async () => {
    await using service = await serve();
    const { masters, orders } = service;
    masters.expect(APPLICATION, 'job');
    const waiting = orders();
    masters.give(APPLICATION, ORDER);
    const { orders: first } = await waiting;
    expect(first).toMatchObject([ORDER]);
    masters.give(APPLICATION, { ...ORDER, request: 2 });
    expect((await orders()).orders).toMatchObject([ORDER, { request: 2 }]);
    const { sequence } = first[0] as { sequence: number };
    expect((await orders(1, sequence)).orders).toMatchObject([{ request: 2 }]);
    expect((await orders(1, sequence + 1)).orders).toEqual([]);
  });

  test('are not given what was ordered of the one before, which ends', async () => {
    await using service = await serve();
    const { masters, orders, dialled } = service;
    masters.expect(APPLICATION, 'job');
    await orders();
    masters.give(APPLICATION, ORDER);
    expect((await orders(2)).orders).toEqual([]);
    expect((await orders(1)).status).toBe(410);
    expect(dialled).toEqual([APPLICATION, APPLICATION]);
    // What it has asked last is answered.
    const waiting = orders(2);
    await orders(3);
    expect((await waiting).status).toBe(410);
  });

  test('are heard once, however often they post, and only of their application', async () => {
    await using service = await serve();
    const { masters, post, heard } = service;
    masters.expect(APPLICATION, 'job');
    expect(await post([{ ...say('a'), sequence: 1 }])).toBe(204);
    expect(
      await post([
        { ...say('a'), sequence: 1 },
        { ...say('b'), sequence: 2 },
        { event: 'started', app: 'other', request: 1, sequence: 3 },
        { event: 'nonsense', sequence: 4 },
        { ...say('c'), sequence: 5 },
      ]),
    ).toBe(204);
    expect(heard).toMatchObject([say('a'), say('b'), say('c')]);
    // The next begins with 1.
    expect(await post([{ ...say('d'), sequence: 1 }], 2)).toBe(204);
    expect(await post([{ ...say('e'), sequence: 6 }], 1)).toBe(410);
    expect(heard.at(-1)).toMatchObject(say('d'));
  });

  test('are told when what they post is no events', async () => {
    await using service = await serve();
    service.masters.expect(APPLICATION, 'job');
    const { status } = await service.ask('events?master=1', { method: 'POST', body: 'garbage' });
    expect(status).toBe(400);
  });
});

describe('a submission', () => {
  const options = {
    applicationId: APPLICATION,
    open: { order: 'open', app: 'job', queue: 'eo', priority: 5, tags: ['a'], nodeLabel: 'fast' },
    java: 'java',
    javaOptions: ['-Xmx256m'],
    mainClass: 'Main',
    resources: [
      {
        name: 'a.jar',
        path: '/cache/a.jar',
        type: 'FILE',
        visibility: 'PUBLIC',
        size: 1,
        modifiedAt: 2,
      },
    ],
    url: 'https://service/am/x',
    secret: 'hidden',
    memoryMb: 512,
  } as const;

  test('says nothing secret but in its environment', () => {
    const made = submissionOf(options) as Record<string, unknown>;
    expect(made).toMatchObject({
      queue: 'eo',
      priority: 5,
      'app-node-label-expression': 'fast',
      'keep-containers-across-application-attempts': true,
    });
    const { 'am-container-spec': spec } = made as { 'am-container-spec': { commands: unknown } };
    expect(JSON.stringify(spec.commands)).not.toContain('hidden');
    expect(JSON.stringify(spec)).toContain('hidden');
  });

  test('is only for jobs whose names no shell takes for something else', () => {
    expect(isPlainName('20261123_L3_0a1b')).toBe(true);
    for (const name of ['', 'a b', '$(id)', 'a"', "a'", 'a\n'])
      expect(isPlainName(name)).toBe(false);
  });
});

test('the key of all secrets is made once, and not guessed where it is damaged', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'key-'));
  try {
    const file = join(directory, 'key');
    const key = await readKey(file);
    expect(key).toHaveLength(32);
    expect(await readKey(file)).toEqual(key);
    await writeFile(file, 'short');
    await expect(readKey(file)).rejects.toThrow(file);
  } finally {
    await rm(directory, { recursive: true });
  }
});
