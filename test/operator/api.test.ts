import { readdir, writeFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { join } from 'node:path';
import * as fc from 'fast-check';
import type { InjectOptions } from 'fastify';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import yazl from 'yazl';
import { callAsPromised } from './openapi.ts';
import type { OpenApi } from './openapi.ts';
import { failedTask, PROCESS } from './memory-jobs.ts';
import { createTestServer, DATASET, DESCRIPTOR } from './operator-server.ts';
import type { TestServer } from './operator-server.ts';

let server: TestServer;
beforeEach(async () => {
  server = await createTestServer();
});
afterEach(() => server[Symbol.asyncDispose]());

const submit = async (inputs: Record<string, string> = {}): Promise<string> => {
  const caller = { user: 'utep', role: 'user', groups: [], reference: 'portal-7' } as const;
  return (await server.jobs.submit({ process: PROCESS.id, inputs, caller })).job.id;
};

const call = (options: InjectOptions & { url: string }) => callAsPromised(server.app, options);

const form = (name: string, content: Buffer | string, filename = 'bundle.zip') => {
  const head = `--x\r\ncontent-disposition: form-data; name="${name}"; filename="${filename}"\r\n\r\n`;
  return {
    headers: { 'content-type': 'multipart/form-data; boundary=x' },
    payload: Buffer.concat([Buffer.from(head), Buffer.from(content), Buffer.from('\r\n--x--\r\n')]),
  };
};

const bundleZip = async (descriptor = DESCRIPTOR, program = '#!/bin/sh\n'): Promise<Buffer> => {
  const zip = new yazl.ZipFile();
  const mtime = new Date(2020, 0, 1);
  zip.addBuffer(Buffer.from(descriptor), 'bundle-descriptor.xml', { mtime });
  zip.addBuffer(Buffer.from(program), 'Echo-process', { mtime, mode: 0o100_755 });
  zip.end();
  return buffer(zip.outputStream);
};

describe('jobs', () => {
  test('a job is submitted, looked at and dismissed', async () => {
    const accepted = await call({
      method: 'POST',
      url: '/api/jobs',
      payload: {
        process: PROCESS.id,
        inputs: { productionName: 'A title', limit: 3, strict: true },
        user: 'anna',
        reference: 'r1',
      },
    });
    expect(accepted.statusCode).toBe(201);
    const { id, ...job } = accepted.json();
    expect(accepted.headers['location']).toBe(`/api/jobs/${id}`);
    expect(job).toMatchObject({
      state: 'accepted',
      user: 'anna',
      reference: 'r1',
      acceptedAt: '2026-01-31T10:20:30.000Z',
      inputs: { productionName: 'A title', limit: '3', strict: 'true' },
    });
    const seen = await call({ url: `/api/jobs/${id}` });
    expect(seen.json()).toEqual({ id, ...job });
    const dismissed = await call({ method: 'DELETE', url: `/api/jobs/${id}` });
    expect(dismissed.json()).toMatchObject({ id, state: 'dismissed' });
  });

  test('a job without a user is the operator’s', async () => {
    const payload = { process: PROCESS.id, inputs: {} };
    const response = await call({ method: 'POST', url: '/api/jobs', payload });
    expect(response.json()).toMatchObject({ user: 'operator' });
  });

  test('the list is filtered and comes in pages, newest first', async () => {
    const ids = [await submit(), await submit(), await submit()];
    server.jobs.move(ids[1]!, { state: 'running', percent: 12.5 });
    const running = await call({ url: '/api/jobs?state=running' });
    expect(running.json().items).toMatchObject([{ id: ids[1], percent: 12.5 }]);
    const two = await call({ url: '/api/jobs?state=running&state=accepted&limit=2' });
    expect(two.json().items.map(({ id }: { id: string }) => id)).toEqual([ids[2], ids[1]]);
    const last = await call({ url: `/api/jobs?limit=2&after=${two.json().next}` });
    expect(last.json()).toMatchObject({ items: [{ id: ids[0] }] });
    expect(last.json()).not.toHaveProperty('next');
    const others = await call({ url: '/api/jobs?user=nobody' });
    expect(others.json()).toEqual({ items: [] });
  });

  test('results come with the URLs at which users get them', async () => {
    const id = await submit();
    const early = await call({ url: `/api/jobs/${id}/results` });
    expect([early.statusCode, early.json().code]).toEqual([404, 'RESULT_NOT_READY']);
    const result = {
      path: 'a b.tif',
      type: 'image/tiff',
      size: 3,
      sha256: 'ab',
      role: 'product',
    } as const;
    server.jobs.move(id, { state: 'successful', percent: 100, results: [result] });
    const { items } = (await call({ url: `/api/jobs/${id}/results` })).json();
    expect(items).toEqual([
      { ...result, href: `http://public.example/staging/utep/${id}/a%20b.tif` },
    ]);
  });
});

describe('tasks and logs', () => {
  test('tasks say why they failed, their attempts what they cost', async () => {
    const id = await submit();
    server.jobs.put(...failedTask(id, 7));
    const tasks = await call({ url: `/api/jobs/${id}/tasks?state=failed&step=process` });
    expect(tasks.json().items).toMatchObject([
      {
        id: `${id}.7`,
        number: 7,
        failure: { kind: 'processor', message: 'the scene is truncated' },
      },
    ]);
    const none = await call({ url: `/api/jobs/${id}/tasks?state=running` });
    expect(none.json()).toEqual({ items: [] });
    const attempts = await call({ url: `/api/jobs/${id}/tasks/7/attempts` });
    expect(attempts.json().items).toMatchObject([
      {
        id: `${id}.7.1`,
        exitCode: 1,
        usage: { wallMs: 900, sources: { cpu: 'proc-stat-children' } },
      },
    ]);
  });

  test('a log is read part by part', async () => {
    const id = await submit();
    server.jobs.put(...failedTask(id, 7));
    server.logs.set(`${id}.7.1.err`, Buffer.from('first\nsecond\n'));
    const url = `/api/attempts/${id}.7.1/log?stream=err`;
    const part = await call({ url: `${url}&limit=6` });
    expect([part.body, part.headers['x-next-offset']]).toEqual(['first\n', '6']);
    expect(part.headers['content-type']).toBe('text/plain; charset=utf-8');
    const rest = await call({ url: `${url}&offset=6` });
    expect([rest.body, rest.headers['x-next-offset']]).toEqual(['second\n', '13']);
    const end = await call({ url: `${url}&offset=13` });
    expect([end.body, end.headers['x-next-offset']]).toEqual(['', '13']);
  });
});

describe('inventory', () => {
  test('health tells version, uptime and state', async () => {
    const health = (await call({ url: '/health' })).json();
    expect(health).toMatchObject({ version: '1.2.3', state: 'ready' });
    expect(health.uptime).toBeGreaterThanOrEqual(0);
  });

  test('datasets are listed', async () => {
    expect((await call({ url: '/api/datasets' })).json()).toEqual({ items: [DATASET] });
  });

  test('a bundle is uploaded, deployed and listed, and nothing else is left', async () => {
    const url = '/api/processors';
    const deployed = await call({ method: 'POST', url, ...form('file', await bundleZip()) });
    expect(deployed.statusCode).toBe(201);
    expect(deployed.json()).toMatchObject({
      name: 'echo',
      version: '1.0',
      processes: [{ id: 'echo~1.0~Echo', title: 'Says it again' }],
    });
    expect((await call({ url })).json()).toEqual({ items: [deployed.json()] });
    expect(await readdir(join(server.directory, 'uploads'))).toEqual([]);
  });

  test('another content under a deployed version is a conflict', async () => {
    const url = '/api/processors';
    await call({ method: 'POST', url, ...form('file', await bundleZip()) });
    const again = await bundleZip(DESCRIPTOR, '#!/bin/sh\necho changed\n');
    const response = await call({ method: 'POST', url, ...form('file', again) });
    expect([response.statusCode, response.json().code]).toEqual([409, 'BUNDLE_EXISTS']);
  });

  test('a bundle beyond the limit is refused and not kept', async () => {
    await using small = await createTestServer({ uploadLimit: 100 });
    const upload = form('file', Buffer.alloc(1000));
    const response = await small.app.inject({ method: 'POST', url: '/api/processors', ...upload });
    expect([response.statusCode, response.json().code]).toEqual([413, 'REQUEST_TOO_LARGE']);
    expect(await readdir(join(small.directory, 'uploads'))).toEqual([]);
  });

  test('the start page shows titles as text, whatever they hold', async () => {
    await submit({ productionName: '<script>alert(1)</script>' });
    const page = await server.app.inject('/');
    expect(page.headers['content-type']).toContain('text/html');
    expect(page.body).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(page.body).not.toContain('<script>');
  });

  test('the OpenAPI document is of version 3.1 and refers to nothing outside', async () => {
    const response = await server.app.inject('/api/openapi.json');
    expect(response.json<OpenApi>().openapi).toMatch(/^3\.1/);
    const references = [...response.body.matchAll(/"\$ref":"([^"]*)"/g)].map((match) => match[1]);
    expect(references.filter((reference) => !reference?.startsWith('#'))).toEqual([]);
  });
});

describe('bad input', () => {
  const JSON_TYPE = { 'content-type': 'application/json' };
  const post = (payload: string | object, headers: Record<string, string> = JSON_TYPE) => ({
    method: 'POST' as const,
    url: '/api/jobs',
    payload,
    headers,
  });
  test.each<[string, InjectOptions & { url: string }, number, string]>([
    ['an unknown state', { url: '/api/jobs?state=lost' }, 400, 'INVALID_PARAMETER'],
    ['a misspelt parameter', { url: '/api/jobs?stat=failed' }, 400, 'INVALID_PARAMETER'],
    ['a limit beyond 1000', { url: '/api/jobs?limit=1001' }, 400, 'INVALID_PARAMETER'],
    ['an unknown job', { url: '/api/jobs/nope' }, 404, 'NO_SUCH_JOB'],
    ['dismissing an unknown job', { method: 'DELETE', url: '/api/jobs/nope' }, 404, 'NO_SUCH_JOB'],
    ['tasks of an unknown job', { url: '/api/jobs/nope/tasks' }, 404, 'NO_SUCH_JOB'],
    ['an unknown step', { url: '/api/jobs/nope/tasks?step=stage' }, 400, 'INVALID_PARAMETER'],
    ['attempts of an unknown job', { url: '/api/jobs/no/tasks/1/attempts' }, 404, 'NO_SUCH_JOB'],
    ['a task that is no number', { url: '/api/jobs/x/tasks/a/attempts' }, 400, 'INVALID_PARAMETER'],
    ['a huge task number', { url: '/api/jobs/x/tasks/9e99/attempts' }, 400, 'INVALID_PARAMETER'],
    ['results of an unknown job', { url: '/api/jobs/nope/results' }, 404, 'NO_SUCH_JOB'],
    ['a log of no attempt', { url: '/api/attempts/nope/log' }, 400, 'INVALID_PARAMETER'],
    ['a log path', { url: '/api/attempts/..%2F..%2Fx.1.1/log' }, 400, 'INVALID_PARAMETER'],
    ['a log of an unknown attempt', { url: '/api/attempts/a.1.1/log' }, 404, 'NOT_FOUND'],
    ['a third stream', { url: '/api/attempts/a.1.1/log?stream=in' }, 400, 'INVALID_PARAMETER'],
    ['a negative offset', { url: '/api/attempts/a.1.1/log?offset=-1' }, 400, 'INVALID_PARAMETER'],
    ['malformed JSON', post('{"process":'), 400, 'MALFORMED_REQUEST'],
    [
      'another media type',
      post('<x/>', { 'content-type': 'text/html' }),
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    ['a submission without process', post({ inputs: {} }), 400, 'INVALID_PARAMETER'],
    [
      'an input that is a list',
      post({ process: 'a~1~b', inputs: { a: [{}] } }),
      400,
      'INVALID_PARAMETER',
    ],
    ['an unknown process', post({ process: 'a~1~b', inputs: {} }), 404, 'NO_SUCH_PROCESS'],
    [
      'a user who climbs',
      post({ process: 'p', inputs: {}, user: '../x' }),
      400,
      'INVALID_PARAMETER',
    ],
    ['a huge body', post({ process: 'x'.repeat(5_000_000) }), 413, 'REQUEST_TOO_LARGE'],
    [
      'an upload without form',
      { ...post('{}'), url: '/api/processors' },
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    [
      'an upload under another name',
      { method: 'POST', url: '/api/processors', ...form('zip', 'x') },
      400,
      'MISSING_PARAMETER',
    ],
    [
      'an upload that is no zip',
      { method: 'POST', url: '/api/processors', ...form('file', 'x') },
      400,
      'INVALID_BUNDLE',
    ],
    [
      'an upload that breaks off',
      {
        method: 'POST',
        url: '/api/processors',
        headers: form('file', '').headers,
        payload: '--x\r\ncontent-disp',
      },
      400,
      'MALFORMED_REQUEST',
    ],
  ])('%s is refused', async (_what, options, status, code) => {
    const response = await call(options);
    expect([response.statusCode, response.json().code]).toEqual([status, code]);
    expect(response.json().message).not.toBe('');
  });

  test('what is nowhere is not found', async () => {
    const response = await server.app.inject('/api/nothing');
    expect([response.statusCode, response.json().code]).toEqual([404, 'NOT_FOUND']);
  });

  test('a page of another site gives no orders', async () => {
    const headers = { origin: 'http://evil.example', host: 'localhost:8081' };
    const upload = form('file', await bundleZip());
    const response = await call({
      method: 'POST',
      url: '/api/processors',
      ...upload,
      headers: { ...upload.headers, ...headers },
    });
    expect([response.statusCode, response.json().code]).toEqual([403, 'FORBIDDEN']);
    const own = { ...upload.headers, origin: 'http://localhost:8081', host: 'localhost:8081' };
    const allowed = await call({ method: 'POST', url: '/api/processors', ...upload, headers: own });
    expect(allowed.statusCode).toBe(201);
  });

  test('nothing that is sent to any route is answered by a server error', async () => {
    const { paths } = (await server.app.inject('/api/openapi.json')).json<OpenApi>();
    const routes = Object.entries(paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => ({ path, method: method.toUpperCase() })),
    );
    // Events never end; their own test reads them.
    const asked = routes.filter(({ path }) => path !== '/api/events');
    expect(asked.length).toBeGreaterThan(12);
    const text = fc.string({ unit: 'binary', maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...asked),
        text,
        text,
        fc.jsonValue(),
        async (route, id, query, body) => {
          const url = route.path.replaceAll(
            /\{\w+\}/g,
            encodeURIComponent(id.toWellFormed() || '-'),
          );
          const response = await server.app.inject({
            method: route.method as 'GET',
            url: `${url}?limit=${encodeURIComponent(query.toWellFormed())}`,
            ...(route.method === 'POST' && { headers: JSON_TYPE, payload: JSON.stringify(body) }),
          });
          expect(response.statusCode).toBeLessThan(500);
        },
      ),
    );
  });

  test('a fault of ours is told without a word of our paths', async () => {
    const blocked = join(server.directory, 'a-file');
    await writeFile(blocked, '');
    await using broken = await createTestServer({ uploadDirectory: blocked });
    const upload = form('file', 'x');
    const response = await broken.app.inject({ method: 'POST', url: '/api/processors', ...upload });
    expect([response.statusCode, response.json().code]).toEqual([500, 'INTERNAL']);
    expect(response.json().message).not.toContain(blocked);
  });
});
