/** What the application-master program makes of logs, of bad answers and orders, and of a ResourceManager that is away. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import { AmProcess, SMALL, shell } from '../fixtures/am-program.ts';
import type { Event } from '../fixtures/am-program.ts';
import { startHadoop } from '../servers/hadoop/cluster.ts';
import type { HadoopCluster } from '../servers/hadoop/cluster.ts';
import { lacksHadoop } from '../servers/hadoop/installation.ts';

const LONG = { timeout: 60_000, interval: 100 };
const REFUSED = -2000;

describe.skipIf(lacksHadoop())('the application-master program', { timeout: 120_000 }, () => {
  let cluster: HadoopCluster;
  let state: string;
  let program: AmProcess;
  let applicationId: string;
  let count = 0;
  beforeAll(async () => {
    state = mkdtempSync(join(tmpdir(), 'yarn-am-'));
    cluster = await startHadoop({ nodes: 1, heartbeatMs: 200 });
    const args = ['beside', '--state', state, '--busy-ms', '50', '--idle-ms', '200'];
    program = await AmProcess.start(cluster.configuration, args);
    const [{ name, rack } = { name: '', rack: '' }] = cluster.nodes;
    program.give({ order: 'racks', racks: { [name]: rack } });
    ({ applicationId } = await open('job'));
  }, 300_000);
  afterAll(async () => {
    await program?.[Symbol.asyncDispose]();
    await cluster?.[Symbol.asyncDispose]();
    rmSync(state, { recursive: true, force: true });
  });

  function open(app: string): Promise<Event<'opened'>> {
    program.give({ order: 'open', app, queue: 'default', priority: 1, tags: [] });
    return program.until('opened', { app });
  }

  async function start(app: string, command: string): Promise<Event<'allocated'>> {
    const request = ++count;
    const node = cluster.nodes[0]!.name;
    const order = { order: 'run', app, request, node, capability: SMALL } as const;
    program.give({ ...order, start: shell(command) });
    return program.until('allocated', { request });
  }

  const ended = ({ app, request }: Event<'allocated'>) => program.until('ended', { app, request });

  interface Place {
    readonly applicationId: string;
    readonly container: string;
    readonly node: string;
    readonly nodeHttp: string;
  }
  function read(place: Place, file: string, offset = 0, limit = 1000): Promise<Event<'log'>> {
    const id = ++count;
    const { container, node, nodeHttp } = place;
    const where = { applicationId: place.applicationId, container, node, nodeHttp };
    program.give({ order: 'readLog', id, ...where, file, offset, limit });
    return program.until('log', { id });
  }

  const untilFile = (name: string): string =>
    `while [ ! -e ${join(state, name)} ]; do sleep 0.1; done`;
  const make = (name: string, text = ''): void => writeFileSync(join(state, name), text);

  test('a log is read while it is written, after that, and when the application is over', async () => {
    const opened = await open('logs');
    make('long', 'Grüße aus Oberpfaffenhofen\n'.repeat(50_000));
    const write = `cat ${join(state, 'long')} > <LOG_DIR>/attempt.out`;
    const more = `printf %s ü > <LOG_DIR>/attempt.err`;
    const container = await start(
      'logs',
      `${write}; ${more}; touch ${state}/written; ${untilFile('go')}`,
    );
    const place = { ...opened, ...container };
    await vi.waitFor(
      async () => expect(await read(place, 'attempt.err')).toMatchObject({ next: 2 }),
      LONG,
    );

    const all = Buffer.from('Grüße aus Oberpfaffenhofen\n'.repeat(50_000));
    const reads = async () => {
      // From the beginning, in the middle, from nearer to the end, at it, and after it.
      for (const offset of [0, 250_000, 700_000, 1_300_000, all.length - 10, all.length, 10 ** 9]) {
        const wanted = all.subarray(offset, offset + 1001);
        const { text, next } = await read(place, 'attempt.out', offset, 1001);
        // A character that is cut at the end is left for the next time.
        expect(Buffer.from(text!).equals(wanted.subarray(0, next! - offset)), `${offset}`).toBe(
          true,
        );
        expect(wanted.length - (next! - offset)).toBeLessThan(2);
      }
      expect(await read(place, 'attempt.err', 0, 2)).toMatchObject({ text: 'ü', next: 2 });
      expect(await read(place, 'attempt.err', 1, 2)).toMatchObject({ text: '\u{FFFD}', next: 2 });
      // More would never come of it.
      expect(await read(place, 'attempt.err', 0, 1)).toMatchObject({ text: '\u{FFFD}', next: 1 });
      const missing = await read(place, 'attempt.end.json');
      expect(missing).toMatchObject({
        error: expect.stringMatching(/^not found: attempt.end.json/),
      });
      expect(missing).not.toHaveProperty('text');
    };
    await reads();
    make('go');
    expect(await ended(container)).toMatchObject({ exitStatus: 0 });
    await reads();
    program.give({ order: 'close', app: 'logs', status: 'SUCCEEDED', message: '' });
    await program.until('closed', { app: 'logs' });
    // The node gives its files away and forgets them.
    await vi.waitFor(async () => {
      const logs = `http://${place.nodeHttp}/ws/v1/node/containers/${place.container}/logs/attempt.err`;
      expect((await fetch(logs)).status).toBe(404);
      expect(await read(place, 'attempt.err')).toMatchObject({ text: 'ü' });
    }, LONG);
    await reads();
  });

  async function nodeThat(listener: RequestListener): Promise<Place & AsyncDisposable> {
    const server = createServer(listener).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const nodeHttp = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const container = `container_${applicationId.slice('application_'.length)}_01_000001`;
    return {
      applicationId,
      container,
      node: '127.0.0.1:1',
      nodeHttp,
      [Symbol.asyncDispose]: async () => {
        server.close();
        server.closeAllConnections();
      },
    };
  }

  test.each([
    ['garbage', (_, response) => response.end('garbage'.repeat(10_000)), 'not that of a log file'],
    ['an endless header', (_, response) => flood(response), 'not that of a log file'],
    [
      'a length that is none',
      (_, response) => response.end('LogLength:x\nLogContents:\n'),
      'not that',
    ],
    [
      'an error',
      (_, response) => response.writeHead(500).end('LogLength:1\nLogContents:\n1'),
      '500',
    ],
    ['nothing', () => undefined, 'imed out'],
    ['half an answer', (_, response) => response.socket!.destroy(), "can't be read"],
    [
      'another place',
      (_, response) => response.writeHead(307, { location: '/x' }).end(),
      'not found',
    ],
  ] satisfies [string, RequestListener, string][])(
    'a node that answers with %s',
    async (...given) => {
      await using node = await nodeThat(given[1]);
      expect(await read(node, 'attempt.out')).toMatchObject({
        error: expect.stringContaining(given[2]),
      });
    },
  );

  test('a log that grows while it is looked for from its end', async () => {
    const asked: (string | null)[] = [];
    let length = 1_000_000;
    await using node = await nodeThat((request, response) => {
      const size = new URL(request.url!, 'http://node').searchParams.get('size');
      asked.push(size);
      // As a NodeManager does, with more and more to give.
      const given = Math.min(length, Math.abs(Number(size)));
      const contents = Number(size) < 0 ? [length - given, length] : [0, given];
      response.write(`LogType:x\nLogLength:${length}\nLogContents:\n`);
      response.end(`${numbered(contents[0]!, contents[1]!)}\nEnd of LogType:x`);
      if (asked.length < 5) length += 100_000;
    });
    expect(await read(node, 'x', 900_000, 20)).toMatchObject({ text: numbered(900_000, 900_020) });
    expect(asked.length).toBeGreaterThan(2);
  });

  test.each([
    ['not a JSON object', 'nonsense'],
    ['not a JSON object', '[]'],
    ['order has to be', '{"order":"dance"}'],
    ['order has to be a string', '{}'],
    ['app has to be a string', '{"order":"open","app":1}'],
    ['priority has to be', '{"order":"open","app":"a","queue":"q","priority":"high","tags":[]}'],
    ['status has to be', '{"order":"close","app":"never"}'],
    ['status has to be one of', '{"order":"close","app":"never","status":"DONE","message":""}'],
    ['request has to be a whole number', '{"order":"stop","app":"job","request":0.5}'],
    ['applicationId has to be', '{"order":"adopt","app":"b","applicationId":"x"}'],
    ['racks.a has to be a string', '{"order":"racks","racks":{"a":1}}'],
    ['not a JSON object', '['.repeat(100_000)],
  ])('a wrong order is told and harmless: %s', async (complaint, line) => {
    const before = program.all('say').length;
    program.giveLines('', line);
    await vi.waitFor(() => expect(program.all('say')).toHaveLength(before + 1), LONG);
    const { level, message } = program.all('say').at(-1)!;
    expect({ level, message }).toEqual({
      level: 'error',
      message: expect.stringContaining(complaint),
    });
    expect(await ended(await start('job', 'true'))).toMatchObject({ exitStatus: 0 });
  });

  test('of a wrong request an end is told', async () => {
    const order = { order: 'run', app: 'job', node: 'x', capability: SMALL, start: shell('true') };
    const wrong = [
      { capability: { memoryMb: -1, vcores: 1 } },
      { start: { commands: ['true'], environment: { a: 1 }, resources: [] } },
      { start: shell('true', { resources: [{ name: 'x', path: 'hdfs://x/y' } as never] }) },
      { app: 'never' },
    ];
    for (const one of wrong) {
      const request = ++count;
      program.giveLines(JSON.stringify({ ...order, ...one, request }));
      expect(await program.until('ended', { request })).toMatchObject({ exitStatus: REFUSED });
    }
  });

  test('a ResourceManager that was away finds all as it was, and what was asked for', async () => {
    const running = await start('job', untilFile('back'));
    const whole = { memoryMb: 4096, vcores: 4 };
    const node = cluster.nodes[0]!.name;
    const request = ++count;
    const order = { order: 'run', app: 'job', request, node, capability: whole } as const;
    program.give({ ...order, start: shell('true') });
    await cluster.restartResourceManager();
    await cluster.complete();
    make('back');
    expect(await ended(running)).toMatchObject({ exitStatus: 0 });
    expect(await program.until('ended', { request })).toMatchObject({ exitStatus: 0 });
    expect(program.all('closed', { app: 'job' })).toEqual([]);
  });

  test("what can't be started ends with one line", async () => {
    for (const [args, line] of [
      [[], 'the first argument has to be'],
      [['beside'], '--state is missing'],
      [['beside', '--state'], '--state needs a value'],
      [['beside', '--stat', 'x'], 'unknown argument --stat'],
      [['beside', '--state', state, '--busy-ms', '0'], '--busy-ms has to be'],
      [['beside', '--state', state, '--principal', 'x@Y'], '--principal and --keytab'],
      [['am', '--url', 'http://127.0.0.1', '--app', 'x'], 'PUSHBROOM_AM_SECRET'],
    ] as const) {
      const one = await AmProcess.start(cluster.configuration, args);
      expect(await one.ended()).toBe(2);
      expect(one.complaints).toMatch(/^pushbroom-yarn-am: [^\n]*\n$/);
      expect(one.complaints).toContain(line);
    }
    const keytab = ['--principal', 'x@Y', '--keytab', join(state, 'none')];
    const one = await AmProcess.start(cluster.configuration, [
      'beside',
      '--state',
      state,
      ...keytab,
    ]);
    expect(one.events).toEqual([expect.objectContaining({ event: 'ready' })]);
    await one[Symbol.asyncDispose]();
  });
});

const numbered = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, index) => String((from + index) % 10)).join('');

function flood(response: NodeJS.WritableStream & { readonly destroyed?: boolean }): void {
  const write = () => {
    while (!response.destroyed && response.write('x'.repeat(65_536)));
  };
  response.on('drain', write).on('error', () => undefined);
  write();
}
