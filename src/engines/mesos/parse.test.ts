import { describe, expect, test } from 'vitest';

import {
  readTranscript,
  recordsOf,
  transcripts,
} from '../../../test/fixtures/mesos-transcripts.ts';
import { BadRecord, agentAddress, parseAgents, parseEvent } from './parse.ts';
import type { MasterEvent } from './protocol.ts';

const eventsOf = (transcript: string): MasterEvent[] => recordsOf(transcript).map(parseEvent);

const ofType = <T extends MasterEvent['type']>(transcript: string, type: T) =>
  eventsOf(transcript).filter(
    (event): event is Extract<MasterEvent, { type: T }> => event.type === type,
  );

/** How many of each type there are. */
function counts(events: readonly MasterEvent[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { type } of events) sums[type] = (sums[type] ?? 0) + 1;
  return sums;
}

/** Events of schedulers by transcript; the others have none. */
const COUNTS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  '01': { subscribed: 1, heartbeat: 4, offers: 7, rescind: 2 },
  '02': { subscribed: 1, heartbeat: 1, offers: 4, update: 14 },
  '02b': { subscribed: 1, heartbeat: 1, offers: 14, update: 45 },
  '03': { subscribed: 1, heartbeat: 1, offers: 7, update: 32 },
  '04': { subscribed: 1, heartbeat: 1, offers: 2, update: 13 },
  '04b': { subscribed: 1, heartbeat: 1, offers: 5, update: 16 },
  '05': { subscribed: 1, heartbeat: 3, offers: 2, update: 5 },
  '06': { subscribed: 1, heartbeat: 1, offers: 2, update: 16 },
  '07a': { subscribed: 1, heartbeat: 2, offers: 4, update: 6, rescind: 1, failure: 1 },
  '07b': { subscribed: 1, heartbeat: 1, offers: 2, update: 3 },
  '07c': { subscribed: 1, heartbeat: 1, offers: 3, update: 4, rescind: 1, failure: 1 },
  '07d': { subscribed: 1, heartbeat: 1, offers: 3, update: 3 },
  '07e': { subscribed: 1, heartbeat: 1, offers: 4, update: 8, rescind: 1, failure: 1 },
  '07f': { subscribed: 1, heartbeat: 1, offers: 4, update: 5, rescind: 1 },
  '08': { subscribed: 3, heartbeat: 3, offers: 5, update: 8, error: 1 },
  '09': { subscribed: 2, heartbeat: 2, offers: 1, update: 2, error: 2 },
  '10': { subscribed: 2, heartbeat: 2, offers: 4, update: 11 },
  '11': { subscribed: 1, heartbeat: 1, offers: 5, update: 13, failure: 2 },
  '12': { subscribed: 1, heartbeat: 1, offers: 1, error: 1 },
  '15': {
    subscribed: 1,
    heartbeat: 1,
    offers: 7,
    other: 1,
    update: 2,
    rescind: 3,
    inverseOffers: 2,
    rescindInverse: 1,
  },
  '17': { subscribed: 1, heartbeat: 1, offers: 3, rescind: 1, update: 4 },
  '18': { update: 23 },
  '19': { subscribed: 2, heartbeat: 2, offers: 4, update: 3 },
  '20': { subscribed: 1, heartbeat: 1, offers: 1 },
  '22': { subscribed: 1, heartbeat: 1, offers: 6, update: 18 },
  '23': { subscribed: 7, heartbeat: 7, offers: 6, error: 7, rescind: 4 },
};

test.each(transcripts())('every event of %s is parsed', (transcript) => {
  const events = eventsOf(transcript);
  expect(counts(events)).toEqual(COUNTS[transcript.split('-')[0]!] ?? {});
  expect(events.filter((event) => 'bad' in event)).toEqual([]);
});

test("an operator's stream is none of a scheduler", () => {
  const operator = readTranscript('14').flatMap(({ event }) => event ?? []);
  const [subscribed, ...others] = operator.map((event) => JSON.stringify(event));
  expect(() => parseEvent(subscribed!)).toThrow('an event without a valid framework_id');
  expect(counts(others.map(parseEvent))).toEqual({ heartbeat: 2, other: 7 });
});

describe('parseEvent', () => {
  test('tells of a subscription', () => {
    expect(ofType('01', 'subscribed')).toEqual([
      {
        type: 'subscribed',
        frameworkId: '285d786d-700e-43b1-82c6-ab5192495734-0000',
        heartbeatSeconds: 15,
        masterVersion: '1.12.0',
      },
    ]);
    const least = { type: 'SUBSCRIBED', subscribed: { framework_id: { value: 'f' } } };
    expect(parseEvent(JSON.stringify(least))).toStrictEqual({
      type: 'subscribed',
      frameworkId: 'f',
      heartbeatSeconds: 15,
    });
  });

  test('flattens offers and leaves their resources as they are', () => {
    const [first] = ofType('01', 'offers');
    const raw = JSON.parse(recordsOf('01').find((record) => record.includes('OFFERS'))!) as {
      offers: { offers: { resources: object[] }[] };
    };
    expect(first?.offers).toHaveLength(2);
    expect(first?.offers[0]).toStrictEqual({
      id: '285d786d-700e-43b1-82c6-ab5192495734-O0',
      agentId: '285d786d-700e-43b1-82c6-ab5192495734-S1',
      host: '127.0.0.1',
      port: 5052,
      role: 'eo-fast',
      resources: raw.offers.offers[0]!.resources,
      attributes: new Map([
        ['rack', 'r2'],
        ['site', 'eodc-2'],
        ['os', 'debian12'],
        ['tier', 'bulk'],
      ]),
    });
  });

  test('tells of maintenance in milliseconds', () => {
    const unavailability = { start: 1_795_381_306_855, durationMs: 3_600_000 };
    const offers = ofType('15', 'offers').flatMap(({ offers: list }) => list);
    expect(offers.filter((offer) => offer.unavailability)[0]).toMatchObject({ unavailability });
    expect(ofType('15', 'inverseOffers')[0]).toStrictEqual({
      type: 'inverseOffers',
      offers: [
        {
          id: 'd1459189-8b8a-4193-91fc-1cb4a7d266f6-O16',
          agentId: '285d786d-700e-43b1-82c6-ab5192495734-S0',
          unavailability,
        },
      ],
    });
    expect(ofType('15', 'rescindInverse')).toEqual([
      { type: 'rescindInverse', offerId: 'd1459189-8b8a-4193-91fc-1cb4a7d266f6-O18' },
    ]);
  });

  test('tells of updates with and without a uuid', () => {
    const said = ofType('07a', 'update').map(({ status }) => status);
    expect(said.find(({ state }) => state === 'TASK_UNREACHABLE')).toStrictEqual({
      taskId: 'lost-1',
      agentId: '285d786d-700e-43b1-82c6-ab5192495734-S1',
      state: 'TASK_UNREACHABLE',
      source: 'SOURCE_MASTER',
      reason: 'REASON_AGENT_REMOVED',
      message: 'health check timed out',
    });
    expect(said.find(({ state }) => state === 'TASK_FINISHED')).toMatchObject({
      uuid: expect.stringMatching(/^[\w+/]{22}==$/) as unknown,
    });
  });

  test('tells of failures, errors and what is rescinded', () => {
    const agentId = '285d786d-700e-43b1-82c6-ab5192495734-S1';
    expect(ofType('07a', 'failure')).toStrictEqual([{ type: 'failure', agentId }]);
    expect(ofType('11', 'failure')[0]).toMatchObject({ executorId: 'pod-1' });
    expect(ofType('08', 'error')).toEqual([{ type: 'error', message: 'Framework failed over' }]);
    expect(ofType('01', 'rescind')[0]?.offerId).toMatch(/-O10$/);
  });

  test('passes over what it does not know', () => {
    expect(parseEvent('{"type":"NEW","new":{}}')).toEqual({ type: 'other', name: 'NEW' });
    expect(parseEvent('{"type":"__proto__"}')).toEqual({ type: 'other', name: '__proto__' });
    expect(parseEvent('{"type":"OFFERS","offers":{}}')).toEqual({ type: 'offers', offers: [] });
  });

  test.each([
    ['', 'a record that is no JSON: ""'],
    ['20\n{"type":"HEARTBEAT"}', 'a record that is no JSON: "20\\n{'],
    ['[]', 'a record that is no JSON object: "[]"'],
    ['null', 'a record that is no JSON object'],
    ['{}', 'an event without a type: "{}"'],
    ['{"type":7}', 'an event without a type'],
    ['{"type":"UPDATE"}', 'an event without a valid task_id: "{\\"type'],
    ['{"type":"UPDATE","update":{"status":{"task_id":{"value":"a"}}}}', 'without a valid state'],
    ['{"type":"UPDATE","update":{"status":{"task_id":"a","state":"b"}}}', 'a valid task_id'],
    ['{"type":"RESCIND","rescind":{"offer_id":{"value":""}}}', 'without a valid offer_id'],
    ['{"type":"ERROR","error":{}}', 'without a valid message'],
    ['{"type":"OFFERS","offers":{"offers":{"0":1}}}', 'offers that are no list'],
    ['{"type":"SUBSCRIBED","subscribed":[]}', 'without a valid framework_id'],
    ['['.repeat(200_000), 'a record that is no JSON'],
  ])('refuses %.60s', (record, message) => {
    expect(() => parseEvent(record)).toThrow(BadRecord);
    expect(() => parseEvent(record)).toThrow(message);
  });

  test('quotes only the beginning of what it refuses', () => {
    const record = `{"type":"UPDATE","update":"${'x'.repeat(10_000)}"}`;
    const refuse = () => parseEvent(record);
    expect(refuse).toThrow(/^.{100,250}…$/);
  });
});

describe('offers', () => {
  const good = {
    id: { value: 'o1' },
    agent_id: { value: 'a1' },
    hostname: 'n1',
    resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: 1 } }],
  };
  const parsed = (...offers: unknown[]) => {
    const event = parseEvent(JSON.stringify({ type: 'OFFERS', offers: { offers } }));
    if (event.type !== 'offers') throw new Error(event.type);
    return event;
  };
  const withScalar = (value: unknown) => ({
    ...good,
    resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value } }],
  });

  test('what is not said has its default', () => {
    const { offers, bad } = parsed(good);
    expect(offers[0]).toMatchObject({ port: 5051, role: '*', attributes: new Map() });
    expect(bad).toBeUndefined();
    expect(parsed({ ...good, resources: undefined }).offers[0]?.resources).toEqual([]);
  });

  test.each([
    [{ ...good, id: undefined }, undefined, 'it has no id'],
    [{ ...good, agent_id: undefined }, 'o1', 'it has no agent'],
    [{ ...good, hostname: 7 }, 'o1', 'it has no host name'],
    [{ ...good, resources: {} }, 'o1', 'its resources are no list'],
    [{ ...good, resources: [null] }, 'o1', 'one of its resources is no object'],
    [{ ...good, resources: [{ name: 'cpus' }] }, 'o1', 'one of its resources has no name or type'],
    [withScalar(-1), 'o1', 'its cpus are -1'],
    [withScalar('4'), 'o1', 'its cpus are string'],
    [withScalar(undefined), 'o1', 'its cpus are undefined'],
    [withScalar(1e300), 'o1', 'its cpus are 1e+300'],
    [
      { ...good, resources: [{ ...good.resources[0], reservations: [null] }] },
      'o1',
      'the reservations of its cpus are no list',
    ],
    [{ ...good, unavailability: {} }, 'o1', 'its unavailability has no valid times'],
    ['nonsense', undefined, 'it has no id'],
  ])('%j makes no sense', (offer, id, why) => {
    expect(parsed(good, offer, good)).toMatchObject({
      offers: [{ id: 'o1' }, { id: 'o1' }],
      bad: [{ ...(id !== undefined && { id }), why }],
    });
  });

  test('a number that is too large for JavaScript makes no sense', () => {
    const record = JSON.stringify({ type: 'OFFERS', offers: { offers: [withScalar(4)] } });
    const event = parseEvent(record.replace('"value":4', '"value":1e999'));
    expect(event).toMatchObject({ offers: [], bad: [{ why: 'its cpus are Infinity' }] });
  });

  test.each([
    [{ nanoseconds: 1_795_381_306_855_000_000 }, 1_795_381_306_855],
    [{ nanoseconds: '1795381306855000000' }, 1_795_381_306_855],
    [{ nanoseconds: 0 }, 0],
    [{ nanoseconds: 1_499_999 }, 1],
  ])('%j is the millisecond %i', (start, millis) => {
    expect(parsed({ ...good, unavailability: { start } }).offers[0]?.unavailability).toStrictEqual({
      start: millis,
    });
  });

  test.each([
    { nanoseconds: null },
    { nanoseconds: '1e3' },
    { nanoseconds: [] },
    { nanoseconds: true },
    7,
  ])('%j is no time', (start) => {
    expect(parsed({ ...good, unavailability: { start } }).bad).toHaveLength(1);
    const unavailability = { start: { nanoseconds: 0 }, duration: start };
    expect(parsed({ ...good, unavailability }).bad).toHaveLength(1);
  });

  test('attributes of all types become text', () => {
    const attributes = [
      { name: 'rack', type: 'TEXT', text: { value: 'r1' } },
      { name: 'rack', type: 'TEXT', text: { value: 'r2' } },
      { name: 'ghz', type: 'SCALAR', scalar: { value: 2.5 } },
      {
        name: 'vlans',
        type: 'RANGES',
        ranges: {
          range: [
            { begin: 1, end: 9 },
            { begin: '20', end: '30' },
          ],
        },
      },
      { name: 'disks', type: 'SET', set: { item: ['ssd', 'hdd'] } },
      { name: '__proto__', type: 'TEXT', text: { value: 'x' } },
      { name: 'odd', type: 'NEW' },
      { name: 'torn', type: 'TEXT' },
      null,
    ];
    expect([...parsed({ ...good, attributes }).offers[0]!.attributes]).toEqual([
      ['rack', 'r1'],
      ['ghz', '2.5'],
      ['vlans', '1-9,20-30'],
      ['disks', 'ssd,hdd'],
      ['__proto__', 'x'],
    ]);
  });
});

describe('parseAgents', () => {
  const answerOf = (transcript: string): unknown =>
    readTranscript(transcript).find(
      ({ kind, body }) => kind === 'response' && (body as { type?: string })?.type === 'GET_AGENTS',
    )?.body;

  test('tells of agents, and why one takes no tasks', () => {
    const agents = parseAgents(answerOf('07e'));
    expect(agents).toMatchObject([
      {
        id: '285d786d-700e-43b1-82c6-ab5192495734-S1',
        host: '127.0.0.1',
        port: 5052,
        isActive: false,
        why: 'drained',
      },
      { id: '285d786d-700e-43b1-82c6-ab5192495734-S0', port: 5051, isActive: true },
    ]);
    expect(agents[1]).not.toHaveProperty('why');
    expect(agents[1]?.attributes.get('rack')).toBe('r1');
    expect(agents[1]?.total.map(({ name }) => name)).toEqual(['cpus', 'mem', 'disk', 'ports']);
    expect(parseAgents(answerOf('13')).map(({ isActive }) => isActive)).toEqual([true, true]);
  });

  const info = { id: { value: 'a1' }, hostname: 'n1' };
  const whyOf = (more: object) =>
    parseAgents({ get_agents: { agents: [{ agent_info: info, active: true, ...more }] } })[0]?.why;

  test.each([
    [{}, undefined],
    [{ deactivated: false }, undefined],
    [{ active: false }, 'disconnected'],
    [{ active: false, deactivated: true }, 'deactivated'],
    [{ active: false, deactivated: true, drain_info: { state: 'DRAINING' } }, 'draining'],
    [{ drain_info: { state: 'DRAINED' } }, 'drained'],
    [{ drain_info: { state: 'UNKNOWN' } }, undefined],
    [{ active: 'yes' }, 'disconnected'],
  ])('%j: %s', (more, why) => {
    expect(whyOf(more)).toBe(why);
  });

  test('tells of agents that a new master waits for', () => {
    const resources = [
      { name: 'cpus', type: 'SCALAR', scalar: { value: 4 } },
      { name: 'mem', type: 'SCALAR', scalar: { value: -4 } },
    ];
    const body = { get_agents: { recovered_agents: [{ ...info, port: 5055, resources }] } };
    expect(parseAgents(body)).toStrictEqual([
      {
        id: 'a1',
        host: 'n1',
        port: 5055,
        attributes: new Map(),
        total: [resources[0]],
        isActive: false,
        why: 'disconnected',
      },
    ]);
  });

  test('leaves out what names no agent', () => {
    const agents = [null, {}, { agent_info: { hostname: 'n1' } }, { agent_info: { id: info.id } }];
    expect(parseAgents({ get_agents: { agents } })).toEqual([]);
    expect(parseAgents({ get_agents: {} })).toEqual([]);
  });

  test.each([undefined, null, '', [], {}, { get_agents: [] }, { get_agents: { agents: {} } }])(
    'refuses %j',
    (body) => {
      expect(() => parseAgents(body)).toThrow(BadRecord);
      expect(() => parseAgents(body)).toThrow(/^no answer to GET_AGENTS: "/);
    },
  );
});

test.each([
  ['slave(1)@127.0.0.1:5051', { host: '127.0.0.1', port: 5051 }],
  ['slave(1)@[::1]:5052', { host: '::1', port: 5052 }],
  ['slave(1)@127.0.0.1:0', undefined],
  ['slave(1)@127.0.0.1:65536', undefined],
  ['127.0.0.1:5051', undefined],
  ['slave(1)@127.0.0.1', undefined],
  ['', undefined],
])('the address of %s', (pid, address) => {
  expect(agentAddress(pid)).toEqual(address);
});
