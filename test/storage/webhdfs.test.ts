/** WebHDFS of a real cluster: what every storage keeps to, and what only Hadoop has. */
import { createHash, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import { storageContract } from '../../src/storage/contract.ts';
import type { StorageAccess } from '../../src/storage/storage.ts';
import { createWebHdfs } from '../../src/storage/webhdfs/webhdfs.ts';
import type { WebHdfs } from '../../src/storage/webhdfs/webhdfs.ts';
import { startHadoop } from '../servers/hadoop/cluster.ts';
import type { HadoopCluster } from '../servers/hadoop/cluster.ts';
import { startHttpFs } from '../servers/hadoop/httpfs.ts';
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
    cluster = await startHadoop({ yarn: false });
  }, 300_000);
  afterAll(() => cluster?.[Symbol.asyncDispose]());

  storageContract('webhdfs', async () => {
    const storage = createWebHdfs(accessTo(cluster.webhdfsUrl));
    const root = `hdfs://test/${randomUUID()}`;
    await storage.makeDirectory(root);
    return { storage, root, [Symbol.asyncDispose]: () => storage.remove(root) };
  });

  storageContract('httpfs', async () => {
    const gateway = await startHttpFs(cluster);
    const storage = createWebHdfs(accessTo(gateway.url));
    const root = `hdfs://test/${randomUUID()}`;
    await storage.makeDirectory(root);
    return {
      storage,
      root,
      // It takes blanks away at the ends of parameters.
      lacks: (name) => name.endsWith(' '),
      async [Symbol.asyncDispose]() {
        await storage.remove(root);
        await gateway[Symbol.asyncDispose]();
      },
    };
  });

  const ask = (method: string, path: string, parameters: string) =>
    fetch(`${cluster.webhdfsUrl}/webhdfs/v1${path}?user.name=root&${parameters}`, { method });
  const at = (...path: string[]) => `hdfs://test/${path.join('/')}`;

  test('a quota that is exceeded is told as such', async () => {
    const storage = createWebHdfs(accessTo(cluster.webhdfsUrl));
    for (const [name, quota] of [
      ['names', 'namespacequota=3'],
      ['bytes', 'storagespacequota=1000000'],
    ] as const) {
      await storage.makeDirectory(at(name));
      expect((await ask('PUT', `/${name}`, `op=SETQUOTA&${quota}`)).status).toBe(200);
    }
    const full = { code: 'STORAGE_FULL', message: expect.stringContaining('quota') };
    await expect(storage.makeDirectory(at('names', 'a', 'b', 'c'))).rejects.toMatchObject(full);
    await expect(storage.write(at('names', 'a', 'b', 'c'), bytes('x'))).rejects.toMatchObject(full);
    await expect(storage.write(at('bytes', 'a'), () => megabytes(8))).rejects.toMatchObject(full);
    await expect(storage.write(at('bytes', 'a'), megabytes(8))).rejects.toMatchObject(full);
    expect(await names(storage, at('bytes'))).toEqual([]);
  });

  test('data nodes without the room for a block are told as such', async () => {
    const blockSize = 2 ** 50;
    const storage = createWebHdfs(accessTo(cluster.webhdfsUrl, { blockSize }), { pauses: [1] });
    await expect(storage.write(at('huge'), bytes('x'))).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('all are down, or have no room for a block'),
    });
  });

  test('what a user may not do is told with the remedy', async () => {
    const root = createWebHdfs(accessTo(cluster.webhdfsUrl));
    await root.write(at('private', 'file'), bytes('x'));
    await ask('PUT', '/private', 'op=SETPERMISSION&permission=700');
    const eve = createWebHdfs(accessTo(cluster.webhdfsUrl, { user: 'eve' }));
    const forbidden = {
      code: 'FORBIDDEN',
      message: expect.stringMatching(
        /user=eve.*; give the user 'eve' the right to it \(hdfs dfs -chown/,
      ),
    };
    const file = at('private', 'file');
    await expect(eve.stat(file)).rejects.toMatchObject(forbidden);
    await expect(eve.read(file)).rejects.toMatchObject(forbidden);
    await expect(eve.write(at('private', 'b'), bytes('x'))).rejects.toMatchObject(forbidden);
    await expect(eve.write(at('b'), megabytes(8))).rejects.toMatchObject(forbidden);
    await expect(eve.makeDirectory(at('private', 'b'))).rejects.toMatchObject(forbidden);
    await expect(eve.remove(file)).rejects.toMatchObject(forbidden);
    await expect(eve.move(file, at('private', 'b'))).rejects.toMatchObject(forbidden);
    await expect(names(eve, at('private'))).rejects.toMatchObject(forbidden);
    await ask('PUT', '/private', 'op=SETPERMISSION&permission=755');
    await ask('PUT', '/private/file', 'op=SETPERMISSION&permission=600');
    await expect(eve.read(file)).rejects.toMatchObject(forbidden);
  });

  test('the nodes of a file come in the order of their bytes, and of a directory as well', async () => {
    const blockSize = 1024 * 1024;
    const storage = createWebHdfs(accessTo(cluster.webhdfsUrl, { blockSize, replication: 1 }));
    for (const name of ['a', 'b/c', 'b/d']) await storage.write(at('dir', name), megabytes(7));
    const weights = async (name: string) => {
      const answer = await ask('GET', `/dir/${name}`, 'op=GETFILEBLOCKLOCATIONS');
      const { BlockLocations } = (await answer.json()) as {
        BlockLocations: { BlockLocation: { hosts: string[]; length: number }[] };
      };
      return BlockLocations.BlockLocation.map(({ hosts, length }) => [hosts[0]!, length] as const);
    };
    const orderOf = (blocks: readonly (readonly [string, number])[]) => {
      const sums = new Map<string, number>();
      for (const [host, length] of blocks) sums.set(host, (sums.get(host) ?? 0) + length);
      return [...sums]
        .toSorted(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
        .map(([host]) => host);
    };
    const [a, c, d] = await Promise.all(['a', 'b/c', 'b/d'].map(weights));
    expect(a).toHaveLength(7);
    expect(await storage.nodesOf(at('dir', 'a'))).toEqual(orderOf(a!));
    expect(await storage.nodesOf(at('dir'))).toEqual(orderOf([...a!, ...c!, ...d!]));
    const known = cluster.nodes.map(({ name }) => name);
    for (const node of await storage.nodesOf(at('dir'))) expect(known).toContain(node);
    await expect(storage.nodesOf(at('none'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('files of equal contents and layouts have equal checksums', async () => {
    const storage = createWebHdfs(accessTo(cluster.webhdfsUrl));
    for (const name of ['one', 'two']) await storage.write(at('sums', name), megabytes(2));
    await storage.write(at('sums', 'three'), megabytes(3));
    const [one, two, three] = await Promise.all(
      ['one', 'two', 'three'].map((name) => storage.checksum(at('sums', name))),
    );
    expect(one!.algorithm).toMatch(/CRC32C/);
    expect(two).toEqual(one);
    expect(three!.bytes).not.toBe(one!.bytes);
  });

  /** Numbers of the data nodes to whose HTTP port, 9864, somebody is connected now. */
  async function connected(): Promise<number[]> {
    const table = await readFile('/proc/net/tcp', 'utf8');
    const established = /^ *\d+: [0-9A-F:]+ ([0-9A-F]{8}):2688 01 /gm;
    const addresses = Array.from(table.matchAll(established), ([, hex]) =>
      Buffer.from(hex!, 'hex').toReversed().join('.'),
    );
    return cluster.nodes.flatMap(({ name }, index) => (addresses.includes(name) ? index + 1 : []));
  }

  /** The one that a transfer uses. */
  async function dropUsed(): Promise<number> {
    const [used] = await vi.waitUntil(async () => {
      const some = await connected();
      return some.length > 0 && some;
    });
    await cluster.killDaemon(`dn${used!}`);
    return used!;
  }

  test('a read goes on when its data node dies', async () => {
    const storage = createWebHdfs(accessTo(cluster.webhdfsUrl, { replication: 3 }));
    await storage.write(at('replicated'), () => megabytes(32));
    const stream = await storage.read(at('replicated'));
    const hash = createHash('sha256');
    let dropped: number | undefined;
    for await (const chunk of stream) {
      hash.update(chunk as Buffer);
      dropped ??= await dropUsed();
    }
    expect(hash.digest('hex')).toBe(await sha256(megabytes(32)));
    await cluster.startDaemon(`dn${dropped!}`);
    await cluster.complete();
  });

  test('a write is made again when its data node dies, if its content can be', async () => {
    const storage = createWebHdfs(accessTo(cluster.webhdfsUrl, { replication: 1 }));
    let dropped: Promise<number> | undefined;
    async function* content() {
      for await (const chunk of megabytes(32)) {
        yield chunk;
        dropped ??= dropUsed();
        await dropped;
      }
    }
    const restart = async () => {
      await cluster.startDaemon(`dn${await dropped!}`);
      await cluster.complete();
    };
    await storage.write(at('rewritten'), content);
    expect(await sha256(await storage.read(at('rewritten')))).toBe(await sha256(megabytes(32)));
    await restart();
    dropped = undefined;
    await expect(storage.write(at('streamed'), content())).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    await restart();
    expect(await storage.stat(at('streamed'))).toBeUndefined();
    expect(await names(storage, at(''))).not.toContainEqual(expect.stringMatching(/partial$/));
  });

  test('a name node in safe mode is waited for, and then told', async () => {
    const safeMode = (what: string) =>
      cluster.run('org.apache.hadoop.hdfs.tools.DFSAdmin', ['-safemode', what]);
    await safeMode('enter');
    try {
      const hasty = createWebHdfs(accessTo(cluster.webhdfsUrl), { pauses: [1] });
      const away = { code: 'UNAVAILABLE', message: expect.stringContaining('in safe mode') };
      await expect(hasty.write(at('safe'), bytes('x'))).rejects.toMatchObject(away);
      await expect(hasty.makeDirectory(at('safer'))).rejects.toMatchObject(away);
      const patient = createWebHdfs(accessTo(cluster.webhdfsUrl), { pauses: Array(60).fill(500) });
      const written = patient.write(at('safe'), bytes('written'));
      await safeMode('leave');
      await written;
      expect(await text(await hasty.read(at('safe')))).toBe('written');
    } finally {
      await safeMode('leave');
    }
  });

  test('a name node that starts again is waited for', async () => {
    const storage = createWebHdfs(accessTo(cluster.webhdfsUrl), { pauses: Array(100).fill(500) });
    await storage.write(at('before'), bytes('before'));
    await cluster.killDaemon('nn');
    const reading = storage.read(at('before')).then((stream) => text(stream));
    const moving = storage.move(at('before'), at('moved'));
    reading.catch(() => undefined);
    await cluster.startDaemon('nn');
    expect(await moving).toBe(true);
    await reading.catch((error: unknown) => expect(error).toMatchObject({ code: 'NOT_FOUND' }));
    await cluster.complete();
    expect(await text(await storage.read(at('moved')))).toBe('before');
  });
});

const bytes = (words: string): Buffer => Buffer.from(words);

async function* megabytes(count: number): AsyncGenerator<Buffer> {
  for (let index = 0; index < count; index += 1) yield Buffer.alloc(1024 * 1024, `${index} `);
}

async function sha256(content: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of content) hash.update(chunk);
  return hash.digest('hex');
}

async function names(storage: WebHdfs, directory: string): Promise<string[]> {
  const found: string[] = [];
  for await (const batch of storage.list(directory)) found.push(...batch.map(({ name }) => name));
  return found;
}
