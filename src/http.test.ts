import { PassThrough } from 'node:stream';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { PushbroomError } from './errors.ts';
import { createHttp } from './http.ts';

function start() {
  const log: string[] = [];
  const sink = new PassThrough().on('data', (line) => log.push(String(line)));
  const app = createHttp({ logger: pino(sink), bodyLimit: 100 });
  app.get('/refused', () => {
    throw new PushbroomError('NO_SUCH_JOB', "there is no job 'x'", { locator: 'jobId' });
  });
  app.get('/broken', () => {
    throw new Error('the secret is 42');
  });
  app.get('/internal', () => {
    throw new PushbroomError('INTERNAL', 'the secret is 42');
  });
  app.post('/', (request) => request.body);
  app.get('/item/:id', {
    schema: { querystring: { type: 'object', properties: { limit: { type: 'integer' } } } },
    handler: () => 'item',
  });
  return { app, log };
}

describe('the HTTP server', () => {
  it('answers an error that the caller may see with its status, code, message and locator', async () => {
    const { app } = start();
    const response = await app.inject('/refused');
    expect(response.statusCode).toBe(404);
    expect(response.json()).toEqual({
      status: 404,
      code: 'NO_SUCH_JOB',
      message: "there is no job 'x'",
      locator: 'jobId',
    });
  });

  it.each(['/broken', '/internal'])(
    'hides what went wrong inside, and logs it with the id that the caller is told (%s)',
    async (url) => {
      const { app, log } = start();
      const response = await app.inject(url);
      expect(response.statusCode).toBe(500);
      expect(response.body).not.toContain('secret');
      const { message } = response.json<{ message: string }>();
      const id = /^internal error \(request ([\da-f-]{36})\)$/.exec(message)?.[1];
      expect(log.join('')).toContain(`"reqId":"${id}"`);
      expect(log.join('')).toContain('the secret is 42');
      expect(log.join('')).toMatch(/"stack":".*http\.test\.ts/);
    },
  );

  it.each([
    ['GET', 'NOT_FOUND', 404, '/nowhere', undefined],
    ['GET', 'MALFORMED_REQUEST', 400, '/%zz', undefined],
    ['GET', 'INVALID_PARAMETER', 400, '/item/1?limit=many', undefined],
    ['GET', 'MALFORMED_REQUEST', 400, `/item/${'x'.repeat(2000)}`, undefined],
    ['POST', 'MALFORMED_REQUEST', 400, '/', '{'],
    ['POST', 'MALFORMED_REQUEST', 400, '/', '{"__proto__":{}}'],
    ['POST', 'REQUEST_TOO_LARGE', 413, '/', JSON.stringify('x'.repeat(200))],
  ] as const)(
    'refuses a bad %s with %s %d in our own words',
    async (method, code, status, url, payload) => {
      const { app, log } = start();
      const headers = { 'content-type': 'application/json' };
      const response = await app.inject({ method, url, ...(payload && { payload, headers }) });
      expect(response.json()).toMatchObject({ code });
      expect(response.statusCode).toBe(status);
      expect(log).toEqual([]);
    },
  );

  it('names the parameter that does not fit its schema', async () => {
    const { app } = start();
    const response = await app.inject('/item/1?limit=many');
    expect(response.json()).toMatchObject({ locator: 'limit', message: /integer/ });
  });

  it('refuses a media type that nobody reads', async () => {
    const { app } = start();
    const headers = { 'content-type': 'image/png' };
    const response = await app.inject({ method: 'POST', url: '/', payload: 'x', headers });
    expect(response.statusCode).toBe(415);
    expect(response.json()).toMatchObject({ code: 'UNSUPPORTED_MEDIA_TYPE' });
  });

  it('takes a path with and without a slash at its end', async () => {
    const { app } = start();
    expect((await app.inject('/item/1/')).body).toBe('item');
    expect((await app.inject('/item/1')).body).toBe('item');
  });
});
