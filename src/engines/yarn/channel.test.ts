import { pino } from 'pino';
import { expect, test, vi } from 'vitest';

import { isAlive } from '../../../test/fixtures/bundles.ts';
import { createSidecar } from './channel.ts';
import type { SidecarOptions } from './channel.ts';
import type { AmEvent } from './protocol.ts';

const WAIT = { timeout: 20_000 };

/** Speaks with a program that is a script of Node. */
async function speak(script: string, over: Partial<SidecarOptions> = {}) {
  const log: string[] = [];
  const events: AmEvent[] = [];
  const losses: string[] = [];
  const write = (line: string) => void log.push((JSON.parse(line) as { msg: string }).msg);
  const channel = createSidecar({
    program: async () => ({ command: process.execPath, arguments: ['-e', script] }),
    logger: pino({ level: 'debug' }, { write }),
    backoff: { first: 10, longest: 50 },
    ...over,
  });
  const stop = new AbortController();
  const listener = {
    hear: (event: AmEvent) => void events.push(event),
    lost: (reason: string) => void losses.push(reason),
  };
  const ran = channel.run(listener, stop.signal);
  const until = (condition: () => boolean) =>
    vi.waitFor(() => expect(condition()).toBe(true), WAIT);
  return {
    channel,
    events,
    losses,
    log,
    until,
    ready: () => until(() => events.some(({ event }) => event === 'ready')),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await ran;
    },
  };
}

const READY = `console.log('{"event":"ready","hadoop":"3","user":"' + process.pid + '"}');`;
/** Says every order back. */
const ECHO = `${READY} require('node:readline').createInterface({ input: process.stdin }).on('line', (line) =>
  console.log(JSON.stringify({ event: 'say', level: 'info', message: JSON.parse(line).order })));`;
const ORDER = { order: 'stop', app: 'job', request: 1 } as const;

const pidOf = (events: readonly AmEvent[]): number => {
  const ready = events.findLast((event) => event.event === 'ready');
  return ready?.event === 'ready' ? Number(ready.user) : 0;
};

test('gives orders and hears events, but no orders before there is anybody', async () => {
  await using spoken = await speak(ECHO);
  expect(spoken.channel.give(ORDER)).toBe(false);
  await spoken.ready();
  expect(spoken.channel.give(ORDER)).toBe(true);
  await spoken.until(() => spoken.events.length === 2);
  expect(spoken.events[1]).toMatchObject({ event: 'say', message: 'stop' });
});

test('starts it again when it dies, and says why it did', async () => {
  await using spoken = await speak(`${READY} console.error('no memory'); process.exitCode = 3;`);
  await spoken.until(() => spoken.losses.length >= 2);
  expect(spoken.losses[0]).toBe('ended with exit code 3: no memory');
  expect(spoken.events.filter(({ event }) => event === 'ready').length).toBeGreaterThan(1);
});

test('says so when there is no such program', async () => {
  await using spoken = await speak('', {
    program: async () => ({ command: '/nowhere/java', arguments: [] }),
  });
  await spoken.until(() => spoken.losses.length > 0);
  expect(spoken.losses[0]).toMatch(/cannot be started: .*\/nowhere\/java/);
});

test('says so when it cannot be made', async () => {
  const program = () => Promise.reject(new Error('there is no mvn'));
  await using spoken = await speak('', { program });
  await spoken.until(() => spoken.losses.length > 1);
  expect(spoken.losses[0]).toBe('cannot be started: there is no mvn');
});

test('passes over what is no event, and says so', async () => {
  await using spoken = await speak(
    `console.log('log4j: hello'); ${READY} console.log('{"event":"started"}'); ${ECHO}`,
  );
  await spoken.ready();
  spoken.channel.give(ORDER);
  await spoken.until(() => spoken.events.some(({ event }) => event === 'say'));
  expect(spoken.log.join('\n')).toMatch(/no JSON: "log4j: hello"/);
  expect(spoken.log.join('\n')).toMatch(/'started' without a valid app/);
});

test('ends one that does not get ready, or speaks without end', async () => {
  await using mute = await speak('setInterval(() => {}, 1000);', { readyMs: 100, endMs: 100 });
  await mute.until(() => mute.losses.length > 0);
  expect(mute.losses[0]).toMatch(/not ready within 0.1 s/);
  await using endless = await speak(
    `${READY} const more = () => process.stdout.write('x'.repeat(1e6), more); more();`,
    { endMs: 100 },
  );
  await endless.until(() => endless.losses.length > 0);
  expect(endless.losses[0]).toMatch(/a line has more than \d+ bytes/);
});

test('ends it with the service, by force where it does not want to', async () => {
  const polite = await speak(ECHO);
  await polite.ready();
  await polite[Symbol.asyncDispose]();
  expect(isAlive(pidOf(polite.events))).toBe(false);
  const stubborn = await speak(`${READY} setInterval(() => {}, 1000);`, { endMs: 100 });
  await stubborn.ready();
  await stubborn[Symbol.asyncDispose]();
  expect(isAlive(pidOf(stubborn.events))).toBe(false);
  expect(stubborn.losses).toEqual([]);
});
