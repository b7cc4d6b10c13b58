import { expect, test } from 'vitest';

import { readTranscript } from '../../../test/fixtures/mesos-transcripts.ts';
import {
  accept,
  acceptInverse,
  acknowledge,
  decline,
  declineInverse,
  kill,
  reconcile,
  revive,
  subscribe,
  suppress,
  teardown,
} from './commands.ts';

/** What the client that was recorded sent; the master took all of it. */
function sent(transcript: string, n: number): Record<string, unknown> {
  const line = readTranscript(transcript).find((one) => one.n === n && one.kind === 'request');
  return structuredClone(line?.body) as Record<string, unknown>;
}

/** As the connection sends it. */
const from = (frameworkId: string, call: object) => ({
  framework_id: { value: frameworkId },
  ...call,
});

const FRAMEWORK_01 = '285d786d-700e-43b1-82c6-ab5192495734-0000';
const AGENT = '285d786d-700e-43b1-82c6-ab5192495734-S0';

test('a first subscription is as recorded', () => {
  const body = sent('01', 1) as { subscribe: { framework_info: Record<string, unknown> } };
  // We have none.
  delete body.subscribe.framework_info['labels'];
  const call = subscribe({
    name: 'eo-jobs',
    user: 'root',
    roles: ['eo-fast', 'eo-bulk'],
    principal: 'eo-jobs',
    failoverTimeoutSeconds: 60,
    hostname: '127.0.0.1',
    webuiUrl: 'http://127.0.0.1:3000/',
    suppressedRoles: ['eo-bulk'],
  });
  expect(call).toEqual(body);
});

test('a later subscription has the id in both places', () => {
  const call = subscribe({
    name: 'eo-jobs-renamed',
    user: 'root',
    roles: ['eo'],
    principal: 'eo-jobs',
    failoverTimeoutSeconds: 60,
    hostname: '127.0.0.1',
    capabilities: ['MULTI_ROLE', 'PARTITION_AWARE', 'RESERVATION_REFINEMENT', 'TASK_KILLING_STATE'],
    frameworkId: '285d786d-700e-43b1-82c6-ab5192495734-0014',
  });
  expect(call).toEqual(sent('08', 28));
});

test('what is not known is not sent', () => {
  const call = subscribe({ name: 'p', user: 'u', roles: ['r'], failoverTimeoutSeconds: 1.5 });
  const capabilities = expect.any(Array) as unknown;
  expect(call).toStrictEqual({
    type: 'SUBSCRIBE',
    subscribe: {
      framework_info: {
        user: 'u',
        name: 'p',
        roles: ['r'],
        failover_timeout: 1.5,
        checkpoint: true,
        capabilities,
      },
    },
  });
});

test('a launch is as recorded', () => {
  const body = sent('02', 7) as {
    accept: {
      operations: { launch: { task_infos: object[] } }[];
      filters: { refuse_seconds: number };
    };
  };
  const { task_infos: tasks } = body.accept.operations[0]!.launch;
  expect(tasks).toHaveLength(1);
  const call = accept(
    ['285d786d-700e-43b1-82c6-ab5192495734-O16'],
    tasks,
    body.accept.filters.refuse_seconds,
  );
  expect(from('285d786d-700e-43b1-82c6-ab5192495734-0002', call)).toEqual(body);
});

test('an acceptance without tasks has no operations', () => {
  expect(accept(['o1', 'o2'], [], 0)).toEqual({
    type: 'ACCEPT',
    accept: {
      offer_ids: [{ value: 'o1' }, { value: 'o2' }],
      operations: [],
      filters: { refuse_seconds: 0 },
    },
  });
});

test.each([
  [8, decline([`${FRAMEWORK_01.slice(0, -5)}-O0`, `${FRAMEWORK_01.slice(0, -5)}-O1`], 3)],
  [18, decline([`${FRAMEWORK_01.slice(0, -5)}-O4`, `${FRAMEWORK_01.slice(0, -5)}-O5`], 3600)],
  [20, revive([])],
  [27, suppress([])],
  [32, revive(['eo-bulk'])],
  [50, teardown()],
])('line %i of the first transcript is what we send', (n, call) => {
  expect(from(FRAMEWORK_01, call)).toEqual(sent('01', n));
});

test('one role can be suppressed', () => {
  expect(suppress(['eo'])).toEqual({ type: 'SUPPRESS', suppress: { roles: ['eo'] } });
});

test('kills are as recorded, with and without a grace of our own', () => {
  const framework = 'd1459189-8b8a-4193-91fc-1cb4a7d266f6-0012';
  expect(from(framework, kill('g-trap', AGENT, 3))).toEqual(sent('04b', 34));
  expect(from(framework, kill('g-policy', AGENT))).toEqual(sent('04b', 35));
  expect(kill('x')).toStrictEqual({ type: 'KILL', kill: { task_id: { value: 'x' } } });
  expect(kill('x', 'a', 0.0015)['kill']).toMatchObject({
    kill_policy: { grace_period: { nanoseconds: 1_500_000 } },
  });
});

test('an acknowledgement is as recorded', () => {
  const status = {
    taskId: 'g-trap',
    agentId: AGENT,
    state: 'TASK_STARTING',
    uuid: '+Q478gvATren/pQrEntrmQ==',
  };
  const call = acknowledge(status);
  expect(from('d1459189-8b8a-4193-91fc-1cb4a7d266f6-0012', call)).toEqual(sent('04b', 9));
});

test('questions after tasks are as recorded', () => {
  const framework = '285d786d-700e-43b1-82c6-ab5192495734-0006';
  expect(from(framework, reconcile([]))).toEqual(sent('06', 31));
  const tasks = [
    { taskId: 'r1', agentId: AGENT },
    { taskId: 'r3', agentId: AGENT },
    { taskId: 'ghost-1', agentId: AGENT },
    { taskId: 'ghost-2' },
    { taskId: 'ghost-3', agentId: 'nope-S5' },
  ];
  expect(from(framework, reconcile(tasks))).toEqual(sent('06', 41));
});

test('answers to inverse offers are as recorded', () => {
  const id = 'd1459189-8b8a-4193-91fc-1cb4a7d266f6-O16';
  const framework = 'd1459189-8b8a-4193-91fc-1cb4a7d266f6-0002';
  expect(from(framework, declineInverse([id], 5))).toEqual(sent('15', 33));
  expect(declineInverse([id])).toStrictEqual({
    type: 'DECLINE_INVERSE_OFFERS',
    decline_inverse_offers: { inverse_offer_ids: [{ value: id }] },
  });
  expect(acceptInverse([id])).toEqual({
    type: 'ACCEPT_INVERSE_OFFERS',
    accept_inverse_offers: { inverse_offer_ids: [{ value: id }] },
  });
});
