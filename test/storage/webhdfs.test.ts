/** WebHDFS of a real cluster: what every storage keeps to, and what only Hadoop has. */
import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { storageContract } from '../../src/storage/contract.ts';
import type { StorageAccess } from '../../src/storage/storage.ts';
import { createWebHdfs } from '../../src/storage/webhdfs/webhdfs.ts';
import { startHadoop } from '../servers/hadoop/cluster.ts';
import type { HadoopCluster } from '../servers/hadoop/cluster.ts';
import { lacksHadoop } from '../servers/hadoop/installation.ts';

const accessTo = (url: string, more: Partial<StorageAccess> = {}): StorageAccess => ({
  type: 'webhdfs',
  name: 'test',
  urls: [url],
  user: 'root',
  ...more,
});

describe.skipIf(lacksHadoop())('WebHDFS', () => {
  let cluster: HadoopCluster;
  beforeAll(async () => {
    cluster = await startHadoop();
  }, 300_000);
  afterAll(() => cluster?.[Symbol.asyncDispose]());

  storageContract('webhdfs', async () => {
    const storage = createWebHdfs(accessTo(cluster.webhdfsUrl));
    const root = `hdfs://test/${randomUUID()}`;
    await storage.makeDirectory(root);
    return { storage, root, [Symbol.asyncDispose]: () => storage.remove(root) };
  });
});
