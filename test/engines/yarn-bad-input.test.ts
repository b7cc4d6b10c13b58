import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';

import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import { createResourceManager } from '../../src/engines/yarn/resource-manager.ts';
import { startHadoop } from '../servers/hadoop/cluster.ts';
import type { HadoopCluster } from '../servers/hadoop/cluster.ts';
import { lacksHadoop } from '../servers/hadoop/installation.ts';
import { yarnWorld } from '../fixtures/yarn-world.ts';

/** What a real cluster does when it is asked for what it does not have, or has lost what it was told to bring. */
describe.skipIf(lacksHadoop())('the YARN engine', { timeout: 240_000 }, () => {
  let cluster: HadoopCluster;
  beforeAll(async () => {
    cluster = await startHadoop({
      nodes: 2,
      heartbeatMs: 200,
      capacity: { vcores: 4, memoryMb: 2000 },
      settings: { yarn: { 'yarn.scheduler.maximum-allocation-mb': 1900 } },
    });
  }, 300_000);
  afterAll(() => cluster[Symbol.asyncDispose]());

  let count = 0;
  const world = (over: Parameters<typeof yarnWorld>[1] = {}) =>
    yarnWorld(cluster, { name: `bad-${(count += 1)}`, ...over });
  const hdfs = (...args: string[]) => cluster.run('org.apache.hadoop.fs.FsShell', args);
  const failureOf = ({ result }: { readonly result?: { readonly failure?: object } }) =>
    result?.failure;

  test('brings files again that nodes do not find any more', async () => {
    const cache = 'hdfs://test/vanishes';
    await using yarn = await world({ cache });
    const [first, second] = cluster.nodes.map(({ name }) => name);
    const assignment = await yarn.assign('exit 0');
    expect(await yarn.run(assignment, { node: first! })).toMatchObject({ to: 'finished' });
    await yarn.made.storages.of(cache).remove(`${cache}/${assignment.bundle.hash}`);
    const again = { ...assignment, attemptId: assignment.attemptId.replace(/\d+$/, '1001') };
    const lost = await yarn.run(again, { node: second! });
    expect(failureOf(lost)).toMatchObject({
      kind: 'engine',
      message: expect.stringMatching(/could not be brought to the node .*does not exist/),
    });
    const third = { ...assignment, attemptId: assignment.attemptId.replace(/\d+$/, '1002') };
    expect(await yarn.run(third, { node: second! })).toMatchObject({ to: 'finished' });
  });

  test('says so when nodes may not read its files', async () => {
    const cache = 'hdfs://test/private/cache';
    await using yarn = await world({ cache });
    const assignment = await yarn.assign(': private; exit 0');
    await hdfs('-mkdir', '-p', '/private');
    await hdfs('-chmod', '700', '/private');
    expect(failureOf(await yarn.run(assignment))).toMatchObject({
      kind: 'engine',
      message: expect.stringMatching(/not publicly accessible.*engines.yarn.cacheDirectory/s),
    });
  });

  test('says so when HDFS has no room for them', async () => {
    const cache = 'hdfs://test/narrow';
    await using yarn = await world({ cache });
    await hdfs('-mkdir', '-p', '/narrow');
    await cluster.run('org.apache.hadoop.hdfs.tools.DFSAdmin', ['-setSpaceQuota', '1', '/narrow']);
    expect(failureOf(await yarn.run(': narrow; exit 0'))).toMatchObject({
      kind: 'disk',
      message: expect.stringMatching(/quota/i),
    });
  });

  test('says what took too much memory', async () => {
    await using yarn = await world();
    const greedy =
      'exec node -e "globalThis.all = Buffer.alloc(6e8, 1); setTimeout(() => {}, 60000)"';
    const { to, result } = await yarn.run(greedy);
    expect({ to, failure: result?.failure }).toMatchObject({
      to: 'failed',
      failure: {
        kind: 'memory',
        message: expect.stringMatching(/Current usage: .* physical memory used/),
      },
    });
    expect(result?.usage).toMatchObject({ sources: { reserved: 'yarn-allocation' } });
  });

  test('takes a request back that the node has no room for after all', async () => {
    await using others = await world();
    // It looks at the nodes once, and believes that.
    const rhythm = { tick: 100, busy: 3_600_000, survey: 3_600_000 };
    await using yarn = await world({ rhythm, patience: { wait: 2_000 } });
    const [{ name: node }] = cluster.nodes as [HadoopCluster['nodes'][number]];
    const all = { cpus: 4, memoryMb: 1900 };
    await yarn.news.until(() => yarn.news.offers.values().some((offer) => offer.node === node));
    const holder = await others.launch('sleep 1000', { node, resources: all });
    await others.moved(holder.attemptId, 'running');
    const lost = await yarn.run('exit 0', { node, resources: all });
    expect(lost.to).toBe('lost');
    expect(failureOf(lost)).toMatchObject({
      kind: 'capacity',
      message: expect.stringContaining('no container on its node within 2 s'),
    });
    await others.engine.kill(holder.attemptId);
    await others.endOf(holder.attemptId);
  });

  test('is told by YARN that a request is too large', async () => {
    await using yarn = await world({ runnerMemoryMb: 0 });
    const resources = { cpus: 4, memoryMb: 1901 };
    expect(failureOf(await yarn.run('exit 0', { resources }))).toMatchObject({
      kind: 'engine',
      message: expect.stringMatching(/YARN refuses the request .*1900/),
    });
  });

  test('loses nothing by garbage from a ResourceManager, says so, and goes on', async () => {
    let isGarbage = false;
    const server = createServer((request, response) => {
      if (isGarbage) return void response.end('<html>the proxy is tired</html>');
      const { method, headers } = request;
      const target = new URL(request.url!, cluster.resourceManagerUrl);
      const asked = httpRequest(target, { method, headers: { ...headers, host: target.host } });
      asked.on('response', (answer) => {
        response.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(response);
      });
      request.pipe(asked);
      return undefined;
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const logger = pino({ level: 'silent' });
    await using yarn = await world({
      resourceManager: createResourceManager({ urls: [url], user: 'root', logger }),
      rhythm: { tick: 50, busy: 100 },
    });
    try {
      const runs = await yarn.launch('sleep 3; exit 0');
      await yarn.moved(runs.attemptId, 'running');
      isGarbage = true;
      await vi.waitFor(() => expect(yarn.engine.status().isConnected).toBe(false), 10_000);
      expect(yarn.engine.status().detail).toMatch(
        /does not tell its nodes: http:.*not answer in JSON: <html>the proxy is tired/,
      );
      await vi.waitFor(() => expect(yarn.news.offers.size).toBe(0));
      expect(await yarn.endOf(runs.attemptId)).toMatchObject({ to: 'finished' });
      isGarbage = false;
      expect(await yarn.run('exit 0')).toMatchObject({ to: 'finished' });
      expect(yarn.engine.status().isConnected).toBe(true);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });
});
