import { AGENT_CAPABILITIES, VERSION } from './agent-api.ts';
import type { Framework, MasterTask } from './framework.ts';
import { updateSchedule, maintenanceStatus } from './maintenance.ts';
import { deactivate, drain, isDrained, markGone } from './master-agents.ts';
import { masterInfo, removeFramework } from './master-frameworks.ts';
import type { Master } from './master.ts';
import type { AgentEntry } from './registry.ts';
import { nothing, plus, toJson, toOperatorJson } from './resources.ts';
import type { Resources } from './resources.ts';
import { nanoseconds } from './statuses.ts';
import { json, ok, refused } from './wire.ts';
import type { Reply } from './wire.ts';

// oxlint-disable-next-line typescript/no-explicit-any -- the calls of master.proto
type Call = Record<string, any>;

/** Answers a call of the master's operator API, as far as recorded (07e, 08, 13, 15) and of use. */
export function operatorCall(master: Master, body: string): Reply {
  const call = JSON.parse(body) as Call;
  const type = call['type'] as string | undefined;
  switch (type) {
    case 'GET_HEALTH':
      return json({ type, get_health: { healthy: true } });
    case 'GET_VERSION':
      return json({ type, get_version: { version_info: VERSION } });
    case 'GET_MASTER': {
      const started = master.startedAt / 1000;
      const info = { start_time: started, elected_time: started };
      return json({ type, get_master: { master_info: masterInfo(master), ...info } });
    }
    case 'GET_AGENTS':
      return json({ type, get_agents: agents(master) });
    case 'GET_FRAMEWORKS':
      return json({ type, get_frameworks: frameworks(master) });
    case 'GET_TASKS':
      return json({ type, get_tasks: tasks(master) });
    case 'GET_EXECUTORS':
      // Command executors are not in it, as recorded.
      return json({ type, get_executors: { executors: [] } });
    case 'GET_STATE':
      return json({
        type,
        get_state: {
          get_tasks: tasks(master),
          get_executors: { executors: [] },
          get_frameworks: frameworks(master),
          get_agents: agents(master),
        },
      });
    case 'GET_METRICS': {
      const list = Object.entries(metrics(master)).map(([name, value]) => ({ name, value }));
      return json({ type, get_metrics: { metrics: list } });
    }
    case 'GET_MAINTENANCE_STATUS':
      return json({ type, get_maintenance_status: { status: maintenanceStatus(master) } });
    case 'UPDATE_MAINTENANCE_SCHEDULE':
      return updateSchedule(master, call['update_maintenance_schedule'].schedule);
    case 'TEARDOWN':
      return teardown(master, call['teardown']?.framework_id?.value);
    case 'DRAIN_AGENT':
    case 'REACTIVATE_AGENT':
    case 'DEACTIVATE_AGENT':
    case 'MARK_AGENT_GONE':
      return agentCall(master, type, call[type.toLowerCase()]);
    default:
      return refused(400, "Failed to validate master::Call: Expecting 'type' to be present");
  }
}

export function teardown(master: Master, id: string | undefined): Reply {
  const framework = master.frameworks.get(id ?? '');
  if (!framework) return refused(400, 'No framework found with specified ID');
  removeFramework(master, framework);
  return ok;
}

function agentCall(master: Master, type: string, call: Call | undefined): Reply {
  const id = call?.['agent_id']?.value as string | undefined;
  const entry = master.entries.get(id ?? '');
  if (!entry) return refused(404, `Agent '${id}' not found`);
  if (type === 'MARK_AGENT_GONE') markGone(master, entry);
  else if (type === 'DEACTIVATE_AGENT') deactivate(master, entry);
  else if (type === 'DRAIN_AGENT') {
    const seconds = call?.['max_grace_period']?.seconds as number | undefined;
    drain(master, entry, {
      graceMs: seconds === undefined ? undefined : master.scaled(seconds),
      markGone: call?.['mark_gone'] ?? false,
      since: Date.now(),
    });
  } else {
    entry.drain = undefined;
    entry.isDeactivated = false;
  }
  return ok;
}

/** Sums of what is offered or used, per role, as the operator API lists them. */
function byRole(
  items: Iterable<{ readonly role: string; readonly resources: Resources }>,
): object[] {
  const sums = new Map<string, Resources>();
  for (const { role, resources } of items) {
    sums.set(role, plus(sums.get(role) ?? nothing, resources));
  }
  return [...sums].flatMap(([role, sum]) => toOperatorJson(sum, role));
}

function agents(master: Master): object {
  return {
    agents: [...master.entries.values()].map((entry) => agentOf(entry)),
    recovered_agents: [...master.recovering].map((id) => ({ id: { value: id } })),
  };
}

function agentOf(entry: AgentEntry): object {
  const { link, drain: draining } = entry;
  const used = [...entry.tasks].filter(({ isRecovered }) => !isRecovered);
  const [allocated, offered] = [byRole(used), byRole(entry.offers)];
  return {
    agent_info: {
      hostname: link.host,
      port: link.port,
      resources: toJson(link.total),
      attributes: link.attributes,
      id: { value: entry.id },
      checkpoint: true,
    },
    active: entry.isActive,
    deactivated: entry.isDeactivated,
    version: VERSION.version,
    pid: `slave(1)@${link.host}:${link.port}`,
    registered_time: nanoseconds(entry.registeredAt),
    ...(entry.reregisteredAt !== undefined && {
      reregistered_time: nanoseconds(entry.reregisteredAt),
    }),
    total_resources: toOperatorJson(entry.total),
    ...(allocated.length > 0 && { allocated_resources: allocated }),
    ...(offered.length > 0 && { offered_resources: offered }),
    capabilities: AGENT_CAPABILITIES.map((type) => ({ type })),
    ...(draining && {
      drain_info: {
        state: isDrained(entry) ? 'DRAINED' : 'DRAINING',
        config: {
          ...(draining.graceMs !== undefined && {
            max_grace_period: nanoseconds(draining.graceMs),
          }),
          mark_gone: draining.markGone,
        },
      },
      estimated_drain_start_time: nanoseconds(draining.since),
    }),
  };
}

function frameworks(master: Master): object {
  return {
    frameworks: [...master.frameworks.values()].map((one) => frameworkOf(one)),
    completed_frameworks: [...master.completed.values()].map((one) => frameworkOf(one)),
  };
}

function frameworkOf(framework: Framework): object {
  const used = [...framework.tasks.values()].filter(({ isRecovered }) => !isRecovered);
  const offers = [...framework.offers.values()].map(
    ({ id, agent, role, resources }) =>
      JSON.parse(
        agent.offerJson(id, framework.id, JSON.stringify(toJson(resources, role)), role),
      ) as object,
  );
  const [allocated, offered] = [byRole(used), byRole(framework.offers.values())];
  return {
    framework_info: { ...framework.info, id: { value: framework.id } },
    active: framework.isConnected,
    connected: framework.isConnected,
    recovered: framework.isRecovered,
    registered_time: nanoseconds(framework.registeredAt),
    reregistered_time: nanoseconds(framework.reregisteredAt),
    ...(framework.unregisteredAt !== undefined && {
      unregistered_time: nanoseconds(framework.unregisteredAt),
    }),
    ...(offers.length > 0 && { offers }),
    ...(allocated.length > 0 && { allocated_resources: allocated }),
    ...(offered.length > 0 && { offered_resources: offered }),
    offer_constraints: {},
  };
}

function tasks(master: Master): object {
  const all = [...master.frameworks.values()];
  return {
    tasks: all.flatMap((framework) => [...framework.tasks.values()]).map(taskOf),
    unreachable_tasks: all.flatMap((framework) => [...framework.away.values()]).map(taskOf),
    completed_tasks: master.completedTasks.map(taskOf),
  };
}

function taskOf(task: MasterTask): object {
  const latest = task.statuses.at(-1);
  return {
    name: task.info.name,
    task_id: { value: task.id },
    framework_id: { value: task.framework.id },
    agent_id: { value: task.agentId },
    state: task.state,
    resources: toJson(task.resources, task.role),
    statuses: task.statuses,
    status_update_state: task.state,
    ...(latest?.uuid !== undefined && { status_update_uuid: latest.uuid }),
  };
}

export function metrics(master: Master): Record<string, number> {
  const states = [...master.frameworks.values()].flatMap(({ tasks: own }) =>
    [...own.values()].map(({ state }) => state),
  );
  const count = (state: string) => states.filter((one) => one === state).length;
  const active = [...master.entries.values()].filter(({ isActive }) => isActive).length;
  const connected = [...master.frameworks.values()].filter((one) => one.isConnected).length;
  return {
    'master/elected': 1,
    'master/uptime_secs': (Date.now() - master.startedAt) / 1000,
    'master/slaves_active': active,
    'master/slaves_connected': [...master.entries.values()].filter((one) => one.isConnected).length,
    'master/slaves_unreachable': master.unreachable.size,
    'master/frameworks_active': connected,
    'master/frameworks_connected': connected,
    'master/outstanding_offers': master.offers.size,
    'master/tasks_running': count('TASK_RUNNING'),
    'master/tasks_staging': count('TASK_STAGING'),
    'master/tasks_starting': count('TASK_STARTING'),
  };
}
