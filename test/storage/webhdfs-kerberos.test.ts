/** HDFS under Kerberos: tokens that are got, renewed and given to nodes. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';

import { createStorages } from '../../src/create-storages.ts';
import type { ServiceStorages } from '../../src/create-storages.ts';
import { openStorages } from '../../src/storage/storages.ts';
import { KerberosTokens } from '../../src/storage/webhdfs/delegation.ts';
import type { KerberosOptions } from '../../src/storage/webhdfs/delegation.ts';
import { askNegotiated } from '../../src/storage/webhdfs/negotiate.ts';
import { startHadoop } from '../servers/hadoop/cluster.ts';
import type { HadoopCluster } from '../servers/hadoop/cluster.ts';
import { lacksHadoop } from '../servers/hadoop/installation.ts';
import { lacksKerberos } from '../servers/hadoop/kerberos.ts';
import { storageOf } from './name-node.ts';

/** Milliseconds for which a token is accepted without being renewed, and the most. */
const RENEWAL = 8_000;
const LIFETIME = 600_000;

describe.skipIf(lacksHadoop() || lacksKerberos())('HDFS under Kerberos', () => {
  let cluster: HadoopCluster;
  let directory: string;
  const closers: (() => unknown)[] = [];
  const warnings: string[] = [];
  beforeAll(async () => {
    const token = 'dfs.namenode.delegation.token';
    const hdfs = { [`${token}.renew-interval`]: RENEWAL, [`${token}.max-lifetime`]: LIFETIME };
    cluster = await startHadoop({ kerberos: true, nodes: 1, settings: { hdfs } });
    process.env['KRB5_CONFIG'] = cluster.kerberos!.configuration;
    const shell = (...words: string[]) => cluster.run('org.apache.hadoop.fs.FsShell', words);
    await shell('-mkdir', '-p', '/user/pushbroom');
    await shell('-chown', 'pushbroom', '/user/pushbroom');
  }, 300_000);
  afterAll(async () => {
    delete process.env['KRB5_CONFIG'];
    await cluster?.[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'pushbroom-kerberos-'));
  });
  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
    await rm(directory, { recursive: true });
  });

  const fileAt = (name: string) => `hdfs://safe/user/pushbroom/${name}`;

  function tokensBy(options: Partial<KerberosOptions> = {}): KerberosTokens {
    const tokens = new KerberosTokens({
      name: 'safe',
      urls: [cluster.webhdfsUrl],
      principal: cluster.kerberos!.principal,
      keytab: cluster.kerberos!.keytab,
      ticketCache: join(directory, 'tickets'),
      now: Date.now,
      warn: (message) => warnings.push(message),
      ...options,
    });
    closers.push(() => tokens.close());
    return tokens;
  }

  function open(settings: object): Promise<ServiceStorages> {
    const hdfs = [{ name: 'safe', urls: [cluster.webhdfsUrl], ...settings }] as never;
    const config = { dataDir: directory, storage: { hdfs } };
    return createStorages(config, pino({ level: 'silent' }), closers);
  }
  const byKeytab = () => ({
    authentication: 'kerberos',
    principal: cluster.kerberos!.principal,
    keytab: cluster.kerberos!.keytab,
  });

  test('the service gets in by a keytab, and nodes by the token that they are given', async () => {
    const { storages, access } = await open(byKeytab());
    const file = fileAt(randomUUID());
    await storages.of(file).write(file, Buffer.from('written'));
    const given = (await access(file))!;
    expect(given).toMatchObject({ name: 'safe', token: expect.stringMatching(/^[\w-]{40,}$/) });
    expect(given).not.toHaveProperty('user');
    const ofNode = openStorages([given]).of(file);
    expect(await text(await ofNode.read(file))).toBe('written');
    await ofNode.write(`${file}.out`, async function* () {
      yield Buffer.alloc(2_000_000);
    });
    expect(await ofNode.move(`${file}.out`, `${file}.moved`)).toBe(true);
    expect(await storages.of(file).nodesOf!(`${file}.moved`)).toEqual([cluster.nodes[0]!.name]);
    expect(await access('/a/path')).toBeUndefined();
    expect(await access('hdfs://other/a')).toBeUndefined();
  });

  test('who says nothing of himself is not let in, and it is said what to set', async () => {
    const { storages } = await open({ authentication: 'simple', user: 'pushbroom' });
    await expect(storages.of(fileAt('a')).stat(fileAt('a'))).rejects.toMatchObject({
      code: 'FORBIDDEN',
      message: expect.stringContaining("look at this storage's authentication"),
    });
  });

  test('what the user may not do is not done, with whatever token', async () => {
    const { storages } = await open(byKeytab());
    const file = 'hdfs://safe/not-mine';
    await expect(storages.of(file).write(file, Buffer.from('x'))).rejects.toMatchObject({
      code: 'FORBIDDEN',
      message: expect.stringContaining('user=pushbroom, access=WRITE'),
    });
  });

  test('a token is renewed before it ends', async () => {
    const tokens = tokensBy();
    const token = await tokens.current();
    const begun = Date.now();
    expect(await tokens.current()).toBe(token);
    await vi.waitUntil(() => Date.now() - begun > 1.5 * RENEWAL, { timeout: 60_000 });
    const storage = storageOf([cluster.webhdfsUrl], {}, { name: 'safe', token });
    expect(await storage.stat(fileAt(''))).toMatchObject({ isDirectory: true });
    tokens.close();
    await vi.waitFor(
      () => expect(storage.stat(fileAt(''))).rejects.toMatchObject({ code: 'FORBIDDEN' }),
      { timeout: 60_000, interval: 500 },
    );
  });

  test('a token that is no longer accepted is replaced by another', async () => {
    const tokens = tokensBy();
    const storage = storageOf([cluster.webhdfsUrl], { tokens }, { name: 'safe' });
    await storage.stat(fileAt(''));
    const before = await tokens.current();
    const cancel = new URL(`${cluster.webhdfsUrl}/webhdfs/v1/?op=CANCELDELEGATIONTOKEN`);
    cancel.searchParams.set('token', before);
    const ticket = { cache: join(directory, 'tickets') };
    expect(await askNegotiated('PUT', cancel, ticket)).toMatchObject({ status: 200 });
    expect(await storage.stat(fileAt(''))).toMatchObject({ isDirectory: true });
    expect(await tokens.current()).not.toBe(before);
  });

  test('a token is replaced after a day, and given out for as long as it can be where no other is to be had', async () => {
    let now = 1_000_000;
    const tokens = tokensBy({ principal: undefined, keytab: undefined, now: () => now });
    await expect(tokens.current()).rejects.toMatchObject({
      code: 'FORBIDDEN',
      message: expect.stringMatching(/No Kerberos credentials|does not accept the Kerberos ticket/),
    });
    process.env['KRB5CCNAME'] = `FILE:${cluster.kerberos!.superuser.ticket}`;
    try {
      const first = await tokens.current();
      now += 3_599_000;
      expect(await tokens.current()).toBe(first);
      now += 2_000;
      const second = await tokens.current();
      expect(second).not.toBe(first);
      process.env['KRB5CCNAME'] = `FILE:${directory}/none`;
      now += 3_601_000;
      expect(await tokens.current()).toBe(second);
      expect(warnings.at(-1)).toContain("There is no delegation token for the storage 'safe'");
    } finally {
      delete process.env['KRB5CCNAME'];
    }
  });

  test('a wrong keytab is told as it is', async () => {
    const keytab = join(directory, 'keytab');
    await writeFile(keytab, 'nonsense');
    await expect(tokensBy({ keytab }).current()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(
        /^There is no delegation token for the storage 'safe': kinit says: /,
      ),
    });
  });

  test('a token file is read again when it changes', async () => {
    const file = join(directory, 'token');
    const { storages } = await open({ authentication: 'token', tokenFile: file });
    const stat = () => storages.of(fileAt('')).stat(fileAt(''));
    await expect(stat()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining(`Cannot read a delegation token from ${file}: ENOENT`),
    });
    await writeFile(file, `${'A'.repeat(40)}\n`, { mode: 0o600 });
    await expect(stat()).rejects.toMatchObject({ code: 'FORBIDDEN' });
    await writeFile(`${file}.new`, `${await tokensBy().current()}\n`, { mode: 0o600 });
    await rename(`${file}.new`, file);
    expect(await stat()).toMatchObject({ isDirectory: true });
    for (const content of ['', 'HDTS\0...', 'two words']) {
      await writeFile(file, content);
      await expect(stat()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      await expect(stat()).rejects.toThrow(`Cannot read a delegation token from ${file}: it `);
    }
  });
});
