/** Contents and moves over servers that fail in the midst of them. */
import { buffer, text } from 'node:stream/consumers';

import { describe, expect, test, vi } from 'vitest';

import {
  missing,
  redirect,
  refuse,
  startNameNode,
  statusOf,
  storageOf,
  textAt,
} from './name-node.ts';
import type { Asked } from './name-node.ts';

const FILE = 'hdfs://c/a/file';
const CONTENT = 'abcdefghijklmnopqrstuvwxyz';

describe('a read', () => {
  test('goes on where a data node has left off, at another one', async () => {
    const asked: Record<string, string>[] = [];
    const node = await startNameNode(({ parameters, response }) => {
      if (parameters['op'] === 'GETFILESTATUS') return statusOf({ length: CONTENT.length });
      asked.push(parameters);
      const { offset, length } = parameters;
      const part = CONTENT.slice(Number(offset), Number(offset) + Number(length));
      response.writeHead(200, { 'content-length': part.length });
      // Ten bytes at a time, and then it dies.
      response.write(part.slice(0, 10), () => part.length > 10 && response.destroy());
      return undefined;
    });
    const range = { offset: 1, length: 24 };
    expect(await text(await storageOf([node.url]).read(FILE, range))).toBe(CONTENT.slice(1, 25));
    const offsets = asked.map(({ offset, length }) => [offset, length]);
    expect(offsets).toEqual([
      ['1', '24'],
      ['11', '14'],
      ['21', '4'],
    ]);
    expect(asked.map((each) => each['excludedatanodes'])).toEqual([
      undefined,
      '127.0.0.1',
      '127.0.0.1',
    ]);
  });

  test('begins at another data node where the first is dead', async () => {
    let picks = 0;
    const node = await startNameNode(({ parameters, response }) => {
      if (parameters['op'] === 'GETFILESTATUS') return statusOf();
      if ((picks += 1) < 3)
        return redirect(response, 'http://127.0.0.1:1/webhdfs/v1/a/file?op=OPEN');
      return void response.end('12345');
    });
    expect(await textAt(storageOf([node.url]), FILE)).toBe('12345');
    expect(picks).toBe(3);
  });

  test('does not go on with another file of that name', async () => {
    let fileId = 7;
    const node = await startNameNode(({ parameters, response }) => {
      if (parameters['op'] === 'GETFILESTATUS') return statusOf({ length: 100, fileId });
      fileId = 8;
      response.writeHead(200, { 'content-length': 100 });
      response.write('x'.repeat(10), () => response.destroy());
      return undefined;
    });
    await expect(textAt(storageOf([node.url]), FILE)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: `Cannot read ${FILE}: it was changed while it was read.`,
    });
  });

  test('of less than there is fails, and of more', async () => {
    let body = 'x'.repeat(90);
    const node = await startNameNode(({ parameters, response }) => {
      if (parameters['op'] === 'GETFILESTATUS') return statusOf({ length: 100 });
      response.writeHead(200).end(parameters['offset'] === '0' ? body : '');
      return undefined;
    });
    await expect(textAt(storageOf([node.url]), FILE)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('has sent less than there is'),
    });
    body = 'x'.repeat(110);
    await expect(textAt(storageOf([node.url]), FILE)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('has sent more than was asked for'),
    });
  });

  test('is told what the data node says, and not that it was away', async () => {
    const node = await startNameNode(({ parameters, response }) =>
      parameters['op'] === 'OPEN'
        ? refuse(response, 'AccessControlException', 'Permission denied: user=tep, access=READ')
        : statusOf(),
    );
    await expect(storageOf([node.url]).read(FILE)).rejects.toMatchObject({
      code: 'FORBIDDEN',
      message: expect.stringContaining(`Cannot read ${FILE}: Permission denied: user=tep`),
    });
  });
});

/** A name node that keeps files in memory, and is its own data node. */
async function startMemory(
  answer: (asked: Asked, next: () => unknown) => unknown = (_, next) => next(),
) {
  const files = new Map<string, Buffer>();
  const inodes = new Map<string, number>();
  let count = 0;
  const operate = ({ parameters, path, request, response }: Asked): unknown => {
    const content = files.get(path);
    switch (parameters['op']) {
      case 'CREATE':
        if (parameters['data'] !== 'true') return redirect(response, `${request.url}&data=true`);
        void buffer(request).then((bytes) => {
          files.set(path, bytes);
          inodes.set(path, (count += 1));
          response.writeHead(201).end();
        });
        return undefined;
      case 'GETFILESTATUS':
        return content
          ? statusOf({ length: content.length, fileId: inodes.get(path) })
          : missing(response, path);
      case 'RENAME': {
        const { destination: to = '', renameoptions } = parameters;
        if (!content) return missing(response, path);
        if (files.has(to) && renameoptions === 'NONE') {
          return refuse(
            response,
            'FileAlreadyExistsException',
            `rename destination ${to} already exists`,
          );
        }
        files.set(to, content).delete(path);
        inodes.set(to, inodes.get(path)!);
        return void response.end();
      }
      case 'DELETE':
        return { boolean: files.delete(path) };
      default:
        throw new Error(`no operation ${parameters['op']}`);
    }
  };
  const node = await startNameNode((asked) => answer(asked, () => operate(asked)));
  return { ...node, files };
}

describe('a write', () => {
  test('is made again where its data node dies, if its content can be', async () => {
    let uploads = 0;
    const node = await startMemory(({ parameters, request }, next) => {
      if (parameters['data'] === 'true' && (uploads += 1) < 3) {
        request.once('data', () => request.socket.destroy());
        return undefined;
      }
      return next();
    });
    const storage = storageOf([node.url]);
    async function* content() {
      for (let index = 0; index < 10; index += 1) yield Buffer.alloc(100_000, index);
    }
    await storage.write(FILE, content);
    expect(uploads).toBe(3);
    expect(Array.from(node.files, ([path, bytes]) => [path, bytes.length])).toEqual([
      ['/a/file', 1_000_000],
    ]);
    uploads = 0;
    await expect(storage.write(FILE, content())).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(uploads).toBe(1);
    uploads = 0;
    await storage.write(FILE, Buffer.from('x'));
    expect(node.files.get('/a/file')!.toString()).toBe('x');
  });

  test('asks for another data node than the one that failed', async () => {
    const asked: (string | undefined)[] = [];
    const node = await startMemory(({ parameters, response, request, path }, next) => {
      if (parameters['op'] !== 'CREATE' || parameters['data'] === 'true') return next();
      asked.push(parameters['excludedatanodes']);
      // It does not know data nodes by that address, and offers the dead one again for a while.
      if (asked.length < 4) {
        return redirect(response, `http://127.0.0.1:1/webhdfs/v1${path}?op=CREATE&data=true`);
      }
      return redirect(response, `${request.url}&data=true`);
    });
    await storageOf([node.url]).write(FILE, Buffer.from('x'));
    expect(asked).toEqual([undefined, '127.0.0.1', '127.0.0.1', '127.0.0.1']);
    expect([...node.files.keys()]).toEqual(['/a/file']);
  });

  test('whose length is not what was sent does not appear', async () => {
    const node = await startMemory(({ parameters, path }, next) =>
      parameters['op'] === 'GETFILESTATUS' && path.endsWith('.partial')
        ? statusOf({ length: 2 })
        : next(),
    );
    const write = storageOf([node.url]).write(FILE, Buffer.from('12345'));
    await expect(write).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: `Cannot write ${FILE}: it has 2 bytes of the 5 that were written.`,
    });
    expect([...node.files.keys()]).toEqual([]);
  });

  test('waits for a server that is slow, instead of filling the memory', async () => {
    let begin: (() => void) | undefined;
    const node = await startMemory(({ parameters, request }, next) => {
      if (parameters['data'] !== 'true') return next();
      request.pause();
      begin = next;
      return undefined;
    });
    let taken = 0;
    async function* content() {
      for (; taken < 64; taken += 1) yield Buffer.alloc(1024 * 1024);
    }
    const written = storageOf([node.url]).write(FILE, content());
    await vi.waitFor(() => expect(begin).toBeDefined());
    // What the kernel takes, and no more, however long one waits.
    let before = -1;
    await vi.waitUntil(
      () => {
        const isStill = before === taken;
        before = taken;
        return isStill;
      },
      { interval: 100 },
    );
    expect(taken).toBeLessThan(32);
    begin!();
    await written;
    expect(node.files.get('/a/file')!.length).toBe(64 * 1024 * 1024);
  });

  test('of which a server does not want all that there is does not appear', async () => {
    const node = await startMemory(({ parameters, path, request, response }, next) => {
      if (parameters['data'] !== 'true') return next();
      request.once('data', () => {
        node.files.set(path, Buffer.from('x'));
        response.writeHead(201).end();
      });
      return undefined;
    });
    let more: (() => void) | undefined;
    async function* content() {
      yield Buffer.from('x');
      await new Promise<void>((resolve) => (more = resolve));
      yield Buffer.from('y');
    }
    await expect(storageOf([node.url]).write(FILE, content())).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('has answered before it had all of the file'),
    });
    more!();
    expect([...node.files.keys()]).toEqual([]);
  });

  test('that is refused while it is sent is told why', async () => {
    const node = await startMemory(({ parameters, request, response }, next) => {
      if (parameters['data'] !== 'true') return next();
      request.once('data', () =>
        refuse(
          response,
          'DSQuotaExceededException',
          'The DiskSpace quota of /a is exceeded: quota = 1 B',
        ),
      );
      return undefined;
    });
    async function* content() {
      for (let index = 0; index < 64; index += 1) yield Buffer.alloc(1024 * 1024);
    }
    const write = storageOf([node.url]).write(FILE, content());
    await expect(write).rejects.toMatchObject({
      code: 'STORAGE_FULL',
      message: expect.stringContaining(
        'The DiskSpace quota of /a is exceeded: quota = 1 B; remove something',
      ),
    });
  });

  test('that data nodes have no room for is made again, and then told as such', async () => {
    let uploads = 0;
    const node = await startMemory(({ parameters, request, response }, next) => {
      if (parameters['data'] !== 'true') return next();
      uploads += 1;
      request.resume();
      const words =
        'File /a could only be written to 0 of the 1 minReplication nodes. There are 3 datanode(s) running and ' +
        '3 node(s) are excluded in this operation.';
      return refuse(response, 'IOException', words);
    });
    await expect(storageOf([node.url]).write(FILE, Buffer.from('x'))).rejects.toMatchObject({
      code: 'STORAGE_FULL',
      message: expect.stringContaining('have the quota raised or data nodes added'),
    });
    expect(uploads).toBe(4);
  });
});

describe('a move', () => {
  test('whose answer was lost is recognised, and is not made by anybody else', async () => {
    let losses = 0;
    const node = await startMemory(({ parameters, request, response }, next) => {
      if (parameters['op'] !== 'RENAME' || losses > 0) return next();
      losses += 1;
      response.end = () => request.socket.destroy() as never;
      return next();
    });
    const storage = storageOf([node.url]);
    await storage.write('hdfs://c/b', Buffer.from('b'));
    losses = 0;
    expect(await storage.move('hdfs://c/b', 'hdfs://c/c')).toBe(true);
    expect(losses).toBe(1);
    await storage.write('hdfs://c/b', Buffer.from('b'));
    losses = 0;
    expect(await storage.move('hdfs://c/b', 'hdfs://c/c')).toBe(false);
    expect([...node.files.keys()].toSorted()).toEqual(['/b', '/c']);
  });

  test('of a write whose answer was lost has been made, too', async () => {
    let losses = 0;
    const node = await startMemory(({ parameters, request, response }, next) => {
      if (parameters['op'] !== 'RENAME' || losses > 0) return next();
      losses += 1;
      response.end = () => request.socket.destroy() as never;
      return next();
    });
    await storageOf([node.url]).write(FILE, Buffer.from('x'));
    expect(losses).toBe(1);
    expect([...node.files.keys()]).toEqual(['/a/file']);
  });

  test('into a directory, which is what HttpFS makes of it, is taken back', async () => {
    const tree = new Map([
      ['/from', 1],
      ['/to', 2],
    ]);
    const node = await startNameNode(({ parameters, path, response }) => {
      if (parameters['op'] === 'GETFILESTATUS') {
        const modificationTime = tree.get(path);
        if (modificationTime === undefined) return missing(response, path);
        return statusOf({ type: 'DIRECTORY', length: 0, modificationTime, fileId: undefined });
      }
      const { destination: to = '' } = parameters;
      const target = tree.has(to) ? to + path.slice(path.lastIndexOf('/')) : to;
      tree.set(target, tree.get(path)!).delete(path);
      if (target !== to) tree.set(to, 3);
      return { boolean: true };
    });
    const storage = storageOf([node.url]);
    expect(await storage.move('hdfs://c/from', 'hdfs://c/to')).toBe(false);
    expect([...tree.keys()].toSorted()).toEqual(['/from', '/to']);
    expect(await storage.move('hdfs://c/from', 'hdfs://c/other')).toBe(true);
    expect([...tree.keys()].toSorted()).toEqual(['/other', '/to']);
  });
});
