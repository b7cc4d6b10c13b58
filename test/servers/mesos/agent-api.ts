import type { IncomingMessage, RequestListener } from 'node:http';

import type { Agent } from './agent.ts';
import type { Execution } from './execution.ts';
import { browse, download, listFiles, readFile, readPart } from './files-api.ts';
import { usageOf } from './process-tree.ts';
import { amount, toJson, toOldJson, toOperatorJson, parseResources } from './resources.ts';
import { bodyOf, json, notFound, ok, refused, reply } from './wire.ts';
import type { Reply } from './wire.ts';

export const VERSION = {
  version: '1.12.0',
  build_date: '2026-11-22 00:00:00 UTC',
  build_time: 1_795_305_600,
  build_user: 'build',
};

export const AGENT_CAPABILITIES = [
  'MULTI_ROLE',
  'HIERARCHICAL_ROLE',
  'RESERVATION_REFINEMENT',
  'RESOURCE_PROVIDER',
  'RESIZE_VOLUME',
  'AGENT_OPERATION_FEEDBACK',
  'AGENT_DRAINING',
  'TASK_RESOURCE_LIMITS',
];

/** The operator API of an agent and its older endpoints, as far as recorded (13) and of use. */
export const agentApi =
  (agent: Agent): RequestListener =>
  (request, response) => {
    answer(agent, request).then(
      (answered) => reply(response, answered),
      (error: unknown) => reply(response, refused(500, String(error))),
    );
  };

async function answer(agent: Agent, request: IncomingMessage): Promise<Reply> {
  const { pathname, searchParams } = new URL(request.url!, 'http://agent');
  // Endpoints are there with and without the name of the agent's actor.
  const path = pathname.replace(/^\/slave\(1\)/, '');
  const file = searchParams.get('path') ?? '';
  if (path === '/api/v1') return operatorCall(agent, await bodyOf(request));
  if (path === '/health') return ok;
  if (path === '/version') return json(VERSION);
  if (path === '/state') return json(state(agent));
  if (path === '/containers') return json(containers(agent).map(oldContainer));
  if (path === '/metrics/snapshot') return json(metrics(agent));
  if (path === '/files/browse') return browse(agent, file);
  if (path === '/files/read') return readPart(agent, file, searchParams);
  if (path === '/files/download') return download(agent, file);
  return notFound;
}

async function operatorCall(agent: Agent, body: string): Promise<Reply> {
  // oxlint-disable-next-line typescript/no-explicit-any -- the calls of agent.proto
  const call = JSON.parse(body) as Record<string, any>;
  const type = call['type'] as string | undefined;
  switch (type) {
    case 'GET_HEALTH':
      return json({ type, get_health: { healthy: true } });
    case 'GET_VERSION':
      return json({ type, get_version: { version_info: VERSION } });
    case 'GET_AGENT':
      return json({ type, get_agent: { agent_info: agentInfo(agent) } });
    case 'GET_CONTAINERS':
      return json({ type, get_containers: { containers: containers(agent) } });
    case 'GET_METRICS': {
      const list = Object.entries(metrics(agent)).map(([name, value]) => ({ name, value }));
      return json({ type, get_metrics: { metrics: list } });
    }
    case 'LIST_FILES':
      return call['list_files'] ? listFiles(agent, call['list_files'].path) : absent('list_files');
    case 'READ_FILE':
      return call['read_file'] ? readFile(agent, call['read_file']) : absent('read_file');
    default:
      return refused(400, "Failed to validate agent::Call: Expecting 'type' to be present");
  }
}

const absent = (field: string): Reply =>
  refused(400, `Failed to validate agent::Call: Expecting '${field}' to be present`);

export const agentInfo = (agent: Agent): object => ({
  hostname: agent.host,
  port: agent.port,
  resources: toJson(agent.total),
  attributes: agent.attributes,
  id: { value: agent.id },
});

const nameOf = ({ id, info }: Execution): string => {
  const { value = '', shell = true } = (info['command'] ?? {}) as {
    readonly value?: string;
    readonly shell?: boolean;
  };
  const line = shell ? `sh -c '${value.length > 15 ? `${value.slice(0, 12)}...` : value}'` : value;
  return `Command Executor (Task: ${id}) (Command: ${line})`;
};

interface Container {
  readonly framework_id: { readonly value: string };
  readonly executor_id: { readonly value: string };
  readonly executor_name: string;
  readonly container_id: { readonly value: string };
  readonly container_status: object;
  readonly resource_statistics: object;
}

function containers(agent: Agent): Container[] {
  return [...agent.executions.values()]
    .filter(({ isTerminal }) => !isTerminal)
    .map((execution) => {
      const { pid } = execution.executor;
      const { user, system, rssBytes } = pid ? usageOf(pid) : { user: 0, system: 0, rssBytes: 0 };
      const resources = parseResources(execution.info['resources'] ?? []);
      // The command executor adds a little of its own.
      const memory = (amount(resources, 'mem') + 32) * 2 ** 20;
      const containerId = { value: execution.containerId };
      return {
        framework_id: { value: execution.frameworkId },
        executor_id: { value: execution.id },
        executor_name: nameOf(execution),
        container_id: containerId,
        container_status: { container_id: containerId, executor_pid: pid ?? process.pid },
        resource_statistics: {
          timestamp: Date.now() / 1000,
          cpus_user_time_secs: user,
          cpus_system_time_secs: system,
          cpus_soft_limit: amount(resources, 'cpus') + 0.1,
          mem_limit_bytes: memory,
          mem_soft_limit_bytes: memory,
          mem_rss_bytes: rssBytes,
        },
      };
    });
}

const oldContainer = (container: Container): object => ({
  container_id: container.container_id.value,
  executor_id: container.executor_id.value,
  executor_name: container.executor_name,
  framework_id: container.framework_id.value,
  source: container.executor_id.value,
  statistics: container.resource_statistics,
  status: container.container_status,
});

function metrics(agent: Agent): Record<string, number> {
  const { fetcher } = agent;
  return {
    'containerizer/fetcher/cache_size_total_bytes': fetcher.capacity,
    'containerizer/fetcher/cache_size_used_bytes': fetcher.usedBytes,
    'containerizer/fetcher/task_fetches_failed': fetcher.counts.failed,
    'containerizer/fetcher/task_fetches_succeeded': fetcher.counts.succeeded,
    'slave/cpus_total': amount(agent.total, 'cpus'),
    'slave/mem_total': amount(agent.total, 'mem'),
    'slave/executors_running': agent.executions.size,
    'slave/registered': agent.isRegistered ? 1 : 0,
  };
}

/** `/state`: where sandboxes are, which no other call tells. */
function state(agent: Agent): object {
  const executor = (execution: Execution) => ({
    id: execution.id,
    name: nameOf(execution),
    source: execution.id,
    container: execution.containerId,
    directory: execution.sandbox,
    resources: toOldJson(parseResources(execution.info['resources'] ?? [])),
    tasks: [],
    queued_tasks: [],
    completed_tasks: [],
  });
  const frameworks = (completed: boolean) => {
    const running = [...agent.executions.values()];
    const own = (id: string) => (one: Execution) => one.frameworkId === id;
    const live = new Set(running.map(({ frameworkId }) => frameworkId));
    const ids = completed
      ? new Set(agent.finished.map(({ frameworkId }) => frameworkId).filter((id) => !live.has(id)))
      : live;
    return [...ids].map((id) => ({
      id,
      executors: running.filter(own(id)).map(executor),
      completed_executors: agent.finished.filter(own(id)).map(executor),
    }));
  };
  return {
    ...VERSION,
    id: agent.id,
    pid: `slave(1)@${agent.host}:${agent.port}`,
    hostname: agent.host,
    capabilities: AGENT_CAPABILITIES,
    resources: toOldJson(agent.total),
    unreserved_resources_full: toOperatorJson(agent.total),
    attributes: Object.fromEntries(
      (agent.attributes as { name: string; text: { value: string } }[]).map((one) => [
        one.name,
        one.text.value,
      ]),
    ),
    frameworks: frameworks(false),
    completed_frameworks: frameworks(true),
  };
}
