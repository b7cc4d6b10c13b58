/** How attempts end and what becomes of them, as recorded in the transcripts that the titles name. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, test, vi } from 'vitest';

import { JOB } from '../../src/engines/contract.ts';
import type { EngineEvent } from '../../src/engines/engine.ts';
import { isAlive } from '../fixtures/bundles.ts';
import { mesosWorld } from '../fixtures/mesos-engine.ts';
import type { MesosWorld } from '../fixtures/mesos-engine.ts';
import type { ReceivedCall } from '../servers/mesos/types.ts';

const WAIT = { interval: 10, timeout: 30_000 };

/** A script that runs until the file `go` is there. */
const waiting = ({ directory }: MesosWorld) =>
  `echo ran >> ${directory}/runs; until [ -e ${directory}/go ]; do sleep 0.02; done`;
const go = ({ directory }: MesosWorld) => writeFile(join(directory, 'go'), '');
const untilNoTasks = ({ cluster }: MesosWorld) =>
  vi.waitFor(() => expect(cluster.tasks()).toEqual([]), WAIT);
/** Agents repeat nothing only because this machine is slow. */
const PATIENT = { ackRetryMs: 60_000 };
const acknowledgements = ({ cluster }: MesosWorld) => [...cluster.acknowledged.values()];

test('03: exit codes and signals of a processor are told in the words of the runner', async () => {
  await using world = await mesosWorld(PATIENT);
  expect(await world.run('echo wrong >&2; exit 3')).toMatchObject({
    to: 'failed',
    result: {
      exitCode: 3,
      failure: { kind: 'processor', message: 'x-process failed with exit code 3: wrong' },
      usage: { wallMs: expect.any(Number) },
    },
  });
  expect(await world.run('kill -SEGV $$')).toMatchObject({
    to: 'failed',
    result: {
      signal: 'SIGSEGV',
      failure: { kind: 'processor', message: 'x-process was ended by SIGSEGV' },
    },
  });
  await untilNoTasks(world);
  expect(new Set(acknowledgements(world))).toEqual(new Set([1]));
});

test('03: the runner ends what takes too long', async () => {
  await using world = await mesosWorld();
  const assignment = await world.node.assign('sleep 100', { limits: { wallTime: 0.3 } });
  expect(await world.run(assignment)).toMatchObject({
    to: 'failed',
    result: { failure: { kind: 'time', message: expect.stringMatching(/^x-process/) } },
  });
});

test('03: Mesos ends what takes too long where the runner does not', async () => {
  // Mesos's limit is fifteen minutes beyond the runner's.
  await using world = await mesosWorld({ timeScale: 0.001 });
  const assignment = await world.node.assign(`echo $PPID >> ${world.directory}/pids; sleep 1000`, {
    limits: { wallTime: 300 },
  });
  const id = await world.launch(assignment);
  await vi.waitFor(async () => expect(await world.lines('pids')).toHaveLength(1), WAIT);
  process.kill(world.task(id)!.pid!, 'SIGSTOP');
  expect(await world.endOf(id)).toMatchObject({
    to: 'failed',
    result: { failure: { kind: 'time', message: expect.stringMatching(/^Mesos ended the task/) } },
  });
});

test('03: what Mesos refuses is lost with its words', async () => {
  await using world = await mesosWorld({ allowedUsers: ['nobody'] });
  expect(await world.run('exit 0')).toMatchObject({
    to: 'lost',
    result: {
      failure: {
        kind: 'engine',
        message: expect.stringMatching(
          /^Mesos does not allow the task \(Mesos: .*under user 'root'.*see the master's ACLs/,
        ),
      },
    },
  });
});

test('03: what is launched with an offer that has just gone is lost, and the rest goes on', async () => {
  await using world = await mesosWorld();
  const { cluster, news } = world;
  await news.until(() => news.offers.size > 0);
  const [offer] = news.offers.values();
  const assignment = await world.assign('exit 0');
  const attempts = [{ assignment, resources: { cpus: 1, memoryMb: 100 }, job: JOB }];
  const launched = world.order({ node: offer!.node, offerIds: [offer!.id], attempts });
  cluster.rescind();
  await launched;
  expect(await world.endOf(assignment.attemptId)).toMatchObject({
    to: 'lost',
    result: {
      failure: {
        kind: 'capacity',
        message: expect.stringMatching(/^the offers were no longer valid/),
      },
    },
  });
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
});

test('03: what cannot be a task is not launched, and its offers come again', async () => {
  await using world = await mesosWorld();
  const assignment = await world.node.assign('exit 0', { attemptId: 'a/b' });
  await expect(world.launch(assignment)).rejects.toThrow('Mesos takes no task of the id "a/b"');
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
  expect(world.cluster.calls.of('ACCEPT')).toHaveLength(1);
});

test('03: an attempt that is launched twice at once runs once', async () => {
  await using world = await mesosWorld({ agents: [{ cpus: 1 }, { cpus: 1, host: '127.0.0.2' }] });
  const { news } = world;
  await news.until(() => news.offers.size === 2);
  const assignment = await world.assign(`echo ran >> ${world.directory}/runs`);
  const attempts = [{ assignment, resources: { cpus: 1, memoryMb: 100 }, job: JOB }];
  const launches = [...news.offers.values()].map(({ node, id }) =>
    world.order({ node, offerIds: [id], attempts }),
  );
  await Promise.all(launches);
  await world.endOf(assignment.attemptId);
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
  await untilNoTasks(world);
  expect(world.story(assignment.attemptId)).toEqual(['running', 'finished']);
  expect(await world.lines('runs')).toEqual(['ran']);
});

test('04: what is killed while it is launched never begins', async () => {
  await using world = await mesosWorld();
  world.cluster.holdLaunches(true);
  const id = await world.launch(`echo ran >> ${world.directory}/runs`);
  await world.engine.kill(id);
  expect(await world.endOf(id)).toMatchObject({ to: 'killed' });
  world.cluster.holdLaunches(false);
  await untilNoTasks(world);
  expect(world.story(id)).toEqual(['killed']);
  expect(await world.lines('runs')).toEqual([]);
});

test('04: a kill does not overtake its launch', async () => {
  await using world = await mesosWorld();
  const { cluster, engine } = world;
  const id = await world.launch('sleep 1000');
  await engine.kill(id);
  expect(await world.endOf(id)).toMatchObject({ to: 'killed' });
  const types = cluster.calls.list.map(({ type }) => type);
  expect(types.indexOf('ACCEPT')).toBeLessThan(types.indexOf('KILL'));
  await untilNoTasks(world);
});

test('04: what is killed by somebody else is lost by an operator', async () => {
  await using world = await mesosWorld();
  const { cluster } = world;
  const id = await world.launch('sleep 1000');
  await world.moved(id, 'running');
  cluster.loseTask(id, { state: 'TASK_KILLED', source: 'SOURCE_EXECUTOR' });
  expect(await world.endOf(id)).toMatchObject({
    to: 'lost',
    result: { failure: { kind: 'operator', message: 'somebody else has killed the task' } },
  });
});

test('04: a kill that nobody takes is sent again', async () => {
  await using world = await mesosWorld({}, { patience: { killAgain: 100 } });
  const { cluster, engine } = world;
  const id = await world.launch('sleep 1000');
  await world.moved(id, 'running');
  let kills = 0;
  const refuse = ({ type }: ReceivedCall) =>
    type === 'KILL' && (kills += 1) < 3 ? { status: kills === 1 ? 503 : 202 } : undefined;
  cluster.answer(refuse);
  await engine.kill(id);
  expect(await world.endOf(id)).toMatchObject({ to: 'killed' });
  expect(world.story(id)).toEqual(['running', 'killed']);
});

test('04b: a runner that does not react is gone after the grace period, with all children', async () => {
  await using world = await mesosWorld({}, { killGrace: 0.5 });
  const { cluster, engine, directory } = world;
  const note = (pid: string) => `echo ${pid} >> ${directory}/pids`;
  const id = await world.launch(
    `trap '' TERM; sleep 1000 & ${note('$!')}; ${note('$$')}; wait; sleep 1000`,
  );
  await vi.waitFor(async () => expect(await world.lines('pids')).toHaveLength(2), WAIT);
  const runner = world.task(id)!.pid!;
  process.kill(runner, 'SIGSTOP');
  await engine.kill(id);
  expect(await world.endOf(id)).toMatchObject({ to: 'killed' });
  const pids = [runner, ...(await world.lines('pids')).map(Number)];
  await vi.waitFor(() => expect(pids.filter(isAlive)).toEqual([]), WAIT);
  const [{ body }] = cluster.calls.of('KILL') as [ReceivedCall];
  expect(body.kill).toEqual({
    task_id: { value: id },
    agent_id: { value: cluster.agents[0]!.id },
    kill_policy: { grace_period: { nanoseconds: 500_000_000 } },
  });
});

const update = (taskId: string, fields: object) => ({
  type: 'UPDATE',
  update: { status: { task_id: { value: taskId }, timestamp: 1, ...fields } },
});

/** Lets the store write news of that kind only when the returned function is called; counts how often it came. */
function slowStore(world: MesosWorld, kind: string) {
  const written = Promise.withResolvers<void>();
  const told: EngineEvent[] = [];
  world.store.write = async (event) => {
    if (event.type !== 'attemptMoved' || event.to !== kind) return;
    told.push(event);
    await written.promise;
  };
  return { told, write: written.resolve };
}

test.each(['running', 'finished'])(
  '05: that it is %s is acknowledged once, after it is stored, however often it comes',
  async (kind) => {
    await using world = await mesosWorld(PATIENT);
    const { cluster } = world;
    const store = slowStore(world, kind);
    const id = await world.launch('exit 0');
    await vi.waitFor(() => expect(store.told).toHaveLength(1), WAIT);
    await vi.waitFor(() => expect(world.task(id)!.state).toBe('TASK_FINISHED'), WAIT);
    // STARTING only, or RUNNING as well.
    const before = kind === 'running' ? 1 : 2;
    expect(acknowledgements(world)).toEqual(Array(before).fill(1));
    // All that is not acknowledged is sent to a new subscriber.
    const from = cluster.calls.list.length;
    cluster.dropStream();
    await cluster.calls.until(({ type }) => type === 'RECONCILE', from);
    expect(acknowledgements(world)).toEqual(Array(before).fill(1));
    store.write();
    expect(await world.endOf(id)).toMatchObject({ to: 'finished' });
    await untilNoTasks(world);
    expect(store.told).toHaveLength(1);
    expect(world.story(id)).toEqual(['running', 'finished']);
    expect(acknowledgements(world)).toEqual([1, 1, 1]);
  },
);

test('05: what a service had not stored when it died is told to the next one', async () => {
  await using world = await mesosWorld(PATIENT);
  const store = slowStore(world, 'finished');
  const id = await world.launch('touch a; echo OUTPUT_PRODUCT a');
  await vi.waitFor(() => expect(store.told).toHaveLength(1), WAIT);
  world.store.write = async () => undefined;
  await world.restart([id]);
  expect(await world.endOf(id)).toMatchObject({
    to: 'finished',
    result: { outputs: [{ path: 'a', size: 0 }] },
  });
  await untilNoTasks(world);
  expect(acknowledgements(world)).toEqual([1, 1, 1]);
});

test('06: the end of a task that Mesos has forgotten is known from what its runner left', async () => {
  await using world = await mesosWorld();
  const good = await world.launch('touch a; echo OUTPUT_PRODUCT a');
  const bad = await world.launch('exit 4');
  await Promise.all([world.endOf(good), world.endOf(bad)]);
  await untilNoTasks(world);
  await world.restart([good, bad]);
  expect(await world.endOf(good)).toMatchObject({
    to: 'finished',
    result: { outputs: [{ path: 'a' }] },
  });
  expect(await world.endOf(bad)).toMatchObject({ result: { exitCode: 4 } });
  expect(world.ends).toHaveLength(4);
});

test('06: everything that is out is asked after now and then, and told once all the same', async () => {
  await using world = await mesosWorld({}, { patience: { recheck: 50 } });
  const { cluster } = world;
  const id = await world.launch(waiting(world));
  await world.moved(id, 'running');
  const isAsked = (tasks: number) => (call: ReceivedCall) =>
    call.type === 'RECONCILE' && call.body.reconcile.tasks.length === tasks;
  const from = cluster.calls.list.length;
  await cluster.calls.until(isAsked(0), from);
  await cluster.calls.until(isAsked(1), from);
  await go(world);
  await world.endOf(id);
  expect(world.story(id)).toEqual(['running', 'finished']);
});

test('06: a task that the service knows nothing of is found and killed', async () => {
  await using world = await mesosWorld();
  const id = await world.launch(waiting(world));
  await world.moved(id, 'running');
  await world.restart([]);
  await world.logged('a task runs that was given up');
  await untilNoTasks(world);
  expect(world.ends).toEqual([]);
});

test('06: a launch of which nothing is heard is asked after', async () => {
  await using world = await mesosWorld({}, { patience: { launch: 100 } });
  const { cluster } = world;
  cluster.holdLaunches(true);
  const id = await world.launch('exit 0');
  await cluster.calls.until(
    ({ type, body }) => type === 'RECONCILE' && body.reconcile.tasks.length > 0,
  );
  cluster.holdLaunches(false);
  expect(await world.endOf(id)).toMatchObject({ to: 'finished' });
});

test('06: what the master says before it has seen a launch is no end', async () => {
  await using world = await mesosWorld({ agents: [{ cpus: 1 }, { cpus: 1, host: '127.0.0.2' }] });
  const { cluster, news } = world;
  await news.until(() => news.offers.size === 2);
  cluster.answer(({ type }) => (type === 'ACCEPT' ? 'hang' : undefined));
  const id = await world.launch(waiting(world));
  await cluster.calls.until(({ type }) => type === 'ACCEPT');
  const absent = { source: 'SOURCE_MASTER', reason: 'REASON_RECONCILIATION' };
  cluster.send(update(id, { state: 'TASK_GONE', ...absent }));
  cluster.rescind();
  await news.until(() => news.offers.size === 0);
  // As long as it would take to look for what its runner has left.
  for (let count = 0; count < 10; count += 1) expect(await world.lines('runs')).toEqual([]);
  expect(world.ends).toEqual([]);
  cluster.answer(undefined);
  // Then it is certain.
  cluster.dropStream();
  expect(await world.endOf(id)).toMatchObject({ to: 'lost' });
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
});

test('06: the word of a runner is waited for where only the master tells that it has ended', async () => {
  await using world = await mesosWorld();
  const { cluster } = world;
  const id = await world.launch(`${waiting(world)}; exit 4`);
  await world.moved(id, 'running');
  const reason = 'REASON_RECONCILIATION';
  cluster.send(update(id, { state: 'TASK_FAILED', source: 'SOURCE_MASTER', reason }));
  await go(world);
  expect(await world.endOf(id)).toMatchObject({ to: 'failed', result: { exitCode: 4 } });
  await untilNoTasks(world);
  expect(world.ends).toHaveLength(1);
});

test('04, 08: what is killed while nobody hears it is killed with the next subscription', async () => {
  await using world = await mesosWorld();
  const { cluster, engine } = world;
  const id = await world.launch('sleep 1000');
  await world.moved(id, 'running');
  cluster.answer(({ type }) => (type === 'SUBSCRIBE' ? { status: 503 } : undefined));
  cluster.dropStream();
  await vi.waitFor(() => expect(engine.status().isConnected).toBe(false), WAIT);
  await engine.kill(id);
  cluster.answer(undefined);
  expect(await world.endOf(id)).toMatchObject({ to: 'killed' });
  expect(cluster.calls.of('KILL')).toHaveLength(1);
});
