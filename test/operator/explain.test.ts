import { afterEach, beforeEach, expect, test } from 'vitest';
import { L2, aJob, stepPlan } from '../fixtures/jobs.ts';
import { startCentre } from './centre.ts';
import type { Centre } from './centre.ts';

let centre: Centre;
beforeEach(async () => {
  centre = await startCentre();
});
afterEach(() => centre[Symbol.asyncDispose]());

const explain = (id: string) => centre.call('GET', `/api/explain/${id}`);

test('a job that waits says why and what may be done', async () => {
  await centre.submit('one', ['a', 'b']);
  await centre.call('POST', '/api/jobs/one/pause');
  centre.engine.fail('one.0.1', 'processor', 'Copy-process failed with exit code 3');
  await centre.settled();
  const { body } = await explain('one');
  expect(body).toMatchObject({ id: 'one', state: 'running' });
  expect(body.reasons).toContainEqual(expect.objectContaining({ code: 'paused' }));
  expect(body.reasons).toContainEqual({
    code: 'failed',
    message: 'Attempt one.0.1 failed: Copy-process failed with exit code 3',
  });
  expect(body.remedies).toEqual([expect.stringContaining('pushbroom logs one')]);
});

test('a job that needs GPUs, of which no node has any, waits and says so', async () => {
  const resources = { cpus: 1, memoryMb: 512, gpus: 1 };
  await centre.submit('one', ['a', 'b'], { workflow: { ...L2, process: stepPlan({ resources }) } });
  expect(centre.engine.running.size).toBe(0);
  const { body } = await explain('one');
  expect(body).toMatchObject({
    state: 'running',
    summary: 'A task needs 1 cpus, 512 MB and 1 gpus, and none of 1 nodes is that large.',
    reasons: [{ code: 'no-node', tasks: 2 }],
  });
  await centre.submit('two', ['a']);
  expect(centre.engine.running.size).toBe(1);
});

test('a job whose nodes get no work says why not', async () => {
  await centre.settled();
  centre.engine.up('n1', 'Mesos says: draining');
  await centre.submit('one', ['a']);
  expect(centre.engine.running.size).toBe(0);
  const { body } = await explain('one.0');
  expect(body).toMatchObject({
    summary:
      'A task needs 1 cpus and 512 MB, and none of 1 nodes gets work: they are drained, cooling off or away (Mesos says: draining).',
    reasons: [{ code: 'no-node', tasks: 1 }],
  });
});

test('a job that runs in a container image waits for a node that can do that', async () => {
  const image = 'registry.example/snap:9';
  const processor = { ...aJob().processor, image };
  await centre.submit('one', ['a'], { processor });
  expect(centre.engine.running.size).toBe(0);
  expect((await explain('one')).body.summary).toBe(
    `A task wants to run in the container image ${image}, and no node can do that.`,
  );
  const size = { cpus: 2, memoryMb: 2048 };
  await using able = await startCentre({ n1: size, n2: { ...size, hasImages: true } });
  await able.submit('one', ['a', 'b', 'c'], { processor });
  expect(Array.from(able.engine.running.values(), ({ node }) => node)).toEqual(['n2', 'n2']);
});

test('a job that has ended says what failed, by cause, and which job does it again', async () => {
  await centre.submit('one', ['a', 'b', 'c']);
  centre.engine.finish('one.0.1');
  centre.engine.fail('one.1.1', 'processor', "cannot read 'b'");
  centre.engine.fail('one.2.1', 'processor', "cannot read 'c'");
  await centre.settled();
  const { body: again } = await centre.call('POST', '/api/jobs/one/retry');
  await centre.settled();
  const { body } = await explain('one');
  expect(body).toMatchObject({ state: 'successful', summary: expect.stringContaining('2 of 3') });
  expect(body.reasons).toEqual([
    { code: 'ended', message: `Job ${again.newJobId} does it again and is running.` },
    { code: 'failed', message: "2 attempts failed alike, e.g. one.1.1: cannot read 'b'" },
  ]);
});

test('what failed and went well when it was tried again needs no remedy', async () => {
  await centre.submit('one', ['a', 'b'], { retry: { maxAttempts: 2, delay: 0 } });
  centre.engine.fail('one.0.1', 'processor', 'exit code 3');
  await expect.poll(() => [...centre.engine.running.keys()]).toContain('one.0.2');
  centre.engine.finish('one.0.2');
  await centre.settled();
  const { body } = await explain('one');
  expect(body.reasons).toContainEqual(expect.objectContaining({ code: 'failed' }));
  expect(body.remedies).toEqual([]);
});

test('a task and an attempt that failed say why and where', async () => {
  await centre.submit('one', ['a', 'b']);
  centre.engine.fail('one.0.1', 'processor', 'exit code 3');
  await centre.settled();
  const task = await explain('one.0');
  expect(task.body).toMatchObject({
    state: 'failed',
    summary: 'It failed after one attempt: exit code 3',
    reasons: [{ code: 'failed', message: 'Attempt one.0.1 failed on n1: exit code 3' }],
  });
  const attempt = await explain('one.0.1');
  expect(attempt.body).toMatchObject({
    state: 'failed',
    reasons: [{ message: expect.stringContaining('exit code 3') }],
  });
  expect(attempt.body.remedies).toHaveLength(1);
  expect((await explain('one.1.1')).body).toMatchObject({ state: 'running', remedies: [] });
});

test('a task of a dismissed job will not run any more', async () => {
  await centre.submit('one', ['a', 'b', 'c', 'd', 'e']);
  await centre.call('DELETE', '/api/jobs/one');
  await centre.settled();
  expect((await explain('one.4')).body.summary).toBe(
    'It will not run any more: job one is dismissed.',
  );
});

test('failures are grouped by cause, with an example each', async () => {
  await centre.submit('one', ['a', 'b', 'c', 'd']);
  centre.engine.fail('one.0.1', 'processor', "cannot read 'a'");
  centre.engine.fail('one.1.1', 'processor', "cannot read 'b'");
  centre.engine.fail('one.2.1', 'time', 'it ran longer than 60 s');
  await centre.settled();
  const { body } = await centre.call('GET', '/api/jobs/one/failures');
  expect(body.items).toMatchObject([
    { kind: 'processor', count: 2, message: expect.stringContaining('cannot read') },
    { kind: 'time', count: 1, example: 'one.2.1' },
  ]);
});

test('an input that failed in three jobs is flagged, and its task says so', async () => {
  for (const id of ['one', 'two', 'three']) {
    await centre.submit(id, ['bad']);
    centre.engine.fail(`${id}.0.1`, 'processor', 'corrupt');
    await centre.settled();
  }
  const { body } = await centre.call('GET', '/api/inputs/suspect');
  expect(body.items).toMatchObject([
    { input: '/archive/bad', jobs: 3, jobIds: ['three', 'two', 'one'], message: 'corrupt' },
  ]);
  expect((await explain('three.0')).body.reasons).toContainEqual({
    code: 'failed',
    message: 'Its input /archive/bad failed in 3 jobs.',
  });
});

test.each([
  ['nope', 404, 'NO_SUCH_JOB'],
  ['nope.1', 404, 'NO_SUCH_JOB'],
  ['one.77', 404, 'NOT_FOUND'],
  ['one.0.9', 404, 'NOT_FOUND'],
  ['one.x', 404, 'NO_SUCH_JOB'],
])('there is nothing to say of %s', async (id, status, code) => {
  await centre.submit('one', ['a']);
  const response = await explain(id);
  expect([response.status, response.body.code]).toEqual([status, code]);
});
