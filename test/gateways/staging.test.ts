import { once } from 'node:events';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startServer } from './server.ts';
import type { TestServer } from './server.ts';

const JOB = '20170420225425_L3_10f8bb718406f6';

async function startWithResults(): Promise<TestServer> {
  const server = await startServer();
  const job = join(server.stagingDir, 'tep_alice', JOB);
  await mkdir(join(job, 'sub dir'), { recursive: true });
  await Promise.all([
    writeFile(join(job, 'a.tif'), '0123456789'),
    writeFile(join(job, 'a.png'), 'png'),
    writeFile(join(job, 'Größe #1?%20&<x>.csv'), 'csv'),
    writeFile(join(job, 'GUF-metadata'), '<feed/>'),
    writeFile(join(job, 'SHA256SUMS'), 'sums'),
    writeFile(join(job, 'page.html'), '<script>alert(1)</script>'),
    writeFile(join(job, 'odd.weird'), 'odd'),
    writeFile(join(job, '.hidden'), 'secret'),
    writeFile(join(job, 'sub dir', 'b.nc'), 'nc'),
    writeFile(join(server.stagingDir, 'tep_alice', 'secret.txt'), 'secret'),
    writeFile(join(server.stagingDir, 'secret.txt'), 'secret'),
    symlink('/etc/passwd', join(job, 'passwd')),
    symlink('..', join(job, 'up')),
    symlink('a.tif', join(job, 'latest.tif')),
    symlink('loop', join(job, 'loop')),
  ]);
  return server;
}

const AT = `/staging/tep_alice/${JOB}`;

describe('staged results', () => {
  it.each([
    ['a.tif', 'image/tiff'],
    ['a.png', 'image/png'],
    ['GUF-metadata', 'application/atom+xml'],
    ['SHA256SUMS', 'text/plain; charset=utf-8'],
    ['sub%20dir/b.nc', 'application/netcdf'],
    ['page.html', 'application/octet-stream'],
    ['odd.weird', 'application/octet-stream'],
    ['latest.tif', 'image/tiff'],
    [encodeURIComponent('Größe #1?%20&<x>.csv'), 'text/csv; charset=utf-8'],
  ])('have the media type of their name: %s', async (file, type) => {
    await using server = await startWithResults();
    const response = await server.app.inject(`${AT}/${file}`);
    expect(response.statusCode).toBe(200);
    expect(response.headers).toMatchObject({
      'content-type': type,
      'x-content-type-options': 'nosniff',
      'accept-ranges': 'bytes',
      'last-modified': expect.stringMatching(/GMT$/),
      etag: expect.stringMatching(/"/),
    });
    expect(Number(response.headers['content-length'])).toBe(response.rawPayload.length);
  });

  it('are served at the path that portals know as well', async () => {
    await using server = await startWithResults();
    expect((await server.app.inject(`/bc-wps${AT}/a.tif`)).body).toBe('0123456789');
  });

  it('come in ranges', async () => {
    await using server = await startWithResults();
    const part = (range: string) =>
      server.app.inject({ url: `${AT}/a.tif`, headers: { range: `bytes=${range}` } });
    const middle = await part('2-4');
    expect([middle.statusCode, middle.body]).toEqual([206, '234']);
    expect(middle.headers['content-range']).toBe('bytes 2-4/10');
    expect((await part('-3')).body).toBe('789');
    expect((await part('20-')).statusCode).toBe(416);
    expect((await part('20-')).headers['content-range']).toBe('bytes */10');
  });

  it('are not sent again to who has them', async () => {
    await using server = await startWithResults();
    const { etag } = (await server.app.inject(`${AT}/a.tif`)).headers;
    const headers = { 'if-none-match': String(etag) };
    const again = await server.app.inject({ url: `${AT}/a.tif`, headers });
    expect([again.statusCode, again.body]).toEqual([304, '']);
  });

  it('tell their size by HEAD', async () => {
    await using server = await startWithResults();
    const head = await server.app.inject({ method: 'HEAD', url: `${AT}/a.tif` });
    expect([head.statusCode, head.body, head.headers['content-length']]).toEqual([200, '', '10']);
  });

  it.each([AT, `${AT}/`])(
    'are listed for their job at %s, each with a link that works',
    async (url) => {
      await using server = await startWithResults();
      const response = await server.app.inject(url);
      expect(response.headers['content-type']).toBe('text/html; charset=utf-8');
      expect(response.body).not.toMatch(/hidden|<x>/);
      const hrefs = [...response.body.matchAll(/href="([^"]+)"/g)].map(([, href]) => href!);
      expect(hrefs.length).toBeGreaterThan(6);
      const dead = new Set(
        ['passwd', 'up', 'loop'].map((name) => `http://localhost:80${AT}/${name}`),
      );
      for (const href of hrefs) {
        const found = await server.app.inject(href.replace('http://localhost:80', ''));
        expect([href, found.statusCode]).toEqual([href, dead.has(href) ? 404 : 200]);
      }
      expect((await server.app.inject(`${AT}/sub%20dir`)).body).toContain('b.nc');
    },
  );

  it.each([
    '/staging',
    '/staging/',
    '/staging/tep_alice',
    '/staging/tep_alice/',
    '/staging/tep_alice/secret.txt/../secret.txt',
    '/staging/tep_alice/..',
    '/staging/tep_alice/%2e%2e',
    '/staging/%2e%2e/staging',
    '/staging/..%2ftep_alice/x',
    `${AT}/%2e%2e/secret.txt`,
    `${AT}/..%2fsecret.txt`,
    `${AT}/..%2f..%2fsecret.txt`,
    `${AT}/..%5csecret.txt`,
    `${AT}/%252e%252e/secret.txt`,
    `${AT}/sub%20dir/%2e%2e/a.tif`,
    `${AT}/a.tif%00`,
    `${AT}/a.tif/x`,
    `${AT}/.hidden`,
    `${AT}/passwd`,
    `${AT}/up/secret.txt`,
    `${AT}/loop`,
    `${AT}/none`,
    `${AT}/${'x'.repeat(300)}`,
    `${AT}/../secret.txt`,
    '/staging/tep_alice/secret.txt',
    `/staging/tep_bob/${JOB}`,
    '/staging/tep_alice/none',
  ])('are not a way to %s', async (path) => {
    await using server = await startWithResults();
    const { port } = new URL(await server.app.listen({ host: '127.0.0.1', port: 0 }));
    // Not `inject` nor `fetch`: they would resolve the dots before the server sees them.
    const sent = request({ host: '127.0.0.1', port, path, agent: false }).end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const body = (await response.setEncoding('utf8').toArray()).join('');
    expect(response.statusCode).toBe(404);
    expect(body).not.toMatch(/^secret|root:/);
  });

  it.each(['POST', 'PUT', 'DELETE'] as const)('are not changed by %s', async (method) => {
    await using server = await startWithResults();
    expect((await server.app.inject({ method, url: `${AT}/a.tif` })).statusCode).toBe(404);
  });
});
