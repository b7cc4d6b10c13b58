import { once } from 'node:events';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { residentMb } from '../../bench/measure.ts';
import { parseXml } from '../../src/xml.ts';
import { startPushbroom, temporaryDirectory } from '../servers/pushbroom.ts';
import type { Pushbroom } from '../servers/pushbroom.ts';

const MB = 1024 * 1024;
const HUNDRED = 100;
/** What a service may need more than before; a hundred times less than what is sent to it. */
const SPARE_MB = 60;

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let server: Pushbroom;
beforeAll(async () => {
  directory = await temporaryDirectory();
  server = await startPushbroom(directory.path, {});
});
afterAll(async () => {
  await server.kill();
  await directory[Symbol.asyncDispose]();
});

/** Sends as long as somebody listens, and gives what is answered; a connection that is closed is an answer, too. */
async function send(
  path: string,
  headers: Readonly<Record<string, string | number>>,
  chunks: Iterable<Buffer>,
): Promise<{ status: number; body: string }> {
  const sent = request(server.publicUrl + path, { method: 'POST', headers });
  const answered = new Promise<IncomingMessage | undefined>((resolve) => {
    sent.once('response', resolve);
    sent.once('error', () => resolve(undefined));
  });
  for (const chunk of chunks) {
    if (sent.destroyed || sent.writableEnded) break;
    if (!sent.write(chunk)) await Promise.race([once(sent, 'drain'), answered]);
  }
  sent.end();
  const answer = await answered;
  return answer
    ? { status: answer.statusCode!, body: await text(answer) }
    : { status: 413, body: '' };
}

function* megabytes(count: number, first: string, filling: string): Generator<Buffer> {
  yield Buffer.from(first);
  const chunk = Buffer.from(filling.repeat(MB / filling.length));
  for (let index = 0; index < count; index += 1) yield chunk;
}

const post = (path: string, type: string, body: string | Buffer) =>
  fetch(server.publicUrl + path, {
    method: 'POST',
    headers: { 'content-type': type },
    body: typeof body === 'string' ? body : new Uint8Array(body),
  });

describe('a service that is sent nonsense', () => {
  test.each([
    ['XML', '/wps', 'text/xml', '<Execute>', 'x'],
    ['elements', '/wps', 'text/xml', '<Execute>', '<a></a>.'],
    ['JSON', '/ogcapi/processes/echo/execution', 'application/json', '{"inputs":{"a":"', 'x'],
    ['what is no form', '/upload?dir=software&bundle=true', 'text/plain', '', 'x'],
  ])(
    'refuses 100 MB of %s in constant memory, announced or not',
    async (_, path, type, first, filling) => {
      const before = await residentMb(server.pid, 'peak');
      const announced = { 'content-type': type, 'content-length': first.length + HUNDRED * MB };
      for (const headers of [announced, { 'content-type': type }]) {
        const { status } = await send(path, headers, megabytes(HUNDRED, first, filling));
        expect([413, 415]).toContain(status);
      }
      expect((await residentMb(server.pid, 'peak')) - before).toBeLessThan(SPARE_MB);
    },
  );

  test('refuses a value that is longer than an upload may be, in constant memory', async () => {
    const first = '--x\r\ncontent-disposition: form-data; name="note"\r\n\r\n';
    const headers = { 'content-type': 'multipart/form-data; boundary=x' };
    const path = '/upload?dir=software&bundle=true';
    // The first time shows what a stream of that speed takes; after that it may not become more.
    await send(path, headers, megabytes(HUNDRED, first, 'x'));
    const before = await residentMb(server.pid, 'peak');
    const { status } = await send(path, headers, megabytes(4 * HUNDRED, first, 'x'));
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
    expect((await residentMb(server.pid, 'peak')) - before).toBeLessThan(SPARE_MB);
  });

  test.each([
    [
      'billions of laughs',
      `<!DOCTYPE x [<!ENTITY a "${'a'.repeat(1000)}"><!ENTITY b "${'&a;'.repeat(1000)}">]><x>&b;</x>`,
    ],
    ['an entity from a file', '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'],
    ['a hundred thousand levels', '<a>'.repeat(100_000)],
    ['half a million elements', `<a>${'<b/>'.repeat(500_000)}</a>`],
    ['two roots', '<a/><b/>'],
    [
      'bytes that are not of the encoding',
      Buffer.from('<?xml version="1.0" encoding="UTF-8"?><a>\xff</a>', 'latin1'),
    ],
    ['an encoding that nobody knows', '<?xml version="1.0" encoding="klingon"?><a/>'],
    ['an encoding that it is not in', '<?xml version="1.0" encoding="UTF-16"?><a/>'],
  ])('refuses %s as XML', async (_, body) => {
    const answer = await post('/wps', 'text/xml', body);
    expect(answer.status).toBe(400);
    const report = await answer.text();
    expect(parseXml(report).name).toBe('ExceptionReport');
    expect(report).not.toContain('root:');
  });

  test.each([
    ['{', 400],
    [`${'['.repeat(100_000)}${']'.repeat(100_000)}`, 400],
    ['{"inputs":{"__proto__":{"x":1},"constructor":{"prototype":{}}}}', 400],
    ['{"inputs":null}', 400],
    ['{}', 400],
  ])('refuses the JSON %.40s', async (body, status) => {
    const answer = await post('/ogcapi/processes/echo/execution', 'application/json', body);
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({
      type: expect.stringContaining('exceptions') as string,
    });
  });

  test.each([
    '/staging/../pushbroom.db',
    '/staging/%2e%2e/pushbroom.db',
    '/staging/anonymous/%2e%2e%2f%2e%2e%2fpushbroom.db',
    '/staging/anonymous/x/..%2f..%2f..%2fpushbroom.db',
    '/staging/anonymous/x/%252e%252e/pushbroom.db',
    '/staging/anonymous/x/..%5c..%5cpushbroom.db',
    '/staging/anonymous/x/%00',
    '/staging//etc/passwd',
  ])('has nothing at %s', async (path) => {
    // As it stands: fetch would resolve the dots itself.
    const sent = request(server.publicUrl, { path });
    sent.end();
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    expect([400, 404]).toContain(answer.statusCode);
    expect(await text(answer)).not.toContain('SQLite');
  });

  test('serves everybody else as before', async () => {
    const query = 'request=Execute&version=1.0.0&identifier=echo&RawDataOutput=stringInput';
    const answer = await fetch(
      `${server.publicUrl}/wps?service=WPS&${query}&DataInputs=stringInput=a`,
    );
    expect(await answer.text()).toBe('a');
    expect(await server.stop()).toBe(0);
  });
});
