import type { IncomingMessage, ServerResponse } from 'node:http';

import { accept, decline } from './accept.ts';
import { invalid } from './call-checks.ts';
import type { Checked } from './call-checks.ts';
import type { Framework } from './framework.ts';
import { acknowledge } from './master-agents.ts';
import { removeFramework, subscribe, updateFramework } from './master-frameworks.ts';
import type { Master } from './master.ts';
import { reconcile, reconcileTask } from './reconcile.ts';
import { millisOf, rolesOf } from './statuses.ts';
import type { ReceivedCall } from './types.ts';
import { accepted, refused } from './wire.ts';
import type { Reply } from './wire.ts';

/** Checked by `parseCall` and `invalid`, as far as Mesos does. */
// oxlint-disable-next-line typescript/no-explicit-any -- the calls of scheduler.proto
type Call = Record<string, any>;

/** What is wrong with a request before anybody looks at the call. */
export function refuseHead(request: IncomingMessage): Reply | undefined {
  if (request.method !== 'POST') {
    return refused(
      405,
      `405 Method Not Allowed. Expecting one of { 'POST' }, but received '${request.method}'.`,
      { allow: 'POST' },
    );
  }
  const type = request.headers['content-type'];
  if (type === undefined) return refused(400, "Expecting 'Content-Type' to be present");
  if (type !== 'application/json') {
    return refused(415, "Expecting 'Content-Type' of application/json or application/x-protobuf");
  }
  return undefined;
}

/** The call as tests see it, whether it is good or not. */
export function seenCall(request: IncomingMessage, body: string, checked: Checked): ReceivedCall {
  const call: Call | undefined = 'call' in checked ? checked.call : undefined;
  const frameworkId = call?.['framework_id']?.value as string | undefined;
  return {
    method: request.method!,
    path: request.url!,
    headers: request.headers,
    type: typeof call?.['type'] === 'string' ? call['type'] : '',
    ...(frameworkId !== undefined && { frameworkId }),
    body: call ?? body,
  };
}

/** Answers the call; undefined where it is a subscription, which answers by itself. */
export function perform(
  master: Master,
  checked: Checked,
  request: IncomingMessage,
  response: ServerResponse,
  principal: string | undefined,
): Reply | undefined {
  if ('problem' in checked) return refused(400, checked.problem);
  const call: Call = checked.call;
  const problem = invalid(call, principal);
  if (problem !== undefined) return refused(400, problem);
  const streamId = request.headers['mesos-stream-id'];
  if (call['type'] === 'SUBSCRIBE') {
    if (!/json|\*\/\*/.test(request.headers.accept ?? '*/*')) {
      return refused(
        406,
        "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'",
      );
    }
    if (streamId !== undefined) {
      return refused(400, "Subscribe calls should not include the 'Mesos-Stream-Id' header");
    }
    subscribe(master, call['subscribe'], response);
    return undefined;
  }
  const framework = master.frameworks.get(call['framework_id'].value);
  if (!framework) return refused(400, 'Framework cannot be found');
  if (!framework.stream) return refused(403, 'Framework is not subscribed');
  if (streamId === undefined) {
    return refused(400, "All non-subscribe calls should include the 'Mesos-Stream-Id' header");
  }
  if (streamId !== framework.stream.id) {
    return refused(
      400,
      `The stream ID '${String(streamId)}' included in this request didn't match the stream ID currently associated with framework ID ${framework.id}`,
    );
  }
  return dispatch(master, framework, call);
}

function dispatch(master: Master, framework: Framework, call: Call): Reply {
  switch (call['type']) {
    case 'ACKNOWLEDGE': {
      const { agent_id: agent, task_id: task, uuid } = call['acknowledge'];
      acknowledge(master, framework, { agentId: agent.value, taskId: task.value, uuid });
      break;
    }
    case 'ACCEPT':
      accept(master, framework, call['accept']);
      break;
    case 'DECLINE':
      decline(master, framework, call['decline']);
      break;
    case 'REVIVE':
      revive(master, framework, call['revive']?.roles);
      break;
    case 'SUPPRESS':
      for (const role of named(framework, call['suppress']?.roles)) framework.suppressed.add(role);
      break;
    case 'KILL':
      kill(master, framework, call['kill']);
      break;
    case 'RECONCILE':
      reconcile(master, framework, call['reconcile'].tasks ?? []);
      break;
    case 'ACCEPT_INVERSE_OFFERS':
      answerInverse(master, framework, 'ACCEPT', call['accept_inverse_offers']);
      break;
    case 'DECLINE_INVERSE_OFFERS':
      answerInverse(master, framework, 'DECLINE', call['decline_inverse_offers']);
      break;
    case 'UPDATE_FRAMEWORK':
      return updateFramework(master, framework, call['update_framework']);
    case 'TEARDOWN':
      removeFramework(master, framework);
      break;
    default:
      // MESSAGE, REQUEST, SHUTDOWN and feedback of operations: taken, and nothing happens.
      break;
  }
  return accepted;
}

/** The roles that a call names, or all; those that the framework does not have are ignored. */
function named(framework: Framework, roles: readonly string[] | undefined): readonly string[] {
  const own = rolesOf(framework.info);
  return roles?.length ? roles.filter((role) => own.includes(role)) : own;
}

function revive(master: Master, framework: Framework, roles: readonly string[] | undefined): void {
  const revived = named(framework, roles);
  for (const role of revived) framework.suppressed.delete(role);
  framework.clearFilters(revived);
  master.allocateSoon();
}

/** A task that nobody knows is answered as reconciliation would (04). */
function kill(master: Master, framework: Framework, call: Call): void {
  const id = call['task_id'].value as string;
  const task = framework.tasks.get(id);
  if (!task) return reconcileTask(master, framework, id, call['agent_id']?.value);
  const policy = call['kill_policy']?.grace_period;
  const grace = policy && millisOf(policy) * master.settings.timeScale;
  const entry = master.entries.get(task.agentId);
  if (entry?.isConnected) entry.link.killTask(framework.id, id, grace);
}

function answerInverse(master: Master, framework: Framework, status: string, call: Call): void {
  const seconds = Number(call['filters']?.refuse_seconds ?? 5);
  const now = Date.now();
  for (const { value } of call['inverse_offer_ids'] ?? []) {
    const inverse = framework.inverseOffers.get(value);
    if (!inverse) continue;
    framework.inverseOffers.delete(value);
    inverse.agent.inverseOffers.delete(inverse);
    const until = now + master.scaled(seconds);
    framework.inverseAnswers.set(inverse.agent.id, { status, at: now, until });
  }
}
