import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { BUILTINS } from '../../src/processes/builtin.ts';
import { startReceiver } from '../fixtures/receiver.ts';
import { createTestGate } from '../fixtures/gate.ts';
import { startServer } from './server.ts';
import type { TestServer } from './server.ts';

const OPTIONS = {
  baseUrl: 'https://centre.example',
  references: { allow: ['127.0.0.1'], maxBytes: 10_000, seconds: 10, maxRedirects: 2 },
  callbackTiming: { delays: [1, 1, 1], interval: 1 },
};

const execute = async (server: TestServer, url: string, inputs: object) => {
  const response = await server.app.inject({
    method: 'POST',
    url: '/ogcapi/processes/echo/execution',
    headers: { prefer: 'respond-async' },
    payload: {
      inputs,
      outputs: { stringInput: {} },
      subscriber: {
        successUri: `${url}/success?key=secret`,
        inProgressUri: `${url}/progress`,
        failedUri: `${url}/failure`,
      },
    },
  });
  expect(response.statusCode).toBe(201);
  return response.json<{ jobID: string }>().jobID;
};

/** Resolves when nobody waits to be told any more. */
async function delivered(directory: string): Promise<void> {
  while ((await readdir(directory)).length > 0) await new Promise(setImmediate);
}

describe('the callback of OGC API - Processes', () => {
  it('is given the results, in the end and until it has them', async () => {
    await using receiver = await startReceiver(2);
    await using directory = await temporary();
    const options = { ...OPTIONS, callbackDir: directory.path };
    await using server = await startServer(options, BUILTINS);
    await execute(server, receiver.url, { stringInput: 'hello' });
    const expected = {
      path: '/success?key=secret',
      type: 'application/json',
      body: { stringInput: 'hello' },
    };
    expect(await receiver.next()).toEqual(expected);
    expect(await receiver.next()).toEqual(expected);
    expect(await receiver.next()).toEqual(expected);
    await delivered(directory.path);
  });

  it('is told how far a job has come, and that it has failed', async () => {
    await using receiver = await startReceiver();
    await using server = await startServer(OPTIONS, BUILTINS);
    const jobID = await execute(server, receiver.url, { pause: 60 });
    server.jobs.move(jobID, { state: 'running', percent: 20 });
    expect(await receiver.next()).toMatchObject({
      path: '/progress',
      body: { jobID, status: 'running', progress: 20 },
    });
    server.jobs.move(jobID, { state: 'running', percent: 40 });
    expect(await receiver.next()).toMatchObject({ path: '/progress', body: { progress: 40 } });
    server.jobs.move(jobID, { state: 'failed', message: 'exit code 3', endedAt: 1000 });
    expect(await receiver.next()).toMatchObject({
      path: '/failure',
      body: { jobID, status: 'failed', message: 'exit code 3' },
    });
  });

  it('is told by the next server what the one before has not told', async () => {
    await using receiver = await startReceiver();
    await using directory = await temporary();
    const options = { ...OPTIONS, callbackDir: directory.path };
    let jobs;
    {
      await using first = await startServer(options, BUILTINS);
      jobs = first.jobs;
      await execute(first, receiver.url, { stringInput: 'later', pause: 60 });
      const [file = ''] = await readdir(directory.path);
      expect((await stat(join(directory.path, file))).mode % 0o1000).toBe(0o600);
      await writeFile(join(directory.path, 'broken.json'), '{');
    }
    const [status] = (await jobs.list({ limit: 1 })).items;
    jobs.move(status!.job.id, { state: 'dismissed', endedAt: 1000 });
    const gate = createTestGate(jobs, { userPrefix: 'tep_' });
    await using second = await startServer({ ...options, gate }, BUILTINS);
    expect(await receiver.next()).toMatchObject({
      path: '/failure',
      body: { jobID: status!.job.id, status: 'dismissed' },
    });
    expect(second.errors).toEqual([]);
  });

  it('that cannot be reached is given up, and its secrets stay its own', async () => {
    await using receiver = await startReceiver(100);
    await using directory = await temporary();
    const lines: string[] = [];
    const logger = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) });
    const options = { ...OPTIONS, callbackDir: directory.path, logger };
    await using server = await startServer(options, BUILTINS);
    await execute(server, receiver.url, { stringInput: 'x' });
    for (let tries = 0; tries < 4; tries += 1) await receiver.next();
    await delivered(directory.path);
    const log = lines.join('');
    expect(log).toContain('a callback is given up');
    expect(log).toContain('its server answers 503');
    expect(log).not.toContain('secret');
  });

  it.each([
    ['http://127.0.0.1:1/', 'public internet'],
    ['http://[::1]/', 'public internet'],
    ['http://169.254.169.254/latest/', 'public internet'],
    ['file:///etc/passwd', 'http or https'],
    ['nonsense', 'not a URL'],
    ['https://user:secret@a.example/', 'user or password'],
  ])('is refused at once where it is %s', async (successUri, reason) => {
    await using server = await startServer({}, BUILTINS);
    const response = await server.app.inject({
      method: 'POST',
      url: '/ogcapi/processes/echo/execution',
      payload: { inputs: {}, subscriber: { successUri } },
    });
    expect(response.statusCode).toBe(400);
    const { detail } = response.json<{ detail: string }>();
    expect(detail).toContain(`successUri: `);
    expect(detail).toContain(reason);
    expect((await server.jobs.list({ limit: 1 })).items).toEqual([]);
  });
});

async function temporary(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'pushbroom-callbacks-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
