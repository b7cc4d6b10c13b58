import type {
  Attributes,
  BadOffer,
  InverseOffer,
  MasterEvent,
  MesosAgent,
  MesosOffer,
  MesosResource,
  TaskStatus,
  Unavailability,
} from './protocol.ts';

/** Mesos's defaults: `AgentInfo.port` in mesos.proto; the master's heartbeat as recorded. */
const AGENT_PORT = 5051;
const HEARTBEAT_SECONDS = 15;
const EXCERPT_LENGTH = 120;
/** A scalar beyond it would lose its thousandths. */
const MOST = Number.MAX_SAFE_INTEGER / 1000;

/** What should have been from a master, and is not. The message says what is wrong and how it begins. */
export class BadRecord extends Error {
  constructor(what: string, record: string) {
    const rest = record.length > EXCERPT_LENGTH ? '…' : '';
    super(`${what}: ${JSON.stringify(record.slice(0, EXCERPT_LENGTH))}${rest}`);
    this.name = 'BadRecord';
  }
}

type Json = Readonly<Record<string, unknown>>;

/**
 * One record of the scheduler's event stream (`Event` in scheduler.proto). Fields that are not known are passed over,
 * and so are events: the next master may have more of them.
 *
 * @throws BadRecord for what is no event, or lacks what its type must have
 */
export function parseEvent(record: string): MasterEvent {
  const event = parseJson(record);
  const { type } = event;
  if (typeof type !== 'string') throw new BadRecord('an event without a type', record);
  switch (type) {
    case 'UPDATE':
      return { type: 'update', status: statusOf(bodyOf(event, 'update'), record) };
    case 'OFFERS':
      return { type: 'offers', ...sorted(listOf(event, 'offers', record), offerOf) };
    case 'HEARTBEAT':
      return { type: 'heartbeat' };
    case 'SUBSCRIBED':
      return subscribedOf(bodyOf(event, 'subscribed'), record);
    case 'RESCIND':
      return { type: 'rescind', offerId: needId(bodyOf(event, 'rescind'), 'offer_id', record) };
    case 'INVERSE_OFFERS':
      return {
        type: 'inverseOffers',
        ...sorted(listOf(event, 'inverse_offers', record), inverseOfferOf),
      };
    case 'RESCIND_INVERSE_OFFER': {
      const body = bodyOf(event, 'rescind_inverse_offer');
      return { type: 'rescindInverse', offerId: needId(body, 'inverse_offer_id', record) };
    }
    case 'FAILURE':
      return failureOf(bodyOf(event, 'failure'));
    case 'ERROR':
      return { type: 'error', message: needText(bodyOf(event, 'error'), 'message', record) };
    default:
      return { type: 'other', name: type };
  }
}

/**
 * The master's answer to GET_AGENTS (`Response` in master.proto): agents that are registered, and those that a new
 * master knows of but has not heard of yet. What names neither id nor host is left out.
 *
 * @throws BadRecord for what is no such answer
 */
export function parseAgents(body: unknown): MesosAgent[] {
  const answer = isObject(body) ? body['get_agents'] : undefined;
  const { agents = [], recovered_agents: recovered = [] } = isObject(answer) ? answer : {};
  if (!isObject(answer) || !Array.isArray(agents) || !Array.isArray(recovered)) {
    throw new BadRecord('no answer to GET_AGENTS', JSON.stringify(body) ?? '');
  }
  return [
    ...agents.flatMap((agent: unknown) => (isObject(agent) ? agentOf(agent) : [])),
    ...recovered.flatMap((info: unknown) => agentOf({ agent_info: info, active: false })),
  ];
}

/**
 * Where an agent listens, from its libprocess address.
 *
 * @param pid e.g. `slave(1)@127.0.0.1:5051`
 */
export function agentAddress(
  pid: string,
): { readonly host: string; readonly port: number } | undefined {
  const [, host, port] = /@\[?([^@]+?)\]?:(\d{1,5})$/.exec(pid) ?? [];
  const number = portOf(Number(port));
  return host === undefined || number === undefined ? undefined : { host, port: number };
}

function parseJson(record: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(record);
  } catch {
    throw new BadRecord('a record that is no JSON', record);
  }
  if (isObject(value)) return value;
  throw new BadRecord('a record that is no JSON object', record);
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const NOTHING: Json = {};

const bodyOf = (event: Json, name: string): Json => {
  const body = event[name];
  return isObject(body) ? body : NOTHING;
};

/** A list is called as what holds it. Without one it is empty. */
function listOf(event: Json, name: string, record: string): readonly unknown[] {
  const list = bodyOf(event, name)[name] ?? [];
  if (Array.isArray(list)) return list;
  throw new BadRecord(`${name} that are no list`, record);
}

const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;

/** Mesos wraps its ids: `{ value: '…' }`. */
const idOf = (holder: unknown): string | undefined =>
  isObject(holder) ? textOf(holder['value']) : undefined;

function needText(body: Json, field: string, record: string): string {
  const text = textOf(body[field]);
  if (text !== undefined) return text;
  throw new BadRecord(`an event without a valid ${field}`, record);
}

function needId(body: Json, field: string, record: string): string {
  const id = idOf(body[field]);
  if (id !== undefined) return id;
  throw new BadRecord(`an event without a valid ${field}`, record);
}

/** By far the most frequent. */
function statusOf({ status }: Json, record: string): TaskStatus {
  const body = isObject(status) ? status : NOTHING;
  const taskId = needId(body, 'task_id', record);
  const state = needText(body, 'state', record);
  const agentId = idOf(body['agent_id']);
  const source = textOf(body['source']);
  const reason = textOf(body['reason']);
  const message = textOf(body['message']);
  const uuid = textOf(body['uuid']);
  return {
    taskId,
    state,
    ...(agentId !== undefined && { agentId }),
    ...(source !== undefined && { source }),
    ...(reason !== undefined && { reason }),
    ...(message !== undefined && { message }),
    ...(uuid !== undefined && { uuid }),
  };
}

function subscribedOf(body: Json, record: string): MasterEvent {
  const frameworkId = needId(body, 'framework_id', record);
  const seconds = body['heartbeat_interval_seconds'];
  const masterVersion = textOf(bodyOf(body, 'master_info')['version']);
  return {
    type: 'subscribed',
    frameworkId,
    heartbeatSeconds: isAmount(seconds) && seconds > 0 ? seconds : HEARTBEAT_SECONDS,
    ...(masterVersion !== undefined && { masterVersion }),
  };
}

function failureOf(body: Json): MasterEvent {
  const agentId = idOf(body['agent_id']);
  const executorId = idOf(body['executor_id']);
  return {
    type: 'failure',
    ...(agentId !== undefined && { agentId }),
    ...(executorId !== undefined && { executorId }),
  };
}

/** @param parse what it returns as a text is why it makes no sense */
function sorted<T extends object>(
  list: readonly unknown[],
  parse: (offer: Json) => T | string,
): { offers: T[]; bad?: BadOffer[] } {
  const offers: T[] = [];
  const bad: BadOffer[] = [];
  for (const item of list) {
    const offer = isObject(item) ? item : NOTHING;
    const parsed = parse(offer);
    const id = idOf(offer['id']);
    if (typeof parsed !== 'string') offers.push(parsed);
    else bad.push({ ...(id !== undefined && { id }), why: parsed });
  }
  return { offers, ...(bad.length > 0 && { bad }) };
}

function offerOf(offer: Json): MesosOffer | string {
  const id = idOf(offer['id']);
  if (id === undefined) return 'it has no id';
  const agentId = idOf(offer['agent_id']);
  if (agentId === undefined) return 'it has no agent';
  const host = textOf(offer['hostname']);
  if (host === undefined) return 'it has no host name';
  const { resources = [] } = offer;
  if (!Array.isArray(resources)) return 'its resources are no list';
  for (const resource of resources as readonly unknown[]) {
    const flaw = flawOf(resource);
    if (flaw !== undefined) return flaw;
  }
  const unavailability =
    offer['unavailability'] === undefined ? undefined : unavailabilityOf(offer['unavailability']);
  if (unavailability === null) return 'its unavailability has no valid times';
  return {
    id,
    agentId,
    host,
    port: portOf(bodyOf(bodyOf(offer, 'url'), 'address')['port']) ?? AGENT_PORT,
    role: textOf(bodyOf(offer, 'allocation_info')['role']) ?? '*',
    resources: resources as MesosResource[],
    attributes: attributesOf(offer['attributes']),
    ...(unavailability && { unavailability }),
  };
}

function inverseOfferOf(offer: Json): InverseOffer | string {
  const id = idOf(offer['id']);
  if (id === undefined) return 'it has no id';
  const agentId = idOf(offer['agent_id']);
  const unavailability = unavailabilityOf(offer['unavailability']);
  if (unavailability === null) return 'its unavailability has no valid times';
  return { id, ...(agentId !== undefined && { agentId }), unavailability };
}

const isAmount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0;

/** Why a resource makes no sense; what is not a scalar is never used, and passed over. */
function flawOf(resource: unknown): string | undefined {
  if (!isObject(resource)) return 'one of its resources is no object';
  const { name, type, reservations } = resource;
  if (typeof name !== 'string' || typeof type !== 'string') {
    return 'one of its resources has no name or type';
  }
  if (
    reservations !== undefined &&
    !(Array.isArray(reservations) && reservations.every(isObject))
  ) {
    return `the reservations of its ${name} are no list`;
  }
  if (type !== 'SCALAR') return undefined;
  const { value } = bodyOf(resource, 'scalar');
  if (isAmount(value) && value <= MOST) return undefined;
  return `its ${name} are ${String(typeof value === 'number' ? value : typeof value)}`;
}

/** @returns null for what has no start, or a duration that is none */
function unavailabilityOf(value: unknown): Unavailability | null {
  if (!isObject(value)) return null;
  const start = millisOf(value['start']);
  if (start === undefined) return null;
  if (value['duration'] === undefined) return { start };
  const durationMs = millisOf(value['duration']);
  return durationMs === undefined || durationMs < 0 ? null : { start, durationMs };
}

/** Nanoseconds are a JSON number that JavaScript rounds, which does not matter here, or a text. */
function millisOf(time: unknown): number | undefined {
  const nanoseconds = isObject(time) ? time['nanoseconds'] : undefined;
  const isTold =
    typeof nanoseconds === 'number' ||
    (typeof nanoseconds === 'string' && /^-?\d{1,19}$/.test(nanoseconds));
  const millis = isTold ? Math.round(Number(nanoseconds) / 1e6) : Infinity;
  return Number.isFinite(millis) ? millis : undefined;
}

const portOf = (value: unknown): number | undefined =>
  Number.isInteger(value) && (value as number) > 0 && (value as number) < 65_536
    ? (value as number)
    : undefined;

/** Of several with one name, which Mesos discourages, the first. */
function attributesOf(list: unknown): Attributes {
  const attributes = new Map<string, string>();
  if (!Array.isArray(list)) return attributes;
  for (const attribute of list as readonly unknown[]) {
    if (!isObject(attribute)) continue;
    const name = textOf(attribute['name']);
    const value = attributeText(attribute);
    if (name !== undefined && value !== undefined && !attributes.has(name)) {
      attributes.set(name, value);
    }
  }
  return attributes;
}

/** `2.5`, `31000-32000,33000-34000`, `a,b` or the text (attributes-resources.md). */
function attributeText(attribute: Json): string | undefined {
  switch (attribute['type']) {
    case 'TEXT':
      return textOf(bodyOf(attribute, 'text')['value']);
    case 'SCALAR': {
      const { value } = bodyOf(attribute, 'scalar');
      return typeof value === 'number' ? String(value) : undefined;
    }
    case 'RANGES':
      return joined(bodyOf(attribute, 'ranges')['range'], (range) =>
        isObject(range) ? `${simple(range['begin'])}-${simple(range['end'])}` : '',
      );
    case 'SET':
      return joined(bodyOf(attribute, 'set')['item'], simple);
    default:
      return undefined;
  }
}

const joined = (list: unknown, text: (item: unknown) => string): string | undefined =>
  Array.isArray(list) ? list.map(text).join(',') : undefined;

const simple = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number' ? String(value) : '';

function agentOf(agent: Json): MesosAgent[] {
  const info = bodyOf(agent, 'agent_info');
  const id = idOf(info['id']);
  const host = textOf(info['hostname']);
  if (id === undefined || host === undefined) return [];
  const total = agent['total_resources'] ?? info['resources'];
  const why = whyNot(agent);
  return [
    {
      id,
      host,
      // As in offers, where the master takes it from there too.
      port: agentAddress(textOf(agent['pid']) ?? '')?.port ?? portOf(info['port']) ?? AGENT_PORT,
      attributes: attributesOf(info['attributes']),
      total: Array.isArray(total)
        ? (total as MesosResource[]).filter((resource) => flawOf(resource) === undefined)
        : [],
      isActive: why === undefined,
      ...(why !== undefined && { why }),
    },
  ];
}

/** Why an agent takes no tasks; recorded for one that was drained. */
function whyNot({ active, deactivated, drain_info: drain }: Json): string | undefined {
  const state = isObject(drain) ? drain['state'] : undefined;
  if (state === 'DRAINING') return 'draining';
  if (state === 'DRAINED') return 'drained';
  if (deactivated === true) return 'deactivated';
  return active === true ? undefined : 'disconnected';
}
