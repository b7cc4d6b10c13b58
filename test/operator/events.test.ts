import { afterEach, beforeEach, expect, test } from 'vitest';
import { PROCESS } from './memory-jobs.ts';
import { createTestServer } from './operator-server.ts';
import type { TestServer } from './operator-server.ts';

let server: TestServer;
let url: string;
beforeEach(async () => {
  server = await createTestServer({ heartbeatMs: 5 });
  url = `${await server.app.listen({ port: 0, host: '127.0.0.1' })}/api/events`;
});
afterEach(() => server[Symbol.asyncDispose]());

/** Opens the stream; `read` gives what came, event by event, comments and retry hints left out or alone. */
async function open(lastEventId?: string) {
  const controller = new AbortController();
  const response = await fetch(url, {
    signal: controller.signal,
    ...(lastEventId !== undefined && { headers: { 'last-event-id': lastEventId } }),
  });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  const next = async (wanted: (block: string) => boolean): Promise<string> => {
    for (;;) {
      const end = text.indexOf('\n\n');
      if (end >= 0) {
        const block = text.slice(0, end);
        text = text.slice(end + 2);
        if (wanted(block)) return block;
        continue;
      }
      const { value, done } = await reader.read();
      if (done) throw new Error('the stream has ended');
      text += value;
    }
  };
  return {
    response,
    event: async () => {
      const lines = (await next((block) => block.includes('event:'))).split('\n');
      const field = (name: string) =>
        lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? '';
      return { id: field('id'), event: field('event'), data: JSON.parse(field('data')) };
    },
    comment: () => next((block) => block.startsWith(':')),
    ended: async () => {
      for (;;) if ((await reader.read()).done) return true;
    },
    close: () => controller.abort(),
  };
}

const submit = async () =>
  (
    await server.jobs.submit({
      process: PROCESS.id,
      inputs: {},
      caller: { user: 'u', role: 'operator', groups: [] },
    })
  ).job.id;

test('changes of jobs arrive with rising ids, and a heartbeat while nothing happens', async () => {
  const stream = await open();
  expect(stream.response.headers.get('content-type')).toContain('text/event-stream');
  await stream.comment();
  const id = await submit();
  server.jobs.move(id, { state: 'running', percent: 10 });
  const first = await stream.event();
  const second = await stream.event();
  expect(first).toMatchObject({ event: 'job', data: { jobId: id, state: 'accepted', percent: 0 } });
  expect(second).toMatchObject({
    event: 'job',
    data: { jobId: id, state: 'running', percent: 10 },
  });
  expect(Number(second.id)).toBe(Number(first.id) + 1);
  stream.close();
});

test('a client that comes back gets what it missed', async () => {
  const stream = await open();
  const id = await submit();
  const seen = await stream.event();
  stream.close();
  server.jobs.move(id, { state: 'running' });
  server.jobs.move(id, { state: 'successful', percent: 100 });
  const again = await open(seen.id);
  expect((await again.event()).data.state).toBe('running');
  expect((await again.event()).data.state).toBe('successful');
  again.close();
});

test.each(['1', 'x', '99999999999999999999'])(
  'a client that saw what is not known any more (%s) has to read anew',
  async (id) => {
    await submit();
    const stream = await open(id);
    expect((await stream.event()).event).toBe('resync');
    stream.close();
  },
);

test('the server closes while clients listen', async () => {
  const stream = await open();
  const closed = server.app.close();
  expect(await stream.ended()).toBe(true);
  await closed;
});
