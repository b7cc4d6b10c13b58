import { afterEach, beforeEach, expect, test } from 'vitest';
import { startCentre } from './centre.ts';
import type { Centre } from './centre.ts';

let centre: Centre;
beforeEach(async () => {
  const size = { cpus: 2, memoryMb: 2048 };
  centre = await startCentre({ n1: size, n2: size });
  await centre.settled();
});
afterEach(() => centre[Symbol.asyncDispose]());

const teardown = (engine: string, body?: object) =>
  centre.call('POST', `/api/engines/${engine}/teardown`, body);

const MANUAL = { id: 'manual', connected: true, detail: 'cluster of a test' };

test('engines tell whether they can work, and what runs there', async () => {
  await centre.submit('one', ['a', 'b', 'c']);
  expect(await centre.call('GET', '/api/engines')).toEqual({
    status: 200,
    body: {
      items: [
        { ...MANUAL, nodes: 2, attempts: 3 },
        { id: 'plain', connected: true, detail: 'needs no connection', nodes: 0, attempts: 0 },
      ],
    },
  });
});

test('an engine is torn down: nothing runs there any more, and it has no nodes', async () => {
  await centre.submit('one', ['a', 'b', 'c']);
  const { status, body } = await teardown('manual', { confirm: 'manual' });
  expect([status, body]).toMatchObject([
    200,
    { id: 'manual', connected: false, detail: 'torn down' },
  ]);
  await centre.settled();
  const { items } = (await centre.call('GET', '/api/engines')).body;
  expect(items[0]).toMatchObject({ connected: false, nodes: 0, attempts: 0 });
  expect((await centre.call('GET', '/api/jobs/one')).body).toMatchObject({ state: 'running' });
  expect((await centre.call('GET', '/api/explain/one')).body.summary).toMatch(/no node is up\.$/);
});

test.each([
  ['manual', undefined, 400, 'INVALID_PARAMETER', 'send { "confirm": "manual" }'],
  ['manual', {}, 400, 'INVALID_PARAMETER', 'send { "confirm": "manual" }'],
  ['manual', { confirm: '' }, 400, 'INVALID_PARAMETER', 'send { "confirm": "manual" }'],
  ['manual', { confirm: 'plain' }, 400, 'INVALID_PARAMETER', 'would be killed'],
  ['manual', { confirm: true }, 400, 'INVALID_PARAMETER', 'send { "confirm": "manual" }'],
  ['manual', { confirm: 'manual', yes: true }, 400, 'INVALID_PARAMETER', 'additional properties'],
  ['plain', { confirm: 'plain' }, 501, 'NOT_SUPPORTED', "'plain' cannot be torn down"],
  ['other', { confirm: 'other' }, 404, 'NOT_FOUND', "no engine 'other'. There are: manual, plain."],
])('the teardown of %s with %j is refused', async (engine, body, status, code, message) => {
  await centre.submit('one', ['a']);
  const answer = await teardown(engine, body);
  expect([answer.status, answer.body.code]).toEqual([status, code]);
  expect(answer.body.message).toContain(message);
  expect(centre.engine.running.size).toBe(1);
});

test('an engine that cannot do it now says why', async () => {
  await teardown('manual', { confirm: 'manual' });
  expect(await teardown('manual', { confirm: 'manual' })).toMatchObject({
    status: 503,
    body: {
      code: 'UNAVAILABLE',
      message: "The engine 'manual' is not torn down: there is no cluster to say it to",
    },
  });
});

test('pages of other sites tear nothing down', async () => {
  const response = await centre.app.inject({
    method: 'POST',
    url: '/api/engines/manual/teardown',
    headers: { origin: 'http://evil.example' },
    payload: { confirm: 'manual' },
  });
  expect(response.statusCode).toBe(403);
  expect(centre.engine.port.status!().isConnected).toBe(true);
});
