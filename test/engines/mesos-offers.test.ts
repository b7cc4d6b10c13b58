/** What is offered, taken and given back, as recorded in the transcripts that the titles name. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, test, vi } from 'vitest';

import { JOB } from '../../src/engines/contract.ts';
import type { EngineEvent } from '../../src/engines/engine.ts';
import { mesosWorld } from '../fixtures/mesos-engine.ts';
import type { MesosWorld } from '../fixtures/mesos-engine.ts';
import { call, PlainFramework } from '../servers/mesos/client.ts';
import type { ReceivedCall, ReplayedAgent } from '../servers/mesos/types.ts';

const WAIT = { interval: 10, timeout: 30_000 };
const ONE = { cpus: 2, memoryMb: 1000 };
const TWO = [ONE, { ...ONE, host: '127.0.0.2' }];

const nodeOf = ({ host, port }: ReplayedAgent) => `${host}:${port}`;
/** A script that runs until the file `go` is there. */
const waiting = ({ directory }: MesosWorld) =>
  `echo $$ >> ${directory}/runs; until [ -e ${directory}/go ]; do sleep 0.02; done`;
const go = ({ directory }: MesosWorld) => writeFile(join(directory, 'go'), '');
/** The last that was told of a node. */
const lastOf = ({ news }: MesosWorld, agent: ReplayedAgent): EngineEvent | undefined =>
  news.events.findLast((event) => 'node' in event && event.node === nodeOf(agent));
const away = (world: MesosWorld, agent: ReplayedAgent): string | undefined => {
  const last = lastOf(world, agent);
  return last?.type === 'nodeUp' ? last.away : undefined;
};

interface Resource {
  readonly name: string;
  readonly scalar: { readonly value: number };
  readonly allocation_info: { readonly role: string };
  readonly reservations?: readonly { readonly role: string }[];
}
interface Task {
  readonly task_id: { readonly value: string };
  readonly agent_id: { readonly value: string };
  readonly resources: readonly Resource[];
}
const tasksOf = ({ body }: ReceivedCall): readonly Task[] =>
  body.accept.operations.flatMap((operation: any) => operation.launch.task_infos);
/** What an attempt was given, e.g. `eo:cpus 1`, with the role that it is reserved for. */
function given({ cluster }: MesosWorld, id: string): string[] {
  const resources = cluster.calls
    .of('ACCEPT')
    .flatMap(tasksOf)
    .filter(({ task_id: task }) => task.value === id)
    .flatMap((task) => task.resources);
  // Parts may have come with several offers.
  const sums = new Map<string, number>();
  for (const { name, scalar, reservations = [] } of resources) {
    const key = [...reservations.map(({ role }) => `${role}:`), name].join('');
    sums.set(key, (sums.get(key) ?? 0) + scalar.value);
  }
  return Array.from(sums, ([key, sum]) => `${key} ${sum}`);
}

/** Announces that agents' machines are taken away in so many milliseconds, or no longer. */
async function schedule({ cluster }: MesosWorld, agent: ReplayedAgent, inMs?: number) {
  const machine = { hostname: agent.host, ip: agent.host };
  const nanoseconds = (ms: number) => ({ nanoseconds: ms * 1e6 });
  const unavailability = { start: nanoseconds(Date.now() + inMs!), duration: nanoseconds(3.6e6) };
  const windows = inMs === undefined ? [] : [{ machine_ids: [machine], unavailability }];
  const type = 'UPDATE_MAINTENANCE_SCHEDULE';
  const answer = await call(cluster.url, {
    type,
    update_maintenance_schedule: { schedule: { windows } },
  });
  expect(answer.status).toBe(200);
}

const HOUR = 3_600_000;

test('15: inverse offers are accepted, and far from its maintenance a machine gets work', async () => {
  await using world = await mesosWorld({}, { maintenanceLead: 60_000 });
  const { cluster } = world;
  const agent = cluster.agents[0]!;
  const id = await world.launch(waiting(world));
  await world.moved(id, 'running');
  await schedule(world, agent, HOUR);
  await cluster.calls.until(({ type }) => type === 'ACCEPT_INVERSE_OFFERS');
  const status = async () =>
    JSON.parse((await call(cluster.url, { type: 'GET_MAINTENANCE_STATUS' })).body);
  await vi.waitFor(async () => {
    const [machine] = (await status()).get_maintenance_status.status.draining_machines;
    expect(machine.statuses).toMatchObject([{ status: 'ACCEPT' }]);
  }, WAIT);
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
  await go(world);
  expect(await world.endOf(id)).toMatchObject({ to: 'finished' });
});

test('15: a machine soon taken away gets no work, and comes back when the schedule is withdrawn', async () => {
  // Offers that are refused for half a minute come again in time.
  await using world = await mesosWorld(
    { agents: TWO, timeScale: 0.01 },
    { maintenanceLead: 120_000 },
  );
  const { cluster, news } = world;
  const [agent, other] = cluster.agents as [ReplayedAgent, ReplayedAgent];
  const id = await world.launch(waiting(world), { node: nodeOf(agent) });
  await world.moved(id, 'running');
  await schedule(world, agent, 60_000);
  await news.until(() => away(world, agent) !== undefined);
  expect(away(world, agent)).toMatch(/^maintenance from 20/);
  await vi.waitFor(() => {
    const refusals = cluster.calls.of('DECLINE').map(({ body }) => body.decline.filters);
    expect(refusals).toContainEqual({ refuse_seconds: 30 });
  }, WAIT);
  expect([...news.offers.values()].map(({ node }) => node)).not.toContain(nodeOf(agent));
  await world.endOf(await world.launch('exit 0', { node: nodeOf(other) }));
  await schedule(world, agent);
  await news.until(() => away(world, agent) === undefined);
  await world.endOf(await world.launch('exit 0', { node: nodeOf(agent) }));
  // What ran there all the time was let be.
  expect(world.story(id)).toEqual(['running']);
});

test('15: what runs on a machine that is taken away is ended in time', async () => {
  await using world = await mesosWorld({ agents: TWO });
  const [agent, other] = world.cluster.agents as [ReplayedAgent, ReplayedAgent];
  const id = await world.launch(waiting(world), { node: nodeOf(agent) });
  const elsewhere = await world.launch(waiting(world), { node: nodeOf(other) });
  await world.moved(id, 'running');
  await schedule(world, agent, 2_000);
  const end = await world.endOf(id);
  expect(end).toMatchObject({ to: 'lost', result: { failure: { kind: 'operator' } } });
  expect(end.result!.failure!.message).toMatch(
    new RegExp(`^node ${nodeOf(agent)} goes into maintenance at 20`),
  );
  await go(world);
  expect(await world.endOf(elsewhere)).toMatchObject({ to: 'finished' });
});

test('15: only the latest that was said of a machine counts', async () => {
  await using world = await mesosWorld();
  const { cluster, news } = world;
  const agent = cluster.agents[0]!;
  await news.until(() => news.offers.size > 0);
  const say = (id: string, inMs: number) => {
    const unavailability = { start: { nanoseconds: (Date.now() + inMs) * 1e6 } };
    const offer = { id: { value: id }, agent_id: { value: agent.id }, unavailability };
    cluster.send({ type: 'INVERSE_OFFERS', inverse_offers: { inverse_offers: [offer] } });
  };
  const takeBack = (id: string) =>
    cluster.send({
      type: 'RESCIND_INVERSE_OFFER',
      rescind_inverse_offer: { inverse_offer_id: { value: id } },
    });
  say('first', 600_000);
  await news.until(() => away(world, agent) !== undefined);
  const first = away(world, agent);
  say('second', 1_200_000);
  takeBack('first');
  await news.until(() => away(world, agent) !== first);
  expect(away(world, agent)).toMatch(/^maintenance from/);
  takeBack('second');
  await news.until(() => away(world, agent) === undefined);
});

test('17: an offer that is held for too long is taken back', async () => {
  await using world = await mesosWorld({ offerTimeoutMs: 40 });
  const { news, engine } = world;
  await news.until(() => news.offers.size > 0);
  const [old] = news.offers.values();
  await news.until(() => news.offers.size > 0 && !news.offers.has(old!.id));
  const attempts = [
    { assignment: await world.assign('exit 0'), resources: old!.resources, job: JOB },
  ];
  const launch = { node: old!.node, offerIds: [old!.id], attempts };
  await expect(engine.launch(launch)).rejects.toThrow(/offer/);
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
});

test('19: another framework gets what we do not use', async () => {
  await using world = await mesosWorld({}, { refuse: 10 });
  const { cluster, engine, news } = world;
  const id = await world.launch(waiting(world), { resources: { cpus: 0.5, memoryMb: 100 } });
  await news.until(() => news.offers.size > 0);
  const other = await PlainFramework.join(cluster.url, { name: 'other' });
  const held = [...news.offers.keys()];
  news.offers.clear();
  await engine.decline(held);
  const offer = await other.offer();
  expect(offer['resources']).toContainEqual(
    expect.objectContaining({ name: 'cpus', scalar: { value: 1.5 } }),
  );
  const status = await other.run('exit 0');
  expect(status['state']).toBe('TASK_FINISHED');
  await go(world);
  expect(await world.endOf(id)).toMatchObject({ to: 'finished' });
  other.subscription.destroy();
});

test('20: only agents with the attributes wanted are nodes, and the others are refused for long', async () => {
  const agents = [
    { ...ONE, attributes: { rack: 'r1', site: 's1', tier: 'fast' } },
    { ...ONE, host: '127.0.0.2', attributes: { rack: 'r2', site: 's1', tier: 'bulk' } },
    { ...ONE, host: '127.0.0.3', attributes: { rack: 'r3' } },
  ];
  await using world = await mesosWorld({ agents }, { constraints: { tier: ['fast', 'faster'] } });
  const { cluster, news } = world;
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
  await vi.waitFor(() => {
    const refusals = cluster.calls.of('DECLINE').map(({ body }) => body.decline);
    const long = refusals.filter(({ filters }) => filters.refuse_seconds === 3600);
    expect(long.flatMap(({ offer_ids: ids }) => ids as unknown[])).toHaveLength(2);
  }, WAIT);
  const up = news.events.filter(({ type }) => type === 'nodeUp');
  expect(up).toEqual([
    {
      type: 'nodeUp',
      engine: 'mesos',
      node: nodeOf(cluster.agents[0]!),
      resources: { cpus: 2, memoryMb: 1000 },
      rack: 'r1',
      pool: 's1',
    },
  ]);
});

test('15, 20: what is reserved for us is used first, and what is for others not at all', async () => {
  const reserved = [
    { role: 'eo', cpus: 1, memoryMb: 300 },
    { role: 'climate', cpus: 4, memoryMb: 4000 },
  ];
  await using world = await mesosWorld({ agents: [{ cpus: 1, memoryMb: 500, reserved }] });
  const { news } = world;
  const small = await world.launch('exit 0', { resources: { cpus: 0.5, memoryMb: 100 } });
  await world.endOf(small);
  expect(given(world, small).toSorted()).toEqual(['eo:cpus 0.5', 'eo:mem 100']);
  await news.untilWhole();
  expect(news.total()).toEqual({ cpus: 2, memoryMb: 800 });
  const large = await world.launch('exit 0', { resources: { cpus: 1.5, memoryMb: 700 } });
  expect(await world.endOf(large)).toMatchObject({ to: 'finished' });
  expect(given(world, large).toSorted()).toEqual([
    'cpus 0.5',
    'eo:cpus 1',
    'eo:mem 300',
    'mem 400',
  ]);
});

test('GPUs are told, and taken where an attempt wants them', async () => {
  await using world = await mesosWorld({ agents: [{ ...ONE, gpus: 2 }] });
  const { news } = world;
  await news.until(() => news.offers.size > 0);
  expect(news.total()).toEqual({ cpus: 2, memoryMb: 1000, gpus: 2 });
  const resources = { cpus: 0.5, memoryMb: 100, gpus: 1 };
  const id = await world.launch('exit 0', { resources });
  expect(await world.endOf(id)).toMatchObject({ to: 'finished' });
  expect(given(world, id)).toContain('gpus 1');
  const without = await world.launch('exit 0');
  await world.endOf(without);
  expect(given(world, without).join()).not.toContain('gpus');
});

test('22: an ACCEPT never mixes agents or roles', async () => {
  const reserved = [{ role: 'eo-bulk', cpus: 1, memoryMb: 500 }];
  await using world = await mesosWorld(
    { agents: TWO.map((agent) => ({ ...agent, reserved })) },
    { framework: { roles: ['eo', 'eo-bulk'] } },
  );
  const { cluster } = world;
  const ids: string[] = [];
  for (let count = 0; count < 8; count += 1) {
    const agent = cluster.agents[count % 2]!;
    ids.push(await world.launch('sleep 0.05', { node: nodeOf(agent) }));
  }
  for (const id of ids) expect(await world.endOf(id)).toMatchObject({ to: 'finished' });
  const accepts = cluster.calls.of('ACCEPT');
  expect(accepts).toHaveLength(8);
  for (const accept of accepts) {
    const tasks = tasksOf(accept);
    expect(new Set(tasks.map(({ agent_id: agent }) => agent.value)).size).toBe(1);
    const roles = tasks.flatMap(({ resources }) =>
      resources.map(({ allocation_info: { role } }) => role),
    );
    expect(new Set(roles).size).toBe(1);
  }
});

test('22: offers of a node that has another agent now are not mixed with its own', async () => {
  await using world = await mesosWorld({ agentPingMs: 50 });
  const { cluster, news } = world;
  await news.until(() => news.offers.size > 0);
  const agent = cluster.agents[0]!;
  const foreign = {
    id: { value: 'old-offer' },
    framework_id: { value: cluster.frameworks()[0]!.id },
    agent_id: { value: 'old-agent' },
    hostname: agent.host,
    url: { scheme: 'http', address: { hostname: agent.host, ip: agent.host, port: agent.port } },
    allocation_info: { role: 'eo' },
    resources: ['cpus', 'mem'].map((name) => ({
      name,
      type: 'SCALAR',
      scalar: { value: 1 },
      allocation_info: { role: 'eo' },
    })),
  };
  cluster.send({ type: 'OFFERS', offers: { offers: [foreign] } });
  await news.until(() => news.offers.has('old-offer'));
  const attempts = [
    {
      assignment: await world.assign('exit 0'),
      resources: { cpus: 2.5, memoryMb: 100 },
      job: JOB,
    },
  ];
  const offers = [...news.offers.values()];
  const launch = { node: nodeOf(agent), offerIds: offers.map(({ id }) => id), attempts };
  await expect(world.order(launch)).rejects.toThrow(/offer/);
  expect(cluster.calls.of('ACCEPT')).toEqual([]);
});
