/**
 * Answers of the ResourceManager's REST, as recorded from 3.5.0 and described in ResourceManagerRest.html. Fields that
 * are not known are passed over: the next version has more of them.
 */
import { excerpt, isObject, listOf, numberOf, objectOf, textOf } from './json.ts';
import type { Json } from './json.ts';
import type { Capability } from './protocol.ts';

export interface ClusterNode {
  /** Its name for requests and for us. */
  readonly host: string;
  readonly port: number;
  readonly rack: string;
  /** `NodeState`: RUNNING, UNHEALTHY, DECOMMISSIONING, LOST, … */
  readonly state: string;
  readonly healthReport: string;
  readonly labels: readonly string[];
  /** By the name without its prefix, e.g. `os`, and with it, e.g. `rm.yarn.io/os`. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly total: Capability;
  readonly used: Capability;
}

export interface ClusterInfo {
  /** When the ResourceManager that is active now was started. */
  readonly startedOn: number;
  readonly version: string;
  readonly haState: string;
}

export interface QueueShare {
  /** E.g. `root.eo.tep`. */
  readonly path: string;
  /** Percent of the cluster that it uses, and may use for one user. */
  readonly percent: number;
  readonly maximum: number;
  readonly used: Capability;
  readonly isRunning: boolean;
}

export interface Application {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly tags: readonly string[];
}

/** What should have been an answer of a ResourceManager, and is not. */
export class BadAnswer extends Error {
  constructor(what: string, body: unknown) {
    super(`${what}: ${excerpt(JSON.stringify(body) ?? String(body))}`);
    this.name = 'BadAnswer';
  }
}

/** @throws BadAnswer */
export function parseInfo(body: unknown): ClusterInfo {
  const info = isObject(body) ? body['clusterInfo'] : undefined;
  const { startedOn, haState, resourceManagerVersion } = objectOf(info);
  const started = numberOf(startedOn);
  if (started === undefined) throw new BadAnswer('no information about a cluster', body);
  return {
    startedOn: started,
    version: textOf(resourceManagerVersion) ?? 'unknown',
    haState: textOf(haState) ?? 'unknown',
  };
}

/**
 * Of two NodeManagers on one host, as after a restart on another port, the one that runs counts.
 *
 * @throws BadAnswer
 */
export function parseNodes(body: unknown): ClusterNode[] {
  const nodes = new Map<string, ClusterNode>();
  for (const item of listIn(body, 'nodes', 'node')) {
    const node = nodeOf(item);
    const known = node && nodes.get(node.host);
    if (node && (known === undefined || known.state !== 'RUNNING')) nodes.set(node.host, node);
  }
  return [...nodes.values()];
}

function nodeOf(node: Json): ClusterNode | undefined {
  const [, port] = /:(\d+)$/.exec(textOf(node['id']) ?? '') ?? [];
  const host = textOf(node['nodeHostName']);
  const state = textOf(node['state']);
  if (host === undefined || state === undefined) return undefined;
  const used = {
    memoryMb: amountOf(node['usedMemoryMB']),
    vcores: amountOf(node['usedVirtualCores']),
    ...gpusOf(node['usedResource']),
  };
  const free = {
    memoryMb: numberOf(node['availMemoryMB']) ?? 0,
    vcores: numberOf(node['availableVirtualCores']) ?? 0,
  };
  return {
    host,
    port: Number(port ?? 0),
    rack: textOf(node['rack']) ?? '',
    state,
    healthReport: textOf(node['healthReport']) ?? '',
    labels: labelsOf(node['nodeLabels']),
    attributes: attributesOf(node['nodeAttributesInfo']),
    total: {
      memoryMb: Math.max(0, used.memoryMb + free.memoryMb),
      vcores: Math.max(0, used.vcores + free.vcores),
      ...gpusOf(node['totalResource']),
    },
    used,
  };
}

const amountOf = (value: unknown): number => Math.max(0, numberOf(value) ?? 0);

const GPU = 'yarn.io/gpu';

function gpusOf(resource: unknown): { gpus?: number } {
  const { resourceInformations } = objectOf(resource);
  const all = listOf(objectOf(resourceInformations)['resourceInformation']);
  const value = numberOf(all.find(({ name }) => name === GPU)?.['value']);
  return value === undefined ? {} : { gpus: value };
}

const labelsOf = (value: unknown): string[] =>
  (Array.isArray(value) ? value : [value]).flatMap((label) => textOf(label) ?? []);

function attributesOf(value: unknown): ReadonlyMap<string, string> {
  const { nodeAttributeInfo } = objectOf(value);
  const attributes = new Map<string, string>();
  for (const { prefix, name, value: said } of listOf(nodeAttributeInfo)) {
    const key = textOf(name);
    if (key === undefined) continue;
    const text = textOf(said) ?? '';
    attributes.set(key, text);
    if (textOf(prefix) !== undefined) attributes.set(`${String(prefix)}/${key}`, text);
  }
  return attributes;
}

/** @throws BadAnswer */
export function parseApplications(body: unknown): Application[] {
  return listIn(body, 'apps', 'app').flatMap(({ id, name, state, applicationTags }) => {
    const [known, word] = [textOf(id), textOf(state)];
    if (known === undefined || word === undefined) return [];
    return {
      id: known,
      name: textOf(name) ?? '',
      state: word,
      tags: (textOf(applicationTags) ?? '').split(','),
    };
  });
}

/**
 * The leaf queues of a capacity scheduler; none of others, which tell theirs in other words.
 *
 * @param partition whose figures are wanted: a node label, '' for the nodes without one
 * @throws BadAnswer
 */
export function parseQueues(body: unknown, partition = ''): QueueShare[] {
  const { schedulerInfo } = objectOf(objectOf(body)['scheduler']);
  if (!isObject(schedulerInfo)) throw new BadAnswer('no information about a scheduler', body);
  return schedulerInfo['type'] === 'capacityScheduler'
    ? leavesOf(schedulerInfo, 'root', partition)
    : [];
}

function leavesOf(parent: Json, path: string, partition: string): QueueShare[] {
  return listOf(objectOf(parent['queues'])['queue']).flatMap((queue) => {
    const name = `${path}.${textOf(queue['queueName']) ?? ''}`;
    const below = leavesOf(queue, name, partition);
    if (below.length > 0) return below;
    const inPartition = (holder: string, list: string): Json | undefined =>
      listOf(objectOf(queue[holder])[list]).find((each) => each['partitionName'] === partition);
    const capacity = inPartition('capacities', 'queueCapacitiesByPartition') ?? queue;
    const usage = inPartition('resources', 'resourceUsagesByPartition')?.['used'];
    const used = objectOf(usage ?? queue['resourcesUsed']);
    return {
      path: name,
      percent: amountOf(capacity['absoluteUsedCapacity']),
      maximum: Math.min(
        numberOf(capacity['absoluteMaxCapacity']) ?? 100,
        userMaximum(queue, capacity),
      ),
      used: { memoryMb: amountOf(used['memory']), vcores: amountOf(used['vCores']) },
      isRunning: (textOf(queue['state']) ?? 'RUNNING') === 'RUNNING',
    };
  });
}

/** Of what is guaranteed to a queue, one user may have so many times as much; a negative factor is no limit. */
function userMaximum(queue: Json, capacity: Json): number {
  const factor = numberOf(queue['userLimitFactor']) ?? -1;
  const guaranteed = numberOf(capacity['absoluteCapacity']);
  return factor < 0 || guaranteed === undefined ? 100 : factor * guaranteed;
}

/** A list is called as what holds it. Without one it is empty. */
function listIn(body: unknown, holder: string, name: string): Json[] {
  const held = isObject(body) ? body[holder] : undefined;
  // Hadoop 3.4 and older say `null` where there is none.
  if (held === null || held === '') return [];
  if (!isObject(held)) throw new BadAnswer(`no list of ${holder}`, body);
  return listOf(held[name]);
}
