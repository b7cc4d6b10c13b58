import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';

import { Framework } from './framework.ts';
import type { Master } from './master.ts';
import { can, rolesOf } from './statuses.ts';
import type { FrameworkInfo } from './statuses.ts';
import { RecordStream, refused } from './wire.ts';
import type { Reply } from './wire.ts';

export interface Subscribe {
  readonly framework_info: FrameworkInfo;
  readonly suppressed_roles?: readonly string[];
}

/** Answers a SUBSCRIBE that is well-formed. What is wrong with it beyond that is an ERROR event, as recorded (12, 17). */
export function subscribe(master: Master, call: Subscribe, response: ServerResponse): void {
  const { framework_info: info, suppressed_roles: suppressed = [] } = call;
  const id = info.id?.value;
  const streamId = randomUUID();
  const problem =
    problemOf(info, suppressed) ?? unauthorised(master, info) ?? immutable(master, info);
  if (problem !== undefined) {
    const stream = new RecordStream(streamId, response, () => undefined);
    stream.event(errorEvent(problem));
    stream.end();
    return;
  }
  const known = id === undefined ? undefined : master.frameworks.get(id);
  const framework = known ?? new Framework(id ?? master.newFrameworkId(), { ...info });
  const isBack = known !== undefined || id !== undefined;
  if (known) takeOver(master, known, info);
  framework.info = { ...framework.info, id: { value: framework.id } };
  master.frameworks.set(framework.id, framework);
  framework.suppressed.clear();
  for (const role of suppressed) framework.suppressed.add(role);
  open(
    master,
    framework,
    new RecordStream(streamId, response, () => closed(master, framework, streamId)),
  );
  // Every agent sends what is not acknowledged to the scheduler that is there now.
  if (isBack) for (const { link } of master.entries.values()) link.resendUpdates(framework.id);
}

/** The old stream ends; what may change of the framework changes, the rest is silently left (23). */
function takeOver(master: Master, framework: Framework, info: FrameworkInfo): void {
  const { user, checkpoint } = framework.info;
  framework.info = { ...info, user, ...(checkpoint !== undefined && { checkpoint }) };
  rescindForeign(master, framework);
  framework.clearFilters(rolesOf(info));
  framework.isRecovered = false;
  framework.reregisteredAt = Date.now();
  clearTimeout(framework.failover);
  clearInterval(framework.heartbeat);
  for (const offer of framework.offers.values()) master.dropOffer(offer, false);
  dropInverseOffers(framework);
  framework.stream?.event(errorEvent('Framework failed over'));
  framework.stream?.end();
}

/** Offers of roles that the framework no longer has. */
function rescindForeign(master: Master, framework: Framework): void {
  const roles = rolesOf(framework.info);
  for (const offer of [...framework.offers.values()].toReversed()) {
    if (!roles.includes(offer.role)) master.dropOffer(offer, true);
  }
}

function open(master: Master, framework: Framework, stream: RecordStream): void {
  const { heartbeatSeconds } = master.settings;
  framework.stream = stream;
  framework.send({
    type: 'SUBSCRIBED',
    subscribed: {
      framework_id: { value: framework.id },
      heartbeat_interval_seconds: heartbeatSeconds,
      master_info: masterInfo(master),
    },
  });
  framework.send({ type: 'HEARTBEAT' });
  framework.heartbeat = setInterval(() => {
    if (!master.isPaused) framework.send({ type: 'HEARTBEAT' });
  }, heartbeatSeconds * 1000);
  master.allocateSoon();
}

export function masterInfo({ id, settings: { address } }: Master): object {
  const { host, port } = address;
  return {
    id,
    ip: 16777343,
    port,
    pid: `master@${host}:${port}`,
    hostname: host,
    version: '1.12.0',
    address: { hostname: host, ip: host, port },
    capabilities: [{ type: 'AGENT_UPDATE' }, { type: 'AGENT_DRAINING' }, { type: 'QUOTA_V2' }],
  };
}

/** The connection of a subscription is gone: its offers are, too, and the failover timeout runs. */
function closed(master: Master, framework: Framework, streamId: string): void {
  if (master.isStopped || framework.stream?.id !== streamId) return;
  framework.stream = undefined;
  clearInterval(framework.heartbeat);
  for (const offer of framework.offers.values()) master.dropOffer(offer, false);
  dropInverseOffers(framework);
  awaitFailover(master, framework);
}

export function awaitFailover(master: Master, framework: Framework): void {
  const timeout = master.scaled(framework.info.failover_timeout ?? 0);
  clearTimeout(framework.failover);
  if (timeout === 0) return removeFramework(master, framework);
  // Longer waits than a timer can be set for never end in a test.
  framework.failover = setTimeout(
    () => removeFramework(master, framework),
    Math.min(timeout, 2 ** 31 - 1),
  ).unref();
}

/** Its tasks are ended without a word to it. */
export function removeFramework(master: Master, framework: Framework): void {
  clearTimeout(framework.failover);
  clearInterval(framework.heartbeat);
  for (const offer of framework.offers.values()) master.dropOffer(offer, false);
  dropInverseOffers(framework);
  for (const entry of master.entries.values()) {
    for (const task of entry.tasks) {
      if (task.framework !== framework) continue;
      if (!task.isRecovered) master.recover(framework, entry, task.role, task.resources);
      entry.tasks.delete(task);
    }
    entry.link.shutdownFramework(framework.id);
  }
  framework.tasks.clear();
  framework.away.clear();
  master.shares.forget(framework.id);
  master.frameworks.delete(framework.id);
  framework.unregisteredAt = Date.now();
  master.completed.set(framework.id, framework);
  framework.stream?.end();
  framework.stream = undefined;
}

export function dropInverseOffers(framework: Framework): void {
  for (const inverse of framework.inverseOffers.values())
    inverse.agent.inverseOffers.delete(inverse);
  framework.inverseOffers.clear();
}

/** UPDATE_FRAMEWORK: 200 where the others say 202. */
export function updateFramework(master: Master, framework: Framework, call: Subscribe): Reply {
  const { framework_info: info, suppressed_roles: suppressed = [] } = call;
  const problem = problemOf(info, suppressed) ?? changed(framework.info, info);
  if (problem !== undefined) {
    return refused(400, `FrameworkInfo update is not valid: ${problem}`);
  }
  framework.info = info;
  framework.suppressed.clear();
  for (const role of suppressed) framework.suppressed.add(role);
  rescindForeign(master, framework);
  return { status: 200 };
}

function changed(old: FrameworkInfo, info: FrameworkInfo): string | undefined {
  const was = (field: string, from: string | boolean, to: string | boolean) =>
    `Updating 'FrameworkInfo.${field}' is unsupported; attempted to update from '${from}' to '${to}'`;
  if (old.user !== info.user) return was('user', old.user, info.user);
  if ((old.principal ?? '') !== (info.principal ?? '')) {
    return "Changing framework's principal is not allowed.";
  }
  const [from, to] = [old.checkpoint ?? false, info.checkpoint ?? false];
  return from === to ? undefined : was('checkpoint', from, to);
}

function problemOf(info: FrameworkInfo, suppressed: readonly string[]): string | undefined {
  const isMultiRole = can(info, 'MULTI_ROLE');
  if (isMultiRole && info.role !== undefined) {
    return "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable";
  }
  if (!isMultiRole && info.roles !== undefined) {
    return "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable";
  }
  const bad = info.roles?.find((role) => /\s/.test(role));
  if (bad !== undefined) {
    return `'FrameworkInfo.roles' contains invalid role: Role component '${bad}' is invalid because it contains backspace or whitespace`;
  }
  const foreign = suppressed.filter((role) => !rolesOf(info).includes(role));
  if (foreign.length === 0) return undefined;
  return `Suppressed roles { ${foreign.join(', ')} } are not contained in the set of roles`;
}

function unauthorised(master: Master, info: FrameworkInfo): string | undefined {
  const { allowedRoles } = master.settings;
  const roles = rolesOf(info);
  if (!allowedRoles || roles.every((role) => allowedRoles.includes(role))) return undefined;
  return `Not authorized to register framework ${info.id?.value ?? ''} with roles { ${roles.join(', ')} }`;
}

function immutable(master: Master, info: FrameworkInfo): string | undefined {
  const id = info.id?.value;
  if (id === undefined) return undefined;
  if (master.completed.has(id)) return 'Framework has been removed';
  const known = master.frameworks.get(id);
  if (!known || (known.info.principal ?? '') === (info.principal ?? '')) return undefined;
  return "Changing framework's principal is not allowed.";
}

const errorEvent = (message: string): object => ({ type: 'ERROR', error: { message } });
