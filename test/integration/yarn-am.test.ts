/** The application-master program of `yarn-am/` on real YARN. */
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';

import type { ContainerStart, Order, RequestId } from '../../src/engines/yarn/protocol.ts';
import { AmProcess, SMALL, amCommand, shell } from '../fixtures/am-program.ts';
import type { Event } from '../fixtures/am-program.ts';
import { startHadoop } from '../servers/hadoop/cluster.ts';
import type { HadoopCluster } from '../servers/hadoop/cluster.ts';
import { lacksHadoop } from '../servers/hadoop/installation.ts';

const LONG = { timeout: 60_000, interval: 100 };
const REFUSED = -2000;
const WITHDRAWN = -2001;
const NOT_STARTED = -2002;
const KILLED_BY_US = -105;

describe.skipIf(lacksHadoop())('the application-master program', { timeout: 120_000 }, () => {
  let cluster: HadoopCluster;
  let state: string;
  let program: AmProcess;
  let nodes: readonly string[];
  let count = 0;
  beforeAll(async () => {
    cluster = await startHadoop({
      heartbeatMs: 200,
      settings: { yarn: { 'yarn.nodemanager.resource-monitor.interval-ms': 500 } },
    });
    nodes = cluster.nodes.map(({ name }) => name);
    await amCommand('', []);
  }, 300_000);
  afterAll(() => cluster?.[Symbol.asyncDispose]());

  beforeEach(async () => {
    state = mkdtempSync(join(tmpdir(), 'yarn-am-'));
    program = await begin();
  });
  afterEach(async () => {
    for (const { app } of program.all('opened')) close(app);
    for (const { app } of program.all('opened')) await program.until('closed', { app });
    await program[Symbol.asyncDispose]();
    rmSync(state, { recursive: true });
  });

  async function begin(): Promise<AmProcess> {
    const fast = ['--busy-ms', '50', '--idle-ms', '200'];
    const one = await AmProcess.start(cluster.configuration, ['beside', '--state', state, ...fast]);
    one.give({ order: 'racks', racks: racks() });
    return one;
  }

  const racks = () => Object.fromEntries(cluster.nodes.map(({ name, rack }) => [name, rack]));

  /** Names are never used again: what a test leaves behind can't disturb another. */
  async function open(app = `job-${++count}`): Promise<Event<'opened'>> {
    program.give({ order: 'open', app, queue: 'default', priority: 1, tags: ['pushbroom'] });
    return program.until('opened', { app });
  }

  const close = (app: string, message = 'all done'): void =>
    program.give({ order: 'close', app, status: 'SUCCEEDED', message });

  type Run = Extract<Order, { order: 'run' }>;
  function run(app: string, request: RequestId, start: ContainerStart, more: Partial<Run> = {}) {
    const node = nodes[request % nodes.length]!;
    program.give({ order: 'run', app, request, node, capability: SMALL, start, ...more });
    return program.until('ended', { app, request });
  }

  const stop = (app: string, request: RequestId): void =>
    program.give({ order: 'stop', app, request });

  /** What the ResourceManager says of an application. */
  async function reported(applicationId: string): Promise<Record<string, unknown>> {
    const url = `${cluster.resourceManagerUrl}/ws/v1/cluster/apps/${applicationId}`;
    const { app } = (await (await fetch(url)).json()) as { app: Record<string, unknown> };
    return app;
  }

  async function killFromOutside(applicationId: string): Promise<void> {
    const url = `${cluster.resourceManagerUrl}/ws/v1/cluster/apps/${applicationId}/state`;
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ state: 'KILLED' });
    await fetch(url, { method: 'PUT', headers, body });
  }

  /** A command that waits until the test makes the file. */
  const untilFile = (name: string): string =>
    `while [ ! -e ${join(state, name)} ]; do sleep 0.1; done`;
  const make = (name: string): void => writeFileSync(join(state, name), '');

  test('tasks run each on its node, and their exit codes and what they leave are told', async () => {
    const { app, applicationId, queue, maximum, running } = await open();
    expect({ queue, maximum, running }).toEqual({
      queue: expect.stringContaining('default'),
      maximum: { memoryMb: 4096, vcores: 4 },
      running: [],
    });
    const left = 'echo [1] > <LOG_DIR>/attempt.end.json';
    const requests = [1, 2, 3, 4, 5, 6].map((n) => n * 2 ** 30);
    const ends = await Promise.all(
      requests.map((request, n) => run(app, request, shell(`${left}; exit ${n}`))),
    );
    expect(ends.map(({ exitStatus }) => exitStatus)).toEqual([0, 1, 2, 3, 4, 5]);
    for (const { request, end, container, heldMs } of ends) {
      expect({ end, heldMs }).toEqual({ end: '[1]\n', heldMs: expect.any(Number) });
      const allocated = await program.until('allocated', { request });
      expect(allocated).toMatchObject({ app, container, capability: SMALL });
      expect(allocated.node.split(':')[0]).toBe(nodes[request % nodes.length]);
      expect(program.all('started', { request })).toHaveLength(1);
    }
    const bare = await run(
      app,
      7,
      shell('echo $GREETING; exit 75', { environment: { GREETING: 'hello' } }),
    );
    expect(bare).toMatchObject({ exitStatus: 75, diagnostics: expect.stringContaining('75') });
    expect(bare).not.toHaveProperty('end');
    close(app);
    expect(await program.until('closed')).toMatchObject({ app, applicationId, state: 'FINISHED' });
    await vi.waitFor(
      async () =>
        expect(await reported(applicationId)).toMatchObject({
          name: app,
          applicationType: 'PUSHBROOM',
          applicationTags: 'pushbroom',
          state: 'FINISHED',
          finalStatus: 'SUCCEEDED',
          diagnostics: 'all done',
          unmanagedApplication: true,
        }),
      LONG,
    );
    // Nothing but JSON on stdout, and nothing on stderr, is the normal case.
    expect(program.complaints).toBe('');
    expect(readdirSync(state)).toEqual([]);
  });

  test('a request waits for its own node, though others are free, until it is taken back', async () => {
    const { app } = await open();
    const all = { memoryMb: 4096, vcores: 4 };
    const first = run(app, 1, shell(untilFile('go')), { node: nodes[0]!, capability: all });
    await program.until('started', { request: 1 });
    const second = run(app, 2, shell('true'), { node: nodes[0]! });
    const third = run(app, 3, shell('true'), { node: nodes[0]! });
    expect(await run(app, 4, shell('true'), { node: nodes[1]! })).toMatchObject({ exitStatus: 0 });
    stop(app, 2);
    const withdrawn = await second;
    expect(withdrawn).toMatchObject({ exitStatus: WITHDRAWN });
    expect(withdrawn).not.toHaveProperty('container');
    expect(program.all('allocated').map(({ request }) => request)).toEqual([1, 4]);
    make('go');
    expect(await first).toMatchObject({ exitStatus: 0 });
    expect(await third).toMatchObject({ exitStatus: 0 });
    const { node } = await program.until('allocated', { request: 3 });
    expect(node.split(':')[0]).toBe(nodes[0]);
    expect(program.all('allocated', { request: 2 })).toEqual([]);
  });

  test('a task that runs is ended by order, with its children; what it says to that is told', async () => {
    const { app } = await open();
    const trap = "trap 'echo stopped > <LOG_DIR>/attempt.end.json; kill %1; exit 143' TERM";
    const ended = run(app, 1, shell(`${trap}; sleep 1000 & touch ${state}/up; wait`));
    await vi.waitFor(() => statSync(join(state, 'up')), LONG);
    stop(app, 1);
    expect(await ended).toMatchObject({ exitStatus: KILLED_BY_US, end: 'stopped\n' });
    stop(app, 99);
    expect(await program.until('ended', { request: 99 })).toMatchObject({ exitStatus: WITHDRAWN });
  });

  test('what the ResourceManager refuses hits that request alone', async () => {
    const { app } = await open();
    const fine = [run(app, 1, shell('true')), run(app, 3, shell('true'))];
    const capability = { memoryMb: 5000, vcores: 1 };
    const big = await run(app, 2, shell('true'), { capability });
    expect(big).toMatchObject({
      exitStatus: REFUSED,
      diagnostics: expect.stringContaining('5000'),
    });
    const cores = { capability: { memoryMb: 64, vcores: 5 } };
    expect(await run(app, 4, shell('true'), cores)).toMatchObject({ exitStatus: REFUSED });
    const gpus = { capability: { ...SMALL, gpus: 1 } };
    expect(await run(app, 5, shell('true'), gpus)).toMatchObject({
      exitStatus: REFUSED,
      diagnostics: expect.stringContaining('yarn.io/gpu'),
    });
    for (const end of await Promise.all(fine)) expect(end.exitStatus).toBe(0);
    expect(await run(app, 6, shell('true'))).toMatchObject({ exitStatus: 0 });
  });

  test('what YARN ends is told with its own number and words', async () => {
    const { app } = await open();
    const missing = {
      name: 'x',
      path: '/nowhere/x',
      type: 'FILE',
      visibility: 'PUBLIC',
      size: 1,
      modifiedAt: 1,
    } as const;
    expect(await run(app, 1, shell('true', { resources: [missing] }))).toMatchObject({
      exitStatus: -1000,
      diagnostics: expect.stringContaining('/nowhere/x'),
    });
    // It keeps what it has read until there is no more to come.
    const hungry = '(head -c 200000000 /dev/zero; sleep 100) | tail > /dev/null';
    expect(await run(app, 2, shell(hungry))).toMatchObject({
      exitStatus: -104,
      diagnostics: expect.stringContaining('memory limit'),
    });
    expect(await run(app, 3, shell('kill -9 $$'))).toMatchObject({ exitStatus: 137 });
  });

  test('localised files lie in the working directory', async () => {
    const local = join(state, 'hello.txt');
    writeFileSync(local, 'hello');
    await cluster.run('org.apache.hadoop.fs.FsShell', ['-put', '-f', local, '/']);
    const status = `${cluster.webhdfsUrl}/webhdfs/v1/hello.txt?op=GETFILESTATUS`;
    const { FileStatus } = (await (await fetch(status)).json()) as {
      FileStatus: { length: number; modificationTime: number };
    };
    const { app } = await open();
    const resource = {
      name: 'in.txt',
      path: '/hello.txt',
      type: 'FILE',
      visibility: 'PUBLIC',
      size: FileStatus.length,
      modifiedAt: FileStatus.modificationTime,
    } as const;
    const copy = 'cat in.txt > <LOG_DIR>/attempt.end.json';
    const ended = await run(app, 1, shell(copy, { resources: [resource] }));
    expect(ended).toMatchObject({ exitStatus: 0, end: 'hello' });
  });

  test('applications live beside each other, and one that is killed from outside is over alone', async () => {
    const [one, two] = await Promise.all([open(), open()]);
    program.give({ order: 'prioritise', app: two.app, priority: 0 });
    const ends = [run(one.app, 1, shell(untilFile('go'))), run(two.app, 1, shell(untilFile('go')))];
    await program.until('started', { app: one.app });
    await program.until('started', { app: two.app });
    await killFromOutside(one.applicationId);
    expect(await program.until('closed')).toMatchObject({ app: one.app, state: 'KILLED' });
    expect(await reported(two.applicationId)).toMatchObject({ priority: 0, state: 'RUNNING' });
    make('go');
    expect(await ends[1]).toMatchObject({ app: two.app, exitStatus: 0 });
    expect(program.all('ended', { app: one.app })).toEqual([]);
    program.give({ order: 'open', app: 'x', queue: 'nowhere', priority: 1, tags: [] });
    expect(await program.until('closed', { app: 'x' })).toMatchObject({
      state: 'REFUSED',
      diagnostics: expect.stringContaining('nowhere'),
    });
    program.give({ order: 'adopt', app: 'y', applicationId: 'application_1_0001' });
    expect(await program.until('closed', { app: 'y' })).toMatchObject({ state: 'UNKNOWN' });
    program.give({ order: 'adopt', app: 'z', applicationId: one.applicationId });
    expect(await program.until('closed', { app: 'z' })).toMatchObject({ state: 'KILLED' });
  });

  test('of a program that was killed the next takes over all that runs, ends, and has ended', async () => {
    const { app, applicationId } = await open();
    const say = (n: number) => `echo ${n} > <LOG_DIR>/attempt.end.json`;
    const told = await run(app, 1, shell(say(1)));
    void run(app, 2, shell(`${untilFile('gap')}; ${say(2)}; exit 2`));
    void run(app, 3, shell(`${untilFile('later')}; ${say(3)}; exit 3`));
    void run(app, 5, shell(untilFile('never')));
    for (const request of [2, 3, 5]) await program.until('started', { request });
    void run(app, 6, shell('true'), { node: nodes[0]!, capability: { memoryMb: 4096, vcores: 4 } });
    const token = join(state, applicationId, 'token');
    expect(statSync(token).mode & 0o777).toBe(0o600);
    expect(statSync(join(state, applicationId)).mode & 0o777).toBe(0o700);
    await program.kill();
    make('gap');
    const { nodeHttp, container } = program.all('allocated', { request: 2 })[0]!;
    const url = `http://${nodeHttp}/ws/v1/node/containers/${container}`;
    await vi.waitFor(async () => {
      const text = await (await fetch(url)).text();
      expect(text).not.toContain('RUNNING');
    }, LONG);

    program = await begin();
    program.give({ order: 'adopt', app, applicationId });
    const opened = await program.until('opened');
    expect(opened.running.map(({ request }) => request).toSorted((a, b) => a - b)).toEqual([3, 5]);
    expect(opened.running.find(({ request }) => request === 3)).toMatchObject({
      node: expect.stringContaining(nodes[0]!),
      capability: SMALL,
    });
    // The program may have died before this was read.
    expect(await program.until('ended', { request: 1 })).toEqual(told);
    expect(await program.until('ended', { request: 2 })).toMatchObject({
      exitStatus: 2,
      end: '2\n',
    });
    make('later');
    expect(await program.until('ended', { request: 3 })).toMatchObject({
      exitStatus: 3,
      end: '3\n',
    });
    stop(app, 5);
    expect(await program.until('ended', { request: 5 })).toMatchObject({
      exitStatus: KILLED_BY_US,
    });
    // Nobody asks for the sixth any more: it is given back, and its node is free.
    const capability = { memoryMb: 4096, vcores: 4 };
    const whole = await run(app, 7, shell('true'), { node: nodes[0]!, capability });
    expect(whole).toMatchObject({ exitStatus: 0 });
    expect(program.all('allocated', { request: 6 })).toEqual([]);
    program.give({ order: 'adopt', app, applicationId });
    await vi.waitFor(() => expect(program.all('opened')).toHaveLength(2), LONG);
  });

  test('a container that was never started by the program that died is given back', async () => {
    const { app, applicationId } = await open();
    await run(app, 1, shell('true'));
    await program.kill();
    // As if it had died between the allocation and the start: nobody knows this container.
    const known = program.all('allocated')[0]!;
    const container = known.container.replace(/\d{6}$/, '000099');
    const lost = { ...known, container, request: 99 };
    writeFileSync(join(state, applicationId, lost.container), JSON.stringify(lost));
    program = await begin();
    program.give({ order: 'adopt', app, applicationId });
    const ended = await program.until('ended', { request: 99 });
    expect([NOT_STARTED, -2003]).toContain(ended.exitStatus);
  });

  test('who is taken over says so, and leaves all to the other', async () => {
    const { app, applicationId } = await open();
    void run(app, 1, shell(untilFile('go')));
    await program.until('started', { request: 1 });
    const first = program;
    program = await begin();
    program.give({ order: 'adopt', app, applicationId });
    expect(await program.until('opened')).toMatchObject({ running: [{ request: 1 }] });
    expect(await first.until('closed')).toMatchObject({ app, applicationId, state: 'TAKEN_OVER' });
    make('go');
    expect(await program.until('ended', { request: 1 })).toMatchObject({ exitStatus: 0 });
    await first[Symbol.asyncDispose]();
    expect(first.all('ended')).toEqual([]);
  });

  test('what is closed before it is open is over, too', async () => {
    const app = `job-${++count}`;
    program.give({ order: 'open', app, queue: 'default', priority: 1, tags: [] });
    close(app);
    const { state: how, applicationId } = await program.until('closed', { app });
    expect(['FINISHED', 'KILLED']).toContain(how);
    if (applicationId === undefined) return;
    await vi.waitFor(
      async () => expect(await reported(applicationId)).toMatchObject({ state: how }),
      LONG,
    );
  });

  test('an application whose token is lost is killed, for it would hold what it has', async () => {
    const { app, applicationId } = await open();
    await program.kill();
    rmSync(join(state, applicationId), { recursive: true });
    program = await begin();
    program.give({ order: 'adopt', app, applicationId });
    const closed = await program.until('closed');
    expect(closed).toMatchObject({
      state: 'KILLED',
      diagnostics: expect.stringContaining('token'),
    });
    await vi.waitFor(
      async () => expect(await reported(applicationId)).toMatchObject({ state: 'KILLED' }),
      LONG,
    );
  });
});
