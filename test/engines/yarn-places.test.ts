import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startHadoop } from '../servers/hadoop/cluster.ts';
import type { HadoopCluster } from '../servers/hadoop/cluster.ts';
import { lacksHadoop } from '../servers/hadoop/installation.ts';
import { yarnWorld } from '../fixtures/yarn-world.ts';
import type { YarnOver } from '../fixtures/yarn-engine.ts';

/** A cluster with a partition of its first node, whose nodes have attributes. */
describe.skipIf(lacksHadoop())('the YARN engine uses', { timeout: 240_000 }, () => {
  let cluster: HadoopCluster;
  let names: string[];
  beforeAll(async () => {
    const queues = Object.fromEntries(
      ['root', 'root.default'].flatMap((queue) => [
        [`yarn.scheduler.capacity.${queue}.accessible-node-labels`, 'fast'],
        [`yarn.scheduler.capacity.${queue}.accessible-node-labels.fast.capacity`, 100],
      ]),
    );
    cluster = await startHadoop({
      nodes: 3,
      heartbeatMs: 200,
      settings: { yarn: { 'yarn.node-labels.enabled': true }, scheduler: queues },
    });
    names = cluster.nodes.map(({ name }) => name);
    const administer = (...words: string[]) =>
      cluster.run('org.apache.hadoop.yarn.client.cli.RMAdminCLI', words);
    await administer('-addToClusterNodeLabels', 'fast(exclusive=true)');
    await administer('-replaceLabelsOnNode', `${names[0]}=fast`);
    await cluster.run('org.apache.hadoop.yarn.client.cli.NodeAttributesCLI', [
      '-replace',
      `${names[0]}:os(STRING)=debian ${names[1]}:os(STRING)=debian ${names[2]}:os(STRING)=alma`,
    ]);
  }, 300_000);
  afterAll(() => cluster?.[Symbol.asyncDispose]());

  /** Where attempts can run, and have run. */
  async function nodesOf(over: YarnOver) {
    await using yarn = await yarnWorld(cluster, over);
    expect(await yarn.run('exit 0')).toMatchObject({ to: 'finished' });
    const nodes = yarn.events().flatMap((event) => (event.type === 'nodeUp' ? [event.node] : []));
    return [...new Set(nodes)].toSorted();
  }

  test('the nodes of its partition alone', async () => {
    expect(await nodesOf({ name: 'partition', nodeLabel: 'fast' })).toEqual([names[0]]);
  });

  test('no node of a partition that it is not given', async () => {
    expect(await nodesOf({ name: 'rest' })).toEqual(names.slice(1));
  });

  test('the nodes with the attributes that it wants', async () => {
    const constraints = { os: ['debian', 'ubuntu'] };
    expect(await nodesOf({ name: 'attributes', constraints })).toEqual([names[1]]);
  });
});
