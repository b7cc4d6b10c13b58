import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { afterEach, describe, expect, test, vi } from 'vitest';

import { PlainFramework, call, send } from './client.ts';
import type { Event } from './client.ts';
import { startMesos } from './cluster.ts';
import type { ClusterOptions, MesosCluster } from './cluster.ts';
import { skeleton } from './normal.ts';

const FIXTURES = join(import.meta.dirname, '../../fixtures/mesos');

const clusters: MesosCluster[] = [];
const start = async (options: ClusterOptions = {}) => {
  const cluster = await startMesos({ agents: [{}], ...options });
  clusters.push(cluster);
  return { cluster, framework: await PlainFramework.join(cluster.url) };
};
afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster[Symbol.asyncDispose]();
});

const SLEEP = { command: { value: 'exec sleep 1000' } };
const task = (id: string, more: object = SLEEP) => ({ task_id: { value: id }, ...more });
/** Neither gone nor waiting for somebody to notice that it has ended. */
const isAlive = (pid: number) =>
  existsSync(`/proc/${pid}`) && !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));

describe('commands', () => {
  test('know their own variables and MESOS_ ones, and nothing of the server', async () => {
    const { cluster, framework } = await start();
    process.env['SECRET_OF_THE_TEST'] = 'yes';
    await framework.launch(
      await framework.offer(),
      task('env', {
        command: { value: 'env', environment: { variables: [{ name: 'A', value: 'x y' }] } },
      }),
    );
    await framework.reached('env', 'TASK_RUNNING');
    const { sandbox } = cluster.tasks()[0]!;
    await framework.ended('env');
    delete process.env['SECRET_OF_THE_TEST'];
    const lines = readFileSync(join(sandbox!, 'stdout'), 'utf8').split('\n');
    expect(lines).toContain('A=x y');
    expect(lines).toContain(`MESOS_SANDBOX=${sandbox}`);
    expect(lines).toContain('MESOS_EXECUTOR_ID=env');
    expect(lines.join()).not.toContain('SECRET');
  });

  test('without a shell get just their arguments', async () => {
    const { cluster, framework } = await start();
    const argv = { shell: false, value: '/bin/echo', arguments: ['echo', 'a b', '$HOME'] };
    await framework.launch(await framework.offer(), task('argv', { command: argv }));
    await framework.reached('argv', 'TASK_STARTING');
    const { sandbox } = cluster.tasks()[0]!;
    await framework.ended('argv');
    expect(readFileSync(join(sandbox!, 'stdout'), 'utf8')).toBe('a b $HOME\n');
  });

  test('that are killed take their whole tree with them', async () => {
    const { cluster, framework } = await start();
    const tree = 'sleep 1000 & setsid sleep 1001 & echo $! > child; wait';
    await framework.launch(await framework.offer(), task('tree', { command: { value: tree } }));
    await framework.reached('tree', 'TASK_RUNNING');
    const file = join(cluster.tasks()[0]!.sandbox!, 'child');
    const child = Number(await vi.waitFor(() => readFileSync(file, 'utf8').match(/\d+\n/)![0]));
    await framework.call('KILL', { kill: { task_id: { value: 'tree' } } });
    expect((await framework.ended('tree'))['state']).toBe('TASK_KILLED');
    await vi.waitFor(() => expect(isAlive(child)).toBe(false));
  });

  test('and what outlives them end with the cluster', async () => {
    const { cluster, framework } = await start();
    await framework.launch(
      await framework.offer(),
      task('stray', { command: { value: 'sleep 1000 & echo $! > stray' } }),
      task('long'),
    );
    await framework.reached('long', 'TASK_RUNNING');
    const long = cluster.tasks().find(({ id }) => id === 'long')!;
    const { sandbox } = cluster.tasks().find(({ id }) => id === 'stray')!;
    await framework.ended('stray');
    const stray = Number(readFileSync(join(sandbox!, 'stray'), 'utf8'));
    expect([isAlive(long.pid!), isAlive(stray)]).toEqual([true, true]);
    await cluster[Symbol.asyncDispose]();
    await vi.waitFor(() => expect([isAlive(long.pid!), isAlive(stray)]).toEqual([false, false]));
    expect(existsSync(sandbox!)).toBe(false);
  });

  test('find archives extracted; only what is not cached leaves the archive, too', async () => {
    const { cluster, framework } = await start();
    const directory = mkdtempSync(join(tmpdir(), 'mesos-test-'));
    const archive = join(directory, 'some.tar.gz');
    const tar = spawn('tar', ['-C', FIXTURES, '-czf', archive, 'README.md']);
    await once(tar, 'exit');
    const found: string[][] = [];
    for (const cache of [true, false]) {
      const id = `fetch-${cache}`;
      const uris = [{ value: archive, cache }];
      const info = task(id, { command: { value: 'exec sleep 1000', uris } });
      await framework.launch(await framework.offer(), info);
      await framework.reached(id, 'TASK_RUNNING');
      found.push(readdirSync(cluster.tasks().find((one) => one.id === id)!.sandbox!));
    }
    rmSync(directory, { recursive: true });
    expect(found).toEqual([
      ['README.md', 'stderr', 'stdout'],
      ['README.md', 'some.tar.gz', 'stderr', 'stdout'],
    ]);
  });
});

describe('offers', () => {
  test('of reserved resources go to their role, and offers of two roles are not mixed', async () => {
    const cluster = await startMesos({
      agents: [{ cpus: 2, reserved: [{ role: 'eo', cpus: 3, memoryMb: 100 }] }],
    });
    clusters.push(cluster);
    const other = await PlainFramework.join(cluster.url, { roles: ['other'] });
    const [offer] = [await other.offer()];
    const cpus = (one: Event) =>
      (one['resources'] as Event[]).filter(({ name }) => name === 'cpus');
    expect(cpus(offer)).toEqual([
      {
        name: 'cpus',
        type: 'SCALAR',
        scalar: { value: 2 },
        allocation_info: { role: 'other' },
      },
    ]);
    const both = await PlainFramework.join(cluster.url, { roles: ['eo', 'free'] });
    const reserved = await both.offer();
    expect(cpus(reserved)[0]).toMatchObject({
      scalar: { value: 3 },
      reservations: [{ type: 'STATIC', role: 'eo' }],
    });
    await other.call('SUPPRESS');
    await other.call('DECLINE', { decline: { offer_ids: [offer['id']] } });
    await both.call('SUPPRESS', { suppress: { roles: ['eo'] } });
    const free = await both.offer((one) => one['allocation_info'].role === 'free');
    await both.accept([reserved, free], [task('mixed')]);
    expect(await both.subscription.update('mixed', 'TASK_DROPPED')).toMatchObject({
      reason: 'REASON_INVALID_OFFERS',
      message: expect.stringContaining('must be allocated to the same role') as string,
    });
  });

  test('of agents with GPUs go only to those who can use them', async () => {
    const cluster = await startMesos({ agents: [{ host: '127.0.0.2' }, { gpus: 2 }] });
    clusters.push(cluster);
    const without = await PlainFramework.join(cluster.url);
    await without.offer();
    expect(without.offers.map(({ hostname }) => hostname as string)).toEqual(['127.0.0.2']);
    const capabilities = [{ type: 'MULTI_ROLE' }, { type: 'GPU_RESOURCES' }];
    const able = await PlainFramework.join(cluster.url, { capabilities });
    const offer = await able.offer();
    expect(offer['resources']).toContainEqual(
      expect.objectContaining({ name: 'gpus', scalar: { value: 2 } }),
    );
  });
});

describe('a test can', () => {
  test('override answers: hang, cut, lose, refuse', async () => {
    const { cluster, framework } = await start();
    const offer = await framework.offer();
    cluster.answer(({ type }) => (type === 'REVIVE' ? { status: 503, body: 'no' } : undefined));
    expect(await framework.call('REVIVE')).toMatchObject({ status: 503, body: 'no' });
    cluster.answer(() => 'cut');
    await expect(framework.launch(offer, task('cut'))).rejects.toThrow();
    cluster.answer(({ type }) => (type === 'ACCEPT' ? 'lose' : undefined));
    await expect(framework.launch(offer, task('lost'))).rejects.toThrow();
    await framework.reached('lost', 'TASK_RUNNING');
    expect(cluster.tasks().map(({ id }) => id)).toEqual(['lost']);
    cluster.answer(({ type }) => (type === 'REVIVE' ? 'hang' : undefined));
    const hanging = framework.call('REVIVE');
    hanging.catch(() => undefined);
    await cluster.calls.until(({ type }) => type === 'REVIVE', cluster.calls.list.length - 1);
    cluster.answer(undefined);
    expect((await framework.call('REVIVE')).status).toBe(202);
  });

  test('put anything into the stream and cut it', async () => {
    const { cluster, framework } = await start();
    cluster.send({ type: 'NEWS', news: {} });
    expect(await framework.subscription.event('NEWS')).toEqual({ type: 'NEWS', news: {} });
    cluster.send('20\n{"type":"HEART');
    cluster.send('BEAT"}');
    cluster.dropStream();
    await framework.subscription.until(() => framework.subscription.closed);
    expect(framework.subscription.closed).toBe('aborted');
  });

  test('rescind offers, lose tasks, and count acknowledgements', async () => {
    const { cluster, framework } = await start();
    const offer = await framework.offer();
    cluster.rescind();
    expect(await framework.subscription.event('RESCIND')).toMatchObject({
      rescind: { offer_id: offer['id'] },
    });
    const again = await framework.offer(({ id }) => id.value !== offer['id'].value);
    await framework.launch(again, task('gone'));
    const running = await framework.reached('gone', 'TASK_RUNNING');
    cluster.loseTask('gone', { reason: 'REASON_CONTAINER_LIMITATION_MEMORY', message: 'too much' });
    expect(await framework.subscription.update('gone', 'TASK_LOST')).toMatchObject({
      reason: 'REASON_CONTAINER_LIMITATION_MEMORY',
      message: 'too much',
      source: 'SOURCE_AGENT',
    });
    expect(cluster.acknowledged.get(running['uuid'] as string)).toBe(1);
  });

  test('stop the heartbeats', async () => {
    const { cluster, framework } = await start({ heartbeatSeconds: 0.02 });
    const beats = () =>
      framework.subscription.events.filter(({ type }) => type === 'HEARTBEAT').length;
    await framework.subscription.until(() => beats() > 2 || undefined);
    cluster.pauseHeartbeats();
    cluster.send({ type: 'MARK' });
    await framework.subscription.event('MARK');
    const before = beats();
    // Ten times the interval passes in the master's own clock.
    await framework.run('sleep 0.2');
    expect(beats()).toBe(before);
    cluster.pauseHeartbeats(false);
    await framework.subscription.until(() => beats() > before || undefined);
  });
});

test('a master that does not lead redirects to the one that does', async () => {
  const { cluster } = await start({ standby: true });
  const leader = cluster.url.replace('http:', '');
  for (const [path, location] of [
    ['/api/v1/scheduler', `${leader}/api/v1/scheduler`],
    ['/redirect', leader],
  ]) {
    const answered = await send(cluster.standbyUrl, { path: path!, body: '{}' });
    expect(answered).toMatchObject({ status: 307, headers: { location } });
  }
});

test('pretended tasks finish without processes and leave the word of our runner', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'mesos-test-'));
  const { framework } = await start({ run: 'pretend', pretendMs: 5 });
  const log = join(directory, 'deep/attempt');
  const value = JSON.stringify({ attemptId: 'a-1', directories: { log } });
  const environment = { variables: [{ name: 'PUSHBROOM_ASSIGNMENT', value }] };
  const status = await framework.run('false', { environment });
  expect(status['state']).toBe('TASK_FINISHED');
  expect(JSON.parse(readFileSync(`${log}.end.json`, 'utf8'))).toEqual({
    attemptId: 'a-1',
    to: 'finished',
    result: { exitCode: 0, outputs: [] },
  });
  rmSync(directory, { recursive: true });
});

test('the program prints its URL and ends when its input closes', async () => {
  const main = join(import.meta.dirname, 'main.ts');
  const child = spawn(process.execPath, [main, '--agents', '3', '--pretend-ms', '0'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const framework = await PlainFramework.join((JSON.parse(line) as { url: string }).url);
  await framework.subscription.until(() => framework.offers.length === 3 || undefined);
  expect(new Set(framework.offers.map(({ hostname }) => hostname as string)).size).toBe(3);
  child.stdin.end();
  expect(await exited).toEqual([0, null]);
});

describe('13-operator-api: nothing is answered that a real one did not answer to', () => {
  const recorded = readFileSync(join(FIXTURES, '13-operator-api.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Event);
  /** The recorded answer to a call, of the master or the agent. */
  const answerTo = (port: number, name: string) => {
    const request = recorded.find(
      ({ to, body, path }) =>
        to === `127.0.0.1:${port}` && (body?.type === name || path.split('?')[0] === name),
    )!;
    return recorded.find(({ re }) => re === request['n'])!['body'] as unknown;
  };
  const running = async () => {
    const { cluster, framework } = await start({ agents: undefined! });
    await framework.launch(
      await framework.offer(),
      task('op-1', { command: { value: 'echo line 1; echo err 1 >&2; sleep 1000' } }),
    );
    await framework.reached('op-1', 'TASK_RUNNING');
    const { sandbox, agentId } = cluster.tasks()[0]!;
    const agent = cluster.agents.find(({ id }) => id === agentId)!;
    await vi.waitFor(() => expect(readFileSync(join(sandbox!, 'stdout'), 'utf8')).not.toBe(''));
    return { cluster, agent, sandbox: sandbox! };
  };

  test.each([
    'GET_HEALTH',
    'GET_VERSION',
    'GET_MASTER',
    'GET_AGENTS',
    'GET_FRAMEWORKS',
    'GET_TASKS',
    'GET_EXECUTORS',
    'GET_STATE',
    '/version',
    '/metrics/snapshot',
  ])('master %s', async (name) => {
    const { cluster } = await running();
    const answered = name.startsWith('/')
      ? await send(cluster.url, { method: 'GET', path: name })
      : await call(cluster.url, { type: name });
    expect(answered.status).toBe(200);
    const now = skeleton(JSON.parse(answered.body)) as object;
    expect(skeleton(answerTo(5050, name))).toMatchObject(now);
  });

  test.each(['GET_HEALTH', 'GET_VERSION', 'GET_AGENT', 'GET_CONTAINERS'])(
    'agent %s',
    async (name) => {
      const { agent } = await running();
      const { body } = await call(agent.url, { type: name });
      expect(skeleton(answerTo(5051, name))).toMatchObject(skeleton(JSON.parse(body)) as object);
    },
  );

  test('agent /state, files by their path and by the virtual one, nothing else', async () => {
    const { agent, sandbox, cluster } = await running();
    const state = await send(agent.url, { method: 'GET', path: '/slave(1)/state' });
    expect(skeleton(answerTo(5051, '/slave(1)/state'))).toMatchObject(
      skeleton(JSON.parse(state.body)) as object,
    );
    const [framework] = (JSON.parse(state.body) as Event)['frameworks'];
    expect(framework.executors[0].directory).toBe(sandbox);
    const virtual = `/frameworks/${cluster.frameworks()[0]!.id}/executors/op-1/runs/latest`;
    for (const root of [sandbox, virtual]) {
      const listed = await call(agent.url, { type: 'LIST_FILES', list_files: { path: root } });
      const listing = skeleton(JSON.parse(listed.body)) as object;
      expect(skeleton(answerTo(5051, 'LIST_FILES'))).toMatchObject(listing);
      const path = `${root}/stdout`;
      const read = await call(agent.url, { type: 'READ_FILE', read_file: { path, offset: 2 } });
      expect(JSON.parse(read.body)).toEqual({
        type: 'READ_FILE',
        read_file: { size: 7, data: Buffer.from('ne 1\n').toString('base64') },
      });
      const query = `path=${encodeURIComponent(path)}`;
      const get = (rest: string) =>
        send(agent.url, { method: 'GET', path: `/files/read?${query}&${rest}` });
      expect(JSON.parse((await get('offset=-1')).body)).toEqual({ data: '', offset: 7 });
      expect(JSON.parse((await get('offset=0&length=4')).body)).toEqual({
        data: 'line',
        offset: 0,
      });
    }
    for (const path of ['/etc/passwd', `${sandbox}/../../../../x`, `${sandbox}/nope`]) {
      const read = await call(agent.url, { type: 'READ_FILE', read_file: { path, offset: 0 } });
      expect(read).toMatchObject({ status: 404, body: '' });
    }
  });

  test('TEARDOWN and unknown calls', async () => {
    const { cluster } = await running();
    const teardown = (value: string) =>
      call(cluster.url, { type: 'TEARDOWN', teardown: { framework_id: { value } } });
    expect(await teardown('nope')).toMatchObject({
      status: 400,
      body: 'No framework found with specified ID',
    });
    expect((await teardown(cluster.frameworks()[0]!.id)).status).toBe(200);
    expect(cluster.tasks()).toEqual([]);
    const other = await PlainFramework.join(cluster.url);
    const form = { path: '/master/teardown', headers: {}, body: `frameworkId=${other.id}` };
    expect(await send(cluster.url, form)).toMatchObject({ status: 200, body: '' });
    await other.subscription.until(() => other.subscription.closed);
    expect(await call(cluster.url, { type: 'NOPE' })).toMatchObject({
      status: 400,
      body: "Failed to validate master::Call: Expecting 'type' to be present",
    });
  });
});
