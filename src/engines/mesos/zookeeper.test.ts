import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ACL, createClient, CreateMode, Id, Permission } from 'node-zookeeper-client';
import type { Client, Exception } from 'node-zookeeper-client';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';

import { lacksZooKeeper, startZooKeeper } from '../../../test/servers/zookeeper.ts';
import type { ZooKeeper } from '../../../test/servers/zookeeper.ts';
import { createMasters } from './masters.ts';
import { leaderAmong, readLeader } from './zookeeper.ts';

const never = new AbortController().signal;

const masterInfo = (port: number, host = 'master-1.example.org', ip = '10.0.0.1') =>
  JSON.stringify({
    address: { hostname: host, ip, port },
    hostname: host,
    id: '285d786d-700e-43b1-82c6-ab5192495734',
    ip: 16_777_343,
    pid: `master@${ip}:${port}`,
    port,
    version: '1.11.0',
  });

describe.skipIf(lacksZooKeeper())('with a real ZooKeeper', () => {
  let home: string;
  let server: ZooKeeper;
  let client: Client;
  let paths = 0;

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'zookeeper-'));
    server = await startZooKeeper(home);
    await open();
  });
  afterAll(async () => {
    await close();
    await server.stop();
    rmSync(home, { recursive: true });
  });

  async function open() {
    client = createClient(`127.0.0.1:${server.port}`);
    const connected = once(client, 'connected');
    client.connect();
    await connected;
  }
  async function close() {
    const gone = once(client, 'disconnected');
    client.close();
    await gone;
  }
  const create = (path: string, data = '', mode = CreateMode.PERSISTENT, acls?: ACL[]) =>
    new Promise<string>((resolve, reject) => {
      const done = (error: Error | Exception | null, made: string) =>
        error ? reject(new Error(error.name)) : resolve(made);
      const bytes = Buffer.from(data);
      if (acls) client.create(path, bytes, acls, mode, done);
      else client.create(path, bytes, mode, done);
    });
  const remove = (path: string) =>
    new Promise<void>((resolve, reject) => {
      client.remove(path, (error) => (error ? reject(new Error(String(error))) : resolve()));
    });
  const freshPath = async () => create(`/mesos-${(paths += 1)}`);
  /** As a master that stands for election. */
  const stand = (path: string, info: string, label = 'json.info_') =>
    create(`${path}/${label}`, info, CreateMode.PERSISTENT_SEQUENTIAL);
  const mastersAt = (path: string, servers = `127.0.0.1:${server.port}`) =>
    createMasters([`zk://${servers}${path}`], { random: () => 0 });

  test('the leader is the master that has stood for longest', async () => {
    const path = await freshPath();
    await create(`${path}/log_replicas`);
    await stand(path, masterInfo(5050));
    await stand(path, masterInfo(5051));
    const url = await mastersAt(path).leader(never);
    expect(url.href).toBe('http://10.0.0.1:5050/');
  });

  test('a new leader is found at once, without a new start', async () => {
    const path = await freshPath();
    const first = await stand(path, masterInfo(5050));
    const masters = mastersAt(path);
    expect((await masters.leader(never)).port).toBe('5050');
    await stand(path, masterInfo(5051));
    await remove(first);
    expect((await masters.leader(never)).port).toBe('5051');
  });

  test('that nobody leads yet is said in words', async () => {
    const path = await freshPath();
    await expect(mastersAt(path).leader(never)).rejects.toThrow(
      new RegExp(`^no master leads: there is none at ${path} of ZooKeeper$`),
    );
    await expect(mastersAt('/nowhere').leader(never)).rejects.toThrow(
      'no master leads: ZooKeeper has no /nowhere',
    );
  });

  test('a master too old to be spoken to is named as the reason', async () => {
    const path = await freshPath();
    await stand(path, '\u0008\u0001', 'info_');
    await expect(mastersAt(path).leader(never)).rejects.toThrow('older than Mesos 0.24');
    await stand(path, masterInfo(5051));
    expect((await mastersAt(path).leader(never)).port).toBe('5051');
  });

  test.each([
    '',
    'no json',
    '[]',
    '{}',
    '{"address":null}',
    '{"address":{"ip":"a b","port":1}}',
    masterInfo(0),
  ])('a leader that says %j about itself has no address', async (data) => {
    const path = await freshPath();
    await stand(path, data);
    await expect(mastersAt(path).leader(never)).rejects.toThrow('holds no address of the leading');
  });

  test('the host has its name where a certificate has to match, and brackets where it is IPv6', async () => {
    const path = await freshPath();
    await stand(path, masterInfo(5050, 'master.example.org', '2001:db8::1'));
    const address = `zk://127.0.0.1:${server.port}${path}`;
    const secure = createMasters([address], { isSecure: true });
    expect((await secure.leader(never)).href).toBe('https://master.example.org:5050/');
    expect((await createMasters([address]).leader(never)).href).toBe('http://[2001:db8::1]:5050/');
  });

  test('what only one user may read is read as that user', async () => {
    const path = await freshPath();
    const digest = createHash('sha1').update('mesos:s3cret').digest('base64');
    const acls = [new ACL(Permission.READ, new Id('digest', `mesos:${digest}`))];
    await create(`${path}/json.info_`, masterInfo(5050), CreateMode.PERSISTENT_SEQUENTIAL, acls);
    const servers = `127.0.0.1:${server.port}`;
    expect((await mastersAt(path, `mesos:s3cret@${servers}`).leader(never)).port).toBe('5050');
    for (const wrong of [servers, `mesos:wr0ng@${servers}`]) {
      const refusal = mastersAt(path, wrong).leader(never);
      await expect(refusal).rejects.toThrow('check user and password of zk://');
      await expect(refusal).rejects.not.toThrow('wr0ng');
    }
  });

  test('a dead server among several does not matter', async () => {
    const path = await freshPath();
    await stand(path, masterInfo(5050));
    const servers = `127.0.0.1:1,127.0.0.1:${server.port}`;
    expect((await mastersAt(path, servers).leader(never)).port).toBe('5050');
  });

  test('ZooKeeper may go and come back', async () => {
    const path = await freshPath();
    await stand(path, masterInfo(5050));
    const masters = mastersAt(path);
    await close();
    await server.stop();
    await expect(masters.leader(never)).rejects.toThrow(
      `no ZooKeeper server tells who leads: 127.0.0.1:${server.port}: connect ECONNREFUSED`,
    );
    server = await startZooKeeper(home, server.port);
    await open();
    expect((await masters.leader(never)).port).toBe('5050');
  });
});

describe('where something else answers', () => {
  const sockets = new Set<Socket>();
  const closers: (() => void)[] = [];
  afterEach(() => {
    for (const close of closers.splice(0)) close();
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  });

  async function serve(answer: (socket: Socket) => void) {
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
      socket.resume();
      answer(socket);
    }).listen(0, '127.0.0.1');
    closers.push(() => void server.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    return { host: '127.0.0.1', port };
  }
  const read = async (answer: (socket: Socket) => void, timeoutMs = 5_000) =>
    readLeader({ servers: [await serve(answer)], path: '/mesos' }, never, { timeoutMs });

  /** A message of ZooKeeper with these numbers of 32 bits in it. */
  const say = (...ints: readonly number[]) => {
    const bytes = Buffer.alloc(4 + 4 * ints.length);
    for (const [index, value] of [4 * ints.length, ...ints].entries()) {
      bytes.writeInt32BE(value, 4 * index);
    }
    return bytes;
  };
  const WELCOME = say(0, 10_000, 0, 0, 0);

  test.each([
    [
      'text of another protocol',
      Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
      'does not speak ZooKeeper',
    ],
    ['a length below nothing', say().fill(0xff), 'does not speak ZooKeeper'],
    ['a greeting that is cut off', Buffer.from([0, 0, 0, 2, 1, 2]), 'cut off'],
    ['a greeting of a session that is over', say(0, 0, 0, 0, 0), 'does not speak ZooKeeper'],
    [
      'an answer to another question',
      Buffer.concat([WELCOME, say(7, 0, 0, 0, 0)]),
      'answered 7 where 1',
    ],
    ['an unknown error', Buffer.concat([WELCOME, say(1, 0, 0, -4)]), "ZooKeeper's error -4"],
    [
      'more children than follow',
      Buffer.concat([WELCOME, say(1, 0, 0, 0, 2_000_000_000)]),
      'cut off',
    ],
    [
      'a name longer than its message',
      Buffer.concat([WELCOME, say(1, 0, 0, 0, 1, 999)]),
      'cut off',
    ],
  ])('%s is an error and no more', async (_, bytes, message) => {
    await expect(read((socket) => void socket.write(bytes))).rejects.toThrow(message);
    await vi.waitFor(() => expect(sockets.size).toBe(0));
  });

  test('a server that hangs up is passed over', async () => {
    await expect(read((socket) => void socket.end())).rejects.toThrow('it closed the connection');
  });

  test('a server that says nothing is given up', async () => {
    await expect(read(() => undefined, 20)).rejects.toThrow('no answer within 0.02 s');
  });

  test('an abort ends the question at once', async () => {
    const controller = new AbortController();
    let closed: Promise<unknown> | undefined;
    const silent = await serve((socket) => {
      closed = once(socket, 'close');
      controller.abort(new Error('enough'));
    });
    const servers = [silent, silent];
    await expect(readLeader({ servers, path: '/mesos' }, controller.signal)).rejects.toThrow(
      'enough',
    );
    await closed;
  });
});

test('sequences are counted in 32 bits with a sign', () => {
  const names = ['json.info_0000000002', 'json.info_-2147483647', 'log_replicas', 'json.info_x'];
  expect(leaderAmong(names, '/mesos')).toBe('json.info_-2147483647');
  expect(leaderAmong(names.toReversed(), '/mesos')).toBe('json.info_-2147483647');
  expect(leaderAmong(['json.info_0000000010', 'json.info_0000000009'], '/')).toBe(
    'json.info_0000000009',
  );
});
