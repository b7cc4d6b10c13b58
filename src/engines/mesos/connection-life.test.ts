import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';

import { makeCertificate } from '../../../test/fixtures/certificate.ts';
import { answerWell, openStream, startBareMaster } from '../../../test/servers/bare-master.ts';
import type { Asked, BareMaster } from '../../../test/servers/bare-master.ts';
import { createConnection } from './connection.ts';
import type { Connection, ConnectionOptions } from './connection.ts';
import { createMasters } from './masters.ts';
import type { Masters } from './masters.ts';

let cleanups: (() => unknown)[];
let heard: string[];
let log: string;
let aborter: AbortController;
let connection: Connection;
let done: Promise<void>;

beforeEach(() => {
  [cleanups, heard, log] = [[], [], ''];
  aborter = new AbortController();
  done = Promise.resolve();
});
afterEach(async () => {
  aborter.abort();
  await done;
  for (const cleanup of cleanups) await cleanup();
});

async function master(...args: Parameters<typeof startBareMaster>): Promise<BareMaster> {
  const started = await startBareMaster(...args);
  cleanups.push(() => started.stop());
  return started;
}

function connect(masters: Masters | string, options: Partial<ConnectionOptions> = {}): void {
  connection = createConnection({
    masters: typeof masters === 'string' ? createMasters([masters]) : masters,
    logger: pino({}, { write: (line: string) => void (log += line) }),
    subscribe: () => ({ type: 'SUBSCRIBE' }),
    hear: ({ type }) => void heard.push(type),
    lost: (reason) => void heard.push(reason),
    ...options,
  });
  done = connection.run(aborter.signal);
}
const untilSubscribed = () => vi.waitFor(() => expect(connection.isSubscribed).toBe(true));

describe('the operator API', () => {
  /** Subscribes, and leaves everything else to `answer`. */
  async function operate(answer: (asked: Asked) => void, options?: Partial<ConnectionOptions>) {
    const one = await master((asked) => {
      if (asked.body.type === 'SUBSCRIBE') answerWell(asked);
      else answer(asked);
    });
    connect(one.url, options);
    await untilSubscribed();
    return one;
  }

  test('answers in JSON, or with nothing', async () => {
    const credentials = { principal: 'eo-jobs', secret: 'x' };
    const one = await operate(
      ({ body, response }) =>
        response.end(body.type === 'GET_AGENTS' ? '{"type":"GET_AGENTS"}' : ''),
      { credentials },
    );
    expect(await connection.operator({ type: 'GET_AGENTS' })).toEqual({ type: 'GET_AGENTS' });
    expect(await connection.operator({ type: 'DRAIN_AGENT', drain_agent: {} })).toBeUndefined();
    const asked = one.asked.at(-1)!;
    expect(asked).toMatchObject({ method: 'POST', path: '/api/v1' });
    expect(asked.body).toEqual({ type: 'DRAIN_AGENT', drain_agent: {} });
    expect(asked.headers).toMatchObject({
      'content-type': 'application/json',
      accept: 'application/json',
      authorization: `Basic ${Buffer.from('eo-jobs:x').toString('base64')}`,
    });
  });

  test('of an agent is asked there, by GET where a path is given', async () => {
    await operate(() => undefined);
    const agent = await master(({ response }) => response.end('{"data":"x","offset":0}'));
    const path = '/files/read?path=%2Fsrv%2Fa%20b&offset=0';
    const address = { host: '127.0.0.1', port: agent.port };
    expect(await connection.agent(address, { path })).toEqual({ data: 'x', offset: 0 });
    await connection.agent(address, { type: 'GET_CONTAINERS' });
    expect(agent.asked.map(({ method, path: asked }) => `${method} ${asked}`)).toEqual([
      `GET ${path}`,
      'POST /api/v1',
    ]);
  });

  test('is asked at nobody but the host that was named', async () => {
    const one = await operate(({ response }) => response.end('{}'));
    await connection.operator({ path: '//elsewhere.example.org/state' });
    expect(one.asked.at(-1)!.path).toBe('//elsewhere.example.org/state');
    for (const host of ['', 'a/b', 'user@host', 'host:80', 'a b']) {
      const refusal = connection.agent({ host, port: 5051 }, { path: '/state' });
      await expect(refusal).rejects.toThrow('no address of an agent');
    }
    await expect(connection.agent({ host: 'a', port: 0 }, { path: '/' })).rejects.toThrow(
      'no address',
    );
  });

  test.each([
    [
      'a refusal',
      ({ response }: Asked) => response.writeHead(404).end('no file'),
      404,
      'it answered 404: no file',
    ],
    [
      'a page',
      ({ response }: Asked) => response.end('<html>'),
      200,
      'it did not answer in JSON: <html>',
    ],
    ['a hang-up', ({ response }: Asked) => response.destroy(), undefined, 'other side closed'],
    ['silence', () => undefined, undefined, 'no answer within 0.1 s'],
    [
      'an answer without an end',
      ({ response }: Asked) => response.write('{'),
      undefined,
      'no answer within 0.1 s',
    ],
  ])('%s is an error', async (_, answer, status, message) => {
    await operate((asked) => void answer(asked), { answerMs: 100 });
    const refusal = connection.operator({ type: 'GET_STATE' });
    await expect(refusal).rejects.toThrow(message);
    await expect(refusal).rejects.toMatchObject({ name: 'CallError', status, isSent: true });
    expect(connection.isSubscribed).toBe(true);
  });

  test('an answer that drips is not waited for', async () => {
    await operate(() => undefined, { answerMs: 100 });
    let drip: NodeJS.Timeout | undefined;
    const agent = await master(({ response }) => {
      drip = setInterval(() => response.write(' '), 5);
    });
    const question = connection.agent({ host: '127.0.0.1', port: agent.port }, { path: '/state' });
    await expect(question).rejects.toThrow('no answer within 0.1 s');
    await vi.waitFor(() => expect(agent.sockets.size).toBe(0));
    clearInterval(drip);
  });

  test('an answer of more than 64 MiB is not waited for', async () => {
    const chunk = Buffer.alloc(4 * 1024 * 1024, ' ');
    function* endless() {
      for (;;) yield chunk;
    }
    await operate(({ response }) => void Readable.from(endless()).pipe(response));
    await expect(connection.operator({ type: 'GET_STATE' })).rejects.toThrow('exceeded max size');
  });
});

describe('over TLS', () => {
  let home: string;
  let tls: { key: string; cert: string };
  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), 'tls-'));
    tls = makeCertificate(home);
  });
  afterAll(() => rmSync(home, { recursive: true }));

  const secure = (): Promise<BareMaster> =>
    master(undefined, { ...tls, ca: tls.cert, requestCert: true, rejectUnauthorized: true });

  test('masters and agents are known by our authority, and we by our certificate', async () => {
    const one = await secure();
    connect(one.url, { tls: { ...tls, ca: tls.cert } });
    await untilSubscribed();
    await connection.call({ type: 'REVIVE' });
    await connection.agent({ host: '127.0.0.1', port: one.port }, { type: 'GET_STATE' });
    expect(one.asked.map(({ body }) => body.type)).toEqual(['SUBSCRIBE', 'REVIVE', 'GET_STATE']);
  });

  test('who is not known by an authority is told nothing, and it is said what to set', async () => {
    const one = await secure();
    connect(one.url, { credentials: { principal: 'eo-jobs', secret: 'x' } });
    await vi.waitFor(() =>
      expect(log).toContain('self-signed certificate: check engines.mesos.caFile'),
    );
    expect(one.asked).toEqual([]);
  });

  test('a redirect to a place without it is not followed', async () => {
    const plain = await master();
    const one = await master(
      ({ response }) => void response.writeHead(307, { Location: plain.url }).end(),
      tls,
    );
    connect(one.url, { tls: { ca: tls.cert } });
    await vi.waitFor(() => expect(log).toContain('which is less safe than https'));
    expect(plain.asked).toEqual([]);
  });
});

describe('an abort', () => {
  const isGone = (one: BareMaster) => vi.waitFor(() => expect(one.sockets.size).toBe(0));

  test('ends the stream, all calls and all questions', async () => {
    const one = await master((asked) => {
      if (asked.body.type === 'SUBSCRIBE') answerWell(asked);
    });
    connect(one.url);
    await untilSubscribed();
    const asked = [
      connection.call({ type: 'RECONCILE' }),
      connection.call({ type: 'KILL' }),
      connection.call({ type: 'ACKNOWLEDGE' }),
      connection.operator({ type: 'GET_AGENTS' }),
      connection.agent({ host: '127.0.0.1', port: one.port }, { path: '/state' }),
    ];
    await vi.waitFor(() => expect(one.asked).toHaveLength(5));
    aborter.abort();
    const results = await Promise.allSettled(asked);
    await done;
    expect(results.map(({ status }) => status)).toEqual(Array.from(asked, () => 'rejected'));
    expect(heard).toEqual(['subscribed', 'heartbeat']);
    await isGone(one);
    const late = connection.agent({ host: '127.0.0.1', port: one.port }, { path: '/state' });
    await expect(late).rejects.toThrow('destroyed');
  });

  test('ends a question for the leader', async () => {
    const leader = (signal: AbortSignal) =>
      new Promise<URL>((_, reject) => {
        signal.addEventListener('abort', () => reject(new Error('aborted')));
      });
    connect({ leader, led: () => undefined, failed: () => undefined });
    aborter.abort();
    await done;
    expect(log).toBe('');
  });

  test('while the leader is being told is not too late', async () => {
    const one = await master();
    const leader = async () => {
      aborter.abort();
      return new URL(one.url);
    };
    connect({ leader, led: () => undefined, failed: () => undefined });
    await done;
    expect(one.sockets.size).toBe(0);
    expect(log).toBe('');
  });

  test('ends a SUBSCRIBE that is not answered', async () => {
    const one = await master((asked) => void openStream(asked));
    connect(one.url);
    await vi.waitFor(() => expect(one.asked).toHaveLength(1));
    aborter.abort();
    await done;
    await isGone(one);
  });

  test('ends a connection that is only being made', async () => {
    const sockets = new Set<Socket>();
    const mute = createServer((socket) => {
      sockets.add(socket);
      socket
        .on('error', () => undefined)
        .on('close', () => sockets.delete(socket))
        .resume();
    }).listen(0, '127.0.0.1');
    cleanups.push(() => mute.close());
    await once(mute, 'listening');
    const { port } = mute.address() as AddressInfo;
    connect(`https://127.0.0.1:${port}`, { tls: {} });
    const question = connection.agent({ host: '127.0.0.1', port }, { path: '/state' });
    await vi.waitFor(() => expect(sockets.size).toBe(2));
    aborter.abort();
    await expect(question).rejects.toMatchObject({ name: 'CallError', isSent: false });
    await done;
    await vi.waitFor(() => expect(sockets.size).toBe(0));
  });

  test('ends a pause', async () => {
    connect('127.0.0.1:1', { backoff: { first: 1_000_000, longest: 1_000_000 } });
    await vi.waitFor(() => expect(log).toContain('ECONNREFUSED'));
    aborter.abort();
    await done;
  });

  test('before the beginning is enough', async () => {
    const one = await master();
    aborter.abort();
    connect(one.url);
    await done;
    expect(one.asked).toEqual([]);
  });

  test('leaves nothing that would keep a process', async () => {
    const one = await master((asked) => {
      if (asked.body.type === 'ACCEPT') return;
      answerWell(asked);
    });
    const script = `
      import { createConnection } from '${join(import.meta.dirname, 'connection.ts')}';
      import { createMasters } from '${join(import.meta.dirname, 'masters.ts')}';
      const aborter = new AbortController();
      const logger = { warn() {}, error() {} };
      const connection = createConnection({
        masters: createMasters(['127.0.0.1:1', '${one.url}']),
        logger,
        subscribe: () => ({ type: 'SUBSCRIBE' }),
        async hear({ type }) {
          if (type !== 'subscribed') return;
          connection.call({ type: 'ACCEPT' }).catch(() => undefined);
          await connection.call({ type: 'ACKNOWLEDGE' });
          await connection.agent({ host: '127.0.0.1', port: ${one.port} }, { type: 'GET_STATE' });
          aborter.abort();
        },
        lost() {},
        backoff: { first: 1, longest: 1 },
      });
      await connection.run(aborter.signal);
      await new Promise(setImmediate);
      const left = process.getActiveResourcesInfo().filter((one) => !/Pipe|TTY|Immediate/.test(one));
      process.stdout.write(JSON.stringify(left));`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script]);
    let words = '';
    child.stdout.on('data', (chunk: Buffer) => (words += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (words += chunk.toString()));
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(words).toBe('[]');
  });
});
