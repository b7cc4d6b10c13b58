/** What becomes of agents and of what runs there, as recorded in the transcripts that the titles name. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';

import { expect, test, vi } from 'vitest';

import type { EngineEvent } from '../../src/engines/engine.ts';
import { isAlive } from '../fixtures/bundles.ts';
import { mesosWorld } from '../fixtures/mesos-engine.ts';
import type { MesosWorld } from '../fixtures/mesos-engine.ts';
import { call } from '../servers/mesos/client.ts';
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
const lastOf = ({ news }: MesosWorld, node: string): EngineEvent | undefined =>
  news.events.findLast((event) => 'node' in event && event.node === node);
const away = (world: MesosWorld, agent: ReplayedAgent): string | undefined => {
  const last = lastOf(world, nodeOf(agent));
  return last?.type === 'nodeUp' ? last.away : undefined;
};
const untilDown = (world: MesosWorld, agent: ReplayedAgent) =>
  world.news.until(() => lastOf(world, nodeOf(agent))?.type === 'nodeDown');
const untilBack = (world: MesosWorld, agent: ReplayedAgent) =>
  world.news.until(
    () => lastOf(world, nodeOf(agent))?.type === 'nodeUp' && away(world, agent) === undefined,
  );
const untilRunning = (world: MesosWorld, count = 1) =>
  vi.waitFor(async () => expect(await world.lines('runs')).toHaveLength(count), WAIT);
const untilNoTasks = ({ cluster }: MesosWorld) =>
  vi.waitFor(() => expect(cluster.tasks()).toEqual([]), WAIT);

test('07a: an agent that was killed and comes back has gone on with its attempts', async () => {
  await using world = await mesosWorld({ agentPingMs: 50, ackRetryMs: 60_000 });
  const { cluster, news } = world;
  const agent = cluster.agents[0]!;
  const id = await world.launch(waiting(world));
  await world.moved(id, 'running');
  await news.until(() => news.offers.size > 0);
  await vi.waitFor(() => expect(cluster.acknowledged.size).toBe(2), WAIT);
  await agent.kill();
  await news.until(() => news.offers.size === 0);
  await news.until(() => away(world, agent) !== undefined);
  expect(away(world, agent)).toMatch(/^out of reach since 20/);
  await go(world);
  await vi.waitFor(() => expect(world.task(id)!.isTerminal).toBe(true), WAIT);
  expect(world.ends).toEqual([]);
  await agent.restart();
  expect(await world.endOf(id)).toMatchObject({ to: 'finished' });
  await untilBack(world, agent);
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
  expect(world.story(id)).toEqual(['running', 'finished']);
  expect(news.events.some(({ type }) => type === 'nodeDown')).toBe(false);
  expect(new Set(cluster.acknowledged.values())).toEqual(new Set([1]));
});

test.each(['begun', 'not begun'])(
  '07a: what had %s when its agent was lost goes on for however long when it is back',
  async (when) => {
    await using world = await mesosWorld(
      { agentPingMs: 50 },
      { patience: { unreachable: 400, recheck: 100 } },
    );
    const { cluster, news } = world;
    const agent = cluster.agents[0]!;
    cluster.holdLaunches(when === 'not begun');
    const id = await world.launch(waiting(world));
    await vi.waitFor(() => expect(world.task(id)).toBeDefined(), WAIT);
    if (when === 'begun') await world.moved(id, 'running');
    await agent.kill();
    await news.until(() => away(world, agent) !== undefined);
    await agent.restart();
    await untilBack(world, agent);
    // It is asked after for longer than an agent may stay away.
    const from = cluster.calls.list.length;
    for (let asked = from; asked < from + 10; asked += 1) {
      await cluster.calls.until(({ type }) => type === 'RECONCILE', asked);
    }
    expect(world.ends).toEqual([]);
    cluster.holdLaunches(false);
    await go(world);
    expect(await world.endOf(id)).toMatchObject({ to: 'finished' });
  },
);

test('07a: an agent that stays away is given up with its attempts, which end when it is back', async () => {
  await using world = await mesosWorld(
    { agentPingMs: 50, agents: TWO },
    { patience: { unreachable: 200 } },
  );
  const { cluster } = world;
  const agent = cluster.agents[0]!;
  const script = `${waiting(world)}; echo $$ > who; echo OUTPUT_PRODUCT who`;
  const first = await world.node.assign(script, { task: 7 });
  await world.launch(first, { node: nodeOf(agent) });
  await untilRunning(world);
  await agent.kill();
  expect(await world.endOf(first.attemptId)).toMatchObject({
    to: 'lost',
    result: {
      failure: { kind: 'engine', message: 'its agent has been out of reach for too long' },
    },
  });
  await untilDown(world, agent);
  const second = await world.node.assign(script, { task: 7 });
  await world.launch(second, { node: nodeOf(cluster.agents[1]!) });
  await untilRunning(world, 2);
  await agent.restart();
  await world.logged('a task runs that was given up');
  await vi.waitFor(() => expect(world.task(first.attemptId)).toBeUndefined(), WAIT);
  await go(world);
  expect(await world.endOf(second.attemptId)).toMatchObject({ to: 'finished' });
  const [one, two] = await world.lines('runs');
  expect(isAlive(Number(one))).toBe(false);
  expect(await world.node.read('results', '7', 'who')).toBe(`${two}\n`);
  expect(world.ends.map(({ attemptId }) => attemptId)).toEqual([first.attemptId, second.attemptId]);
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
});

test('07a: a result that was committed on an agent out of reach is not made twice', async () => {
  await using world = await mesosWorld(
    { agentPingMs: 50, agents: TWO },
    { patience: { unreachable: 200 } },
  );
  const { cluster } = world;
  const agent = cluster.agents[0]!;
  const script = `${waiting(world)}; echo $$ > who; echo OUTPUT_PRODUCT who`;
  const first = await world.node.assign(script, { task: 7 });
  await world.launch(first, { node: nodeOf(agent) });
  await untilRunning(world);
  await agent.kill();
  await world.endOf(first.attemptId);
  await go(world);
  await vi.waitFor(() => expect(world.task(first.attemptId)!.isTerminal).toBe(true), WAIT);
  const second = await world.node.assign(script, { task: 7 });
  await world.launch(second, { node: nodeOf(cluster.agents[1]!) });
  expect(await world.endOf(second.attemptId)).toMatchObject({
    to: 'finished',
    result: { outputs: [{ path: 'who' }] },
  });
  await agent.restart();
  await untilNoTasks(world);
  const runs = await world.lines('runs');
  expect(runs).toHaveLength(1);
  expect(await world.node.read('results', '7', 'who')).toBe(`${runs[0]}\n`);
  expect(world.ends).toHaveLength(2);
});

test('07c: an agent that leaves in order takes its attempts with it', async () => {
  await using world = await mesosWorld();
  const agent = world.cluster.agents[0]!;
  const id = await world.launch(waiting(world));
  await untilRunning(world);
  const { id: agentId } = agent;
  await agent.unregister();
  expect(await world.endOf(id)).toMatchObject({
    to: 'lost',
    result: {
      failure: {
        kind: 'engine',
        message: expect.stringMatching(/^the agent has left the cluster/),
      },
    },
  });
  await untilDown(world, agent);
  await agent.restart();
  expect(agent.id).toBe(agentId);
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
  expect(world.story(id)).toEqual(['running', 'lost']);
});

/** Resolves when so many requests of a type were answered by the agent's own API from now on. */
async function untilAnswered({ port }: ReplayedAgent, count: number): Promise<void> {
  const name = 'http.server.response.finish';
  let left = count;
  await new Promise<void>((resolve) => {
    const look = (message: unknown) => {
      const { request } = message as { request: IncomingMessage };
      if (request.socket.localPort !== port || (left -= 1) > 0) return;
      unsubscribe(name, look);
      resolve();
    };
    subscribe(name, look);
  });
}

test('07d, 13: of an attempt whose executor was killed, its agent tells what it has used', async () => {
  await using world = await mesosWorld({}, { rhythm: { tick: 25, measure: 25 } });
  const { cluster } = world;
  const id = await world.launch(waiting(world));
  await untilRunning(world);
  await untilAnswered(cluster.agents[0]!, 3);
  cluster.killExecutor(id);
  const end = await world.endOf(id);
  expect(end).toMatchObject({
    to: 'lost',
    result: {
      failure: { kind: 'engine', message: expect.stringMatching(/^the executor died \(Mesos: /) },
      usage: {
        wallMs: expect.any(Number),
        cpuUserMs: expect.any(Number),
        peakMemoryBytes: expect.any(Number),
        sources: { cpu: 'mesos-agent', memory: 'mesos-agent' },
      },
    },
  });
  expect(end.result!.usage!.peakMemoryBytes).toBeGreaterThan(1_000_000);
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
});

test('07d: an executor killed after its attempt had ended changes nothing', async () => {
  await using world = await mesosWorld();
  const { cluster } = world;
  const written = Promise.withResolvers<void>();
  world.store.write = async (event) => {
    if (event.type === 'attemptMoved' && event.to === 'finished') await written.promise;
  };
  const id = await world.launch('exit 0');
  await vi.waitFor(() => expect(world.task(id)!.state).toBe('TASK_FINISHED'), WAIT);
  cluster.killExecutor(id);
  written.resolve();
  expect(await world.endOf(id)).toMatchObject({ to: 'finished' });
  expect(world.story(id)).toEqual(['running', 'finished']);
});

const drain = (agent: ReplayedAgent) => ({
  type: 'DRAIN_AGENT',
  drain_agent: { agent_id: { value: agent.id }, max_grace_period: { seconds: 5 } },
});
const ofAgent = (type: string, agent: ReplayedAgent) => ({
  type,
  [type.toLowerCase()]: { agent_id: { value: agent.id } },
});

test('07e: a drained agent loses its attempts by an operator and stays away until it is reactivated', async () => {
  await using world = await mesosWorld({ agents: TWO }, { rhythm: { tick: 25, survey: 200 } });
  const { cluster, news } = world;
  const agent = cluster.agents[0]!;
  const id = await world.launch(waiting(world), { node: nodeOf(agent) });
  await untilRunning(world);
  await call(cluster.url, drain(agent));
  expect(await world.endOf(id)).toMatchObject({
    to: 'lost',
    result: {
      failure: {
        kind: 'operator',
        message: expect.stringMatching(/^the agent is being drained by an operator/),
      },
    },
  });
  await news.until(() => away(world, agent) === 'Mesos says: drained');
  expect([...news.offers.values()].map(({ node }) => node)).not.toContain(nodeOf(agent));
  await call(cluster.url, ofAgent('REACTIVATE_AGENT', agent));
  await untilBack(world, agent);
  await world.endOf(await world.launch('exit 0', { node: nodeOf(agent) }));
  // What is offered again is not refused because of what was.
  const refusals = cluster.calls.of('DECLINE').map(({ body }) => body.decline.filters);
  expect(refusals).not.toContainEqual({ refuse_seconds: 30 });
});

test('07e: an agent that an operator marks gone is gone with its attempts', async () => {
  await using world = await mesosWorld({ agents: TWO });
  const { cluster } = world;
  const agent = cluster.agents[0]!;
  const id = await world.launch(waiting(world), { node: nodeOf(agent) });
  await untilRunning(world);
  await call(cluster.url, ofAgent('MARK_AGENT_GONE', agent));
  expect(await world.endOf(id)).toMatchObject({
    to: 'lost',
    result: {
      failure: { kind: 'operator', message: expect.stringMatching(/^an operator has given up/) },
    },
  });
  await untilDown(world, agent);
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
});

test('07f: after a quick restart updates come twice and mean nothing the second time', async () => {
  await using world = await mesosWorld();
  const { cluster, news } = world;
  const agent = cluster.agents[0]!;
  const id = await world.launch(waiting(world));
  await world.moved(id, 'running');
  await vi.waitFor(() => expect(cluster.acknowledged.size).toBe(2), WAIT);
  await agent.kill({ loseAcks: true });
  await agent.restart();
  // Otherwise the agent would go on sending it, and nothing after it.
  await vi.waitFor(
    () => expect(Math.max(...cluster.acknowledged.values())).toBeGreaterThan(1),
    WAIT,
  );
  await go(world);
  expect(await world.endOf(id)).toMatchObject({ to: 'finished' });
  await untilBack(world, agent);
  expect(world.story(id)).toEqual(['running', 'finished']);
  expect(news.events.filter(({ type }) => type === 'nodeDown')).toEqual([]);
  await untilNoTasks(world);
});

test('07: an agent that has lost its memory comes back as the same node', async () => {
  await using world = await mesosWorld({ agentPingMs: 50 });
  const { cluster } = world;
  const agent = cluster.agents[0]!;
  const id = await world.launch(waiting(world));
  await untilRunning(world);
  const { id: oldId } = agent;
  await agent.kill();
  agent.forget();
  await agent.restart();
  expect(agent.id).not.toBe(oldId);
  await go(world);
  const from = cluster.calls.list.length;
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
  const launches = cluster.calls.list.slice(from).filter(({ type }) => type === 'ACCEPT');
  const agents = launches.flatMap(({ body }: ReceivedCall) =>
    (body.accept.operations[0].launch.task_infos as { agent_id: unknown }[]).map(
      ({ agent_id: agentId }) => agentId,
    ),
  );
  expect(agents).toEqual([{ value: agent.id }]);
  expect(
    new Set(world.news.events.flatMap((event) => ('node' in event ? event.node : []))),
  ).toEqual(new Set([nodeOf(agent)]));
  expect(world.ends.filter(({ attemptId }) => attemptId === id)).toEqual([]);
});

test('13: what an attempt says is read from its sandbox while it runs and after its end', async () => {
  await using world = await mesosWorld();
  const { engine } = world;
  const agent = world.cluster.agents[0]!;
  const id = await world.launch(`echo begun; echo ä >&2; ${waiting(world)}; echo over`);
  await untilRunning(world);
  const read = (stream: 'out' | 'err', offset = 0, limit = 100) =>
    engine.readLog({ id, node: nodeOf(agent) } as never, { stream, offset, limit });
  await vi.waitFor(async () => {
    expect(await read('out')).toEqual({ text: 'begun\n', next: 6 });
    expect(await read('err')).toEqual({ text: 'ä\n', next: 3 });
  }, WAIT);
  expect(await read('out', 6)).toEqual({ text: '', next: 6 });
  await go(world);
  await world.endOf(id);
  expect(await read('out', 6)).toEqual({ text: 'over\n', next: 11 });
  expect(await read('out', 2, 4)).toEqual({ text: 'gun\n', next: 6 });
  const nobody = { id: 'nobody.0.1', node: nodeOf(agent) } as never;
  expect(await engine.readLog(nobody, { stream: 'out', offset: 0, limit: 9 })).toBeUndefined();
  const nowhere = { id, node: 'elsewhere' } as never;
  expect(await engine.readLog(nowhere, { stream: 'out', offset: 0, limit: 9 })).toBeUndefined();
  await agent.kill();
  await expect(read('out')).rejects.toThrow(/ECONNREFUSED|closed|other side/);
});
