import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { PushbroomError } from '../../src/errors.ts';
import type { Deploy } from '../../src/gateways/upload.ts';
import { startServer } from './server.ts';
import type { TestServer } from './server.ts';

const BUNDLES = '/upload?dir=software&bundle=true';

/** A deployment that keeps what it was given. */
function createDeployments() {
  const deployed: { by: string; content: string }[] = [];
  const deploy: Deploy = async (path, by) => {
    deployed.push({ by, content: await readFile(path, 'utf8') });
    return { name: 'x', version: '1.0' };
  };
  return { deployed, deploy };
}

async function send(
  server: TestServer,
  data: FormData,
  url = BUNDLES,
  headers: Record<string, string> = {},
) {
  const request = new Request('http://x', { method: 'POST', body: data });
  return server.app.inject({
    method: 'POST',
    url,
    payload: Buffer.from(await request.arrayBuffer()),
    headers: { ...headers, 'content-type': request.headers.get('content-type')! },
  });
}

function form(content: string, field = 'file', name = 'urbantep-fmask-3.2.zip'): FormData {
  const data = new FormData();
  data.append('echo', 'text');
  data.append(field, new Blob([content]), name);
  return data;
}

describe('an upload', () => {
  it.each([BUNDLES, `/bc-wps${BUNDLES}`])(
    'of a bundle to %s is deployed for its user',
    async (url) => {
      const { deployed, deploy } = createDeployments();
      await using server = await startServer({ deploy });
      const response = await send(server, form('zip'), url, { remote_user: 'alice' });
      expect(response.statusCode).toBe(202);
      expect(response.headers['content-type']).toBe('text/plain; charset=utf-8');
      expect(response.body).toBe('urbantep-fmask-3.2.zip');
      expect(deployed).toEqual([{ by: 'tep_alice', content: 'zip' }]);
      expect(await server.leftovers()).toEqual([]);
    },
  );

  it('may be longer than other bodies', async () => {
    const { deployed, deploy } = createDeployments();
    await using server = await startServer({ deploy });
    expect((await send(server, form('x'.repeat(99_000)))).statusCode).toBe(202);
    expect(deployed[0]!.content).toHaveLength(99_000);
  });

  it('that is refused as a bundle is answered with the reason', async () => {
    const reason = 'the archive has no bundle-descriptor.xml';
    await using server = await startServer({
      deploy: () => Promise.reject(new PushbroomError('INVALID_BUNDLE', reason)),
    });
    const response = await send(server, form('zip'));
    expect([response.statusCode, response.body]).toEqual([400, reason]);
    expect(response.headers['content-type']).toBe('text/plain; charset=utf-8');
    expect(await server.leftovers()).toEqual([]);
  });

  it('that fails inside tells nothing of it', async () => {
    await using server = await startServer({
      deploy: () => Promise.reject(new Error('the secret is 42')),
    });
    const response = await send(server, form('zip'));
    expect(response.statusCode).toBe(500);
    expect(response.body).toMatch(/^internal error \(request /);
    expect(server.errors.splice(0).join('')).toContain('the secret');
    expect(await server.leftovers()).toEqual([]);
  });

  it.each([
    ['too large', form('x'.repeat(100_001)), BUNDLES, 413, /large/],
    ['without the field', form('zip', 'other'), BUNDLES, 400, /'file' is missing/],
    ['without a file', new FormData(), BUNDLES, 400, /./],
    ['of region data', form('zip'), '/upload?dir=region_data', 400, /only processor bundles/],
    ['of an unnamed kind', form('zip'), '/upload', 400, /only processor bundles/],
    ['to a directory twice', form('zip'), `${BUNDLES}&dir=x`, 400, /only processor bundles/],
  ])('%s is refused with a reason', async (_, data, url, status, reason) => {
    const { deployed, deploy } = createDeployments();
    await using server = await startServer({ deploy });
    const response = await send(server, data, url);
    expect(response.statusCode).toBe(status);
    expect(response.body).toMatch(reason);
    expect(deployed).toEqual([]);
    expect(await server.leftovers()).toEqual([]);
  });

  it('of two files is refused', async () => {
    const { deployed, deploy } = createDeployments();
    await using server = await startServer({ deploy });
    const two = form('one');
    two.append('file', new Blob(['two']), 'two.zip');
    expect((await send(server, two)).statusCode).toBe(413);
    expect(deployed).toEqual([]);
    expect(await server.leftovers()).toEqual([]);
  });

  it.each([
    ['application/zip', 'zip', 415],
    ['', 'zip', 415],
    ['multipart/form-data', 'zip', 400],
    [
      'multipart/form-data; boundary=x',
      '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nzi',
      400,
    ],
    ['multipart/form-data; boundary=x', 'nonsense', 400],
  ])('as %j that cannot be read is refused', async (type, payload, status) => {
    const { deployed, deploy } = createDeployments();
    await using server = await startServer({ deploy });
    const headers = type === '' ? {} : { 'content-type': type };
    const response = await server.app.inject({ method: 'POST', url: BUNDLES, payload, headers });
    expect(response.statusCode).toBe(status);
    expect(response.body).toMatch(/./);
    expect(deployed).toEqual([]);
    expect(await server.leftovers()).toEqual([]);
  });
});
