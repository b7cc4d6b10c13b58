import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { pino } from 'pino';
import { expect, test } from 'vitest';

import { createResourceManager } from './resource-manager.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A ResourceManager that answers as no real one does on demand. */
async function serve(answer: Answer) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    answer(request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}

const says =
  (body: unknown, status = 200): Answer =>
  (_, response) =>
    response
      .writeHead(status, { 'content-type': 'application/json' })
      .end(typeof body === 'string' ? body : JSON.stringify(body));

const INFO = { clusterInfo: { startedOn: 5, haState: 'ACTIVE', resourceManagerVersion: '3.5.0' } };

const create = (urls: readonly string[], answerMs = 5000) =>
  createResourceManager({ urls, user: 'tep', logger: pino({ level: 'silent' }), answerMs });

test('asks the others where one does not answer, and then the one that did', async () => {
  await using active = await serve(says(INFO));
  const manager = create(['http://127.0.0.1:9', active.url]);
  expect(await manager.info()).toMatchObject({ startedOn: 5 });
  await manager.info();
  expect(active.asked).toEqual(Array(2).fill('GET /ws/v1/cluster/info?user.name=tep'));
});

test('follows a standby one to the active one, with what is written too', async () => {
  await using active = await serve(says({}));
  await using standby = await serve((request, response) =>
    response.writeHead(307, { location: `${active.url}${request.url}` }).end('standby'),
  );
  const manager = create([standby.url]);
  await manager.end('application_1_0001');
  expect(active.asked).toEqual(['PUT /ws/v1/cluster/apps/application_1_0001/state?user.name=tep']);
});

test('does not follow for ever, nor to what is no address', async () => {
  await using loop = await serve((request, response) =>
    response.writeHead(307, { location: request.url }).end(),
  );
  await expect(create([loop.url]).info()).rejects.toThrow('more than 3 redirects');
  await using file = await serve((_, response) =>
    response.writeHead(307, { location: 'file:///etc/passwd' }).end(),
  );
  await expect(create([file.url]).info()).rejects.toThrow('no address');
});

test('ends an application once, however often it is asked to', async () => {
  await using gone = await serve(
    says({ RemoteException: { message: 'app with id: x not found' } }, 404),
  );
  await create([gone.url]).end('x');
});

test('says which one said what where none answers as it should', async () => {
  await using garbage = await serve(says('<html>busy</html>'));
  await using refuses = await serve(says({ RemoteException: { message: 'safe mode' } }, 500));
  const failed = create([garbage.url, refuses.url, 'http://127.0.0.1:9']).nodes();
  await expect(failed).rejects.toThrow(
    new RegExp(`${garbage.url}: did not answer in JSON: <html>.*answered 500: safe mode.*:9: `),
  );
});

test('takes a refusal of the active one for what it is', async () => {
  await using other = await serve(says(INFO));
  await using closed = await serve(says({}, 401));
  await expect(create([closed.url, other.url]).info()).rejects.toThrow('authentication');
  expect(other.asked).toEqual([]);
});

test('does not wait for ever, nor read without end', async () => {
  await using silent = await serve(() => undefined);
  await expect(create([silent.url], 100).info()).rejects.toThrow('no answer within 0.1 s');
  const chunk = Buffer.alloc(1024 ** 2, ' ');
  await using endless = await serve((_, response) => {
    const more = (): void => void (response.writableEnded || response.write(chunk, more));
    more();
  });
  await expect(create([endless.url]).info()).rejects.toThrow(/more than \d+ bytes/);
});

test('takes only applications with all of the tags', async () => {
  const app = (id: string, applicationTags: string) => ({ id, state: 'RUNNING', applicationTags });
  const apps = { app: [app('a', 'pushbroom,x'), app('b', 'pushbroom')] };
  await using active = await serve(says({ apps }));
  const found = await create([active.url]).applications(['x', 'pushbroom']);
  expect(found.map(({ id }) => id)).toEqual(['a']);
  expect(active.asked[0]).toContain('applicationTags=x');
});
