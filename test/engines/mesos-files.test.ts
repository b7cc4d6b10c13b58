/** What agents fetch for attempts, as recorded in the transcripts that the titles name. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readdir, rm, stat } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { JOB } from '../../src/engines/contract.ts';
import { mesosWorld } from '../fixtures/mesos-engine.ts';
import type { MesosWorld } from '../fixtures/mesos-engine.ts';
import { startFileServer } from '../servers/mesos/file-server.ts';

const REQUESTS = 'http.server.request.start';
/** What agents have asked the service for, e.g. `GET bundle.zip`. */
let asked: string[];
const listen = (message: unknown) => {
  const { method, url = '' } = (message as { request: IncomingMessage }).request;
  if (url.startsWith('/files/')) asked.push(`${method} ${url.split('/').at(-1)}`);
};
beforeEach(() => {
  asked = [];
  subscribe(REQUESTS, listen);
});
afterEach(() => {
  unsubscribe(REQUESTS, listen);
});

/** Addresses that the tasks name, by the name in the sandbox. */
const uris = (world: MesosWorld, id: string): Record<string, string> =>
  Object.fromEntries(
    world.cluster.calls
      .of('ACCEPT')
      .flatMap(({ body }) => body.accept.operations[0].launch.task_infos as object[])
      .filter((info) => (info as { task_id: { value: string } }).task_id.value === id)
      .flatMap((info) => (info as { command: { uris: Record<string, string>[] } }).command.uris)
      .map(({ output_file: name, value }) => [name!, value!]),
  );

const SMALL = { cpus: 2, memoryMb: 1000 };

test('02, 02b: an agent fetches the runner and a bundle once, however many attempts need them', async () => {
  await using world = await mesosWorld({ agents: [SMALL, { ...SMALL, host: '127.0.0.2' }] });
  const { cluster, news } = world;
  await news.until(() => news.offers.size === 2);
  const [first, second] = cluster.agents.map(({ host, port }) => `${host}:${port}`);
  const together = [0, 1, 2].map(() => world.assign('exit 0'));
  const [offer] = [...news.offers.values()].filter(({ node }) => node === first);
  const assignments = await Promise.all(together);
  const resources = { cpus: 0.5, memoryMb: 100 };
  await world.order({
    node: first!,
    offerIds: [offer!.id],
    attempts: assignments.map((assignment) => ({ assignment, resources, job: JOB })),
  });
  for (const { attemptId } of assignments) {
    expect(await world.endOf(attemptId)).toMatchObject({ to: 'finished' });
  }
  const once = ['HEAD runner.cjs', 'GET runner.cjs', 'HEAD bundle.zip', 'GET bundle.zip'];
  expect(asked).toEqual(once);
  await world.endOf(await world.launch('exit 0', { node: first! }));
  expect(asked).toEqual(once);
  await world.endOf(await world.launch('exit 0', { node: second! }));
  expect(asked).toEqual([...once, ...once]);
});

test('02b: what has changed has another address, because nothing is asked for again', async () => {
  await using world = await mesosWorld();
  const old = await world.assign('exit 3');
  const changed = await world.assign('exit 4');
  expect(await world.run(old)).toMatchObject({ result: { exitCode: 3 } });
  expect(await world.run(changed)).toMatchObject({ result: { exitCode: 4 } });
  const [was, is] = [old, changed].map(({ attemptId }) => uris(world, attemptId));
  expect(is!['runner.cjs']).toBe(was!['runner.cjs']);
  for (const [assignment, addresses] of [
    [old, was],
    [changed, is],
  ] as const) {
    expect(addresses!['bundle.zip']).toContain(`/files/${assignment.bundle.hash}/bundle.zip`);
  }
});

test('02: a file that cannot be fetched is a loss in words, and the next attempt runs', async () => {
  await using world = await mesosWorld();
  const server = await startFileServer();
  const input = `${server.url}/missing.tif`;
  const assignment = await world.node.assign('exit 0', { input });
  const end = await world.run(assignment);
  await server.stop();
  expect(end).toMatchObject({
    to: 'lost',
    result: {
      failure: {
        kind: 'network',
        message: expect.stringMatching(
          /^the agent could not fetch the files of the task \(Mesos: .*\); see stderr/,
        ),
      },
    },
  });
  expect(server.hits).toEqual(['GET /missing.tif']);
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
});

test('02: a bundle that is gone when its task is described is not launched', async () => {
  await using world = await mesosWorld();
  const assignment = await world.assign('exit 5');
  await rm(assignment.bundle.archive);
  await expect(world.launch(assignment)).rejects.toThrow(/ENOENT/);
  expect(await world.run('exit 0')).toMatchObject({ to: 'finished' });
});

test('02: an input that is a URL is fetched for each attempt', async () => {
  await using world = await mesosWorld();
  const server = await startFileServer();
  const input = `${server.url}/scene_A.bin?token=1`;
  for (const _ of [1, 2]) {
    const script = '[ $(wc -c < "$1") = 2048 ] || exit 9; echo $1 > name; echo OUTPUT_PRODUCT name';
    const assignment = await world.node.assign(script, { input });
    expect(await world.run(assignment)).toMatchObject({ to: 'finished' });
    expect(await world.node.read('results', assignment.attemptId.split('.')[1]!, 'name')).toBe(
      'scene_A.bin\n',
    );
  }
  await server.stop();
  expect(server.hits).toEqual(['GET /scene_A.bin?token=1', 'GET /scene_A.bin?token=1']);
});

test('02: agents without Node fetch it once, and it does not stay in the sandboxes', async () => {
  await using world = await mesosWorld({ fetcherCacheBytes: 1024 ** 3 }, { fetchesNode: true });
  const sandboxes: string[] = [];
  for (const _ of [1, 2]) {
    const id = await world.launch(
      `node -e 'fs.writeFileSync("a", process.version)'; echo OUTPUT_PRODUCT a`,
    );
    await world.moved(id, 'running');
    sandboxes.push(world.task(id)!.sandbox!);
    expect(await world.endOf(id)).toMatchObject({ to: 'finished' });
  }
  expect(asked.filter((file) => file.endsWith(' node'))).toEqual(['HEAD node', 'GET node']);
  for (const sandbox of sandboxes) {
    const files = (await readdir(sandbox)).toSorted();
    expect(files).toEqual(['attempt.out', 'stderr', 'stdout']);
    const sizes = await Promise.all(files.map((name) => stat(join(sandbox, name))));
    expect(Math.max(...sizes.map(({ size }) => size))).toBeLessThan(10_000);
  }
});
