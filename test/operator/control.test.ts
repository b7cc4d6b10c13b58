import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startCentre } from './centre.ts';
import type { Centre } from './centre.ts';
import type { OpenApi } from './openapi.ts';

let centre: Centre;
beforeEach(async () => {
  centre = await startCentre();
});
afterEach(() => centre[Symbol.asyncDispose]());

const SCENES = ['a', 'b', 'c', 'd', 'e', 'f'];

test('a paused job launches nothing more until it is resumed; what runs goes on', async () => {
  await centre.submit('one', SCENES);
  expect([...centre.engine.running.keys()]).toEqual(['one.0.1', 'one.1.1', 'one.2.1', 'one.3.1']);
  const paused = await centre.call('POST', '/api/jobs/one/pause');
  expect(paused).toMatchObject({ status: 200, body: { id: 'one', paused: true } });
  centre.engine.finish('one.0.1');
  await centre.settled();
  expect([...centre.engine.running.keys()]).toEqual(['one.1.1', 'one.2.1', 'one.3.1']);
  const resumed = await centre.call('POST', '/api/jobs/one/resume');
  expect(resumed.body).toMatchObject({ paused: false });
  await centre.settled();
  expect(centre.engine.running.size).toBe(4);
});

test('priority and group of a job change, and the list is filtered by group', async () => {
  await centre.submit('one', SCENES);
  const changed = await centre.call('PATCH', '/api/jobs/one', {
    priority: 7,
    group: 'project/tep',
  });
  expect(changed.body).toMatchObject({ priority: 7, group: 'project/tep' });
  const inGroup = await centre.call('GET', '/api/jobs?group=project%2Ftep');
  expect(inGroup.body.items).toMatchObject([{ id: 'one', priority: 7 }]);
  const others = await centre.call('GET', '/api/jobs?group=default');
  expect(others.body.items).toEqual([]);
});

test('an action on several jobs says of each what became of it', async () => {
  for (const id of ['one', 'two', 'gone']) await centre.submit(id, ['a']);
  await centre.call('DELETE', '/api/jobs/gone');
  const { status, body } = await centre.call('POST', '/api/jobs/actions', {
    action: 'pause',
    ids: ['one', 'nope', 'gone', 'two', 'one'],
  });
  expect(status).toBe(200);
  expect(body).toEqual({
    message:
      "2 of 4 jobs were paused; 2 not: There is no job 'nope'. Job gone is dismissed: it has ended.",
    items: [
      { jobId: 'one', done: true, message: 'paused' },
      { jobId: 'nope', done: false, message: "There is no job 'nope'." },
      { jobId: 'gone', done: false, message: 'Job gone is dismissed: it has ended.' },
      { jobId: 'two', done: true, message: 'paused' },
    ],
  });
});

test('jobs are selected by what they are, and those that have ended are not meant', async () => {
  await centre.submit('one', ['a'], { user: 'anna' });
  await centre.submit('two', ['a'], { user: 'anna' });
  await centre.submit('bob', ['a'], { user: 'bob' });
  await centre.call('DELETE', '/api/jobs/two');
  const cancelled = await centre.call('POST', '/api/jobs/actions', {
    action: 'cancel',
    filter: { user: 'anna' },
  });
  expect(cancelled.body.message).toBe('1 job was cancelled.');
  expect((await centre.call('GET', '/api/jobs/one')).body.state).toBe('dismissed');
  expect((await centre.call('GET', '/api/jobs/bob')).body.state).not.toBe('dismissed');
  expect([...centre.engine.running.keys()]).toEqual(['bob.0.1']);
});

test('a dry run does nothing', async () => {
  await centre.submit('one', ['a']);
  await centre.submit('two', ['a']);
  const { body } = await centre.call('POST', '/api/jobs/actions', {
    action: 'cancel',
    filter: { state: ['accepted', 'running'] },
    dryRun: true,
  });
  expect(body.message).toBe('2 jobs would be cancelled.');
  expect(body.items[0]).toMatchObject({ done: true, message: 'would be cancelled' });
  expect(centre.engine.running.size).toBe(2);
});

test('a dry run finds what is wrong with the action itself', async () => {
  await centre.submit('one', ['a']);
  const response = await centre.call('POST', '/api/jobs/actions', {
    action: 'prioritise',
    ids: ['one'],
    group: 'x',
    dryRun: true,
  });
  expect([response.status, response.body.code]).toEqual([400, 'INVALID_PARAMETER']);
});

test.each<[string, string, string, object | undefined, number, string]>([
  ['pausing an unknown job', 'POST', '/api/jobs/nope/pause', undefined, 404, 'NO_SUCH_JOB'],
  ['pausing a job that has ended', 'POST', '/api/jobs/gone/pause', undefined, 409, 'CONFLICT'],
  ['a group that is not there', 'PATCH', '/api/jobs/one', { group: 'x' }, 400, 'INVALID_PARAMETER'],
  [
    'a group that has groups',
    'PATCH',
    '/api/jobs/one',
    { group: 'project' },
    400,
    'INVALID_PARAMETER',
  ],
  [
    'a priority that is none',
    'PATCH',
    '/api/jobs/one',
    { priority: 'NaN' },
    400,
    'INVALID_PARAMETER',
  ],
  [
    'a priority out of range',
    'PATCH',
    '/api/jobs/one',
    { priority: 1e9 },
    400,
    'INVALID_PARAMETER',
  ],
  ['no change', 'PATCH', '/api/jobs/one', {}, 400, 'INVALID_PARAMETER'],
  [
    'an unknown action',
    'POST',
    '/api/jobs/actions',
    { action: 'fly', ids: ['one'] },
    400,
    'INVALID_PARAMETER',
  ],
  ['no selection', 'POST', '/api/jobs/actions', { action: 'pause' }, 400, 'INVALID_PARAMETER'],
  [
    'a selection of no ids',
    'POST',
    '/api/jobs/actions',
    { action: 'pause', ids: [] },
    400,
    'INVALID_PARAMETER',
  ],
  [
    'an empty filter',
    'POST',
    '/api/jobs/actions',
    { action: 'pause', filter: {} },
    400,
    'INVALID_PARAMETER',
  ],
  [
    'ids beside a filter',
    'POST',
    '/api/jobs/actions',
    { action: 'pause', ids: ['one'], filter: { user: 'x' } },
    400,
    'INVALID_PARAMETER',
  ],
  [
    'more than a thousand ids',
    'POST',
    '/api/jobs/actions',
    { action: 'pause', ids: Array.from({ length: 1001 }, (_, n) => `${n}`) },
    400,
    'INVALID_PARAMETER',
  ],
  [
    'a filter that nothing matches',
    'POST',
    '/api/jobs/actions',
    { action: 'pause', filter: { user: 'nobody' } },
    404,
    'NOT_FOUND',
  ],
  [
    'a parameter of another action',
    'POST',
    '/api/jobs/actions',
    { action: 'pause', ids: ['one'], priority: 1 },
    400,
    'INVALID_PARAMETER',
  ],
])('%s is refused', async (_what, method, url, payload, status, code) => {
  await centre.submit('one', ['a']);
  await centre.submit('gone', ['a']);
  await centre.call('DELETE', '/api/jobs/gone');
  const response = await centre.call(method as 'POST', url, payload);
  expect([response.status, response.body.code]).toEqual([status, code]);
  expect(response.body.message).not.toBe('');
});

test('nothing that is sent to any route of a real service is answered by a server error', async () => {
  await centre.submit('one', ['a']);
  const { paths } = (await centre.app.inject('/api/openapi.json')).json<OpenApi>();
  const routes = Object.entries(paths)
    .filter(([path]) => path !== '/api/events' && path !== '/api/processors')
    .flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => ({ path, method: method.toUpperCase() })),
    );
  const word = fc.oneof(
    fc.constantFrom('one', 'one.0', 'one.0.1', 'manual', 'n1', '-1', 'NaN'),
    fc.string({ unit: 'binary', maxLength: 20 }),
  );
  const body = fc.record(
    {
      action: fc.constantFrom('pause', 'resume', 'cancel', 'retry', 'prioritise'),
      ids: fc.array(word, { maxLength: 3 }),
      filter: fc.dictionary(fc.constantFrom('user', 'group', 'state', 'process'), word),
      priority: fc.oneof(fc.integer(), fc.double(), fc.string()),
      group: word,
      cause: word,
      tasks: fc.array(fc.integer(), { maxLength: 3 }),
      memoryMb: fc.oneof(fc.integer(), fc.double()),
      version: word,
      reason: word,
    },
    { requiredKeys: [] },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...routes),
      word,
      body,
      async ({ path, method }, id, payload) => {
        const url = path.replaceAll(/\{\w+\}/g, encodeURIComponent(id.toWellFormed() || '-'));
        const response = await centre.app.inject({
          method: method as 'POST',
          url,
          ...(method !== 'GET' && method !== 'DELETE' && { payload }),
        });
        expect(response.statusCode).toBeLessThan(500);
      },
    ),
    { numRuns: 300 },
  );
});
