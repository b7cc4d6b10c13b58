import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import type { Attempt } from '../../src/core/model.ts';
import { startHadoop } from '../servers/hadoop/cluster.ts';
import type { HadoopCluster } from '../servers/hadoop/cluster.ts';
import { lacksHadoop } from '../servers/hadoop/installation.ts';
import { yarnWorld } from '../fixtures/yarn-world.ts';

/** What lives on while others die, and what becomes of it. */
describe.skipIf(lacksHadoop())('the YARN engine', { timeout: 240_000 }, () => {
  let cluster: HadoopCluster;
  beforeAll(async () => {
    cluster = await startHadoop({ nodes: 2, racks: ['/a', '/b'] });
  }, 300_000);
  afterAll(() => cluster[Symbol.asyncDispose]());

  let count = 0;
  const world = (over: Parameters<typeof yarnWorld>[1] = {}) =>
    yarnWorld(cluster, { name: `life-${(count += 1)}`, ...over });
  const waitFor = (directory: string) => `until [ -e ${directory}/go ]; do sleep 0.1; done`;
  const attempt = (id: string) => ({ id }) as Attempt;

  test('runs on the node that it is told to, and says what it had of the cluster', async () => {
    await using yarn = await world();
    const nodes = cluster.nodes.map(({ name }) => name);
    await yarn.news.until(() => yarn.news.offers.size >= 2);
    for (const node of nodes) {
      const { to, result } = await yarn.run('pwd; touch a; echo OUTPUT_PRODUCT a', { node });
      expect({ to, outputs: result?.outputs }).toMatchObject({
        to: 'finished',
        outputs: [{ path: 'a' }],
      });
      const { wallMs, reservedCpuMs, reservedMemoryMbMs, sources } = result!.usage!;
      expect(reservedCpuMs).toBeGreaterThanOrEqual(wallMs);
      expect(reservedMemoryMbMs).toBe(300 * reservedCpuMs!);
      expect(sources).toMatchObject({ reserved: 'yarn-allocation' });
    }
    const racks = yarn.events().flatMap((event) => (event.type === 'nodeUp' ? [event.rack] : []));
    expect(new Set(racks)).toEqual(new Set(['/a', '/b']));
  });

  test('adopts what runs, and hears what ended, when the next service asks', async () => {
    await using yarn = await world();
    const runs = await yarn.launch(`${waitFor(yarn.directory)}; touch a; echo OUTPUT_PRODUCT a`);
    const ends = await yarn.launch('sleep 3; touch b; echo OUTPUT_PRODUCT b');
    const fails = await yarn.launch('sleep 3; exit 7');
    const ids = [runs, ends, fails].map(({ attemptId }) => attemptId);
    for (const id of ids) await yarn.moved(id, 'running');
    await yarn.stop();
    const result = join(ends.directories.result, '.manifest.json');
    await vi.waitFor(() => readFile(result), { timeout: 60_000 });
    const found = await yarn.begin(ids);
    expect([...found.values()].map(({ state }) => state)).toEqual(Array(3).fill('launched'));
    expect(await yarn.endOf(ends.attemptId)).toMatchObject({ to: 'finished' });
    expect(await yarn.endOf(fails.attemptId)).toMatchObject({
      to: 'failed',
      result: { exitCode: 7 },
    });
    await yarn.news.until(() => yarn.news.lastState(runs.attemptId) === 'running');
    await writeFile(join(yarn.directory, 'go'), '');
    expect(await yarn.endOf(runs.attemptId)).toMatchObject({
      to: 'finished',
      result: { outputs: [{ path: 'a' }] },
    });
    for (const id of ids) expect(yarn.ends(id)).toHaveLength(1);
  });

  test('tells of what runs although nobody has asked for it, and ends it when told to', async () => {
    await using yarn = await world();
    const { attemptId } = await yarn.launch('sleep 1000');
    await yarn.moved(attemptId, 'running');
    await yarn.stop();
    await yarn.begin([]);
    await yarn.news.until(() => yarn.news.lastState(attemptId) === 'running');
    await yarn.engine.kill(attemptId);
    expect(await yarn.endOf(attemptId)).toMatchObject({ to: 'killed' });
  });

  test('goes on when the program beside it is killed', async () => {
    await using yarn = await world();
    const runs = await yarn.launch(`${waitFor(yarn.directory)}; touch a; echo OUTPUT_PRODUCT a`);
    const ends = await yarn.launch('sleep 2; exit 3');
    await yarn.moved(runs.attemptId, 'running');
    await yarn.moved(ends.attemptId, 'running');
    const pids = await childrenOf(process.pid, 'org.pushbroom.yarn.Main');
    expect(pids).toHaveLength(1);
    process.kill(Number(pids[0]), 'SIGKILL');
    await yarn.logged(/was ended by SIGKILL/);
    expect(await yarn.endOf(ends.attemptId)).toMatchObject({
      to: 'failed',
      result: { exitCode: 3 },
    });
    expect(yarn.ends(runs.attemptId)).toEqual([]);
    await writeFile(join(yarn.directory, 'go'), '');
    expect(await yarn.endOf(runs.attemptId)).toMatchObject({ to: 'finished' });
    expect(await yarn.run('exit 0')).toMatchObject({ to: 'finished' });
  });

  test('loses in words what somebody kills on YARN, and begins a new application', async () => {
    await using yarn = await world();
    const { attemptId } = await yarn.launch('sleep 1000');
    await yarn.moved(attemptId, 'running');
    const [application] = await applicationsOf(cluster, yarn);
    await fetch(`${cluster.resourceManagerUrl}/ws/v1/cluster/apps/${application}/state`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ state: 'KILLED' }),
    });
    expect(await yarn.endOf(attemptId)).toMatchObject({
      to: 'lost',
      result: { failure: { kind: 'operator', message: expect.stringContaining('killed') } },
    });
    expect(await yarn.run('exit 0')).toMatchObject({ to: 'finished' });
  });

  test('reads logs while an attempt runs, and after its application is over', async () => {
    await using yarn = await world({ idle: 100 });
    const { attemptId } = await yarn.launch(
      `echo first é; echo wrong >&2; ${waitFor(yarn.directory)}; echo last`,
    );
    const read = (stream: 'out' | 'err', offset: number) =>
      yarn.engine.readLog(attempt(attemptId), { stream, offset, limit: 1000 });
    await vi.waitFor(async () => expect((await read('out', 0))?.text).toBe('first é\n'), {
      timeout: 30_000,
    });
    expect(await read('out', 6)).toEqual({ text: 'é\n', next: 9 });
    expect((await read('err', 0))?.text).toBe('wrong\n');
    await writeFile(join(yarn.directory, 'go'), '');
    await yarn.endOf(attemptId);
    await yarn.logged(/the application has ended/);
    await vi.waitFor(async () => expect((await read('out', 9))?.text).toBe('last\n'), {
      timeout: 60_000,
      interval: 500,
    });
    expect(
      await yarn.engine.readLog(attempt('job.999.1'), { stream: 'out', offset: 0, limit: 9 }),
    ).toBeUndefined();
  });

  test('gives up everything at an operator’s wish', async () => {
    await using yarn = await world();
    const { attemptId } = await yarn.launch('sleep 1000');
    await yarn.moved(attemptId, 'running');
    await yarn.engine.teardown();
    expect(await yarn.endOf(attemptId)).toMatchObject({ to: 'lost' });
    await vi.waitFor(async () => expect(await applicationsOf(cluster, yarn)).toEqual([]), {
      timeout: 30_000,
    });
    expect(yarn.engine.status()).toMatchObject({ isConnected: false });
  });
});

async function applicationsOf(
  cluster: HadoopCluster,
  { made }: Awaited<ReturnType<typeof yarnWorld>>,
): Promise<string[]> {
  const url = `${cluster.resourceManagerUrl}/ws/v1/cluster/apps?states=ACCEPTED,RUNNING`;
  const { apps } = (await (await fetch(url)).json()) as {
    apps: { app?: { id: string; applicationTags: string }[] };
  };
  return (apps.app ?? [])
    .filter(({ applicationTags }) => applicationTags.includes(`pushbroom:${made.name}`))
    .map(({ id }) => id);
}

/** Processes that this one has started and whose command line has a word in it. */
async function childrenOf(pid: number, word: string): Promise<string[]> {
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ');
  const lines = await Promise.all(
    children.map((child) => readFile(`/proc/${child}/cmdline`, 'utf8').catch(() => '')),
  );
  return children.filter((_, index) => lines[index]!.includes(word));
}
