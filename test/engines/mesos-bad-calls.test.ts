/** Masters that do not do what they are asked. After each of them the engine goes on. */
import { writeFile } from 'node:fs/promises';
import { createServer, request as ask } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { expect, test, vi } from 'vitest';

import { mesosWorld } from '../fixtures/mesos-engine.ts';
import type { MesosWorld } from '../fixtures/mesos-engine.ts';
import type { Answer, MesosCluster, ReceivedCall } from '../servers/mesos/types.ts';

const WAIT = { interval: 10, timeout: 30_000 };

const goesOn = async (world: MesosWorld) => {
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
  await vi.waitFor(() => expect(world.cluster.tasks()).toEqual([]), WAIT);
};
/** A script that leaves a line, and runs until the file `go` is there. */
const waiting = ({ directory }: MesosWorld) =>
  `echo ran >> ${directory}/runs; until [ -e ${directory}/go ]; do sleep 0.02; done`;
const go = ({ directory }: MesosWorld) => writeFile(join(directory, 'go'), '');

/** The first calls of a type get that answer. @returns those that got it */
function spoil({ cluster }: MesosWorld, type: string, answer: Answer, times = 1): ReceivedCall[] {
  const spoilt: ReceivedCall[] = [];
  cluster.answer((call) => {
    if (call.type !== type || spoilt.length >= times) return undefined;
    spoilt.push(call);
    return answer;
  });
  return spoilt;
}

test('a master that takes every call and does nothing: attempts are lost in time', async () => {
  await using world = await mesosWorld({}, { patience: { launch: 100, silence: 300 } });
  const { cluster } = world;
  cluster.answer(({ type }) => (type === 'SUBSCRIBE' ? undefined : { status: 202 }));
  const id = await world.launch(waiting(world));
  expect(await world.endOf(id)).toMatchObject({
    to: 'lost',
    result: {
      failure: { kind: 'engine', message: expect.stringMatching(/says nothing about it/) },
    },
  });
  expect(cluster.calls.of('RECONCILE').length).toBeGreaterThan(0);
  cluster.answer(undefined);
  // Until then the master holds what it has offered, and nobody can tell.
  cluster.dropStream();
  await goesOn(world);
  expect(await world.lines('runs')).toEqual([]);
});

test('a master that refuses every call for a while: what it has not taken is lost, and offered again', async () => {
  await using world = await mesosWorld({}, { patience: { launch: 50 } });
  const { cluster } = world;
  cluster.answer(({ type }) => (type === 'SUBSCRIBE' ? undefined : { status: 503, body: 'busy' }));
  const id = await world.launch(waiting(world));
  await cluster.calls.until(({ type, body }) => type === 'RECONCILE' && body.reconcile.tasks[0]);
  expect(world.ends).toEqual([]);
  cluster.answer(undefined);
  expect(await world.endOf(id)).toMatchObject({
    to: 'lost',
    result: {
      failure: { kind: 'engine', message: expect.stringMatching(/no longer on its agent/) },
    },
  });
  await goesOn(world);
  expect(cluster.calls.of('SUBSCRIBE')).toHaveLength(1);
  expect(await world.lines('runs')).toEqual([]);
});

test('a master that is not ready for long is asked on', async () => {
  await using world = await mesosWorld();
  const { cluster, news } = world;
  await news.until(() => news.offers.size > 0);
  const spoilt = spoil(world, 'SUBSCRIBE', { status: 503, body: 'no leader' }, 5);
  cluster.dropStream();
  await vi.waitFor(() => expect(spoilt).toHaveLength(5), WAIT);
  await world.logged('it knows of no leading master, or is not ready yet');
  await goesOn(world);
});

test.each<[string, Answer]>([
  ['is cut before it is done', 'cut'],
  ['is refused', { status: 400, body: 'Failed to validate' }],
  ['is refused by a proxy', { status: 503 }],
])('an ACCEPT that %s runs nothing, and what it used is free again', async (_, answer) => {
  await using world = await mesosWorld({}, { patience: { launch: 100 } });
  spoil(world, 'ACCEPT', answer);
  const id = await world.launch(waiting(world));
  expect(await world.endOf(id)).toMatchObject({ to: 'lost' });
  await goesOn(world);
  expect(await world.lines('runs')).toEqual([]);
  expect(world.cluster.calls.of('SUBSCRIBE')).toHaveLength(1);
});

test('an ACCEPT whose answer is lost runs its attempt once', async () => {
  await using world = await mesosWorld({}, { patience: { launch: 100 } });
  spoil(world, 'ACCEPT', 'lose');
  const id = await world.launch(waiting(world));
  await world.moved(id, 'running');
  await go(world);
  expect(await world.endOf(id)).toMatchObject({ to: 'finished' });
  await goesOn(world);
  expect(world.story(id)).toEqual(['running', 'finished']);
  expect(await world.lines('runs')).toEqual(['ran']);
});

test('an ACCEPT that is never answered ends the subscription, and the next one tells', async () => {
  await using world = await mesosWorld({}, { answerMs: 200 });
  spoil(world, 'ACCEPT', 'hang');
  const id = await world.launch(waiting(world));
  expect(await world.endOf(id)).toMatchObject({ to: 'lost' });
  await world.logged('a call was not answered in time');
  await goesOn(world);
  expect(await world.lines('runs')).toEqual([]);
});

const FAULTS: readonly Answer[] = ['cut', 'lose', 'hang', { status: 503 }];

test.each(
  ['ACKNOWLEDGE', 'KILL', 'RECONCILE', 'DECLINE', 'REVIVE', 'SUPPRESS'].flatMap((type) =>
    FAULTS.map((fault) => [type, fault] as const),
  ),
)('a %s with the fault %j changes nothing in the end', async (type, fault) => {
  await using world = await mesosWorld(
    { ackRetryMs: 50 },
    { answerMs: 200, hold: 1, patience: { killAgain: 100, recheck: 200 } },
  );
  const { cluster, engine, news } = world;
  await news.until(() => news.offers.size > 0);
  const spoilt = spoil(world, type, fault);
  const suppressed = (roles: readonly string[]) =>
    vi.waitFor(() => expect(cluster.frameworks()[0]!.suppressedRoles).toEqual(roles), WAIT);
  engine.demand(false);
  await suppressed(['eo']);
  engine.demand(true);
  await suppressed([]);
  const held = [...news.offers.keys()];
  news.offers.clear();
  await engine.decline(held);
  const finished = await world.launch(waiting(world));
  const killed = await world.launch('sleep 1000');
  await world.moved(killed, 'running');
  await engine.kill(killed);
  await go(world);
  expect(await world.endOf(finished)).toMatchObject({ to: 'finished' });
  expect(await world.endOf(killed)).toMatchObject({ to: 'killed' });
  await vi.waitFor(() => expect(spoilt).toHaveLength(1), WAIT);
  await goesOn(world);
  expect(world.story(finished)).toEqual(['running', 'finished']);
  expect(world.story(killed)).toEqual(['running', 'killed']);
  expect(await world.lines('runs')).toEqual(['ran']);
  // Nothing of the cluster is held without use.
  await news.untilWhole();
});

/** A proxy before a master that answers the operator's API by itself. */
async function operatedBy(url: string, answer: () => { status: number; body: string } | undefined) {
  const server = createServer((request, response) => {
    if (request.url === '/api/v1') {
      const { status, body } = answer() ?? {};
      if (status !== undefined) response.writeHead(status).end(body);
      return;
    }
    const { method = '', headers } = request;
    const onward = ask(new URL(request.url!, url), { method, headers }, (answered) => {
      response.writeHead(answered.statusCode!, answered.headers);
      answered.pipe(response);
      answered.on('error', () => response.destroy());
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

test.each([
  ['garbage', { status: 200, body: '<html>' }],
  ['something else', { status: 200, body: '{"get_agents":{"agents":7}}' }],
  ['nonsense', { status: 200, body: '{"get_agents":{"agents":[7,{},{"agent_info":null}]}}' }],
  ['a refusal', { status: 403, body: 'Forbidden' }],
  ['nothing', undefined],
])('a master that tells %s of its agents: nodes are what is offered', async (_, answer) => {
  await using proxies = new AsyncDisposableStack();
  const mastersOf = async ({ url }: MesosCluster) => [
    proxies.use(await operatedBy(url, () => answer)).url,
  ];
  await using world = await mesosWorld({}, { answerMs: 300, mastersOf });
  await goesOn(world);
  expect(world.news.total()).toEqual({ cpus: 2, memoryMb: 1000 });
});
