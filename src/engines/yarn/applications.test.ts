import { pino } from 'pino';
import { describe, expect, test } from 'vitest';

import type { JobLabel } from '../engine.ts';
import { Applications } from './applications.ts';
import type { Order } from './protocol.ts';

const JOB: JobLabel = { id: 'job', user: 'alice', group: 'tep', priority: 100 };
const OPENED = {
  event: 'opened',
  app: 'job',
  applicationId: 'application_1_0001',
  maximum: { memoryMb: 4096, vcores: 4 },
  queue: 'root.eo',
  running: [],
} as const;
const closed = (state: string) =>
  ({ event: 'closed', app: 'job', state, diagnostics: 'why' }) as const;

function world() {
  const orders: Order[] = [];
  const ended: string[] = [];
  const opened: unknown[][] = [];
  const over: unknown[][] = [];
  const state = { now: 0, count: 1, isWanted: true, isListening: true };
  const applications = new Applications({
    tags: ['pushbroom:x', 'pushbroom'],
    queueOf: (group) => `queue of ${group}`,
    idle: 60_000,
    logger: pino({ level: 'silent' }),
    now: () => state.now,
    give(order) {
      if (state.isListening) orders.push(order);
      return state.isListening;
    },
    countOf: () => state.count,
    isWanted: () => state.isWanted,
    opened: (...all) => void opened.push(all),
    closed: (...all) => void over.push(all),
    end: (id) => void ended.push(id),
  });
  const given = () => orders.map(({ order }) => order);
  return { applications, orders, given, ended, opened, over, state };
}

describe('applications', () => {
  test('are opened for jobs, in the queues of their groups, once it is known what there is', () => {
    const { applications, orders, opened } = world();
    applications.want(JOB);
    expect(orders).toEqual([]);
    applications.settle([]);
    applications.want(JOB);
    expect(orders).toEqual([
      {
        order: 'open',
        app: 'job',
        queue: 'queue of tep',
        priority: 100,
        tags: ['pushbroom:x', 'pushbroom'],
      },
    ]);
    expect(applications.isOpen('job')).toBe(false);
    applications.hear(OPENED);
    expect(applications.isOpen('job')).toBe(true);
    expect(opened).toEqual([['job', [], false]]);
  });

  test('follow their jobs’ priorities', () => {
    const { applications, orders } = world();
    applications.settle([]);
    applications.want(JOB);
    applications.hear(OPENED);
    applications.want({ ...JOB, priority: 150 });
    applications.want({ ...JOB, priority: 150 });
    expect(orders.slice(1)).toEqual([{ order: 'prioritise', app: 'job', priority: 150 }]);
  });

  test('are closed when they have had nothing to do for long, and opened again', () => {
    const { applications, given, state } = world();
    applications.settle([]);
    applications.want(JOB);
    applications.hear(OPENED);
    state.count = 0;
    state.isWanted = false;
    applications.tick();
    state.now += 59_000;
    applications.tick();
    expect(given()).toEqual(['open']);
    state.now += 2_000;
    applications.tick();
    expect(given()).toEqual(['open', 'close']);
    // Something comes while it is being closed.
    Object.assign(state, { count: 1, isWanted: true });
    applications.want(JOB);
    expect(given()).toEqual(['open', 'close']);
    applications.hear(closed('FINISHED'));
    expect(given()).toEqual(['open', 'close', 'open']);
  });

  test('of earlier services are taken over; a second one of a job is ended', () => {
    const { applications, orders, ended, opened } = world();
    const found = { name: 'job', state: 'RUNNING', tags: [] };
    applications.settle([
      { ...found, id: 'application_1_0001' },
      { ...found, id: 'application_1_0002' },
    ]);
    expect(orders).toEqual([{ order: 'adopt', app: 'job', applicationId: 'application_1_0001' }]);
    expect(ended).toEqual(['application_1_0002']);
    applications.hear(OPENED);
    expect(opened).toEqual([['job', [], true]]);
  });

  test('that cannot be taken over are ended on YARN, unless another service has them', () => {
    const { applications, ended, over } = world();
    const found = [{ name: 'job', state: 'RUNNING', tags: [], id: 'application_1_0001' }];
    applications.settle(found);
    applications.hear(closed('FAILED'));
    expect(ended).toEqual(['application_1_0001']);
    expect(over).toEqual([['job', 'FAILED', 'why', false]]);
    applications.settle(found);
    applications.hear(closed('TAKEN_OVER'));
    expect(ended).toHaveLength(1);
  });

  test('that are refused are tried again, later each time', () => {
    const { applications, given, over, state } = world();
    applications.settle([]);
    applications.want(JOB);
    applications.hear(closed('REFUSED'));
    expect(over).toEqual([['job', 'REFUSED', 'why', true]]);
    applications.want(JOB);
    expect(given()).toEqual(['open']);
    state.now += 10_000;
    applications.tick();
    expect(given()).toEqual(['open', 'open']);
    applications.hear(closed('REFUSED'));
    state.now += 10_000;
    applications.tick();
    expect(given()).toHaveLength(2);
    state.now += 10_000;
    applications.tick();
    expect(given()).toHaveLength(3);
  });

  test('survive the program: what was being opened is opened by the next, unless it is there', () => {
    const { applications, given, state } = world();
    applications.settle([]);
    applications.want(JOB);
    applications.unsettle();
    state.isListening = false;
    applications.want({ ...JOB, id: 'other' });
    state.isListening = true;
    applications.settle([{ name: 'job', state: 'RUNNING', tags: [], id: 'application_1_0001' }]);
    expect(given()).toEqual(['open', 'adopt', 'open']);
  });

  test('without attempts are closed before the service ends', () => {
    const { applications, given, state } = world();
    applications.settle([]);
    applications.want(JOB);
    applications.hear(OPENED);
    expect(applications.closeIdle()).toBe(0);
    state.count = 0;
    state.isWanted = false;
    expect(applications.closeIdle()).toBe(1);
    expect(applications.closeIdle()).toBe(1);
    expect(given()).toEqual(['open', 'close']);
    applications.hear(closed('FINISHED'));
    expect(applications.closeIdle()).toBe(0);
    expect(applications.has('job')).toBe(false);
  });
});
