import { Client, Pool } from 'undici';
import type { Dispatcher } from 'undici';
import type { Logger } from 'pino';

import { messageOf } from '../../errors.ts';
import { SCHEDULER_PATH } from './masters.ts';
import { parseEvent } from './parse.ts';
import type { Call, MasterEvent } from './protocol.ts';
import { createRecordReader } from './record-io.ts';
import {
  CallError,
  clientOptions,
  describe,
  excerpt,
  jsonHeaders,
  refusal,
  send,
  Sockets,
} from './requests.ts';
import type { Transport } from './requests.ts';

export interface SubscriptionOptions {
  /** Base of the master's API. */
  readonly url: URL;
  readonly call: Call;
  readonly transport: Transport;
  /** For messages. */
  readonly principal?: string;
  /** After so many intervals without anything the subscription is given up. */
  readonly heartbeatsMissed: number;
  readonly logger: Logger;
  readonly complain: Complain;
  /** Told synchronously, in order; first SUBSCRIBED, or an error instead. */
  hear(event: MasterEvent): void;
}

/** Why there is no subscription, or no longer. */
export type Ending =
  /** Someone else leads. */
  | { readonly type: 'redirected'; readonly location: string }
  /** By what is configured, here or there: to try soon again is of no use. */
  | { readonly type: 'refused'; readonly reason: string }
  | { readonly type: 'failed'; readonly reason: string }
  /** It was there; `isHealthy` if for longer than the first moment. */
  | { readonly type: 'lost'; readonly reason: string; readonly isHealthy: boolean };

/** Says that something is wrong that may be so very often. */
export type Complain = (what: string, record: string) => void;

const COMPLAINT_MS = 60_000;
/** Calls of which each is about something of its own, so that they may arrive in any order. */
const INDEPENDENT: ReadonlySet<string> = new Set(['ACCEPT', 'DECLINE', 'ACKNOWLEDGE']);
/** Connections for these: a busy master takes some time for each, and thousands can be under way. */
const CONNECTIONS = 64;
/** Bytes of an answer to a call, which is empty or a line of text. */
const MAX_ANSWER = 1024 * 1024;
const MAX_REFUSAL = 16 * 1024;
const MAX_INTERVAL_MS = 3_600_000;
/** The first heartbeat comes with SUBSCRIBED; another shows that it holds. */
const HEALTHY = 2;

/** Every kind of complaint at most once a minute; `now` is in milliseconds. */
export function createComplaints(logger: Logger, now: () => number): Complain {
  const said = new Map<string, { at: number; held: number }>();
  return (what, record) => {
    const last = said.get(what);
    if (last && now() - last.at < COMPLAINT_MS) {
      last.held += 1;
      return;
    }
    said.set(what, { at: now(), held: 0 });
    const more = last && last.held > 0 ? ` (and ${last.held} more since the last was logged)` : '';
    logger.warn({ record: excerpt(record) }, `${what}: skipped${more}`);
  };
}

/**
 * One SUBSCRIBE and what follows from it: the stream of events until it ends, and the calls that belong to it. It never
 * comes back; the next is another.
 */
export class Subscription {
  readonly ended: Promise<Ending>;
  readonly #options: SubscriptionOptions;
  readonly #sockets: Sockets;
  readonly #stream: Client;
  /** One connection: Mesos takes them in the order in which they were made, as it does everything that one process says. */
  readonly #orders: Client;
  /** Of these there can be thousands. */
  readonly #independent: Pool;
  readonly #end: (ending: Ending) => void;
  #state: 'asked' | 'open' | 'over' = 'asked';
  #silence: NodeJS.Timeout;
  #heartbeats = 0;
  readonly #path: string;
  #headers: Record<string, string>;
  #frameworkId = '';
  #gone: Promise<unknown> | undefined;

  constructor(options: SubscriptionOptions) {
    const { url, transport } = options;
    this.#options = options;
    this.#path = new URL(SCHEDULER_PATH, url).pathname;
    this.#headers = jsonHeaders(transport);
    this.#sockets = new Sockets(transport);
    const common = clientOptions(transport, this.#sockets);
    // Silence is watched over here, by what is understood.
    this.#stream = new Client(url.origin, { ...common, headersTimeout: 0, bodyTimeout: 0 });
    this.#orders = new Client(url.origin, { ...common, maxResponseSize: MAX_ANSWER });
    this.#independent = new Pool(url.origin, {
      ...common,
      maxResponseSize: MAX_ANSWER,
      connections: CONNECTIONS,
    });
    const { promise, resolve } = Promise.withResolvers<Ending>();
    this.ended = promise;
    this.#end = resolve;
    const { answerMs } = transport;
    this.#silence = setTimeout(() => {
      this.#finish(`SUBSCRIBE was not answered within ${answerMs / 1000} s`);
    }, answerMs);
    this.#stream.dispatch(this.#request(options.call), this.#listener());
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /**
   * @param call without the framework's id
   * @throws CallError
   */
  async call(call: Call): Promise<void> {
    if (!this.isOpen) throw new CallError('not subscribed', { isSent: false });
    const lane = INDEPENDENT.has(call.type) ? this.#independent : this.#orders;
    try {
      await send(lane, this.#request({ framework_id: { value: this.#frameworkId }, ...call }));
    } catch (error) {
      const why = error instanceof CallError ? denial(error) : undefined;
      if (why !== undefined) this.#finish(why);
      throw error;
    }
  }

  /** Ends it and all calls at once; nothing is heard any more. Resolves when its sockets are gone. */
  async close(): Promise<void> {
    this.#finish('closed by us');
    await this.#gone;
  }

  #request(call: Call): Dispatcher.DispatchOptions {
    const body = JSON.stringify(call);
    return { method: 'POST', path: this.#path, headers: this.#headers, body };
  }

  #listener(): Dispatcher.DispatchHandler {
    const read = createRecordReader((record) => this.#take(record));
    let status = 0;
    let location: string | undefined;
    let text = '';
    const refuse = () => this.#finishWith(endingOf(status, text, location, this.#options));
    return {
      // Undici wants it.
      onRequestStart: () => undefined,
      onResponseStart: (_, code, headers) => {
        status = code;
        location = asText(headers['location']);
        const id = asText(headers['mesos-stream-id']);
        if (status === 200 && id === undefined) {
          this.#finish('what answers is no Mesos master: it gives no Mesos-Stream-Id');
        }
        if (id !== undefined) this.#headers = { ...this.#headers, 'mesos-stream-id': id };
      },
      onResponseData: (_, chunk) => {
        if (status === 200) return this.#attempt(() => read(chunk));
        text += chunk.toString('utf8');
        if (text.length > MAX_REFUSAL) refuse();
      },
      onResponseEnd: () => {
        if (status !== 200) return refuse();
        // What was asked before may be answered after it: TEARDOWN is (recorded from a 1.12 master).
        void this.#orders.close().then(() => this.#finish('the master ended the stream'));
      },
      onResponseError: (_, error) => this.#finish(describe(error)),
    };
  }

  #attempt(read: () => void): void {
    if (this.#state === 'over') return;
    try {
      read();
    } catch (error) {
      this.#finish(`the stream cannot be understood: ${messageOf(error)}`);
    }
  }

  #take(record: string): void {
    if (this.#state === 'over') return;
    if (this.isOpen) this.#silence.refresh();
    const event = this.#parse(record);
    if (!event) return;
    if (event.type === 'subscribed') this.#open(event);
    else if (!this.isOpen && event.type !== 'error') {
      return this.#options.complain('the master told something before SUBSCRIBED', record);
    }
    if (event.type === 'heartbeat') this.#heartbeats += 1;
    this.#tell(event);
    if (event.type === 'error') this.#finish(`the master said '${excerpt(event.message)}'`);
  }

  #parse(record: string): MasterEvent | undefined {
    try {
      return parseEvent(record);
    } catch (error) {
      this.#options.complain(`the master told something that is no event`, messageOf(error));
      return undefined;
    }
  }

  /** Before the event is told: who hears it may answer at once. */
  #open({ frameworkId, heartbeatSeconds }: MasterEvent & { type: 'subscribed' }): void {
    this.#state = 'open';
    this.#frameworkId = frameworkId;
    const ms = Math.min(heartbeatSeconds * 1000 * this.#options.heartbeatsMissed, MAX_INTERVAL_MS);
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#finish(`nothing was heard for ${ms / 1000} s`), ms);
  }

  #tell(event: MasterEvent): void {
    try {
      this.#options.hear(event);
    } catch (error) {
      this.#options.logger.error({ err: error, event: event.type }, 'an event was not dealt with');
      // Without knowing who we are nothing can be done; any other event would only come again.
      if (event.type === 'subscribed') this.#finish(describe(error));
    }
  }

  #finish(reason: string): void {
    this.#finishWith(
      this.isOpen
        ? { type: 'lost', reason, isHealthy: this.#heartbeats >= HEALTHY }
        : { type: 'failed', reason },
    );
  }

  #finishWith(ending: Ending): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    clearTimeout(this.#silence);
    const reason = new Error('the subscription is over');
    const clients = [this.#stream, this.#orders, this.#independent];
    this.#gone = Promise.all(clients.map((client) => client.destroy(reason)));
    this.#sockets.destroy();
    this.#end(ending);
  }
}

const asText = (value: string | string[] | undefined): string | undefined =>
  Array.isArray(value) ? value[0] : value;

/** What an answer to SUBSCRIBE other than 200 means (recorded from a 1.12 master; 307 and 503 by Mesos's reference). */
function endingOf(
  status: number,
  text: string,
  location: string | undefined,
  { principal, url }: SubscriptionOptions,
): Ending {
  const who = principal === undefined ? 'no principal' : `principal '${principal}'`;
  switch (status) {
    case 307:
    case 308:
      return location === undefined
        ? { type: 'failed', reason: 'it redirects to nowhere' }
        : { type: 'redirected', location };
    case 401: {
      const remedy = principal === undefined ? 'set' : 'check';
      const settings = 'engines.mesos.principal and secretFile';
      return {
        type: 'refused',
        reason: `the master does not accept ${who}: ${remedy} ${settings}`,
      };
    }
    case 403: {
      const reason = `the master forbids it to ${who}: ${refusal(status, text)}`;
      return { type: 'refused', reason };
    }
    case 400: {
      const reason = `the master does not take what engines.mesos says: ${refusal(status, text)}`;
      return { type: 'refused', reason };
    }
    case 404: {
      const reason = `there is no ${url.pathname}${SCHEDULER_PATH}: no Mesos master, or not ready yet`;
      return { type: 'failed', reason };
    }
    case 503: {
      const reason = `it knows of no leading master, or is not ready yet: ${refusal(status, text)}`;
      return { type: 'failed', reason };
    }
    default:
      return { type: 'failed', reason: `it does not subscribe: ${refusal(status, text)}` };
  }
}

/** Why an answer to a call shows that there is no subscription, whatever the stream looks like. */
function denial(error: CallError): string | undefined {
  const { status, message } = error;
  const isDenied =
    (status === 403 && message.includes('is not subscribed')) ||
    (status === 400 && /stream ID|Framework cannot be found/.test(message)) ||
    status === 307;
  if (isDenied) return `a call shows that the subscription is over: ${message}`;
  return error.isTimeout ? 'a call was not answered in time' : undefined;
}
