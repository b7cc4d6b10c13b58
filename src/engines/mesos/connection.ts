import { setTimeout as sleep } from 'node:timers/promises';

import type { Logger } from 'pino';
import { Agent } from 'undici';

import { basicAuthorization } from './credentials.ts';
import type { Credentials } from './credentials.ts';
import { originOf, redirected } from './masters.ts';
import type { Masters } from './masters.ts';
import type { Call, MasterEvent } from './protocol.ts';
import {
  CallError,
  clientOptions,
  describe,
  excerpt,
  jsonHeaders,
  send,
  Sockets,
} from './requests.ts';
import type { Tls, Transport } from './requests.ts';
import { createComplaints, Subscription } from './subscription.ts';
import type { Ending } from './subscription.ts';

export { CallError };

export interface ConnectionOptions {
  readonly masters: Masters;
  /** HTTP's Basic scheme, to masters and agents alike. */
  readonly credentials?: Credentials;
  readonly tls?: Tls;
  readonly logger: Logger;
  /** The SUBSCRIBE call, asked for anew at each try, because the framework's id may be known by then. */
  subscribe(): Call;
  /** Told of every event, synchronously and in order: first SUBSCRIBED, or an error if the master wants none of it. */
  hear(event: MasterEvent): void;
  /** A subscription that was told of is over; nothing is heard any more until the next one's SUBSCRIBED. */
  lost(reason: string): void;
  readonly backoff?: Backoff;
  /** Milliseconds until a connection has to be there (5 s), and an answer (30 s). */
  readonly connectMs?: number;
  readonly answerMs?: number;
  /** So many intervals of the master's heartbeat without anything end a subscription. */
  readonly heartbeatsMissed?: number;
}

/** Milliseconds between two tries to subscribe. */
export interface Backoff {
  readonly first: number;
  readonly longest: number;
}

/** A call of the v1 operator API, or what is read by GET, e.g. `/state`, with its slash. */
export type OperatorRequest =
  | { readonly type: string; readonly [field: string]: unknown }
  | { readonly path: string };

export interface Connection {
  /** Subscribes, and again whenever that is lost, until the signal aborts or `stop` is called. Never rejects; not to be run again. */
  run(signal: AbortSignal): Promise<void>;
  readonly isSubscribed: boolean;
  /**
   * Sends a call on the present subscription. Calls arrive in the order in which they were made, but ACCEPT, DECLINE and
   * ACKNOWLEDGE in any.
   *
   * @param call without the framework's id
   * @throws CallError
   */
  call(call: Call): Promise<void>;
  /**
   * Asks the leading master.
   *
   * @returns what the JSON says; undefined for an empty answer
   * @throws CallError
   */
  operator(request: OperatorRequest): Promise<unknown>;
  /** The same of an agent, which is asked by TLS if the master is. */
  agent(
    address: { readonly host: string; readonly port: number },
    request: OperatorRequest,
  ): Promise<unknown>;
  /** Ends the subscription for good: somebody else leads this framework now. Nothing is heard any more. */
  stop(): void;
}

const BACKOFF: Backoff = { first: 500, longest: 30_000 };
const CONNECT_MS = 5_000;
const ANSWER_MS = 30_000;
const HEARTBEATS_MISSED = 3;
const MAX_REDIRECTS = 5;
/** Bytes of an answer of the operator API. */
const MAX_ANSWER = 64 * 1024 * 1024;
/** To one host at a time. */
const OPERATOR_CONNECTIONS = 4;

/** The subscription to a master and all requests to masters and agents. */
export function createConnection(options: ConnectionOptions): Connection {
  const { credentials, tls, connectMs = CONNECT_MS, answerMs = ANSWER_MS } = options;
  return new MasterConnection(options, {
    ...(tls && { tls }),
    ...(credentials && { authorization: basicAuthorization(credentials) }),
    connectMs,
    answerMs,
  });
}

class MasterConnection implements Connection {
  readonly #options: ConnectionOptions;
  readonly #transport: Transport;
  readonly #complain;
  readonly #stopping = new AbortController();
  #subscription: Subscription | undefined;
  /** Of the last that led. */
  #leader: URL | undefined;
  /** For all but the subscription and its calls. */
  readonly #operators: Agent;
  readonly #sockets: Sockets;

  constructor(options: ConnectionOptions, transport: Transport) {
    this.#options = options;
    this.#transport = transport;
    this.#sockets = new Sockets(transport);
    this.#operators = new Agent({
      ...clientOptions(transport, this.#sockets),
      maxResponseSize: MAX_ANSWER,
      connections: OPERATOR_CONNECTIONS,
    });
    this.#complain = createComplaints(options.logger, () => performance.now());
  }

  get isSubscribed(): boolean {
    return this.#subscription?.isOpen ?? false;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { logger, lost, backoff = BACKOFF } = this.#options;
    const over = AbortSignal.any([signal, this.#stopping.signal]);
    let failures = 0;
    while (!over.aborted) {
      const ending = await this.#try(over);
      if (over.aborted) break;
      if (ending.type === 'lost' && ending.isHealthy) failures = 0;
      const isHopeless = ending.type === 'refused';
      const retryInMs = pauseAfter(isHopeless ? Infinity : failures, backoff, Math.random());
      failures += 1;
      if (ending.type === 'lost') lost(ending.reason);
      else logger.warn({ retryInMs }, `cannot subscribe: ${ending.reason}`);
      await sleep(retryInMs, undefined, { signal: over }).catch(() => undefined);
    }
    const closed = this.#operators.destroy();
    this.#sockets.destroy();
    await closed;
  }

  call(call: Call): Promise<void> {
    return this.#subscription?.call(call) ?? Promise.reject(notSubscribed());
  }

  async operator(request: OperatorRequest): Promise<unknown> {
    if (!this.isSubscribed || !this.#leader) throw notSubscribed();
    return this.#ask(this.#leader, request);
  }

  async agent(
    { host, port }: { readonly host: string; readonly port: number },
    request: OperatorRequest,
  ): Promise<unknown> {
    const isSecure = this.#leader
      ? this.#leader.protocol === 'https:'
      : this.#transport.tls !== undefined;
    const url = originOf(isSecure, host, port);
    if (!url) throw new CallError(`${host}:${port} is no address of an agent`, { isSent: false });
    return this.#ask(url, request);
  }

  stop(): void {
    this.#stopping.abort();
  }

  /** Asks whoever should lead, and whoever they say leads, until a subscription has ended or does not come about. */
  async #try(over: AbortSignal): Promise<Ending & { readonly reason: string }> {
    const { masters } = this.#options;
    let asked: URL | undefined;
    try {
      asked = await masters.leader(over);
      let url = asked;
      for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
        const ending = await this.#subscribe(url, over);
        if (ending.type === 'lost') return ending;
        if (ending.type !== 'redirected') {
          masters.failed(asked);
          return { ...ending, reason: `${url.origin}: ${ending.reason}` };
        }
        url = redirected(url, ending.location);
      }
      throw new Error(`${asked.origin}: more than ${MAX_REDIRECTS} redirects`);
    } catch (error) {
      if (asked) masters.failed(asked);
      return { type: 'failed', reason: describe(error) };
    }
  }

  async #subscribe(url: URL, over: AbortSignal): Promise<Ending> {
    const { masters, credentials, heartbeatsMissed = HEARTBEATS_MISSED, logger } = this.#options;
    over.throwIfAborted();
    const subscription = new Subscription({
      url,
      call: this.#options.subscribe(),
      transport: this.#transport,
      ...(credentials && { principal: credentials.principal }),
      heartbeatsMissed,
      logger,
      complain: this.#complain,
      hear: (event) => {
        if (event.type === 'subscribed') {
          this.#leader = url;
          masters.led(url);
        }
        this.#options.hear(event);
      },
    });
    this.#subscription = subscription;
    const close = () => void subscription.close();
    over.addEventListener('abort', close);
    const ending = await subscription.ended;
    over.removeEventListener('abort', close);
    await subscription.close();
    return ending;
  }

  async #ask(base: URL, request: OperatorRequest): Promise<unknown> {
    const path = isRead(request) ? request.path : '/api/v1';
    const { origin, pathname, search } = new URL(`.${path}`, base);
    const text = await send(
      this.#operators,
      {
        origin,
        method: isRead(request) ? 'GET' : 'POST',
        path: pathname + search,
        headers: jsonHeaders(this.#transport),
        ...(!isRead(request) && { body: JSON.stringify(request) }),
      },
      this.#transport.answerMs,
    );
    try {
      return text === '' ? undefined : JSON.parse(text);
    } catch {
      throw new CallError(`it did not answer in JSON: ${excerpt(text)}`, {
        status: 200,
        isSent: true,
      });
    }
  }
}

const isRead = (request: OperatorRequest): request is { readonly path: string } =>
  !('type' in request);

const notSubscribed = () => new CallError('not subscribed', { isSent: false });

/**
 * Milliseconds to wait after so many failures in a row before the next: twice as long each time, and never just as long
 * as others who failed at the same moment.
 *
 * @param random from 0 to 1, without 1
 */
export function pauseAfter(failures: number, { first, longest }: Backoff, random: number): number {
  return Math.round(Math.min(longest, first * 2 ** failures) * (0.5 + random / 2));
}
