import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

import { describe, expect, it } from 'vitest';

import { References, isPublic } from './references.ts';

const LIMITS = { maxBytes: 1000, seconds: 10, maxRedirects: 2 };

async function startServer(listener: RequestListener) {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const fetchWith = (allow: readonly string[], over = {}) =>
  new References({ allow, ...LIMITS, ...over });

const refusalOf = async (href: string, allow: readonly string[] = [], over = {}) => {
  using references = fetchWith(allow, over);
  const refused = await references
    .forRequest()({ href })
    .catch((error: unknown) => error);
  expect(refused).toMatchObject({
    code: expect.stringMatching(/^(INVALID_PARAMETER|REQUEST_TOO_LARGE)$/),
  });
  return (refused as Error).message;
};

describe('a reference', () => {
  it('is fetched from a server that is allowed, with its type', async () => {
    await using server = await startServer((request, response) => {
      response.setHeader('content-type', 'text/xml').end(`<a>${request.method}</a>`);
    });
    using references = fetchWith(['127.0.0.1']);
    const fetched = await references.forRequest()({ href: `${server.url}/x` });
    expect(fetched).toEqual({ content: Buffer.from('<a>GET</a>'), mediaType: 'text/xml' });
  });

  it('is posted to where it has a body, and is decoded as the request says', async () => {
    await using server = await startServer((request, response) => {
      void text(request).then((body) => response.end(Buffer.from(body).toString('base64')));
    });
    using references = fetchWith(['127.0.0.1']);
    const fetched = await references.forRequest()({
      href: server.url,
      body: Buffer.from('<b/>'),
      mediaType: 'text/xml',
      encoding: 'base64',
    });
    expect(fetched).toEqual({ content: Buffer.from('<b/>'), mediaType: 'text/xml' });
  });

  it.each([
    'http://127.0.0.1:1/',
    'http://127.1:1/',
    'http://2130706433:1/',
    'http://0x7f.1:1/',
    'http://0.0.0.0:1/',
    'http://[::1]:1/',
    'http://[::ffff:127.0.0.1]:1/',
    'http://[::ffff:7f00:1]:1/',
    'http://[64:ff9b::7f00:1]:1/',
    'http://[fe80::1]:1/',
    'http://[fd00::1]:1/',
    'http://10.1.2.3:1/',
    'http://172.16.0.1:1/',
    'http://192.168.0.1:1/',
    'http://100.64.0.1:1/',
    'http://169.254.169.254/latest/meta-data/',
    'http://224.0.0.1:1/',
    'http://255.255.255.255:1/',
    'http://localhost:1/',
  ])('to %s is refused without a connection', async (href) => {
    expect(await refusalOf(href)).toContain('not on the public internet');
  });

  it.each([
    ['file:///etc/passwd', "not 'file:'"],
    ['ftp://a.example/x', "not 'ftp:'"],
    ['gopher://a.example/', "not 'gopher:'"],
    ['/etc/passwd', 'not a URL'],
    ['http://user:secret@a.example/', 'user or password'],
  ])('to %s is refused', async (href, reason) => {
    const message = await refusalOf(href);
    expect(message).toContain(reason);
    expect(message).not.toContain('secret');
  });

  it('that is redirected into the network is refused, and to a file as well', async () => {
    const targets = ['http://127.0.0.2:1/', 'http://[::1]/', 'file:///etc/passwd'];
    await using server = await startServer(({ url }, response) => {
      response.writeHead(302, { location: targets[Number(url!.slice(1))]! }).end();
    });
    expect(await refusalOf(`${server.url}/0`, ['127.0.0.1'])).toContain('public internet');
    expect(await refusalOf(`${server.url}/1`, ['127.0.0.1'])).toContain('public internet');
    expect(await refusalOf(`${server.url}/2`, ['127.0.0.1'])).toContain('http or https');
  });

  it('is followed so far and no further', async () => {
    await using server = await startServer(({ url }, response) => {
      const left = Number(url!.slice(1));
      if (left === 0) response.end('there');
      else response.writeHead(307, { location: `/${left - 1}` }).end();
    });
    using references = fetchWith(['127.0.0.1']);
    const { content } = await references.forRequest()({ href: `${server.url}/2` });
    expect(content.toString()).toBe('there');
    expect(await refusalOf(`${server.url}/3`, ['127.0.0.1'])).toContain('more than 2 times');
  });

  it('that is too large is left off where the limit is', async () => {
    let sent = 0;
    await using server = await startServer((_, response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(1000))) sent += 1000;
      };
      response.on('drain', more);
      more();
    });
    expect(await refusalOf(server.url, ['127.0.0.1'])).toContain('more than 1000 bytes');
    expect(sent).toBeLessThan(50_000_000);
  });

  it('whose server says nothing is given up', async () => {
    await using server = await startServer(() => undefined);
    const message = await refusalOf(server.url, ['127.0.0.1'], { seconds: 0.2 });
    expect(message).toContain('did not come within 0.2 s');
  });

  it('that its server does not have says so', async () => {
    await using server = await startServer((_, response) => response.writeHead(404).end('secret'));
    const message = await refusalOf(server.url, ['127.0.0.1']);
    expect(message).toBe('its server answers 404');
  });

  it('is one of so many in a request', async () => {
    await using server = await startServer((_, response) => response.end('x'));
    using references = fetchWith(['127.0.0.1']);
    const fetchReference = references.forRequest();
    const asked = Array.from({ length: 21 }, () => fetchReference({ href: server.url }));
    const outcomes = await Promise.allSettled(asked);
    expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(1);
  });
});

it('only what is nobody’s own is public', () => {
  expect(isPublic('9.9.9.9')).toBe(true);
  expect(isPublic('2620:fe::fe')).toBe(true);
  expect(isPublic('198.51.100.1')).toBe(false);
  expect(isPublic('not an address')).toBe(false);
});
