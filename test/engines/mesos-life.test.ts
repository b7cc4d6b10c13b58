/** The framework's life, as recorded in the transcripts that the titles name. */
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, test, vi } from 'vitest';

import { JOB, follow } from '../../src/engines/contract.ts';
import { mesosWorld } from '../fixtures/mesos-engine.ts';
import type { MesosWorld } from '../fixtures/mesos-engine.ts';
import { send } from '../servers/mesos/client.ts';
import type { ReceivedCall } from '../servers/mesos/types.ts';

const WAIT = { interval: 10, timeout: 30_000 };

const framework = ({ cluster }: MesosWorld) =>
  cluster.frameworks().findLast(({ isRemoved }) => !isRemoved);
const storedId = async ({ node }: MesosWorld): Promise<unknown> =>
  (JSON.parse(await readFile(join(node.directory, 'framework.json'), 'utf8')) as object)[
    'frameworkId' as never
  ];
/** A script that runs until the file `go` is there. */
const waiting = ({ directory }: MesosWorld) =>
  `echo ran >> ${directory}/runs; until [ -e ${directory}/go ]; do sleep 0.02; done`;
const go = ({ directory }: MesosWorld) => writeFile(join(directory, 'go'), '');
const isSubscribed = ({ engine }: MesosWorld) => engine.status().isConnected;
/** Nobody can subscribe until the returned function is called. */
function keepOut({ cluster }: MesosWorld): () => void {
  cluster.answer(({ type }) => (type === 'SUBSCRIBE' ? { status: 503 } : undefined));
  return () => cluster.answer(undefined);
}
const offersOf = (call: ReceivedCall): unknown => call.body[call.type.toLowerCase()].offer_ids;

test('01: without demand no offers are wanted, with demand they come at once', async () => {
  await using world = await mesosWorld({}, { hold: 50 });
  const { cluster, engine, news } = world;
  await news.until(() => news.offers.size > 0);
  engine.demand(false);
  await vi.waitFor(() => expect(framework(world)!.suppressedRoles).toEqual(['eo']), WAIT);
  const held = [...news.offers.keys()];
  news.offers.clear();
  await engine.decline(held);
  await cluster.calls.until(({ type }) => type === 'DECLINE');
  engine.demand(true);
  await news.until(() => news.offers.size > 0);
  const order = cluster.calls.list.map(({ type }) => type);
  expect(order).toEqual(['SUBSCRIBE', 'RECONCILE', 'SUPPRESS', 'DECLINE', 'REVIVE']);
  expect(framework(world)!.suppressedRoles).toEqual([]);
});

test('01: a wish that comes back before long changes nothing', async () => {
  await using world = await mesosWorld({}, { hold: 50 });
  world.engine.demand(false);
  world.engine.demand(true);
  expect(await world.run('sleep 0.2')).toMatchObject({ to: 'finished' });
  expect(world.cluster.calls.of('SUPPRESS')).toEqual([]);
});

test('01, 19: offers go back for as long as is configured, and come again then', async () => {
  await using world = await mesosWorld({ timeScale: 0.01 }, { refuse: 7 });
  const { cluster, engine, news } = world;
  await news.until(() => news.offers.size > 0);
  const held = [...news.offers.keys()];
  news.offers.clear();
  await engine.decline([...held, 'unknown']);
  await news.until(() => news.offers.size > 0);
  const [call] = cluster.calls.of('DECLINE');
  expect(offersOf(call!)).toEqual(held.map((value) => ({ value })));
  expect(call!.body.decline.filters).toEqual({ refuse_seconds: 7 });
});

test('01, 08: a new subscription wants no offers either while there is no demand', async () => {
  await using world = await mesosWorld({}, { hold: 1 });
  const { cluster, engine, news } = world;
  engine.demand(false);
  await news.until(() => news.offers.size > 0);
  await vi.waitFor(() => expect(framework(world)!.suppressedRoles).toEqual(['eo']), WAIT);
  cluster.dropStream();
  await news.until(() => news.offers.size === 0);
  await vi.waitFor(() => expect(isSubscribed(world)).toBe(true), WAIT);
  const [, again] = cluster.calls.of('SUBSCRIBE');
  expect(again!.body.subscribe.suppressed_roles).toEqual(['eo']);
  expect(framework(world)!.suppressedRoles).toEqual(['eo']);
  engine.demand(true);
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
});

test('08: what was missed is told after the next subscription, once', async () => {
  await using world = await mesosWorld();
  const { cluster } = world;
  const id = await world.launch(waiting(world));
  await world.moved(id, 'running');
  const letIn = keepOut(world);
  cluster.dropStream();
  await go(world);
  await vi.waitFor(() => expect(world.task(id)!.state).toBe('TASK_FINISHED'), WAIT);
  expect(world.ends).toEqual([]);
  letIn();
  await world.endOf(id);
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
  expect(world.story(id)).toEqual(['running', 'finished']);
  await vi.waitFor(() => expect(cluster.tasks()).toEqual([]), WAIT);
  expect(await world.lines('runs')).toEqual(['ran']);
  expect(cluster.frameworks()).toHaveLength(1);
});

test('08: the next service is the same framework and hears what the last one missed', async () => {
  await using world = await mesosWorld();
  const { cluster } = world;
  const id = await world.launch(waiting(world));
  await world.moved(id, 'running');
  const frameworkId = cluster.frameworks()[0]!.id;
  expect(await storedId(world)).toBe(frameworkId);
  const found = await world.restart([id, 'nobody.0.1']);
  expect([...found.values()]).toEqual([{ state: 'launched' }, { state: 'launched' }]);
  await go(world);
  expect(await world.endOf(id)).toMatchObject({ to: 'finished' });
  expect(await world.endOf('nobody.0.1')).toMatchObject({ to: 'lost' });
  const [, again] = cluster.calls.of('SUBSCRIBE');
  expect(again!.frameworkId).toBe(frameworkId);
  expect(again!.body.subscribe.framework_info.id).toEqual({ value: frameworkId });
  expect(await world.lines('runs')).toEqual(['ran']);
  expect(cluster.frameworks().map((one) => one.id)).toEqual([frameworkId]);
});

test('08: who is failed over steps back for good', async () => {
  await using world = await mesosWorld();
  const { cluster, engine, news } = world;
  await news.until(() => news.offers.size > 0);
  const second = world.createEngine();
  const theirs = follow(second);
  await theirs.until(() => theirs.offers.size > 0);
  await world.logged(/another service has taken this framework over; this one steps back/);
  await news.until(() => news.events.at(-1)?.type === 'nodeDown');
  expect(news.offers.size).toBe(0);
  expect(engine.status()).toMatchObject({
    isConnected: false,
    detail: expect.stringContaining("'Framework failed over'"),
  });
  const assignment = await world.assign('exit 0');
  await theirs.launch([assignment]);
  await theirs.untilEnded(assignment.attemptId);
  expect(cluster.calls.of('SUBSCRIBE')).toHaveLength(2);
  // It may be asked whatever the scheduler still wants of it.
  engine.demand(true);
  await engine.kill('nobody.0.1');
  const attempts = [
    { assignment: await world.assign('exit 0'), resources: theirs.free(), job: JOB },
  ];
  const offerIds = [...theirs.offers.keys()];
  await expect(engine.launch({ node: 'n', offerIds, attempts })).rejects.toThrow(/offer/);
  await theirs.stop();
});

test('09: after the failover timeout a new framework begins, and what ran is lost', async () => {
  await using world = await mesosWorld({}, { framework: { failoverTimeoutSeconds: 0.2 } });
  const { cluster } = world;
  const id = await world.launch(waiting(world));
  await world.moved(id, 'running');
  const old = await storedId(world);
  const letIn = keepOut(world);
  cluster.dropStream();
  await vi.waitFor(() => expect(cluster.frameworks()[0]!.isRemoved).toBe(true), WAIT);
  letIn();
  expect(await world.endOf(id)).toMatchObject({
    to: 'lost',
    result: {
      failure: { kind: 'engine', message: expect.stringMatching(/no longer on its agent/) },
    },
  });
  await world.logged('the master has removed the framework and all that ran');
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
  expect(await storedId(world)).toBe(framework(world)!.id);
  expect(await storedId(world)).not.toBe(old);
  expect(world.story(id)).toEqual(['running', 'lost']);
});

test('09: an operator tears the framework down, and the next service begins a new one', async () => {
  await using world = await mesosWorld();
  const { cluster, news } = world;
  const id = await world.launch(waiting(world));
  await world.moved(id, 'running');
  const old = await storedId(world);
  await world.engine.teardown();
  expect(cluster.frameworks()).toMatchObject([{ id: old, isRemoved: true }]);
  expect(cluster.tasks()).toEqual([]);
  expect(existsSync(join(world.node.directory, 'framework.json'))).toBe(false);
  await news.until(() => news.events.at(-1)?.type === 'nodeDown');
  expect(world.engine.status().detail).toMatch(/an operator has torn the framework down/);
  await expect(world.engine.teardown()).rejects.toThrow(/no master/);
  expect(cluster.calls.of('SUBSCRIBE')).toHaveLength(1);
  await world.restart([id]);
  expect(await world.endOf(id)).toMatchObject({ to: 'lost' });
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
  expect(await storedId(world)).not.toBe(old);
});

test('10: a restarted master is asked until its agents are back, and nothing is lost', async () => {
  await using world = await mesosWorld();
  const { cluster, news } = world;
  const agent = cluster.agents[0]!;
  const id = await world.launch(waiting(world));
  await world.moved(id, 'running');
  await news.until(() => news.offers.size > 0);
  await cluster.master.kill();
  await news.until(() => news.offers.size === 0);
  expect(world.engine.status().isConnected).toBe(false);
  agent.suspendRegistration(true);
  const before = cluster.calls.list.length;
  await cluster.master.restart();
  const asks = ({ type, body }: ReceivedCall) =>
    type === 'RECONCILE' && body.reconcile.tasks.length > 0;
  const first = await cluster.calls.until(asks, before);
  await cluster.calls.until((call) => asks(call) && call !== first, before);
  expect(first.body.reconcile.tasks).toEqual([
    { task_id: { value: id }, agent_id: { value: agent.id } },
  ]);
  await news.until(() => news.events.some((event) => event.type === 'nodeUp' && 'away' in event));
  expect(world.story(id)).toEqual(['running']);
  agent.suspendRegistration(false);
  await go(world);
  expect(await world.endOf(id)).toMatchObject({ to: 'finished' });
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
  expect(world.story(id)).toEqual(['running', 'finished']);
  expect(await world.lines('runs')).toEqual(['ran']);
  const subscribed = cluster.calls.of('SUBSCRIBE').map(({ frameworkId }) => frameworkId);
  expect(subscribed).toEqual([undefined, framework(world)!.id]);
});

test('10: offers of before a restart of the master are void', async () => {
  await using world = await mesosWorld();
  const { cluster, news, engine } = world;
  await news.until(() => news.offers.size > 0);
  const old = [...news.offers.values()];
  await cluster.master.restart();
  await news.until(() => news.offers.size > 0 && !news.offers.has(old[0]!.id));
  const attempts = [
    { assignment: await world.assign('exit 0'), resources: old[0]!.resources, job: JOB },
  ];
  const launch = { node: old[0]!.node, offerIds: old.map(({ id }) => id), attempts };
  await expect(engine.launch(launch)).rejects.toThrow(/offer/);
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
});

test('10: an attempt of which a new master never says anything is lost in the end', async () => {
  await using world = await mesosWorld({}, { patience: { silence: 1_200 } });
  const { cluster } = world;
  const [agent] = cluster.agents;
  const id = await world.launch(waiting(world));
  await world.moved(id, 'running');
  await cluster.master.kill();
  agent!.suspendRegistration(true);
  await cluster.master.restart();
  const end = await world.endOf(id);
  expect(end).toMatchObject({
    to: 'lost',
    result: {
      failure: { kind: 'engine', message: expect.stringMatching(/says nothing about it/) },
    },
  });
  // The agent is not lost at all, and what we gave up is ended there.
  agent!.suspendRegistration(false);
  await vi.waitFor(() => expect(world.task(id)).toBeUndefined(), WAIT);
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
  expect(world.ends.filter(({ attemptId }) => attemptId === id)).toHaveLength(1);
});

test('10: an attempt is not lost because no master is there for long', async () => {
  await using world = await mesosWorld({}, { patience: { silence: 400 } });
  const { cluster } = world;
  const agent = cluster.agents[0]!;
  const id = await world.launch(waiting(world));
  await world.moved(id, 'running');
  agent.suspendRegistration(true);
  const from = cluster.calls.list.length;
  await cluster.master.restart();
  // Asked after, without an answer …
  await cluster.calls.until(({ body }) => body.reconcile?.tasks?.length > 0, from);
  await cluster.master.kill();
  // … and then for longer than that may take there is nobody to ask.
  const tries = () => world.log.filter(({ msg }) => msg.startsWith('cannot subscribe')).length;
  const before = tries();
  await vi.waitFor(() => expect(tries()).toBeGreaterThan(before + 10), WAIT);
  expect(world.ends).toEqual([]);
  agent.suspendRegistration(false);
  await cluster.master.restart();
  await go(world);
  expect(await world.endOf(id)).toMatchObject({ to: 'finished' });
});

test("00: torn down by the cluster's operator, the framework begins anew", async () => {
  await using world = await mesosWorld();
  const { cluster } = world;
  const id = await world.launch(waiting(world));
  await world.moved(id, 'running');
  const old = await storedId(world);
  const { status } = await send(cluster.url, {
    path: '/master/teardown',
    body: `frameworkId=${String(old)}`,
  });
  expect(status).toBe(200);
  expect(await world.endOf(id)).toMatchObject({
    to: 'lost',
    result: { failure: { kind: 'engine' } },
  });
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
  expect(await storedId(world)).not.toBe(old);
});

test('23: with other settings it is the same framework, as far as Mesos lets it be', async () => {
  await using world = await mesosWorld();
  const { cluster } = world;
  const id = await world.launch(waiting(world));
  await world.moved(id, 'running');
  await world.restart([id], { user: 'nobody', roles: ['eo', 'eo-bulk'] });
  await go(world);
  expect(await world.endOf(id)).toMatchObject({ to: 'finished' });
  const settings = { user: 'root', roles: ['eo', 'eo-bulk'] };
  expect(cluster.frameworks()).toMatchObject([{ isRemoved: false, info: settings }]);
  await world.restart([], { principal: 'eo-jobs' });
  await world.logged("the master refuses the framework: Changing framework's principal");
  expect(world.engine.status().detail).toContain("Changing framework's principal is not allowed");
});

test('a master that does not lead sends us to the one that does', async () => {
  await using world = await mesosWorld(
    { standby: true },
    {
      mastersOf: ({ standbyUrl, url }) => ['http://127.0.0.1:1', standbyUrl, url],
    },
  );
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
  expect(world.cluster.calls.of('SUBSCRIBE')).toHaveLength(1);
});

test('01: whoever changes his mind while a subscription comes about is heard', async () => {
  await using world = await mesosWorld({}, { hold: 1 });
  const { cluster, engine, news } = world;
  await news.until(() => news.offers.size > 0);
  engine.demand(false);
  await vi.waitFor(() => expect(framework(world)!.suppressedRoles).toEqual(['eo']), WAIT);
  cluster.answer(({ type }) => {
    // Said just before the master takes the old wish.
    if (type === 'SUBSCRIBE') engine.demand(true);
    return undefined;
  });
  cluster.dropStream();
  await vi.waitFor(() => expect(framework(world)!.suppressedRoles).toEqual([]), WAIT);
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
});

const SECRET = 'correct-horse';
const OURS = { principal: 'eo-jobs' };
const LOCKED = { credentials: [{ principal: 'eo-jobs', secret: SECRET }] };

test('17: with its secret the framework subscribes as its principal', async () => {
  const credentials = { principal: 'eo-jobs', secret: SECRET };
  await using world = await mesosWorld(LOCKED, { framework: OURS, credentials });
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
  expect(JSON.stringify(world.log)).not.toContain(SECRET);
});

test('17: a wrong secret is said in the log, and it is tried again', async () => {
  const credentials = { principal: 'eo-jobs', secret: 'battery-staple' };
  await using world = await mesosWorld(LOCKED, { framework: OURS, credentials });
  const words =
    "the master does not accept principal 'eo-jobs': check engines.mesos.principal and secretFile";
  await world.logged(words);
  expect(world.engine.status()).toEqual({
    isConnected: false,
    detail: expect.stringMatching(
      /^not subscribed since \S+Z: .*where that lasts, the log says why$/,
    ),
  });
  await world.cluster.calls.until(({ type }) => type === 'SUBSCRIBE', 1);
  expect(JSON.stringify(world.log)).not.toContain('battery-staple');
});

test('17: a role that is not allowed is said in the status', async () => {
  await using world = await mesosWorld({ allowedRoles: ['eo-fast'] });
  const words = /the master refuses the framework: Not authorized to register framework .*eo/;
  await world.logged(words);
  expect(world.engine.status()).toEqual({
    isConnected: false,
    detail: expect.stringMatching(/Not authorized to register framework/),
  });
});
