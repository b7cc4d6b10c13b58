import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PushbroomError } from '../../src/errors.ts';
import { hashBytes } from '../../src/hash.ts';
import { handMadeZip } from '../../src/processes/hand-made-zip.ts';
import { startServer } from './server.ts';
import type { TestServer } from './server.ts';

const BUNDLES = '/upload?dir=software&bundle=true';
const REGIONS = '/upload?dir=region_data';

type Headers = Readonly<Record<string, string>>;
const ALICE: Headers = { remote_user: 'alice' };
const BERT: Headers = { remote_user: 'bert' };

async function send(server: TestServer, data: FormData, url = BUNDLES, headers: Headers = ALICE) {
  const request = new Request('http://x', { method: 'POST', body: data });
  return server.app.inject({
    method: 'POST',
    url,
    payload: Buffer.from(await request.arrayBuffer()),
    headers: { ...headers, 'content-type': request.headers.get('content-type')! },
  });
}

function form(
  content: string | Buffer<ArrayBuffer>,
  name = 'urbantep-fmask-3.2.zip',
  field = 'file',
) {
  const data = new FormData();
  data.append('echo', 'text');
  data.append(field, new Blob([content]), name);
  return data;
}

const descriptor = (name: string, version: string) =>
  `<bundleDescriptor>${name && `<bundleName>${name}</bundleName>`}<bundleVersion>${version}</bundleVersion>
   <processorDescriptors><processorDescriptor><executableName>X</executableName>
   </processorDescriptor></processorDescriptors></bundleDescriptor>`;

const bundle = (name = 'fmask', version = '3.2', more = '') =>
  Buffer.from(
    handMadeZip([
      { name: 'bundle-descriptor.xml', content: descriptor(name, version) },
      { name: 'X-process', content: `#!/bin/sh\n${more}` },
    ]),
  );

const get = async (server: TestServer, url: string, headers: Headers = ALICE) =>
  server.app.inject({ url, headers });
const json = async (server: TestServer, url: string, headers: Headers = ALICE) =>
  (await get(server, url, headers)).json<{ items: object[]; next?: string }>();
const patch = (server: TestServer, url: string, payload: object, headers: Headers = ALICE) =>
  server.app.inject({ method: 'PATCH', url, payload, headers });
const remove = (server: TestServer, url: string, headers: Headers = ALICE) =>
  server.app.inject({ method: 'DELETE', url, headers });

/** All files of a server's directory, but for the jobs'. */
async function filesOf(server: TestServer): Promise<string[]> {
  const all = await readdir(server.directory, { recursive: true, withFileTypes: true });
  return all
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(server.directory.length + 1))
    .toSorted();
}

describe('an uploaded bundle', () => {
  it.each([BUNDLES, `/bc-wps${BUNDLES}&local=1&mask=true`])(
    'by %s is there for its user',
    async (url) => {
      await using server = await startServer();
      const response = await send(server, form(bundle()), url);
      expect(response.statusCode).toBe(202);
      expect(response.headers['content-type']).toBe('text/plain; charset=utf-8');
      expect(response.headers['x-sha256']).toBe(hashBytes(bundle()));
      expect(response.body).toBe('urbantep-fmask-3.2.zip');
      expect(server.registry.bundles()).toMatchObject([
        { name: 'fmask', deployedBy: 'tep_alice', state: 'uploaded', visibility: 'private' },
      ]);
      expect(await server.leftovers()).toEqual([]);
    },
  );

  it('of an operator is there for all', async () => {
    await using server = await startServer();
    expect((await send(server, form(bundle()), BUNDLES, {})).statusCode).toBe(202);
    expect(server.registry.bundles()).toMatchObject([{ state: 'deployed', visibility: 'public' }]);
  });

  it('is listed, changed and removed by its user alone', async () => {
    await using server = await startServer();
    await send(server, form(bundle()), `${BUNDLES}&visibility=public`);
    const url = '/upload/bundles/fmask~3.2';
    expect(await json(server, '/upload/bundles')).toMatchObject({
      items: [
        {
          name: 'fmask',
          version: '3.2',
          state: 'uploaded',
          visibility: 'public',
          sha256: hashBytes(bundle()),
          processes: ['fmask~3.2~X'],
          history: [{ by: 'tep_alice', to: 'uploaded' }],
        },
      ],
    });
    expect(await json(server, '/upload/bundles', BERT)).toEqual({ items: [] });
    for (const refused of [
      await get(server, url, BERT),
      await patch(server, url, { state: 'withdrawn' }, BERT),
      await remove(server, url, BERT),
    ]) {
      expect(refused.statusCode).toBe(404);
      expect(refused.json()).toMatchObject({ message: "you have no bundle 'fmask~3.2'" });
    }
    expect((await patch(server, url, { visibility: 'private' })).json()).toMatchObject({
      visibility: 'private',
    });
    expect((await patch(server, url, { state: 'vetted' })).statusCode).toBe(403);
    expect((await patch(server, url, { state: 'vetted' }, {})).json()).toMatchObject({
      state: 'vetted',
    });
    expect((await patch(server, url, { state: 'uploaded' }, {})).statusCode).toBe(409);
    expect((await patch(server, url, {})).statusCode).toBe(400);
    expect((await remove(server, url)).statusCode).toBe(204);
    expect(server.registry.bundles()).toEqual([]);
    expect(await filesOf(server)).toEqual([]);
  });

  it('of a name that another user has is refused, and not told about', async () => {
    await using server = await startServer();
    await send(server, form(bundle()));
    const response = await send(server, form(bundle('fmask', '4.0')), BUNDLES, BERT);
    expect([response.statusCode, response.body]).toEqual([
      409,
      'The bundle name fmask is taken: choose another one.',
    ]);
  });

  it('that a job needs is not removed', async () => {
    const asked: (readonly string[])[] = [];
    const isRunning = async (processes: readonly string[]) => asked.push(processes) > 0;
    await using server = await startServer({}, undefined, {}, { isRunning });
    await send(server, form(bundle()));
    const response = await remove(server, '/upload/bundles/fmask~3.2');
    expect(response.statusCode).toBe(409);
    expect(asked).toEqual([['fmask~3.2~X']]);
    expect(server.registry.bundles()).toHaveLength(1);
  });

  it.each([
    [
      handMadeZip([{ name: 'a', content: 'a' }]),
      'Zip file does not contain a bundle-descriptor.xml file.',
    ],
    [
      handMadeZip([{ name: 'bundle-descriptor.xml', content: descriptor('', '1') }]),
      'Bundle name and version must be given in the bundle-descriptor.xml file.',
    ],
    [handMadeZip([{ name: 'bundle-descriptor.xml', content: descriptor('../x', '1') }]), 'name'],
    [handMadeZip([{ name: '../bundle-descriptor.xml', content: '<x/>' }]), '..'],
  ])('that is none is refused with the reason', async (zip, reason) => {
    await using server = await startServer();
    const response = await send(server, form(Buffer.from(zip)));
    expect(response.statusCode).toBe(400);
    expect(response.body).toContain(reason);
    expect(response.headers['content-type']).toBe('text/plain; charset=utf-8');
    expect(await filesOf(server)).toEqual([]);
  });
});

describe('an uploaded file', () => {
  it('lies in the area of its user, who alone may have it back', async () => {
    await using server = await startServer();
    const response = await send(server, form('lakes', 'lakes.zip'), REGIONS);
    expect([response.statusCode, response.body]).toEqual([201, 'lakes.zip']);
    expect(response.headers['x-sha256']).toBe(hashBytes(Buffer.from('lakes')));
    expect(await filesOf(server)).toEqual(['users/tep_alice/region_data/lakes.zip']);
    const url = '/upload/files/region_data/lakes.zip';
    const download = await get(server, url);
    expect([download.body, download.headers['content-type']]).toEqual(['lakes', 'application/zip']);
    expect(download.headers['x-content-type-options']).toBe('nosniff');
    expect((await get(server, url, BERT)).statusCode).toBe(404);
    expect((await remove(server, url, BERT)).statusCode).toBe(404);
    expect((await get(server, url, {})).statusCode).toBe(404);
    expect((await remove(server, url)).statusCode).toBe(204);
    expect((await get(server, url)).statusCode).toBe(404);
    expect(await readdir(join(server.directory, 'users'), { recursive: true })).toEqual([
      'tep_alice',
    ]);
  });

  it('of the same name replaces the one before', async () => {
    await using server = await startServer();
    await send(server, form('one', 'a.csv'), '/upload?dir=point-data');
    await send(server, form('two', 'a.csv'), '/upload?dir=point-data');
    expect((await get(server, '/upload/files/point-data/a.csv')).body).toBe('two');
  });

  it('is listed in pages', async () => {
    await using server = await startServer();
    for (const name of ['c', 'a', 'b']) await send(server, form(name, name), '/upload?dir=x/y');
    await send(server, form('12345', 'lakes.zip'), REGIONS);
    const first = await json(server, '/upload/files?limit=3');
    expect(first).toMatchObject({
      items: [{ path: 'region_data/lakes.zip', size: 5 }, { path: 'x/y/a' }, { path: 'x/y/b' }],
      next: 'x/y/b',
    });
    const rest = await json(server, `/upload/files?limit=3&after=${first.next}`);
    expect(rest).toMatchObject({ items: [{ path: 'x/y/c' }] });
    expect(rest.next).toBeUndefined();
    expect((await json(server, '/upload/files?dir=x')).items).toHaveLength(3);
    expect(await json(server, '/upload/files', BERT)).toEqual({ items: [] });
  });

  it('is refused when its user keeps too much, and room comes by removing', async () => {
    await using server = await startServer();
    const large = 'x'.repeat(90_000);
    expect((await send(server, form(large, 'a'), REGIONS)).statusCode).toBe(201);
    const refused = await send(server, form(large, 'b'), REGIONS);
    expect(refused.statusCode).toBe(429);
    expect(refused.body).toMatch(/you keep 90000 bytes here and may keep 150000: 90000 more/);
    expect((await send(server, form(large, 'a'), REGIONS)).statusCode).toBe(201);
    expect((await send(server, form(large, 'b'), REGIONS, BERT)).statusCode).toBe(201);
    await remove(server, '/upload/files/region_data/a');
    expect((await send(server, form(large, 'b'), REGIONS)).statusCode).toBe(201);
    const both = await Promise.all(
      ['1', '2'].map(async (name) => send(server, form('y'.repeat(40_000), name), REGIONS)),
    );
    expect(both.map(({ statusCode }) => statusCode).toSorted((a, b) => a - b)).toEqual([201, 429]);
  });

  it('where a directory is, or below a file, is refused', async () => {
    await using server = await startServer();
    await send(server, form('x', 'c'), '/upload?dir=a/b');
    expect((await send(server, form('x', 'b'), '/upload?dir=a')).statusCode).toBe(409);
    expect((await send(server, form('x', 'd'), '/upload?dir=a/b/c')).statusCode).toBe(409);
    expect(await filesOf(server)).toEqual(['users/tep_alice/a/b/c']);
  });

  it.each([
    ['/upload?dir=..', 'a'],
    ['/upload?dir=/etc', 'a'],
    ['/upload?dir=a//b', 'a'],
    ['/upload?dir=', 'a'],
    ['/upload?dir=a/b/c/d/e/f', 'a'],
    ['/upload?dir=.hidden', 'a'],
    ['/upload?dir=region_data', '.hidden'],
    ['/upload?dir=region_data', 'a b'],
    ['/upload?dir=software', 'a'],
    ['/upload?dir=software/x', 'a'],
    ['/upload?dir=region_data&bundle=true', 'a'],
    ['/upload?dir=a&dir=b', 'a'],
    ['/upload?dir=a&visibility=all', 'a'],
    ['/upload', 'a'],
  ])('to %s as %s is refused', async (url, name) => {
    await using server = await startServer();
    const response = await send(server, form('x', name), url);
    expect(response.statusCode).toBe(400);
    expect(response.body).toMatch(/./);
    expect(await filesOf(server)).toEqual([]);
  });

  it('never lies outside the area of its user, whatever is asked', async () => {
    await using server = await startServer();
    const part = fc.oneof(
      fc.constantFrom('..', '.', '', '/', '%2e%2e', '~', '-rf', 'a', 'region_data', '..\\..'),
      fc.constantFrom('a', 'b', 'masks', 'lakes.zip'),
      fc.string({ unit: 'binary', maxLength: 8 }),
    );
    const path = fc.array(part, { maxLength: 4 }).map((parts) => parts.join('/'));
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(path, part, async (dir, name) => {
        const url = `/upload?dir=${encodeURIComponent(dir)}`;
        const { statusCode } = await send(server, form('x', name), url);
        expect([201, 400, 409]).toContain(statusCode);
        if (statusCode === 201) taken += 1;
        const read = await get(server, `/upload/files/${encodeURIComponent(dir)}`);
        expect([200, 400, 404, 405]).toContain(read.statusCode);
      }),
      { numRuns: 300 },
    );
    expect(taken).toBeGreaterThan(0);
    const outside = (await filesOf(server)).filter((file) => !file.startsWith('users/tep_alice/'));
    expect(outside).toEqual([]);
  });

  it('that the check refuses is not kept', async () => {
    const check = async (_path: string, name: string) => {
      throw new PushbroomError('INVALID_PARAMETER', `the file was refused: ${name} is bad`);
    };
    await using server = await startServer({}, undefined, {}, { check });
    for (const url of [REGIONS, BUNDLES]) {
      const response = await send(server, form(bundle(), 'b.zip'), url);
      expect(response.statusCode).toBe(400);
      expect(response.body).toMatch(/b\.zip is bad$/);
    }
    expect(await filesOf(server)).toEqual([]);
  });
});

describe('an upload', () => {
  it('may be longer than other bodies', async () => {
    await using server = await startServer();
    expect((await send(server, form('x'.repeat(99_000)), REGIONS)).statusCode).toBe(201);
  });

  it('that fails inside tells nothing of it', async () => {
    const check = () => Promise.reject(new Error('the secret is 42'));
    await using server = await startServer({}, undefined, {}, { check });
    const response = await send(server, form('zip'));
    expect(response.statusCode).toBe(500);
    expect(response.body).toMatch(/^internal error \(request /);
    expect(server.errors.splice(0).join('')).toContain('the secret');
    expect(await server.leftovers()).toEqual([]);
  });

  it.each([
    ['too large', form('x'.repeat(100_001)), 413, /at most 100000 bytes/],
    ['without the field', form('zip', 'a', 'other'), 400, /'file' is missing/],
    ['without a file', new FormData(), 400, /./],
  ])('%s is refused with a reason', async (_, data, status, reason) => {
    await using server = await startServer();
    const response = await send(server, data, REGIONS);
    expect(response.statusCode).toBe(status);
    expect(response.body).toMatch(reason);
    expect(await filesOf(server)).toEqual([]);
  });

  it('of two files is refused', async () => {
    await using server = await startServer();
    const two = form('one');
    two.append('file', new Blob(['two']), 'two.zip');
    expect((await send(server, two, REGIONS)).statusCode).toBe(413);
    expect(await filesOf(server)).toEqual([]);
  });

  it.each([
    ['application/zip', 'zip', 415],
    ['', 'zip', 415],
    ['multipart/form-data', 'zip', 400],
    [
      'multipart/form-data; boundary=x',
      '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nzi',
      400,
    ],
    ['multipart/form-data; boundary=x', 'nonsense', 400],
  ])('as %j that cannot be read is refused', async (type, payload, status) => {
    await using server = await startServer();
    const headers = type === '' ? {} : { 'content-type': type };
    const response = await server.app.inject({ method: 'POST', url: REGIONS, payload, headers });
    expect(response.statusCode).toBe(status);
    expect(response.body).toMatch(/./);
    expect(await filesOf(server)).toEqual([]);
  });
});

describe('over a connection', () => {
  const START =
    '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + 'z'.repeat(1000);
  const head = (length: number) =>
    [
      `POST ${REGIONS} HTTP/1.1`,
      'Host: x',
      'Content-Type: multipart/form-data; boundary=x',
      `Content-Length: ${length}`,
      '\r\n',
    ].join('\r\n');

  async function dial(server: TestServer) {
    await server.app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = server.app.server.address() as AddressInfo;
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return socket;
  }

  it('what is too large is refused before any of it has come', async () => {
    await using server = await startServer();
    const socket = await dial(server);
    socket.write(head(10_000_000));
    let answer = '';
    for await (const chunk of socket) answer += String(chunk);
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(answer).toMatch(/at most 100000 bytes are taken/);
  });

  it('nothing is left of what a client broke off', async () => {
    await using server = await startServer();
    const socket = await dial(server);
    socket.write(head(50_000) + START);
    // The server has begun to write, then the client is gone.
    await expect.poll(async () => (await filesOf(server)).length, { timeout: 5000 }).toBe(1);
    socket.destroy();
    await expect.poll(async () => server.leftovers(), { timeout: 5000 }).toEqual([]);
    expect(await filesOf(server)).toEqual([]);
  });
});
