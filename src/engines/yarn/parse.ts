import { excerpt, isObject } from './json.ts';
import type { AmEvent, Capability, Running } from './protocol.ts';

/** What should have been an event of the program, and is not. */
export class BadEvent extends Error {
  constructor(what: string, line: string) {
    super(`${what}: ${JSON.stringify(excerpt(line))}`);
    this.name = 'BadEvent';
  }
}

/** Whether a value is what a field has to be. */
type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === 'string';
const isName: Check = (value) => typeof value === 'string' && value !== '';
const isInteger: Check = (value) => Number.isSafeInteger(value);
const isAmount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isRequest: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 1;
const isPeriod: Check = (value) =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0;
const isOptional =
  (is: Check): Check =>
  (value) =>
    value === undefined || is(value);

const isRecord =
  (fields: Readonly<Record<string, Check>>): Check =>
  (value) =>
    isObject(value) && Object.entries(fields).every(([name, is]) => is(value[name]));

const CAPABILITY = {
  memoryMb: isAmount,
  vcores: isAmount,
  gpus: isOptional(isAmount),
} satisfies Record<keyof Capability, Check>;

/** A queue that is over its share has less than nothing. */
const ROOM = {
  memoryMb: isInteger,
  vcores: isInteger,
  gpus: isOptional(isInteger),
} satisfies Record<keyof Capability, Check>;

const RUNNING = {
  request: isRequest,
  container: isName,
  node: isName,
  nodeHttp: isText,
  capability: isRecord(CAPABILITY),
} satisfies Record<keyof Running, Check>;

const LEVELS: readonly unknown[] = ['debug', 'info', 'warn', 'error'];

type FieldsOf = {
  readonly [E in AmEvent as E['event']]: Readonly<Record<Exclude<keyof E, 'event'>, Check>>;
};

const FIELDS: FieldsOf = {
  ready: { hadoop: isText, user: isText },
  opened: {
    app: isName,
    applicationId: isName,
    maximum: isRecord(CAPABILITY),
    queue: isText,
    running: (list) => Array.isArray(list) && list.every(isRecord(RUNNING)),
  },
  allocated: { app: isName, ...RUNNING },
  started: { app: isName, request: isRequest },
  ended: {
    app: isName,
    request: isRequest,
    container: isOptional(isName),
    exitStatus: isInteger,
    diagnostics: isText,
    heldMs: isOptional(isPeriod),
    end: isOptional(isText),
  },
  closed: { app: isName, applicationId: isOptional(isName), state: isText, diagnostics: isText },
  headroom: { app: isName, available: isRecord(ROOM), maximum: isRecord(CAPABILITY) },
  nodesChanged: {},
  log: {
    id: isInteger,
    text: isOptional(isText),
    next: isOptional(isAmount),
    error: isOptional(isText),
  },
  say: { level: (value) => LEVELS.includes(value), message: isText },
};

/**
 * One line of the program. Fields that are not known are passed over.
 *
 * @throws BadEvent for what is no event, or lacks what its kind must have
 */
export function parseEvent(line: string): AmEvent {
  let said: unknown;
  try {
    said = JSON.parse(line);
  } catch {
    throw new BadEvent('a line that is no JSON', line);
  }
  return eventOf(said, line);
}

/**
 * An event that came as JSON.
 *
 * @throws BadEvent
 */
export function eventOf(said: unknown, text: string): AmEvent {
  if (!isObject(said) || !isKind(said['event'])) throw new BadEvent('no event', text);
  const wrong = Object.entries<Check>(FIELDS[said['event']]).find(([name, is]) => !is(said[name]));
  if (wrong) throw new BadEvent(`an event '${said['event']}' without a valid ${wrong[0]}`, text);
  return said as unknown as AmEvent;
}

const isKind = (value: unknown): value is keyof FieldsOf =>
  typeof value === 'string' && Object.hasOwn(FIELDS, value);
