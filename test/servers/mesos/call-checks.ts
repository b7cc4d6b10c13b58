/**
 * What a master refuses of a call with 400, in its order and words (12): JSON, then what protobuf requires, then
 * `scheduler::Call`'s own rules. Only what the recordings show and what the same rule means for the other calls.
 */

type Json = Record<string, unknown>;

const TYPES = new Set([
  'SUBSCRIBE',
  'TEARDOWN',
  'ACCEPT',
  'DECLINE',
  'ACCEPT_INVERSE_OFFERS',
  'DECLINE_INVERSE_OFFERS',
  'REVIVE',
  'SUPPRESS',
  'KILL',
  'SHUTDOWN',
  'ACKNOWLEDGE',
  'ACKNOWLEDGE_OPERATION_STATUS',
  'RECONCILE',
  'RECONCILE_OPERATIONS',
  'MESSAGE',
  'REQUEST',
  'UPDATE_FRAMEWORK',
]);

/** The calls that are nothing without their own field. */
const NEEDS = new Set([
  'SUBSCRIBE',
  'ACCEPT',
  'DECLINE',
  'ACCEPT_INVERSE_OFFERS',
  'DECLINE_INVERSE_OFFERS',
  'KILL',
  'SHUTDOWN',
  'ACKNOWLEDGE',
  'RECONCILE',
  'MESSAGE',
  'UPDATE_FRAMEWORK',
]);

/** Which fields a message requires, and what the messages and lists of messages in it require. */
interface Rule {
  readonly required?: readonly string[];
  readonly inside?: Readonly<Record<string, Rule>>;
}

const FRAMEWORK: Rule = {
  required: ['framework_info'],
  inside: { framework_info: { required: ['user', 'name'] } },
};
const TASKS: Rule = { inside: { task_infos: { required: ['name', 'task_id', 'agent_id'] } } };
const CALL: Readonly<Record<string, Rule>> = {
  subscribe: FRAMEWORK,
  update_framework: FRAMEWORK,
  kill: { required: ['task_id'] },
  acknowledge: { required: ['agent_id', 'task_id', 'uuid'] },
  reconcile: { inside: { tasks: { required: ['task_id'] } } },
  message: { required: ['agent_id', 'executor_id', 'data'] },
  accept: { inside: { operations: { inside: { launch: TASKS } } } },
};

const LISTS_OF_OBJECTS = ['offer_ids', 'inverse_offer_ids', 'operations', 'tasks'];

export type Checked = { readonly call: Json } | { readonly problem: string };

export function parseCall(body: string): Checked {
  let call: unknown;
  try {
    call = JSON.parse(body);
  } catch {
    return { problem: 'Failed to parse body into JSON: syntax error at line 1 near: ' };
  }
  if (typeof call !== 'object' || call === null || Array.isArray(call)) {
    return { problem: 'Failed to convert JSON into Call protobuf: Expecting a JSON object' };
  }
  const problem = unconvertible(call as Json);
  return problem === undefined
    ? { call: call as Json }
    : { problem: `Failed to convert JSON into Call protobuf: ${problem}` };
}

function unconvertible(call: Json): string | undefined {
  for (const [field, value] of Object.entries(call)) {
    if (typeof value !== 'object' || value === null) continue;
    const problem = badList(value as Json);
    if (problem !== undefined) return problem;
    if (field === 'acknowledge') {
      const bad = /[^A-Za-z0-9+/=]/.exec((value as { uuid?: string }).uuid ?? '')?.[0];
      if (bad) return `Failed to base64 decode bytes field 'uuid': Invalid character '${bad}'`;
    }
    const missing: string[] = [];
    findMissing(value as Json, CALL[field], field, missing);
    if (missing.length > 0) return `Missing required fields: ${missing.join(', ')}`;
  }
  return undefined;
}

function badList(message: Json): string | undefined {
  for (const field of LISTS_OF_OBJECTS) {
    const list = message[field];
    if (list === undefined) continue;
    const item: unknown = Array.isArray(list) ? list.find((one) => typeof one !== 'object') : list;
    if (item !== undefined) return `Not expecting a JSON ${typeof item} for field '${field}'`;
  }
  return undefined;
}

function findMissing(message: Json, rule: Rule | undefined, at: string, missing: string[]): void {
  for (const name of rule?.required ?? []) {
    if (message[name] === undefined) missing.push(`${at}.${name}`);
  }
  for (const name in rule?.inside) {
    const value = message[name];
    const inner = rule.inside[name];
    if (typeof value !== 'object' || value === null) continue;
    if (!Array.isArray(value)) findMissing(value as Json, inner, `${at}.${name}`, missing);
    else {
      for (const [index, item] of value.entries()) {
        findMissing(item as Json, inner, `${at}.${name}[${index}]`, missing);
      }
    }
  }
}

/** `validate` of `scheduler::Call`; undefined where it is good. */
export function invalid(call: Json, principal: string | undefined): string | undefined {
  const said = (problem: string) => `Failed to validate scheduler::Call: ${problem}`;
  const type = call['type'];
  if (typeof type !== 'string' || !TYPES.has(type)) return said("Expecting 'type' to be present");
  const field = type.toLowerCase();
  if (NEEDS.has(type) && call[field] === undefined) {
    return said(`Expecting '${field}' to be present`);
  }
  const id = (call['framework_id'] as Json | undefined)?.['value'];
  if (type === 'SUBSCRIBE') {
    const info = (call['subscribe'] as Json)['framework_info'] as Json;
    if (((info['id'] as Json | undefined)?.['value'] ?? '') !== (id ?? '')) {
      return said("'framework_id' differs from 'subscribe.framework_info.id'");
    }
    if (principal !== undefined && info['principal'] && info['principal'] !== principal) {
      return said(
        `Authenticated principal '${principal}' does not match principal '${info['principal'] as string}' set in \`FrameworkInfo\``,
      );
    }
    return undefined;
  }
  if (id === undefined) return said("Expecting 'framework_id' to be present");
  if (type === 'ACKNOWLEDGE') {
    const uuid = (call['acknowledge'] as Json)['uuid'] as string;
    if (Buffer.from(uuid, 'base64').length !== 16) return said('Not a valid UUID');
  }
  return undefined;
}
