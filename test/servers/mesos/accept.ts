import type { Framework, MasterTask, Offer } from './framework.ts';
import type { Master } from './master.ts';
import type { AgentEntry } from './registry.ts';
import {
  contains,
  describe,
  isNothing,
  minus,
  nothing,
  parseResources,
  plus,
} from './resources.ts';
import type { ResourceJson, Resources } from './resources.ts';
import { can, newUuid } from './statuses.ts';
import type { TaskInfo } from './statuses.ts';

interface Filters {
  readonly refuse_seconds?: number | string;
}
interface Id {
  readonly value: string;
}
interface Operation {
  readonly type: string;
  readonly id?: Id;
  readonly launch?: { readonly task_infos?: readonly TaskInfo[] };
  readonly [field: string]: unknown;
}
export interface Accept {
  readonly offer_ids?: readonly Id[];
  readonly operations?: readonly Operation[];
  readonly filters?: Filters;
}

/** What is left of accepted offers while its operations are done. */
interface Holding {
  readonly framework: Framework;
  readonly agent: AgentEntry;
  readonly role: string;
  left: Resources;
}

const REFUSE_SECONDS = 5;

export function accept(master: Master, framework: Framework, call: Accept): void {
  const ids = (call.offer_ids ?? []).map(({ value }) => value);
  const offers = [...new Set(ids)].flatMap((id) => framework.offers.get(id) ?? []);
  const problem = problemWith(framework, ids);
  if (problem !== undefined || offers.length === 0) {
    for (const offer of offers) master.dropOffer(offer, false);
    for (const task of tasksOf(call)) drop(framework, task, problem ?? 'No offers specified');
    return;
  }
  const { agent, role } = offers[0]!;
  const holding: Holding = { framework, agent, role, left: nothing };
  for (const offer of offers) {
    master.removeOffer(offer);
    holding.left = plus(holding.left, offer.resources);
  }
  for (const operation of call.operations ?? []) perform(master, holding, operation);
  refuse(master, holding, call.filters);
}

/** DECLINE, or what an ACCEPT left over. */
function refuse(
  master: Master,
  { framework, agent, role, left }: Pick<Holding, 'framework' | 'agent' | 'role' | 'left'>,
  filters: Filters | undefined,
): void {
  if (isNothing(left)) return;
  master.recover(framework, agent, role, left);
  const seconds = Number(filters?.refuse_seconds ?? REFUSE_SECONDS);
  if (!(seconds > 0)) return;
  // Never less than to the next allocation.
  const ms = Math.max(master.scaled(seconds), master.settings.allocationIntervalMs);
  framework.refuse(role, agent.id, left, Date.now() + ms);
}

export function decline(master: Master, framework: Framework, call: Accept): void {
  for (const { value } of call.offer_ids ?? []) {
    const offer = framework.offers.get(value);
    if (!offer) continue;
    master.removeOffer(offer);
    refuse(master, { ...offer, left: offer.resources }, call.filters);
  }
}

const tasksOf = (call: Accept): readonly TaskInfo[] =>
  (call.operations ?? []).flatMap((operation) =>
    operation.type === 'LAUNCH' ? (operation.launch?.task_infos ?? []) : [],
  );

function problemWith(framework: Framework, ids: readonly string[]): string | undefined {
  const offers: Offer[] = [];
  for (const id of ids) {
    if (offers.some((offer) => offer.id === id)) return `Duplicate offer ${id} in offer list`;
    const offer = framework.offers.get(id);
    if (!offer) return `Offer ${id} is no longer valid`;
    offers.push(offer);
  }
  const [first] = offers;
  for (const offer of offers) {
    // This message lacks its quotes in Mesos, too (validateAllocationRole in src/master/validation.cpp).
    if (offer.role !== first!.role) {
      return `Aggregated offers must be allocated to the same role. Offer ${offer.id} uses role '${offer.role} but another is using role '${first!.role}`;
    }
    if (offer.agent !== first!.agent) {
      return `Aggregated offers must belong to one single agent. Offer ${offer.id} uses agent ${offer.agent.id} and agent ${first!.agent.id}`;
    }
  }
  return undefined;
}

function drop(framework: Framework, task: TaskInfo, problem: string): void {
  framework.tell(task.task_id.value, task.agent_id.value, {
    state: can(framework.info, 'PARTITION_AWARE') ? 'TASK_DROPPED' : 'TASK_LOST',
    message: `Task launched with invalid offers: ${problem}`,
    reason: 'REASON_INVALID_OFFERS',
  });
}

function perform(master: Master, holding: Holding, operation: Operation): void {
  if (operation.type === 'LAUNCH') {
    for (const task of operation.launch?.task_infos ?? []) launch(master, holding, task);
    return;
  }
  const change = conversion(operation);
  if (!change || !contains(holding.left, change.from)) return;
  const { agent, framework, role } = holding;
  holding.left = plus(minus(holding.left, change.from), change.to);
  agent.total = plus(minus(agent.total, change.from), change.to);
  master.shares.held(framework.id, role, change.from, -1);
  master.shares.held(framework.id, role, change.to, 1);
  if (operation.id) tellFinished(framework, agent, operation.id);
}

/** Status updates of operations are only sent where the framework gave an id (recorded in 15). */
function tellFinished(framework: Framework, agent: AgentEntry, id: Id): void {
  const status = {
    operation_id: id,
    state: 'OPERATION_FINISHED',
    uuid: { value: newUuid() },
    agent_id: { value: agent.id },
  };
  framework.send({ type: 'UPDATE_OPERATION_STATUS', update_operation_status: { status } });
}

/** What RESERVE, UNRESERVE, CREATE and DESTROY make of what; nothing of unknown operations. */
function conversion(operation: Operation): { from: Resources; to: Resources } | undefined {
  const list = (field: string, key: string) =>
    ((operation[field] as Record<string, unknown> | undefined)?.[key] ?? []) as ResourceJson[];
  const plain = (items: readonly ResourceJson[]) =>
    parseResources(items.map((item) => ({ ...item, reservations: [], disk: undefined })));
  const diskless = (items: readonly ResourceJson[]) =>
    parseResources(items.map((item) => ({ ...item, disk: undefined })));
  const reserved = list('reserve', 'resources');
  const unreserved = list('unreserve', 'resources');
  const created = list('create', 'volumes');
  const destroyed = list('destroy', 'volumes');
  if (operation.type === 'RESERVE') return { from: plain(reserved), to: parseResources(reserved) };
  if (operation.type === 'UNRESERVE') {
    return { from: parseResources(unreserved), to: plain(unreserved) };
  }
  if (operation.type === 'CREATE') return { from: diskless(created), to: parseResources(created) };
  if (operation.type === 'DESTROY') {
    return { from: parseResources(destroyed), to: diskless(destroyed) };
  }
  return undefined;
}

function launch(master: Master, holding: Holding, info: TaskInfo): void {
  const { framework, agent, role } = holding;
  const id = info.task_id.value;
  const resources = parseResources(info['resources'] ?? []);
  const error = problemOf(master, holding, info, resources);
  if (error) {
    framework.tell(id, info.agent_id.value, {
      state: 'TASK_ERROR',
      message: error.message,
      reason: error.reason,
    });
    return;
  }
  holding.left = minus(holding.left, resources);
  const task: MasterTask = {
    framework,
    id,
    info: allocated(info, role),
    agentId: agent.id,
    role,
    resources,
    state: 'TASK_STAGING',
    statuses: [],
    isRecovered: false,
  };
  framework.tasks.set(id, task);
  agent.tasks.add(task);
  agent.link.launch(framework.info, task.info);
}

/** A missing `allocation_info` is filled in, as recorded (03). */
const allocated = (info: TaskInfo, role: string): TaskInfo => ({
  ...info,
  resources: ((info['resources'] ?? []) as ResourceJson[]).map((item) => ({
    ...item,
    allocation_info: item.allocation_info ?? { role },
  })),
});

interface Problem {
  readonly message: string;
  readonly reason: string;
}

function problemOf(
  master: Master,
  { framework, agent, role, left }: Holding,
  info: TaskInfo,
  resources: Resources,
): Problem | undefined {
  const invalid = (message: string) => ({ message, reason: 'REASON_TASK_INVALID' });
  const id = info.task_id.value;
  const badId = problemOfId(id);
  if (badId !== undefined) return invalid(badId);
  if (framework.tasks.has(id)) return invalid(`Task has duplicate ID: ${id}`);
  if (info.agent_id.value !== agent.id) {
    return invalid(
      `Task uses invalid agent ${info.agent_id.value} while agent ${agent.id} is expected`,
    );
  }
  if ((info['command'] === undefined) === (info['executor'] === undefined)) {
    return invalid(
      `Task should have at least one (but not both) of CommandInfo or ExecutorInfo present`,
    );
  }
  const isOfRole = ((info['resources'] ?? []) as ResourceJson[]).every(
    (item) => (item.allocation_info?.role ?? role) === role,
  );
  if (!isOfRole || !contains(left, resources)) {
    return invalid(
      `Total resources ${describe(resources, role)} required by task and its executor is more than available ${describe(left, role)}`,
    );
  }
  const user = info['command']?.user ?? framework.info.user;
  const { allowedUsers } = master.settings;
  if (!allowedUsers || allowedUsers.includes(user)) return undefined;
  return {
    message: `Principal '${framework.info.principal}' no authorized to launch task ${id} of framework ${framework.id} under user '${user}'`,
    reason: 'REASON_TASK_UNAUTHORIZED',
  };
}

/** `validateID` in src/common/validation.cpp. */
function problemOfId(id: string): string | undefined {
  if (id === '') return 'ID must not be empty';
  if (id.length > 255) return 'ID must not be greater than 255 characters';
  if (id === '.' || id === '..') return `'${id}' is disallowed`;
  // oxlint-disable-next-line eslint/no-control-regex -- that is the rule
  if (/[\u0000-\u001F\u007F/\\]/.test(id)) return `'${id}' contains invalid characters`;
  return undefined;
}
