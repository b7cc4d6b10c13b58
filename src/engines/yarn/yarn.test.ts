import { afterAll, beforeAll, describe } from 'vitest';

import { createYarnEngine } from '../../../test/fixtures/yarn-engine.ts';
import { startHadoop } from '../../../test/servers/hadoop/cluster.ts';
import type { HadoopCluster } from '../../../test/servers/hadoop/cluster.ts';
import { lacksHadoop } from '../../../test/servers/hadoop/installation.ts';
import { engineContract } from '../contract.ts';

describe.skipIf(lacksHadoop())('on a real cluster', { timeout: 120_000 }, () => {
  let cluster: HadoopCluster;
  beforeAll(async () => {
    cluster = await startHadoop({
      nodes: 1,
      capacity: { vcores: 2, memoryMb: 1000 },
      heartbeatMs: 100,
      // The contract's shares are smaller than what a program has to have.
      settings: { yarn: { 'yarn.nodemanager.pmem-check-enabled': false } },
    });
  }, 300_000);
  afterAll(() => cluster[Symbol.asyncDispose]());

  let count = 0;
  engineContract('YARN', () => createYarnEngine(cluster, { name: `contract-${(count += 1)}` }));
});
