import { Framework } from './framework.ts';
import type { MasterTask } from './framework.ts';
import type { Master } from './master.ts';
import { awaitFailover } from './master-frameworks.ts';
import { AgentEntry } from './registry.ts';
import type { AgentLink, Drain, Registration } from './registry.ts';
import { parseResources } from './resources.ts';
import { can, isTerminal, nanoseconds } from './statuses.ts';
import type { Status, TaskInfo } from './statuses.ts';

const KEPT_TASKS = 100;
const KEPT_STATUSES = 5;

/**
 * An agent registers, for the first time or again; undefined where the master never wants to see it again. An agent
 * that was only away for a moment goes on as if nothing had been (07f); one that was unreachable has its tasks told
 * anew (07a).
 */
export function register(
  master: Master,
  link: AgentLink,
  id: string | undefined,
  registration: Registration,
): string | undefined {
  if (id !== undefined && master.gone.has(id)) return undefined;
  const known = id === undefined ? undefined : master.entries.get(id);
  if (known) {
    clearTimeout(known.silence);
    known.isConnected = true;
    known.reregisteredAt = Date.now();
    rejoin(master, known, registration);
    return known.id;
  }
  const entry = new AgentEntry(id ?? master.newAgentId(), link);
  if (id !== undefined) entry.reregisteredAt = Date.now();
  const wasUnreachable = master.unreachable.delete(entry.id);
  master.recovering.delete(entry.id);
  master.entries.set(entry.id, entry);
  master.shares.total(entry.total, 1);
  const window = master.maintenance.get(`${link.host}|${link.host}`);
  if (window) entry.unavailability = window;
  rejoin(master, entry, registration, wasUnreachable);
  return entry.id;
}

function rejoin(
  master: Master,
  entry: AgentEntry,
  { frameworks, tasks }: Registration,
  wasUnreachable = false,
): void {
  for (const info of frameworks) recoverFramework(master, info);
  const told = new Set<MasterTask>();
  for (const { frameworkId, info, status } of tasks) {
    const framework = master.frameworks.get(frameworkId);
    if (!framework) continue;
    const known = framework.tasks.get(info.task_id.value);
    const isOwn = known !== undefined && entry.tasks.has(known);
    told.add(isOwn ? known : adopt(master, entry, framework, info, status));
    if (wasUnreachable) tellReturned(entry, framework, status);
  }
  // What the agent does not know any more will not come back.
  for (const task of entry.tasks) {
    if (told.has(task) || isTerminal(task.state)) continue;
    endTask(master, entry, task, {
      state: can(task.framework.info, 'PARTITION_AWARE') ? 'TASK_GONE' : 'TASK_LOST',
      message: 'Reconciliation: Task is unknown to the agent',
      reason: 'REASON_RECONCILIATION',
    });
  }
  master.allocateSoon();
}

function recoverFramework(master: Master, info: Framework['info']): void {
  const id = info.id!.value;
  if (master.frameworks.has(id) || master.completed.has(id)) return;
  const framework = new Framework(id, info);
  framework.isRecovered = true;
  master.frameworks.set(id, framework);
  awaitFailover(master, framework);
}

function adopt(
  master: Master,
  entry: AgentEntry,
  framework: Framework,
  info: TaskInfo,
  status: Status,
): MasterTask {
  const id = info.task_id.value;
  const resources = parseResources(info['resources'] ?? []);
  const role = info['resources']?.[0]?.allocation_info?.role ?? '*';
  const task: MasterTask = {
    framework,
    id,
    info,
    agentId: entry.id,
    role,
    resources,
    state: status.state,
    statuses: [status],
    isRecovered: isTerminal(status.state),
  };
  framework.away.delete(id);
  framework.tasks.set(id, task);
  entry.tasks.add(task);
  if (!task.isRecovered) master.take(framework, entry, role, resources);
  return task;
}

function tellReturned(entry: AgentEntry, framework: Framework, status: Status): void {
  const id = status.task_id.value;
  if (!can(framework.info, 'PARTITION_AWARE')) {
    entry.link.killTask(framework.id, id);
    return;
  }
  framework.tell(id, entry.id, {
    state: status.state,
    // As Mesos spells it.
    message: 'Unreachable agent re-reregistered',
    reason: 'REASON_AGENT_REREGISTERED',
    container_status: status.container_status,
  });
}

/** An executor's status comes with the latest that the agent knows: resources are free before all was acknowledged. */
export function statusUpdate(
  master: Master,
  agentId: string,
  frameworkId: string,
  status: Status,
  latest: string,
): void {
  const entry = master.entries.get(agentId);
  const framework = master.frameworks.get(frameworkId);
  if (!entry || !framework) return;
  const task = framework.tasks.get(status.task_id.value);
  if (task && entry.tasks.has(task)) {
    task.state = status.state;
    // The latest are enough to look at.
    if (task.statuses.push(status) > KEPT_STATUSES) task.statuses.shift();
    if (isTerminal(latest)) free(master, entry, task);
  }
  framework.update(status);
}

function free(master: Master, entry: AgentEntry, task: MasterTask): void {
  if (task.isRecovered) return;
  task.isRecovered = true;
  master.recover(task.framework, entry, task.role, task.resources);
}

export function acknowledge(
  master: Master,
  framework: Framework,
  { agentId, taskId, uuid }: { agentId: string; taskId: string; uuid: string },
): void {
  const entry = master.entries.get(agentId);
  if (!entry?.isConnected) return;
  const task = framework.tasks.get(taskId);
  const isLast = task && isTerminal(task.state) && task.statuses.at(-1)?.uuid === uuid;
  if (isLast && entry.tasks.has(task)) forgetTask(master, entry, task);
  entry.link.acknowledge(framework.id, taskId, uuid);
}

function forgetTask(master: Master, entry: AgentEntry, task: MasterTask): void {
  task.framework.tasks.delete(task.id);
  entry.tasks.delete(task);
  master.completedTasks.push(task);
  if (master.completedTasks.length > KEPT_TASKS) master.completedTasks.shift();
  checkDrained(master, entry);
}

/** The master itself says how a task ends. */
function endTask(
  master: Master,
  entry: AgentEntry,
  task: MasterTask,
  fields: Partial<Status> & { readonly state: string },
): void {
  free(master, entry, task);
  task.framework.tasks.delete(task.id);
  entry.tasks.delete(task);
  task.state = fields.state;
  task.framework.tell(task.id, entry.id, fields);
}

/** The connection to an agent is gone. */
export function disconnected(master: Master, agentId: string): void {
  const entry = master.entries.get(agentId);
  if (!entry?.isConnected) return;
  entry.isConnected = false;
  for (const offer of entry.offers) master.dropOffer(offer, true);
  dropInverse(entry);
  for (const task of entry.tasks) {
    const { framework } = task;
    if (framework.info.checkpoint ?? false) continue;
    endTask(master, entry, task, {
      state: can(framework.info, 'PARTITION_AWARE') ? 'TASK_GONE' : 'TASK_LOST',
      message: `Agent ${entry.link.host} disconnected`,
      reason: 'REASON_AGENT_DISCONNECTED',
    });
  }
  entry.silence = setTimeout(() => unreachable(master, entry), master.settings.agentPingMs).unref();
}

function unreachable(master: Master, entry: AgentEntry): void {
  const since = Date.now();
  master.unreachable.set(entry.id, since);
  for (const task of entry.tasks) {
    const { framework } = task;
    endTask(master, entry, task, {
      state: can(framework.info, 'PARTITION_AWARE') ? 'TASK_UNREACHABLE' : 'TASK_LOST',
      message: 'health check timed out',
      reason: 'REASON_AGENT_REMOVED',
      unreachable_time: nanoseconds(since),
    });
    framework.away.set(task.id, { ...task, unreachableSince: since });
  }
  removeEntry(master, entry);
}

/** Takes an agent out and tells all frameworks that it failed. */
function removeEntry(master: Master, entry: AgentEntry): void {
  clearTimeout(entry.silence);
  for (const offer of entry.offers) master.dropOffer(offer, true);
  dropInverse(entry);
  master.entries.delete(entry.id);
  master.shares.total(entry.total, -1);
  for (const framework of master.frameworks.values()) {
    framework.send({ type: 'FAILURE', failure: { agent_id: { value: entry.id } } });
  }
}

export function dropInverse(entry: AgentEntry): void {
  for (const inverse of entry.inverseOffers) {
    inverse.framework.inverseOffers.delete(inverse.id);
    inverse.framework.send({
      type: 'RESCIND_INVERSE_OFFER',
      rescind_inverse_offer: { inverse_offer_id: { value: inverse.id } },
    });
  }
  entry.inverseOffers.clear();
}

/** An agent leaves in order: TASK_LOST even where the framework knows better words (07c). */
export function unregistered(
  master: Master,
  agentId: string,
  cause = 'the agent unregistered',
): void {
  const entry = master.entries.get(agentId);
  if (!entry) return;
  for (const task of entry.tasks) {
    endTask(master, entry, task, {
      state: 'TASK_LOST',
      message: `Agent ${entry.link.host} removed: ${cause}`,
      reason: 'REASON_AGENT_REMOVED',
    });
  }
  removeEntry(master, entry);
}

export function markGone(master: Master, entry: AgentEntry): void {
  master.gone.add(entry.id);
  for (const task of entry.tasks) {
    const { framework } = task;
    endTask(master, entry, task, {
      state: can(framework.info, 'PARTITION_AWARE') ? 'TASK_GONE_BY_OPERATOR' : 'TASK_LOST',
      message: 'Agent has been marked gone',
      reason: 'REASON_AGENT_REMOVED_BY_OPERATOR',
    });
    framework.away.set(task.id, task);
  }
  removeEntry(master, entry);
  entry.link.shutdown();
}

export function drain(master: Master, entry: AgentEntry, how: Drain): void {
  entry.drain = how;
  deactivate(master, entry);
  entry.link.drain(how.graceMs);
  checkDrained(master, entry);
}

export function deactivate(master: Master, entry: AgentEntry): void {
  entry.isDeactivated = true;
  for (const offer of entry.offers) master.dropOffer(offer, true);
}

export const isDrained = (entry: AgentEntry): boolean => entry.tasks.size === 0;

function checkDrained(master: Master, entry: AgentEntry): void {
  if (entry.drain?.markGone && isDrained(entry)) markGone(master, entry);
}
