import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { Lines } from './lines.ts';
import { BadEvent, parseEvent } from './parse.ts';
import type { AmEvent } from './protocol.ts';

const capability = { memoryMb: 1024, vcores: 2 };
const running = {
  request: 1_048_577,
  container: 'container_e01_1795420891187_0001_01_000002',
  node: 'node1:45454',
  nodeHttp: 'node1:8042',
  capability,
};
const EVENTS: readonly AmEvent[] = [
  { event: 'ready', hadoop: '3.4.3', user: 'tep' },
  {
    event: 'opened',
    app: 'job',
    applicationId: 'application_1_0001',
    maximum: { ...capability, gpus: 1 },
    queue: 'root.eo',
    running: [running],
  },
  { event: 'allocated', app: 'job', ...running },
  { event: 'started', app: 'job', request: 1 },
  {
    event: 'ended',
    app: 'job',
    request: 1,
    container: 'container_1',
    exitStatus: -100,
    diagnostics: 'lost',
    heldMs: 12,
    end: '{}',
  },
  { event: 'ended', app: 'job', request: 1, exitStatus: -2001, diagnostics: '' },
  { event: 'closed', app: 'job', state: 'FINISHED', diagnostics: '' },
  {
    event: 'headroom',
    app: 'job',
    available: { memoryMb: -512, vcores: 0 },
    maximum: capability,
  },
  { event: 'nodesChanged' },
  { event: 'log', id: 3, text: 'é', next: 2 },
  { event: 'log', id: 3, error: 'not found' },
  { event: 'say', level: 'warn', message: 'the disk is full' },
];

describe('an event of the program', () => {
  test.each(EVENTS)('$event is understood', (event) => {
    expect(parseEvent(JSON.stringify({ ...event, since: 'the next version' }))).toMatchObject(
      event,
    );
  });

  test.each([
    ['log4j:WARN No appenders', /no JSON/],
    ['[]', /no event/],
    ['{"event":"toString"}', /no event/],
    ['{"event":"started","app":"job"}', /'started' without a valid request/],
    ['{"event":"started","app":"job","request":0}', /valid request/],
    ['{"event":"started","app":"job","request":1.5}', /valid request/],
    ['{"event":"started","app":"","request":1}', /valid app/],
    ['{"event":"say","level":"fatal","message":""}', /valid level/],
    [
      '{"event":"opened","app":"a","applicationId":"b","queue":"q","maximum":{"memoryMb":-1,"vcores":1},"running":[]}',
      /valid maximum/,
    ],
    [
      '{"event":"opened","app":"a","applicationId":"b","queue":"q","maximum":{"memoryMb":1,"vcores":1},"running":[{}]}',
      /valid running/,
    ],
  ])('%s is refused', (line, message) => {
    expect(() => parseEvent(line)).toThrow(message);
    expect(() => parseEvent(line)).toThrow(BadEvent);
  });

  test('is refused or understood, whatever comes, and never with a long message', () => {
    const like = fc.oneof(
      fc.json(),
      fc.string(),
      fc
        .record({
          event: fc.constantFrom(...EVENTS.map(({ event }) => event)),
          app: fc.anything(),
          request: fc.anything(),
          diagnostics: fc.anything(),
        })
        .map((value) => JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? 0 : each))),
    );
    fc.assert(
      fc.property(like, (line) => {
        try {
          parseEvent(line);
        } catch (error) {
          expect(error).toBeInstanceOf(BadEvent);
          expect((error as Error).message.length).toBeLessThan(2000);
        }
      }),
    );
  });
});

describe('lines', () => {
  test('are the same however they come', () => {
    const lines = fc.array(fc.string({ unit: 'binary' }).map((line) => line.replaceAll('\n', '')));
    fc.assert(
      fc.property(lines, fc.array(fc.nat(20)), (said, cuts) => {
        let rest = Buffer.from(said.map((line) => `${line}\n`).join(''));
        const heard: string[] = [];
        const put = new Lines(1000);
        for (const cut of [...cuts, rest.length]) {
          heard.push(...put.add(rest.subarray(0, cut)));
          rest = rest.subarray(cut);
        }
        expect(heard).toEqual(said.map((line) => Buffer.from(line).toString('utf8')));
      }),
    );
  });

  test('that are too long are refused, and nothing of them is kept', () => {
    const lines = new Lines(10);
    expect(() => lines.add(Buffer.from('12345678901'))).toThrow('more than 10 bytes');
    expect(lines.add(Buffer.from('next\n'))).toEqual(['next']);
  });
});
