import { afterEach, beforeEach, expect, test } from 'vitest';
import { L2, stepPlan } from '../fixtures/jobs.ts';
import { startCentre } from './centre.ts';
import type { Centre } from './centre.ts';

let centre: Centre;
beforeEach(async () => {
  const size = { cpus: 2, memoryMb: 2048 };
  centre = await startCentre({ n1: size, n2: size });
  await centre.settled();
});
afterEach(() => centre[Symbol.asyncDispose]());

const nodes = async () => (await centre.call('GET', '/api/nodes')).body.items;

test('nodes tell where they are, what is free and what runs there', async () => {
  await centre.submit('one', ['a', 'b', 'c']);
  const all = await nodes();
  const attempts = all.map((node: { attempts: number }) => node.attempts);
  expect(attempts.toSorted()).toEqual([1, 2]);
  const busy = all.find((node: { attempts: number }) => node.attempts === 2);
  expect(busy).toEqual({
    engine: 'manual',
    node: expect.stringMatching(/^n[12]$/),
    rack: 'rack-1',
    resources: { cpus: 2, memoryMb: 2048 },
    free: { cpus: 0, memoryMb: 0 },
    attempts: 2,
  });
});

test('GPUs are shown where there are any: of nodes, attempts and groups', async () => {
  const resources = { cpus: 1, memoryMb: 512, gpus: 1 };
  await using gpus = await startCentre({
    n1: { cpus: 2, memoryMb: 2048 },
    n2: { cpus: 2, memoryMb: 2048, gpus: 2 },
  });
  await gpus.submit('one', ['a'], { workflow: { ...L2, process: stepPlan({ resources }) } });
  await gpus.submit('two', ['a']);
  const all = (await gpus.call('GET', '/api/nodes')).body.items;
  expect(all).toMatchObject([
    { node: 'n1', resources: { cpus: 2, memoryMb: 2048 }, attempts: 1 },
    { node: 'n2', resources: { gpus: 2 }, free: { cpus: 1, memoryMb: 1536, gpus: 1 }, attempts: 1 },
  ]);
  expect(all[0].resources).not.toHaveProperty('gpus');
  const attemptOf = async (id: string) =>
    (await gpus.call('GET', `/api/jobs/${id}/tasks/0/attempts`)).body.items[0];
  expect((await attemptOf('one')).resources).toEqual(resources);
  expect((await attemptOf('two')).resources).toEqual({ cpus: 1, memoryMb: 512 });
  const { body } = await gpus.call('GET', '/api/groups');
  const group = body.items.find(({ path }: { path: string }) => path === 'default');
  expect(group).toMatchObject({ use: { cpus: 2, gpus: 1, tasks: 2 }, share: 0.5 });
});

test('a drained node gets nothing until it is given back', async () => {
  const drained = await centre.call('POST', '/api/nodes/manual/n1/drain', { reason: 'disk dies' });
  expect(drained).toMatchObject({ status: 200, body: { node: 'n1', drained: 'disk dies' } });
  await centre.submit('one', ['a', 'b', 'c']);
  const where = () => Array.from(centre.engine.running.values(), ({ node }) => node).toSorted();
  expect(where()).toEqual(['n2', 'n2']);
  const given = await centre.call('POST', '/api/nodes/manual/n1/undrain');
  expect(given.body).not.toHaveProperty('drained');
  await centre.settled();
  expect(where()).toEqual(['n1', 'n2', 'n2']);
});

test('a drained node that has left is still known, and can be given back', async () => {
  await centre.call('POST', '/api/nodes/manual/n1/drain', {});
  centre.engine.leave('n1');
  await centre.settled();
  expect(await nodes()).toContainEqual(
    expect.objectContaining({ node: 'n1', resources: { cpus: 0, memoryMb: 0 } }),
  );
  expect((await centre.call('POST', '/api/nodes/manual/n1/undrain')).status).toBe(200);
  expect(await nodes()).toHaveLength(1);
});

test('a node that its engine lets nothing start on says why', async () => {
  centre.engine.up('n1', 'maintenance from 2026-02-01T08:00:00.000Z');
  await centre.submit('one', ['a', 'b', 'c']);
  const away = 'maintenance from 2026-02-01T08:00:00.000Z';
  expect(await nodes()).toMatchObject([
    { node: 'n1', away, attempts: 0 },
    { node: 'n2', attempts: 2 },
  ]);
  centre.engine.up('n1');
  await centre.settled();
  const [n1] = await nodes();
  expect(n1).toMatchObject({ node: 'n1', attempts: 1 });
  expect(n1).not.toHaveProperty('away');
});

test('a node that is not there cannot be drained: the answer tells which are', async () => {
  const { status, body } = await centre.call('POST', '/api/nodes/manual/n9/drain', {});
  expect([status, body.code, body.message]).toEqual([
    404,
    'NOT_FOUND',
    "There is no node 'manual/n9'. There are: manual/n1, manual/n2.",
  ]);
});

test('groups tell what is due to them and what they have', async () => {
  await centre.submit('one', ['a', 'b'], { user: 'utep', group: 'project/tep' });
  const { body } = await centre.call('GET', '/api/groups');
  const tep = body.items.find((group: { path: string }) => group.path === 'project/tep');
  expect(tep).toMatchObject({
    weight: 1,
    maximumPercent: 100,
    users: ['utep'],
    limits: { queuedJobs: 5 },
    use: { cpus: 2, tasks: 2, jobs: 1 },
    share: 0.5,
  });
  expect(body.items.map(({ path }: { path: string }) => path)).toEqual(
    expect.arrayContaining(['project', 'project/tep', 'project/other', 'default']),
  );
});

test('the way in which the cluster is shared is told, and read anew', async () => {
  const before = await centre.call('GET', '/api/scheduling');
  expect(before.body).toMatchObject({ agingLimit: 3600, stragglers: { enabled: false } });
  const reloaded = await centre.call('POST', '/api/scheduling/reload');
  expect(reloaded).toMatchObject({
    status: 200,
    body: { scheduling: { agingLimit: 7 }, unapplied: ['jobs.maxAttempts'] },
  });
  expect((await centre.call('GET', '/api/scheduling')).body).toEqual(reloaded.body.scheduling);
});
