/** What servers answer that real ones do not on demand. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { describe, expect, onTestFinished, test } from 'vitest';

import { makeCertificate } from '../fixtures/certificate.ts';
import {
  json,
  missing,
  redirect,
  refuse,
  startNameNode,
  statusOf,
  storageOf,
  textAt,
} from './name-node.ts';

const FILE = 'hdfs://c/a/file';
const STANDBY = 'Operation category READ is not supported in state standby.';

/** Of a port that nothing listens on any more. */
async function deadUrl(): Promise<string> {
  const { url } = await startNameNode(() => ({}));
  return url.replace(/\d+$/, '1');
}

describe('of several name nodes', () => {
  test('the active one is found, and remembered', async () => {
    const standby = await startNameNode(({ response }) =>
      refuse(response, 'StandbyException', STANDBY),
    );
    const active = await startNameNode(() => statusOf());
    const storage = storageOf([await deadUrl(), standby.url, active.url]);
    for (let times = 0; times < 3; times += 1) {
      expect(await storage.stat(FILE)).toMatchObject({ name: 'file', size: 5 });
    }
    expect(standby.operations).toHaveLength(1);
    expect(active.operations).toHaveLength(3);
  });

  test('another one is asked when the active one is no longer', async () => {
    let active = 0;
    const answer = (index: number) =>
      startNameNode(({ response }) =>
        index === active
          ? statusOf({ length: index })
          : refuse(response, 'StandbyException', STANDBY),
      );
    const nodes = [await answer(0), await answer(1)];
    const storage = storageOf(nodes.map(({ url }) => url));
    expect(await storage.stat(FILE)).toMatchObject({ size: 0 });
    active = 1;
    expect(await storage.stat(FILE)).toMatchObject({ size: 1 });
    active = 0;
    expect(await storage.stat(FILE)).toMatchObject({ size: 0 });
  });

  test('where none is active it is said what each of them said', async () => {
    const standby = await startNameNode(({ response }) =>
      refuse(response, 'StandbyException', STANDBY),
    );
    const dead = await deadUrl();
    const stat = storageOf([dead, standby.url]).stat(FILE);
    await expect(stat).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(stat).rejects.toThrow(/ECONNREFUSED.*; .* says: Operation category READ/);
    expect(standby.operations).toHaveLength(4);
  });

  test('what one refuses for good is not asked of another', async () => {
    const first = await startNameNode(({ response }) =>
      refuse(response, 'AccessControlException', 'Permission denied: user=tep'),
    );
    const second = await startNameNode(() => statusOf());
    await expect(storageOf([first.url, second.url]).stat(FILE)).rejects.toMatchObject({
      code: 'FORBIDDEN',
      message: expect.stringContaining("give the user 'tep' the right to it"),
    });
    expect(second.operations).toEqual([]);
  });
});

test('a name node in safe mode is asked again', async () => {
  let answers = 0;
  const node = await startNameNode(({ response }) =>
    (answers += 1) < 3
      ? refuse(
          response,
          'SafeModeException',
          'Cannot create directory /a. Name node is in safe mode.',
        )
      : { boolean: true },
  );
  await storageOf([node.url]).makeDirectory('hdfs://c/a');
  expect(answers).toBe(3);
});

describe('garbage', () => {
  const HTML = '<html><body>Welcome</body></html>';
  test.each([
    [
      'a page',
      (text: string) => text,
      200,
      HTML,
      'did not answer with the status of a file: "<html>',
    ],
    ['a page of 404', (text: string) => text, 404, HTML, 'is this the HTTP address of a name node'],
    ['an error of a gateway', (text: string) => text, 502, 'Bad Gateway', 'answered 502'],
    ['nothing', (text: string) => text, 200, '', 'did not answer with the status of a file'],
    [
      'half an answer',
      (text: string) => text.slice(0, 40),
      200,
      JSON.stringify(statusOf()),
      'did not',
    ],
    ['a redirect to nowhere', (text: string) => text, 302, '', 'does not say where to go'],
  ])('%s is told as it is', async (_, change, status, text, words) => {
    const node = await startNameNode(
      ({ response }) => void response.writeHead(status).end(change(text)),
    );
    const stat = storageOf([node.url]).stat(FILE);
    await expect(stat).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(stat).rejects.toThrow(`Cannot look at ${FILE}: 127.0.0.1:${node.port}`);
    await expect(stat).rejects.toThrow(words);
  });

  test('without an end is not read to it', async () => {
    const node = await startNameNode(({ response }) => {
      response.writeHead(500);
      const more = () => response.write('x'.repeat(100_000), () => setImmediate(more));
      more();
    });
    await expect(storageOf([node.url]).stat(FILE)).rejects.toThrow('more than 262144 bytes');
  });

  test('that does not speak HTTP is told as it is', async () => {
    const node = await startNameNode(
      ({ request }) => void request.socket.end('220 mail.example.org\r\n'),
    );
    await expect(storageOf([node.url]).stat(FILE)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('cannot be used: Parse Error'),
    });
  });

  test('in a listing ends it', async () => {
    const node = await startNameNode(() => ({
      FileStatuses: { FileStatus: [{ pathSuffix: '../x' }] },
    }));
    const listing = storageOf([node.url]).list('hdfs://c/a')[Symbol.asyncIterator]();
    await expect(listing.next()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});

describe('silence', () => {
  const silent = { silenceMs: 100, pauses: [] };

  test('of a name node is not waited for for ever', async () => {
    const node = await startNameNode(() => undefined);
    await expect(storageOf([node.url], silent).stat(FILE)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: `Cannot look at ${FILE}: 127.0.0.1:${node.port} is silent for 0.1 s.`,
    });
  });

  test('in the middle of an answer neither', async () => {
    const node = await startNameNode(({ response }) => {
      response.writeHead(200, { 'content-length': 1000 }).write('{"FileStatus":');
    });
    await expect(storageOf([node.url], silent).stat(FILE)).rejects.toThrow('is silent for 0.1 s');
  });

  test('in the middle of a file ends the read', async () => {
    const node = await startNameNode(({ parameters, response }) => {
      if (parameters['op'] !== 'OPEN') return statusOf({ length: 300_000 });
      response.writeHead(200).write('x'.repeat(200_000));
      return undefined;
    });
    const reading = textAt(storageOf([node.url], silent), FILE);
    await expect(reading).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(reading).rejects.toThrow('is silent for 0.1 s');
  });

  test('of whoever reads is none of the server', async () => {
    const length = 4 * 1024 * 1024;
    const node = await startNameNode(({ parameters, response }) => {
      if (parameters['op'] !== 'OPEN') return statusOf({ length });
      response.writeHead(200).end(Buffer.alloc(length));
      return undefined;
    });
    const stream = await storageOf([node.url], silent).read(FILE);
    await once(stream, 'readable');
    await pause(3 * silent.silenceMs);
    let bytes = 0;
    for await (const chunk of stream) bytes += (chunk as Buffer).length;
    expect(bytes).toBe(length);
  });

  test('of one that takes nothing ends the write', async () => {
    const node = await startNameNode(({ parameters, method, response }) => {
      if (parameters['data'] === 'true') return undefined;
      if (method === 'DELETE') return { boolean: true };
      return redirect(response, '/webhdfs/v1/a?op=CREATE&data=true');
    });
    async function* content() {
      for (;;) yield Buffer.alloc(1024 * 1024);
    }
    await expect(storageOf([node.url], silent).write(FILE, content())).rejects.toThrow(
      'takes nothing for 0.1 s',
    );
  });

  test('ends at an abort, with its reason', async () => {
    const node = await startNameNode(() => undefined);
    const abort = new AbortController();
    const reading = storageOf([node.url]).read(FILE, {}, abort.signal);
    abort.abort(new Error('enough'));
    await expect(reading).rejects.toThrow('enough');
  });
});

describe('redirects', () => {
  test('to a name without an address are told with the name and the remedy', async () => {
    const node = await startNameNode(({ parameters, response }) =>
      parameters['op'] === 'OPEN'
        ? redirect(response, 'http://dn7.invalid:9864/webhdfs/v1/a?op=OPEN&delegation=secret-token')
        : statusOf(),
    );
    const read = storageOf([node.url]).read(FILE);
    await expect(read).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(read).rejects.toThrow(
      "'dn7.invalid' has no address on this machine: give it one by DNS or in /etc/hosts, or use HttpFS",
    );
    await expect(read).rejects.not.toThrow('secret');
  });

  test('of questions are followed, though not in circles', async () => {
    const active = await startNameNode(() => statusOf());
    const balancer = await startNameNode(({ request, response }) =>
      redirect(response, `${active.url}${request.url}`),
    );
    expect(await storageOf([balancer.url]).stat(FILE)).toMatchObject({ size: 5 });
    const circle = await startNameNode(({ request, response }) => redirect(response, request.url!));
    await expect(storageOf([circle.url]).stat(FILE)).rejects.toThrow('more than 5 times');
  });
});

test('directories are listed at once where the server has no batches, and that is remembered', async () => {
  const entries = ['a', 'é', 'b'].map((pathSuffix) => statusOf({ pathSuffix }).FileStatus);
  const node = await startNameNode(({ parameters, response }) =>
    parameters['op'] === 'LISTSTATUS'
      ? { FileStatuses: { FileStatus: [entries[1], entries[0], entries[2]] } }
      : refuse(
          response,
          'IllegalArgumentException',
          'Invalid value for webhdfs parameter "op": No enum constant o.a.h.GetOpParam.Op.LISTSTATUS_BATCH',
          400,
        ),
  );
  const storage = storageOf([node.url]);
  const listed: string[] = [];
  for (let times = 0; times < 2; times += 1) {
    for await (const batch of storage.list('hdfs://c/a'))
      listed.push(...batch.map(({ name }) => name));
  }
  expect(listed).toEqual(['a', 'b', 'é', 'a', 'b', 'é']);
  expect(node.operations).toEqual(['LISTSTATUS_BATCH', 'LISTSTATUS', 'LISTSTATUS']);
});

test('older name nodes are asked for the places of blocks in their way', async () => {
  const block = (numBytes: number, ...hosts: string[]) => ({
    block: { numBytes },
    locations: hosts.map((hostName) => ({ hostName })),
  });
  const node = await startNameNode(({ parameters, response }) =>
    parameters['op'] === 'GET_BLOCK_LOCATIONS'
      ? { LocatedBlocks: { locatedBlocks: [block(10, 'n1', 'n2'), block(90, 'n2', 'n3')] } }
      : refuse(response, 'IllegalArgumentException', 'X is not a valid GET operation.', 400),
  );
  expect(await storageOf([node.url]).nodesOf(FILE)).toEqual(['n2', 'n3', 'n1']);
});

describe('TLS', () => {
  async function certificate() {
    const directory = await mkdtemp(join(tmpdir(), 'pushbroom-tls-'));
    onTestFinished(() => rm(directory, { recursive: true, force: true }));
    return makeCertificate(directory);
  }

  test('is trusted by the certificate that is given, and otherwise it is said what to give', async () => {
    const tls = await certificate();
    const node = await startNameNode(() => statusOf(), tls);
    expect(await storageOf([node.url], {}, { ca: tls.cert }).stat(FILE)).toMatchObject({ size: 5 });
    await expect(storageOf([node.url]).stat(FILE)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining("give its authority's certificate as caFile"),
    });
  });

  test('is not given up for a redirect', async () => {
    const tls = await certificate();
    const plain = await startNameNode(() => ({}));
    const node = await startNameNode(
      ({ parameters, response }) =>
        parameters['op'] === 'OPEN' ? redirect(response, `${plain.url}/webhdfs/v1/a`) : statusOf(),
      tls,
    );
    const storage = storageOf([node.url], {}, { ca: tls.cert });
    await expect(storage.read(FILE)).rejects.toThrow('without TLS, which is not followed');
    expect(plain.operations).toEqual([]);
  });
});

describe('who asks', () => {
  const answer = statusOf();

  test('is told by user.name, or by a token and then without a name', async () => {
    const seen: Record<string, string>[] = [];
    const node = await startNameNode(({ parameters }) => {
      seen.push(parameters);
      return answer;
    });
    await storageOf([node.url], {}, { user: 'al ice' }).stat(FILE);
    await storageOf([node.url], {}, { token: 'abc-_', user: 'alice' }).stat(FILE);
    expect(seen).toEqual([
      { op: 'GETFILESTATUS', 'user.name': 'al ice' },
      { op: 'GETFILESTATUS', delegation: 'abc-_' },
    ]);
  });

  test('is told anew when a token is not accepted, once', async () => {
    const node = await startNameNode(({ parameters, response }) =>
      parameters['delegation'] === 'good'
        ? answer
        : refuse(response, 'InvalidToken', 'token (token for tep) is expired'),
    );
    const refused: string[] = [];
    const tokens = {
      current: async () => (refused.length > 0 ? 'good' : 'old'),
      refused: (token: string) => void refused.push(token),
    };
    expect(await storageOf([node.url], { tokens }).stat(FILE)).toMatchObject({ size: 5 });
    expect(refused).toEqual(['old']);
    const bad = { current: async () => 'bad', refused: () => undefined };
    await expect(storageOf([node.url], { tokens: bad }).stat(FILE)).rejects.toMatchObject({
      code: 'FORBIDDEN',
      message: expect.stringMatching(
        /is expired; the cluster does not accept this delegation token/,
      ),
    });
    await expect(storageOf([node.url], { tokens: bad }).stat(FILE)).rejects.not.toThrow('bad');
  });

  test('has to be told to a cluster with Kerberos', async () => {
    const node = await startNameNode(({ response }) => void response.writeHead(401).end('<html>'));
    await expect(storageOf([node.url]).stat(FILE)).rejects.toMatchObject({
      code: 'FORBIDDEN',
      message: expect.stringContaining(
        "authentication is required; the cluster does not accept the user 'tep'",
      ),
    });
  });
});

test('a file that is missing is told from a server that is the wrong one', async () => {
  const node = await startNameNode(({ path, response }) => missing(response, path));
  expect(await storageOf([node.url]).stat(FILE)).toBeUndefined();
  await expect(textAt(storageOf([node.url]), FILE)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const other = await startNameNode(({ response }) =>
    json(response, { error: 'no such page' }, 404),
  );
  await expect(storageOf([other.url]).stat(FILE)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});
