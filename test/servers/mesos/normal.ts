import type { Event } from './client.ts';
import type { MesosCluster } from './types.ts';

const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';

/** Which recorded id is which of ours, and both in words that can be compared. */
export class Names {
  readonly #cluster: MesosCluster;
  readonly #now = new Map<string, string>();
  /** Agent ids, recorded and ours, with the number of the agent; ours change when an agent is wiped. */
  readonly #agents = new Map<string, number>();

  constructor(cluster: MesosCluster) {
    this.#cluster = cluster;
  }

  add(recorded: string, now: string): void {
    this.#now.set(recorded, now);
  }

  now(recorded: string): string {
    const agent = this.#agents.get(recorded);
    return this.#now.get(recorded) ?? (agent === undefined ? recorded : this.#idOf(agent));
  }

  #idOf(agent: number): string {
    return this.#cluster.agents[agent]!.id;
  }

  translate(value: unknown): unknown {
    if (typeof value === 'string') return this.now(value);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, one]) => [key, this.translate(one)]),
    );
  }

  /** The recording's second agent listened on 5052. */
  agent(offer: Event): number {
    const index = offer['url'].address.port === 5052 ? 1 : 0;
    this.#agents.set(offer['agent_id'].value as string, index);
    return index;
  }

  /** Of one of our ids. */
  agentOf(id: string): number {
    const index = this.#cluster.agents.findIndex((agent) => agent.id === id);
    if (index >= 0) this.#agents.set(id, index);
    return this.#agents.get(id)!;
  }

  /** Ids become words; what an agent is called says which one it is. */
  normal(text: string): string {
    return (
      text
        .replaceAll(new RegExp(`${UUID}-S\\d+`, 'g'), (id) => `agent ${this.#agents.get(id)}`)
        .replaceAll(new RegExp(`${UUID}-O\\d+`, 'g'), 'offer')
        .replaceAll(new RegExp(`${UUID}-\\d{4}`, 'g'), 'framework')
        .replaceAll(new RegExp(UUID, 'g'), 'uuid')
        // How much was free depends on what had ended by then.
        .replaceAll(/\(allocated: (\w+)\):[\d.]+/g, '(allocated: $1):#')
    );
  }
}

const stamped = new Set(['timestamp', 'executor_pid', 'container_id']);

/** A status without what cannot be the same twice. */
export function comparable(status: Event, names: Names, isLoose: boolean): object {
  const { uuid, timestamp, container_status: container, unreachable_time: since, ...rest } = status;
  return {
    ...rest,
    agent_id: names.normal(String(rest['agent_id']?.value)),
    message: isLoose ? 'any' : names.normal(String(rest['message'])),
    hasUuid: uuid !== undefined,
    hasTime: typeof timestamp,
    container: container && skeleton(container),
    isUnreachable: since !== undefined,
  };
}

/** An event without what cannot be the same twice. */
export function dataOf(event: Event, names: Names): unknown {
  if (event['type'] === 'SUBSCRIBED') {
    const { heartbeat_interval_seconds: _, ...subscribed } = event['subscribed'];
    return skeleton(subscribed);
  }
  const text = JSON.stringify(event, (key, value: unknown) => {
    if (stamped.has(key)) return undefined;
    if (key === 'uuid') return 'uuid';
    if (key === 'port') return 'port';
    return value;
  });
  return JSON.parse(names.normal(text)) as unknown;
}

export function normalOffer(offer: Event, names: Names, role: string): unknown {
  const { resources, attributes, ...rest } = offer;
  return {
    ...(dataOf(rest, names) as object),
    allocation_info: {},
    resources: (resources as Event[]).map((one) => ({ ...one, allocation_info: { role } })),
    attributes,
  };
}

/** Which keys there are and of which type their values; lists become the sum of their items. */
export function skeleton(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(skeleton).reduce((sum: object, one) => ({ ...sum, ...Object(one) }), {});
  }
  if (typeof value !== 'object' || value === null) return typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, skeleton(one)]));
}
