import { once } from 'node:events';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { startServer } from './server.ts';
import type { TestServer } from './server.ts';

const EXECUTE = `<wps:Execute service="WPS" version="1.0.0" xmlns:wps="http://www.opengis.net/wps/1.0.0"
  xmlns:ows="http://www.opengis.net/ows/1.1"><ows:Identifier>urbantep-subsetting~1.0~Subset</ows:Identifier></wps:Execute>`;

const REQUEST = `POST /wps HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: ${EXECUTE.length}\r\n\r\n${EXECUTE}`;

const listen = (server: TestServer) => server.app.listen({ host: '127.0.0.1', port: 0 });

const open = async (server: TestServer): Promise<Socket> => {
  const { port } = server.app.server.address() as AddressInfo;
  const socket = connect(port, '127.0.0.1').setEncoding('utf8');
  await once(socket, 'connect');
  return socket;
};

/** Whether nobody waits for a job any more. */
const nobodyWaits = async (server: TestServer, id: string): Promise<void> => {
  while (server.jobs.waiting(id) > 0) await new Promise(setImmediate);
};

describe('over a real socket', () => {
  it('addresses in documents are those by which the client came', async () => {
    await using server = await startServer();
    const url = await listen(server);
    const capabilities = await fetch(`${url}/wps?service=WPS&request=GetCapabilities`);
    expect(await capabilities.text()).toContain(`xlink:href="${url}/wps?"`);
    const landing = (await (await fetch(`${url}/ogcapi`)).json()) as { links: { href: string }[] };
    expect(landing.links[0]!.href).toBe(`${url}/ogcapi`);
  });

  it.each(['a"><script>', 'a b', ''])('a Host header of %j is refused', async (host) => {
    await using server = await startServer();
    await listen(server);
    const socket = await open(server);
    socket.end(`GET /ogcapi HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    const answer = (await socket.toArray()).join('');
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).not.toContain('<script>');
  });

  it('a synchronous job goes on when its client leaves', async () => {
    await using server = await startServer();
    await listen(server);
    const accepted = server.jobs.nextAccepted();
    const socket = await open(server);
    socket.write(REQUEST);
    const id = await accepted;
    await new Promise(setImmediate);
    expect(server.jobs.waiting(id)).toBe(1);
    socket.destroy();
    await nobodyWaits(server, id);
    expect((await server.jobs.status(id)).state).toBe('accepted');
  });

  it('a synchronous request does not keep the server from stopping', async () => {
    await using server = await startServer();
    await listen(server);
    const accepted = server.jobs.nextAccepted();
    const socket = await open(server);
    socket.write(REQUEST);
    const id = await accepted;
    await new Promise(setImmediate);
    const closed = server.app.close();
    const answer = (await socket.toArray()).join('');
    await closed;
    expect(answer).toMatch(/^HTTP\/1\.1 503 /);
    expect(answer).toContain('ServerBusy');
    expect(answer).toContain(`job &apos;${id}&apos; goes on`);
  });

  it('one connection serves many requests, and an idle one does not keep the server from stopping', async () => {
    await using server = await startServer();
    await listen(server);
    const socket = await open(server);
    const chunks = socket[Symbol.asyncIterator]();
    for (let i = 0; i < 3; i++) {
      socket.write('GET /ogcapi/conformance HTTP/1.1\r\nHost: x\r\n\r\n');
      const { value } = (await chunks.next()) as { value: string };
      expect(value).toMatch(/^HTTP\/1\.1 200 /);
    }
    await server.app.close();
  });

  it('an upload that breaks off leaves nothing behind', async () => {
    await using server = await startServer();
    await listen(server);
    const socket = await open(server);
    socket.write(
      'POST /upload?dir=software&bundle=true HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n' +
        'Content-Type: multipart/form-data; boundary=x\r\n\r\n' +
        '--x\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n\r\nzip',
    );
    while ((await server.leftovers()).length === 0) await new Promise(setImmediate);
    socket.destroy();
    // Waits for what has to come; a test that never sees it fails by its time limit.
    while ((await server.leftovers()).length > 0) await new Promise(setImmediate);
    expect(server.errors).toEqual([]);
  });
});
