import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import { startHadoop } from '../servers/hadoop/cluster.ts';
import type { HadoopCluster } from '../servers/hadoop/cluster.ts';
import { lacksHadoop } from '../servers/hadoop/installation.ts';
import { yarnWorld } from '../fixtures/yarn-world.ts';

type World = Awaited<ReturnType<typeof yarnWorld>>;

const TASK = 'sleep 1; echo made > a; echo OUTPUT_PRODUCT a';
const RECOVERY = { timeout: 120_000, interval: 200 };

/** Daemons that are killed in the midst of work, which ends right all the same. */
describe.skipIf(lacksHadoop())('the YARN engine, while', { timeout: 300_000 }, () => {
  let cluster: HadoopCluster;
  beforeAll(async () => {
    cluster = await startHadoop({
      mode: 'daemons',
      nodes: 2,
      heartbeatMs: 200,
      settings: { hdfs: { 'dfs.replication': 2 } },
    });
  }, 300_000);
  afterAll(() => cluster[Symbol.asyncDispose]());

  let count = 0;
  const world = () => yarnWorld(cluster, { name: `faults-${(count += 1)}` });

  /** Makes tasks until each has finished, as a scheduler does. @param fault in the midst of it */
  async function work(yarn: World, tasks: number, fault: () => Promise<void>): Promise<string[]> {
    const losses: string[] = [];
    let running = 0;
    let done: Promise<void> | undefined;
    const one = async () => {
      const first = await yarn.assign(TASK);
      for (let attempt = 1; attempt <= 10; attempt += 1) {
        const attemptId = first.attemptId.replace(/\d+$/, String(attempt));
        await yarn.launch({ ...first, attemptId });
        const onRunning = () => {
          running += 1;
          if (running === 3) done = fault();
        };
        // One that is lost before it runs is none of those.
        yarn.moved(attemptId, 'running').then(onRunning, () => undefined);
        const { to, result } = await yarn.endOf(attemptId);
        if (to === 'finished') return;
        losses.push(`${to}: ${result?.failure?.kind}: ${result?.failure?.message}`);
        expect(to).toBe('lost');
      }
      throw new Error(`${first.attemptId} was lost too often`);
    };
    await Promise.all(Array.from({ length: tasks }, one));
    await vi.waitFor(() => expect(done).toBeDefined());
    await done;
    return losses;
  }

  const isAway = ({ events }: World, node: string) => {
    const news = events().findLast(
      (event) => (event.type === 'nodeUp' || event.type === 'nodeDown') && event.node === node,
    );
    return news?.type === 'nodeDown' || (news?.type === 'nodeUp' && news.away !== undefined);
  };

  test('a NodeManager is killed and comes back: nothing is lost', async () => {
    await using yarn = await world();
    const script = `echo begun > ${yarn.directory}/begun; sleep 15; ${TASK}`;
    const { attemptId } = await yarn.launch(script, { node: cluster.nodes[0]!.name });
    const losses = await work(yarn, 8, async () => {
      await vi.waitFor(async () => expect(await yarn.lines('begun')).toEqual(['begun']), RECOVERY);
      await cluster.killDaemon('nm1');
      await cluster.startDaemon('nm1');
    });
    const { to, result } = await yarn.endOf(attemptId);
    expect({ to, failure: result?.failure }).toEqual({ to: 'finished' });
    // Only what was being brought there has to be begun anew.
    for (const loss of losses) expect(loss).toMatch(/^lost: engine: /);
  });

  test('a node dies: what ran there is made elsewhere', async () => {
    await using yarn = await world();
    const [, node] = cluster.nodes;
    const { attemptId } = await yarn.launch('sleep 1000', { node: node!.name });
    await yarn.moved(attemptId, 'running');
    await work(yarn, 8, () => cluster.killNode(2));
    const { to, result } = await yarn.endOf(attemptId);
    expect({ to, kind: result?.failure?.kind }).toEqual({ to: 'lost', kind: 'engine' });
    expect(result?.failure?.message).toMatch(/node was lost/);
    await vi.waitFor(() => expect(isAway(yarn, node!.name)).toBe(true), RECOVERY);
    await cluster.startNode(2);
    await cluster.complete();
    await vi.waitFor(() => expect(isAway(yarn, node!.name)).toBe(false), RECOVERY);
    expect(await yarn.run(TASK, { node: node!.name })).toMatchObject({ to: 'finished' });
  });

  test('a DataNode dies: the files are read from another', async () => {
    await using yarn = await world();
    await work(yarn, 8, () => cluster.killDaemon('dn1'));
    // One whose files no node has yet.
    expect(await yarn.run(`: ${Math.random()}; ${TASK}`)).toMatchObject({ to: 'finished' });
    await cluster.startDaemon('dn1');
    await cluster.complete();
  });

  test('the ResourceManager is killed and comes back: nothing is lost', async () => {
    await using yarn = await world();
    const { attemptId } = await yarn.launch(`sleep 20; ${TASK}`);
    const losses = await work(yarn, 8, async () => {
      await cluster.restartResourceManager();
      await cluster.complete();
    });
    expect(losses).toEqual([]);
    expect(await yarn.endOf(attemptId)).toMatchObject({ to: 'finished' });
    expect(yarn.log.some((line) => line.includes('does not tell its nodes'))).toBe(true);
  });

  test('the service dies with what it has asked for: the next one ends the work', async () => {
    await using yarn = await world();
    const nodes = cluster.nodes.map(({ name }) => name);
    const assignments = [];
    for (let index = 0; index < 6; index += 1) {
      assignments.push(await yarn.launch(`sleep 3; ${TASK}`, { node: nodes[index % 2]! }));
    }
    const ids = assignments.map(({ attemptId }) => attemptId);
    await yarn.moved(ids[0]!, 'running');
    await yarn.stop();
    await yarn.begin(ids);
    for (const assignment of assignments) {
      const { to, result } = await yarn.endOf(assignment.attemptId);
      if (to === 'finished') continue;
      // What had been asked for only, or was just being started.
      expect(to).toBe('lost');
      expect(['capacity', 'engine']).toContain(result?.failure?.kind);
      const attemptId = assignment.attemptId.replace(/\d+$/, '2000');
      expect(await yarn.run({ ...assignment, attemptId })).toMatchObject({ to: 'finished' });
    }
    for (const id of ids) expect(yarn.ends(id)).toHaveLength(1);
  });
});
