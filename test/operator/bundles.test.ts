import { afterEach, beforeEach, expect, test } from 'vitest';
import { startCentre } from './centre.ts';
import type { Centre } from './centre.ts';

let centre: Centre;
beforeEach(async () => {
  centre = await startCentre();
});
afterEach(() => centre[Symbol.asyncDispose]());

const BUNDLE = '/api/processors/test~1.0';
const change = (body: object) => centre.call('PATCH', BUNDLE, body);

test('a withdrawn bundle takes no new jobs and no retries, in words; what runs ends', async () => {
  await centre.submit('one', ['a', 'b']);
  centre.engine.fail('one.1.1', 'processor', 'exit code 3');
  await centre.settled();
  expect((await change({ state: 'withdrawn' })).body).toMatchObject({ state: 'withdrawn' });
  const { body: refused } = await centre.call('POST', '/api/jobs', {
    process: 'test~1.0~Copy',
    inputs: {},
  });
  expect(refused).toMatchObject({
    code: 'NO_SUCH_PROCESS',
    message:
      'The bundle test~1.0 was withdrawn: it takes no new jobs. Ask for another version, or have it deployed again.',
  });
  // Its tasks go on, also those that failed and are tried again in place.
  expect((await centre.call('POST', '/api/jobs/one/retry', {})).status).toBe(200);
  await centre.settled();
  centre.engine.finish('one.1.2');
  centre.engine.fail('one.0.1', 'processor', 'exit code 3');
  await centre.settled();
  expect((await centre.call('GET', '/api/jobs/one')).body.state).toBe('successful');

  const again = await centre.call('POST', '/api/jobs/one/retry', {});
  expect([again.status, again.body.message]).toEqual([
    409,
    'The bundle test~1.0 of job one was withdrawn: deploy it again, or name another version.',
  ]);
  await change({ state: 'deployed' });
  expect((await centre.call('POST', '/api/jobs/one/retry', {})).status).toBe(200);
});

test('a bundle is removed when it is withdrawn and no job needs it any more', async () => {
  await centre.submit('one', ['a']);
  expect((await centre.call('DELETE', BUNDLE)).body.message).toBe(
    'Bundle test~1.0 is deployed: withdraw it first.',
  );
  await change({ state: 'withdrawn' });
  const needed = await centre.call('DELETE', BUNDLE);
  expect([needed.status, needed.body.message]).toEqual([
    409,
    'Bundle test~1.0 is needed by a job: wait until it has ended, or cancel it.',
  ]);
  await centre.call('DELETE', '/api/jobs/one');
  await centre.settled();
  expect((await centre.call('DELETE', BUNDLE)).status).toBe(200);
  expect((await centre.call('DELETE', BUNDLE)).status).toBe(404);
  const { body } = await centre.call('GET', '/api/processors');
  expect(body.items).toMatchObject([{ name: 'test', version: '1.1' }]);
});

test('bundles are listed by state and owner', async () => {
  await change({ state: 'withdrawn', visibility: 'private' });
  const listed = async (query: string) =>
    (await centre.call('GET', `/api/processors?${query}`)).body.items as object[];
  expect(await listed('state=withdrawn')).toMatchObject([
    {
      version: '1.0',
      visibility: 'private',
      owner: 'test',
      history: [{ to: 'deployed', by: 'test' }, { to: 'withdrawn' }, { to: 'private' }],
    },
  ]);
  expect(await listed('state=uploaded')).toEqual([]);
  expect(await listed('owner=test')).toHaveLength(2);
  expect(await listed('owner=nobody')).toEqual([]);
  expect((await centre.call('GET', '/api/processors?state=lost')).status).toBe(400);
});
