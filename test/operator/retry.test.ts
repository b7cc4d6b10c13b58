import { afterEach, beforeEach, expect, test } from 'vitest';
import { L2_FORMATTED } from '../fixtures/jobs.ts';
import { startCentre } from './centre.ts';
import type { Centre } from './centre.ts';

let centre: Centre;
beforeEach(async () => {
  centre = await startCentre();
});
afterEach(() => centre[Symbol.asyncDispose]());

const retry = (id: string, wish: object = {}) => centre.call('POST', `/api/jobs/${id}/retry`, wish);
const job = async (id: string) => (await centre.call('GET', `/api/jobs/${id}`)).body;

/** A job that has ended: `a` is done, `b` has failed for its memory, `c` for its input. */
async function endWithFailures(id: string, fate: 'successful' | 'dismissed'): Promise<void> {
  const scenes = fate === 'dismissed' ? ['a', 'b', 'c', 'd'] : ['a', 'b', 'c'];
  await centre.submit(id, scenes);
  centre.engine.finish(`${id}.0.1`);
  centre.engine.fail(`${id}.1.1`, 'processor', 'Copy-process failed with exit code 3');
  centre.engine.fail(`${id}.2.1`, 'processor', "the band 'B04' is missing");
  await centre.settled();
  if (fate === 'dismissed') await centre.call('DELETE', `/api/jobs/${id}`);
  await centre.settled();
  expect((await job(id)).state).toBe(fate);
}

test('failed tasks of a job that goes on are tried again in place', async () => {
  await centre.submit('one', ['a', 'b']);
  centre.engine.fail('one.0.1', 'processor', 'exit code 3');
  await centre.settled();
  const { status, body } = await retry('one', { memoryMb: 2048 });
  expect([status, body]).toEqual([
    200,
    { jobId: 'one', done: true, message: 'retried: 1 failed task' },
  ]);
  await centre.settled();
  expect([...centre.engine.running]).toMatchObject([
    ['one.1.1', { resources: { memoryMb: 512 } }],
    ['one.0.2', { resources: { memoryMb: 2048 } }],
  ]);
  expect((await job('one')).steps.process).toEqual({ total: 2, finished: 0, failed: 0 });
});

test('what a dismissed job left undone becomes a new job over the same request', async () => {
  await endWithFailures('one', 'dismissed');
  const { body } = await retry('one');
  expect(body).toMatchObject({ jobId: 'one', done: true, message: 'retried as a new job' });
  const again = await job(body.newJobId);
  expect(again).toMatchObject({ retryOf: 'one', title: 'A test', user: 'alice', group: 'default' });
  expect(centre.submitted[0]!.retryOf).toEqual({ jobId: 'one', without: [] });
  expect((await job('one')).state).toBe('dismissed');
});

test('a job that was successful with losses is retried for one cause alone, with more memory', async () => {
  await endWithFailures('one', 'successful');
  const { body } = await retry('one', { cause: 'BAND', memoryMb: 4096 });
  expect(body.newJobId).toBeDefined();
  const [again] = centre.submitted;
  expect(again!.retryOf).toEqual({ jobId: 'one', without: ['/archive/b'] });
  expect(again!.workflow.process.resources).toEqual({ cpus: 1, memoryMb: 4096 });
  expect(again!.retry.maxMemoryMb).toBe(4096);
});

test('more memory goes to the steps that failed', async () => {
  await centre.submit('one', ['a'], { workflow: L2_FORMATTED });
  centre.engine.finish('one.0.1');
  await centre.settled();
  centre.engine.fail('one.1.1', 'memory', 'out of memory');
  await centre.settled();
  await retry('one', { cause: 'memory', memoryMb: 4096 });
  const { process, format } = centre.submitted[0]!.workflow;
  expect([process.resources.memoryMb, format!.resources.memoryMb]).toEqual([512, 4096]);
});

test('a cause that was overcome is none to retry for', async () => {
  await centre.submit('one', ['a', 'b'], { retry: { maxAttempts: 2, delay: 0 } });
  centre.engine.fail('one.0.1', 'processor', 'exit code 3');
  await expect.poll(() => [...centre.engine.running.keys()]).toContain('one.0.2');
  await centre.call('DELETE', '/api/jobs/one');
  expect(await retry('one', { cause: 'exit code' })).toMatchObject({
    status: 409,
    body: { message: 'Job one has no such failed tasks.' },
  });
});

test('chosen tasks are retried with another version of the bundle', async () => {
  await endWithFailures('one', 'successful');
  await retry('one', { tasks: [1], version: '1.1' });
  const [again] = centre.submitted;
  expect(again).toMatchObject({
    process: 'test~1.1~Copy',
    processor: { version: '1.1' },
    title: 'A test',
    priority: 100,
    retryOf: { jobId: 'one', without: ['/archive/c'] },
  });
});

test('a version that is its owner’s alone does not come to run for others by a retry', async () => {
  await endWithFailures('one', 'successful');
  await centre.call('PATCH', '/api/processors/test~1.1', { visibility: 'private' });
  const refused = await retry('one', { version: '1.1' });
  expect([refused.status, refused.body.message]).toEqual([
    409,
    "The bundle test~1.1 is not there for 'alice', whose job one is: vet, deploy and publish it first.",
  ]);
  await centre.call('PATCH', '/api/processors/test~1.1', { visibility: 'public' });
  expect((await retry('one', { version: '1.1' })).status).toBe(200);
});

test('what nobody wanted in a retry is not wanted in the retry of that', async () => {
  await endWithFailures('one', 'successful');
  const { body } = await retry('one', { tasks: [1] });
  await centre.call('DELETE', `/api/jobs/${body.newJobId}`);
  await retry(body.newJobId);
  expect(centre.submitted[1]!.retryOf).toEqual({
    jobId: body.newJobId,
    without: ['/archive/c'],
  });
});

test('a job is not retried twice at once', async () => {
  await endWithFailures('one', 'dismissed');
  const { body } = await retry('one');
  expect(await retry('one')).toMatchObject({
    status: 409,
    body: { message: `Job one was retried before: job ${body.newJobId} is running.` },
  });
  await centre.call('DELETE', `/api/jobs/${body.newJobId}`);
  expect((await retry('one')).status).toBe(200);
});

test('a retry takes the limits of its group as any other job does', async () => {
  await centre.submit('one', ['a'], { group: 'project/tep' });
  await centre.call('DELETE', '/api/jobs/one');
  for (const id of ['2', '3', '4', '5', '6']) {
    await centre.submit(id, ['a'], { group: 'project/tep' });
  }
  expect(await retry('one')).toMatchObject({ status: 429, body: { code: 'LIMIT_REACHED' } });
});

test.each<[string, string, object, number, RegExp]>([
  ['an unknown job', 'nope', {}, 404, /no job 'nope'/],
  ['a job without failures', 'fine', {}, 409, /lost nothing/],
  ['a running job without failures', 'runs', {}, 409, /no such failed tasks/],
  ['another version of a running job', 'runs', { version: '1.1' }, 409, /has not ended/],
  ['a version that is not deployed', 'one', { version: '9' }, 404, /test is there in 1.0, 1.1/],
  ['an unknown cause', 'one', { cause: 'frost' }, 400, /'frost'.*Its causes: .*exit code/],
  ['a task that has not failed', 'one', { tasks: [0] }, 400, /Task one\.0 has not failed/],
  ['no memory', 'one', { memoryMb: 0 }, 400, /memoryMb/],
  ['too much memory', 'one', { memoryMb: 1e9 }, 400, /from 16 to 1048576 MB/],
  ['no tasks', 'one', { tasks: [] }, 400, /tasks/],
  ['a misspelt wish', 'one', { memory: 512 }, 400, /additional/],
])('a retry of %s is refused', async (_what, id, wish, status, message) => {
  await endWithFailures('one', 'successful');
  await centre.submit('fine', ['a']);
  centre.engine.finish('fine.0.1');
  await centre.submit('runs', ['a']);
  const response = await retry(id, wish);
  expect(response.status).toBe(status);
  expect(response.body.message).toMatch(message);
});
