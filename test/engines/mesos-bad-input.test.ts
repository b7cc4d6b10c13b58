/** What a master may tell that makes no sense, or far too much of it. After each of it the engine goes on. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { expect, test, vi } from 'vitest';

import { JOB } from '../../src/engines/contract.ts';
import { mesosWorld } from '../fixtures/mesos-engine.ts';
import type { MesosWorld } from '../fixtures/mesos-engine.ts';
import type { ReplayedAgent } from '../servers/mesos/types.ts';

const WAIT = { interval: 10, timeout: 30_000 };

const goesOn = async (world: MesosWorld) => {
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
  await vi.waitFor(() => expect(world.cluster.tasks()).toEqual([]), WAIT);
};
const subscriptions = ({ cluster }: MesosWorld) => cluster.calls.of('SUBSCRIBE').length;
const waiting = ({ directory }: MesosWorld) =>
  `echo ran >> ${directory}/runs; until [ -e ${directory}/go ]; do sleep 0.02; done`;
const go = ({ directory }: MesosWorld) => writeFile(join(directory, 'go'), '');
const nodeOf = ({ host, port }: ReplayedAgent) => `${host}:${port}`;

const scalar = (name: string, value: unknown) => ({
  name,
  type: 'SCALAR',
  scalar: { value },
  allocation_info: { role: 'eo' },
});
/** An offer of a node that does not exist, unless fields say otherwise. */
const offer = (number: number, fields: object = {}) => ({
  id: { value: `offer-${number}` },
  framework_id: { value: 'framework' },
  agent_id: { value: `agent-${number}` },
  hostname: `host-${number}`,
  url: { scheme: 'http', address: { hostname: `host-${number}`, ip: '127.9.9.9', port: 5051 } },
  allocation_info: { role: 'eo' },
  resources: [scalar('cpus', 0.1), scalar('mem', 10)],
  ...fields,
});
const offers = (...list: readonly object[]) => ({ type: 'OFFERS', offers: { offers: list } });
const update = (taskId: string, fields: object = {}) => ({
  type: 'UPDATE',
  update: {
    status: {
      task_id: { value: taskId },
      agent_id: { value: 'agent' },
      source: 'SOURCE_EXECUTOR',
      state: 'TASK_RUNNING',
      uuid: Buffer.from(taskId.padEnd(16)).toString('base64'),
      timestamp: 1,
      ...fields,
    },
  },
});
/** The fastest way of the engine's own offers: only nodes that exist. */
const launchOn = (world: MesosWorld, script: string) =>
  world.launch(script, { node: nodeOf(world.cluster.agents[0]!) });

test.each([
  ['no records', 'HTTP/1.1 502 Bad Gateway\r\n\r\n'],
  ['a length that is none', '-5\n{}'],
  ['a length beyond all measure', '99999999999999999999\n{}'],
  ['bytes', Buffer.from([0, 255, 254, 10, 13, 0])],
])('%s in the stream: it is subscribed again, and nothing is lost', async (_, garbage) => {
  await using world = await mesosWorld();
  const id = await world.launch(waiting(world));
  await world.moved(id, 'running');
  world.cluster.send(garbage);
  await vi.waitFor(() => expect(subscriptions(world)).toBe(2), WAIT);
  await world.logged('the stream cannot be understood');
  await go(world);
  expect(await world.endOf(id)).toMatchObject({ to: 'finished' });
  await goesOn(world);
  expect(world.story(id)).toEqual(['running', 'finished']);
});

test('half a record and then silence: heartbeats are missed, and it is subscribed again', async () => {
  await using world = await mesosWorld({ heartbeatSeconds: 0.1 });
  const { cluster } = world;
  const id = await world.launch(waiting(world));
  await world.moved(id, 'running');
  cluster.pauseHeartbeats();
  cluster.send('1000\n{"type":"OFFERS","offers":{"off');
  await world.logged('nothing was heard for');
  cluster.pauseHeartbeats(false);
  await go(world);
  expect(await world.endOf(id)).toMatchObject({ to: 'finished' });
  await goesOn(world);
  expect(subscriptions(world)).toBeGreaterThan(1);
});

test('events that are none or not known are passed over', async () => {
  await using world = await mesosWorld();
  const { cluster, news } = world;
  await news.until(() => news.offers.size > 0);
  const told = news.events.length;
  for (const event of [
    { type: 'UPDATE_OPERATION_STATUS', update_operation_status: {} },
    { type: 'SING', song: 7 },
    { type: 7 },
    {},
    [],
    { type: 'UPDATE' },
    { type: 'UPDATE', update: { status: { task_id: 7 } } },
    { type: 'OFFERS', offers: { offers: 7 } },
    { type: 'OFFERS' },
    { type: 'RESCIND' },
    { type: 'RESCIND', rescind: { offer_id: { value: 'never offered' } } },
    { type: 'RESCIND_INVERSE_OFFER', rescind_inverse_offer: { inverse_offer_id: { value: 'x' } } },
    { type: 'INVERSE_OFFERS', inverse_offers: { inverse_offers: [{}, { id: { value: 'y' } }] } },
    { type: 'FAILURE', failure: { agent_id: { value: 'nobody' } } },
    { type: 'FAILURE' },
    { type: 'MESSAGE', message: {} },
  ]) {
    cluster.send(event);
  }
  cluster.send('7\nnot {}!');
  cluster.send(`2\n{}4\nnull`);
  await goesOn(world);
  expect(subscriptions(world)).toBe(1);
  expect(news.events.slice(told).filter(({ type }) => type === 'nodeDown')).toEqual([]);
  expect(world.log.some(({ level }) => level >= 50)).toBe(false);
});

test('a state that is not known is no news, and is acknowledged', async () => {
  await using world = await mesosWorld();
  const { cluster } = world;
  const id = await world.launch(waiting(world));
  await world.moved(id, 'running');
  const status = { state: 'TASK_DREAMING', agent_id: { value: cluster.agents[0]!.id } };
  cluster.send(update(id, status));
  const uuid = update(id).update.status.uuid;
  await cluster.calls.until(({ body }) => body.acknowledge?.uuid === uuid);
  await world.logged('unknown state TASK_DREAMING');
  await go(world);
  expect(await world.endOf(id)).toMatchObject({ to: 'finished' });
  expect(world.story(id)).toEqual(['running', 'finished']);
});

test('ten thousand offers in one event', async () => {
  await using world = await mesosWorld({}, { framework: { roles: ['eo', 'eo-bulk'] } });
  const { cluster, news } = world;
  const id = await world.launch(waiting(world));
  cluster.send(offers(...Array.from({ length: 10_000 }, (_, number) => offer(number))));
  await news.until(() => news.offers.has('offer-9999'));
  expect(news.offers.size).toBeGreaterThanOrEqual(10_000);
  cluster.dropStream();
  await news.until(() => !news.offers.has('offer-9999'));
  await go(world);
  expect(await world.endOf(id)).toMatchObject({ to: 'finished' });
  expect(await world.endOf(await launchOn(world, 'exit 0'))).toMatchObject({ to: 'finished' });
});

test('a thousand events at once', async () => {
  await using world = await mesosWorld();
  const { cluster, news } = world;
  const id = await launchOn(world, waiting(world));
  for (let number = 0; number < 1000; number += 1) {
    cluster.send(offers(offer(number)));
    cluster.send(update(`unknown.0.${number}`, { state: 'TASK_FINISHED' }));
    cluster.send({ type: 'RESCIND', rescind: { offer_id: { value: `offer-${number}` } } });
  }
  await vi.waitFor(
    () => expect(cluster.calls.of('ACKNOWLEDGE').length).toBeGreaterThanOrEqual(1000),
    WAIT,
  );
  await vi.waitFor(
    () => expect([...news.offers.keys()].filter((one) => one.startsWith('offer-'))).toEqual([]),
    WAIT,
  );
  await go(world);
  expect(await world.endOf(id)).toMatchObject({ to: 'finished' });
  expect(await world.endOf(await launchOn(world, 'exit 0'))).toMatchObject({ to: 'finished' });
  expect(subscriptions(world)).toBe(1);
});

test('an offer that comes twice is used once', async () => {
  await using world = await mesosWorld();
  const { cluster, news } = world;
  await news.until(() => news.offers.size > 0);
  const agent = cluster.agents[0]!;
  const [own] = news.offers.values();
  const again = offer(0, {
    id: { value: own!.id },
    agent_id: { value: agent.id },
    hostname: agent.host,
    url: { address: { hostname: agent.host, ip: agent.host, port: agent.port } },
    resources: [scalar('cpus', 2), scalar('mem', 1000)],
  });
  const told = news.events.length;
  cluster.send(offers(again, again));
  await news.until(() => news.events.length > told);
  expect(news.offers.size).toBe(1);
  const resources = { cpus: 2, memoryMb: 1000 };
  const id = await world.launch('exit 0', { resources });
  await world.endOf(id);
  // After it was used it is not valid, whatever the master says.
  cluster.send(offers(again));
  const late = await world.assign(`echo ran >> ${world.directory}/runs`);
  await news.until(() => news.offers.has(own!.id));
  await world.order({
    node: nodeOf(agent),
    offerIds: [own!.id],
    attempts: [{ assignment: late, resources, job: JOB }],
  });
  expect(await world.endOf(late.attemptId)).toMatchObject({
    to: 'lost',
    result: {
      failure: {
        kind: 'capacity',
        message: expect.stringMatching(/^the offers were no longer valid/),
      },
    },
  });
  await goesOn(world);
  expect(await world.lines('runs')).toEqual([]);
});

test('offers that make no sense are given back and logged', async () => {
  await using world = await mesosWorld();
  const { cluster, news } = world;
  await news.until(() => news.offers.size > 0);
  const bad = [
    { resources: [scalar('cpus', -1), scalar('mem', 10)] },
    { resources: [scalar('cpus', '4'), scalar('mem', 10)] },
    { resources: [scalar('cpus', null)] },
    { resources: [scalar('mem', 1e300)] },
    { resources: 'all' },
    { resources: [7] },
    { hostname: '' },
    { agent_id: {} },
    { unavailability: { start: { nanoseconds: 'soon' } } },
  ];
  const told = news.events.length;
  cluster.send(
    offers(...bad.map((fields, number) => offer(number, fields)), { hostname: 'no id' }),
  );
  await world.logged(`${bad.length + 1} offers make no sense`);
  const call = await cluster.calls.until(({ body }) => body.decline?.filters.refuse_seconds === 60);
  expect(call.body.decline.offer_ids).toEqual(
    bad.map((_, number) => ({ value: `offer-${number}` })),
  );
  expect(news.events.slice(told)).toEqual([]);
  await goesOn(world);
});

test('nothing at all is offered, or what nobody can use', async () => {
  await using world = await mesosWorld();
  const { cluster, news } = world;
  await news.until(() => news.offers.size > 0);
  cluster.send(offers(offer(1, { resources: [] }), offer(2, { resources: [scalar('disk', 5)] })));
  const call = await cluster.calls.until(({ type }) => type === 'DECLINE');
  expect(call.body.decline.offer_ids).toEqual([{ value: 'offer-1' }, { value: 'offer-2' }]);
  await goesOn(world);
});

test.each([
  ['long gone', { start: { nanoseconds: -1e300 } }],
  ['a long time ago', { start: { nanoseconds: '-9223372036854775808' } }],
  ['never', { start: { nanoseconds: 1e300 } }],
  ['for no time', { start: { nanoseconds: 1 }, duration: { nanoseconds: 0 } }],
  ['for ever', { start: { nanoseconds: 1 }, duration: { nanoseconds: 1e300 } }],
])('a machine that is taken away %s', async (_, unavailability) => {
  await using world = await mesosWorld();
  const { cluster, news } = world;
  await news.until(() => news.offers.size > 0);
  cluster.send(offers(offer(1, { unavailability })));
  const body = { id: { value: 'inverse' }, agent_id: { value: 'agent-1' }, unavailability };
  await news.until(() => news.events.some((event) => 'node' in event && event.node === 'host-1'));
  cluster.send({ type: 'INVERSE_OFFERS', inverse_offers: { inverse_offers: [body] } });
  await cluster.calls.until(({ type }) => type === 'ACCEPT_INVERSE_OFFERS');
  expect(await world.endOf(await launchOn(world, 'exit 0'))).toMatchObject({ to: 'finished' });
});

test('updates of tasks of others are acknowledged, and what runs is killed', async () => {
  await using world = await mesosWorld();
  const { cluster } = world;
  const strange = ['somebody', 'a b/c', 'job.1', '../..', 'x'.repeat(300)];
  const id = await world.launch(waiting(world));
  await world.moved(id, 'running');
  for (const task of strange) {
    cluster.send(update(task));
    cluster.send(update(task, { state: 'TASK_FAILED', uuid: undefined, reason: 'REASON_X' }));
  }
  await vi.waitFor(() => {
    const killed = cluster.calls.of('KILL').map(({ body }) => body.kill.task_id.value as string);
    expect(killed.toSorted()).toEqual(strange.toSorted());
  }, WAIT);
  await go(world);
  expect(await world.endOf(id)).toMatchObject({ to: 'finished' });
  await goesOn(world);
  expect(world.ends).toHaveLength(2);
});

test('clocks apart: when something happened according to others does not matter', async () => {
  await using world = await mesosWorld();
  const { cluster } = world;
  const id = await world.launch(waiting(world));
  await world.moved(id, 'running');
  const agentId = { value: cluster.agents[0]!.id };
  for (const timestamp of [-1e300, 0, 1e300, 'now']) {
    cluster.send(update(id, { timestamp, agent_id: agentId, uuid: undefined }));
  }
  await go(world);
  expect(await world.endOf(id)).toMatchObject({ to: 'finished' });
  expect(world.story(id)).toEqual(['running', 'finished']);
});

test('a message of a megabyte is told in short', async () => {
  await using world = await mesosWorld();
  const id = await world.launch(waiting(world));
  await world.moved(id, 'running');
  const message = 'no '.repeat(350_000);
  world.cluster.send(update(id, { state: 'TASK_ERROR', message, source: 'SOURCE_MASTER' }));
  const end = await world.endOf(id);
  expect(end).toMatchObject({ to: 'lost', result: { failure: { kind: 'engine' } } });
  expect(end.result!.failure!.message.length).toBeLessThan(1000);
});

test.each([
  ['garbage', '{"to":'],
  ['that of another', JSON.stringify({ attemptId: 'x.0.1', to: 'finished', result: {} })],
  ['a path out of its directory', { outputs: [{ path: '../../secret', size: 1 }] }],
  ['outputs that are none', { outputs: 7 }],
  ['a failure that is none', { failure: { kind: 'magic', message: 7 } }],
  ['figures that are none', { usage: { wallMs: 'long', sources: {} } }],
])('%s where a runner should have told its end', async (_, what) => {
  await using world = await mesosWorld();
  const { cluster } = world;
  const id = await world.launch(waiting(world));
  await world.moved(id, 'running');
  const said = { attemptId: id, to: 'finished', result: what };
  const text = typeof what === 'string' ? what : JSON.stringify(said);
  const file = `${world.logOf(id)}.end.json`;
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
  cluster.killExecutor(id);
  expect(await world.endOf(id)).toMatchObject({
    to: 'lost',
    result: { failure: { message: expect.stringMatching(/^the executor died/) } },
  });
  await goesOn(world);
});

test("a file that holds no framework's id stops the engine in words, and is not overwritten", async () => {
  await using world = await mesosWorld();
  await world.news.until(() => world.news.offers.size > 0);
  const file = join(world.node.directory, 'framework.json');
  await writeFile(file, '{}');
  const next = world.createEngine();
  const run = next.run(async () => undefined, new AbortController().signal);
  await expect(run).rejects.toThrow(
    `${file} does not hold a framework's id: remove it to begin as a new one`,
  );
  expect(subscriptions(world)).toBe(1);
});
