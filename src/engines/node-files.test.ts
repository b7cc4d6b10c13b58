import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rename, rm, symlink, unlink, utimes, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { serveNodeFiles } from './node-files.ts';
import type { NodeFiles } from './node-files.ts';

let directory: string;
let file: string;
let files: NodeFiles;
let logged: string[];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'files-'));
  file = join(directory, 'bundle.zip');
  await writeFile(file, 'content');
  logged = [];
  const logger = pino({ level: 'info' }, { write: (line) => void logged.push(line) });
  files = await serveNodeFiles({ host: '127.0.0.1', port: 0, logger });
});
afterEach(async () => {
  await files.close();
  await rm(directory, { recursive: true });
});

const sha256 = (content: string | Buffer) => createHash('sha256').update(content).digest('hex');
const statusOf = async (url: string, method = 'GET') => (await fetch(url, { method })).status;

/** A request as no client would send it; only the first line of the answer. */
async function raw(path: string): Promise<string> {
  const socket = connect(Number(new URL(files.baseUrl).port), '127.0.0.1');
  socket.end(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  return (await text(socket)).split('\r\n')[0]!;
}

test('a published file has an address that holds its hash', async () => {
  const url = await files.publish(file, { name: 'bundle.zip' });
  expect(url).toBe(`${files.baseUrl}/files/${sha256('content')}/bundle.zip`);
  const answer = await fetch(url);
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-length')).toBe('7');
  expect(answer.headers.get('cache-control')).toContain('immutable');
  expect(await answer.text()).toBe('content');
});

test('its length is told without it', async () => {
  const answer = await fetch(await files.publish(file, { name: 'a' }), { method: 'HEAD' });
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-length')).toBe('7');
  expect(await answer.text()).toBe('');
});

test('large files arrive whole, several at a time', async () => {
  const content = randomBytes(5 * 1024 ** 2);
  await writeFile(file, content);
  const url = await files.publish(file, { name: 'large' });
  const answers = await Promise.all(
    Array.from({ length: 4 }, async () => Buffer.from(await (await fetch(url)).arrayBuffer())),
  );
  expect(answers.every((answer) => answer.equals(content))).toBe(true);
});

test('an empty file is one', async () => {
  await writeFile(file, '');
  const answer = await fetch(await files.publish(file, { name: 'empty' }));
  expect([answer.status, await answer.text()]).toEqual([200, '']);
});

test('the address is the same for whoever publishes the same, however often', async () => {
  const other = join(directory, 'other');
  await writeFile(other, 'content');
  const urls = await Promise.all(
    [file, file, other, file].map((path) => files.publish(path, { name: 'bundle.zip' })),
  );
  expect(new Set(urls).size).toBe(1);
  expect(await statusOf(urls[0]!)).toBe(200);
});

test('the address is what nodes see, where that is another', async () => {
  const options = { host: '127.0.0.1', port: 0, logger: pino({ level: 'silent' }) };
  await using behind = await disposable({ ...options, baseUrl: 'https://files.example:1/x' });
  const url = await behind.publish(file, { name: 'a' });
  expect(url).toBe(`https://files.example:1/x/files/${sha256('content')}/a`);
});

const disposable = async (options: Parameters<typeof serveNodeFiles>[0]) => {
  const served = await serveNodeFiles(options);
  return Object.assign(served, { [Symbol.asyncDispose]: served.close });
};

describe('what has changed since it was published is gone', () => {
  const expectGone = async (url: string) => {
    const answer = await fetch(url);
    expect(answer.status).toBe(410);
    expect(await answer.text()).not.toContain('changed!');
    expect(logged.join('')).toContain('is gone or has changed');
  };

  test('in place, even with its old length and time', async () => {
    const url = await files.publish(file, { name: 'a' });
    await utimes(file, 1, 1);
    expect(await statusOf(url), 'what only seems to have changed').toBe(200);
    await writeFile(file, 'changed');
    await utimes(file, 1, 1);
    await expectGone(url);
  });

  test('by another in its place', async () => {
    const url = await files.publish(file, { name: 'a' });
    await writeFile(join(directory, 'new'), 'changed!');
    await rename(join(directory, 'new'), file);
    await expectGone(url);
    const anew = await files.publish(file, { name: 'a' });
    expect(anew).not.toBe(url);
    expect(await (await fetch(anew)).text()).toBe('changed!');
    await expectGone(url);
  });

  test('by its end', async () => {
    const url = await files.publish(file, { name: 'a' });
    await unlink(file);
    await expectGone(url);
    await writeFile(file, 'content');
    expect(await statusOf(url), 'until it is back').toBe(200);
  });
});

describe('nothing else is there', () => {
  test('at other addresses', async () => {
    const url = await files.publish(file, { name: 'a' });
    const { pathname } = new URL(url);
    const paths = ['/', '/files', '/files/', `${pathname}/`, `${pathname}?x`, `/x${pathname}`];
    for (const path of paths) expect(await statusOf(files.baseUrl + path)).toBe(404);
    expect(await statusOf(`${files.baseUrl}/files/${sha256('content')}/b`)).toBe(404);
  });

  test('by any path out of it', async () => {
    const { pathname } = new URL(await files.publish(file, { name: 'a' }));
    const part = fc.constantFrom(
      '..',
      '.',
      '%2e%2e',
      '/',
      '//',
      'etc',
      'passwd',
      'bundle.zip',
      '%00',
      '\\',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(part), async (parts) => {
        const path = `${pathname}/${parts.join('/')}`;
        expect(await raw(path)).toMatch(/^HTTP\/1.1 (?:404|400) /);
      }),
      { numRuns: 50 },
    );
  });

  test('to be changed', async () => {
    const url = await files.publish(file, { name: 'a' });
    for (const method of ['PUT', 'POST', 'DELETE']) expect(await statusOf(url, method)).toBe(405);
  });
});

test.each(['', 'a/b', '..', 'a b', 'a?b', 'ä', '%2e'])('%j is no name for a file', async (name) => {
  await expect(files.publish(file, { name })).rejects.toThrow('cannot be published');
});

test('what is no regular file, or not there, cannot be published', async () => {
  await mkdir(join(directory, 'sub'));
  await symlink('nowhere', join(directory, 'link'));
  for (const name of ['sub', 'link', 'missing']) {
    await expect(files.publish(join(directory, name), { name })).rejects.toThrow();
  }
  await writeFile(join(directory, 'missing'), 'now there');
  await files.publish(join(directory, 'missing'), { name: 'missing' });
});

test('an end does not wait for those who read', async () => {
  await writeFile(file, randomBytes(20 * 1024 ** 2));
  const url = await files.publish(file, { name: 'a' });
  const reading = await fetch(url);
  await files.close();
  await expect(reading.arrayBuffer()).rejects.toThrow();
  files = await serveNodeFiles({ host: '127.0.0.1', port: 0, logger: pino({ level: 'silent' }) });
});

test('an address that is taken is told', async () => {
  const port = Number(new URL(files.baseUrl).port);
  const again = serveNodeFiles({ host: '127.0.0.1', port, logger: pino({ level: 'silent' }) });
  await expect(again).rejects.toThrow('EADDRINUSE');
});
