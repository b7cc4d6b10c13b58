import { createHmac, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttp } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';

import type { Logger } from 'pino';

import { messageOf } from '../../errors.ts';
import { isObject, numberOf } from './json.ts';
import { Lines } from './lines.ts';
import { eventOf } from './parse.ts';
import type { AmEvent, AppName, Order } from './protocol.ts';

export interface MastersOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** As nodes see it, without a slash at its end; by default from where it listens. */
  readonly baseUrl?: string;
  /** PEM; without it, secrets travel for everybody to read. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Of which applications' secrets are made. */
  readonly key: Buffer;
  readonly logger: Logger;
  /** Milliseconds for which an order is waited for. */
  readonly pollMs?: number;
  hear(event: AmEvent): void;
  /** A master has asked for orders that none of the application has asked for before. */
  dialled(applicationId: string): void;
}

/** An application with its master, which is replaced when it dies. */
interface Session {
  readonly app: AppName;
  /** Number of the application attempt. */
  master: number;
  lastEvent: number;
  orders: { readonly sequence: number; readonly line: string }[];
  /** When its master was heard last. */
  heardAt: number;
  isOver: boolean;
  /** Answers the poll that waits. */
  answer?: () => void;
}

const POLL_MS = 20_000;
/** Bytes of what is posted, and of one event in it. */
const LARGEST_POST = 256 * 1024 ** 2;
const LARGEST_EVENT = 64 * 1024 ** 2;
const PATH = /^\/am\/(application_\d+_\d+)\/(orders|events)$/;

/** Where masters of managed applications dial in: orders by long polls, events by posts (see protocol.ts). */
export class Masters {
  readonly #options: MastersOptions;
  readonly #server: ReturnType<typeof createHttp>;
  /** By application. */
  readonly #sessions = new Map<string, Session>();
  /** Numbers only rise, also over a restart. */
  #sequence = Date.now();

  constructor(options: MastersOptions) {
    this.#options = options;
    const answer = (request: IncomingMessage, response: ServerResponse): void => {
      this.#answer(request, response).catch((error: unknown) => {
        options.logger.warn(`an application master cannot be answered: ${messageOf(error)}`);
        if (response.headersSent) response.destroy();
        else end(response, 400);
      });
    };
    this.#server = options.tls ? createHttps(options.tls, answer) : createHttp(answer);
  }

  async listen(): Promise<void> {
    const { host, port } = this.#options;
    this.#server.listen(port, host);
    await once(this.#server, 'listening');
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  /** What a master of an application dials. */
  urlOf(applicationId: string): string {
    return `${this.#options.baseUrl ?? this.#ownUrl()}/am/${applicationId}`;
  }

  /** Nothing has to be remembered of it: the next service makes the same of the same key. */
  secretOf(applicationId: string): string {
    return createHmac('sha256', this.#options.key).update(applicationId).digest('hex');
  }

  /** Masters of an application are expected. */
  expect(applicationId: string, app: AppName): void {
    if (this.#sessions.has(applicationId)) return;
    this.#sessions.set(applicationId, {
      app,
      master: 0,
      lastEvent: 0,
      orders: [],
      heardAt: performance.now(),
      isOver: false,
    });
  }

  /** Its masters are told to end. */
  forget(applicationId: string): void {
    const session = this.#sessions.get(applicationId);
    if (!session) return;
    session.isOver = true;
    session.orders = [];
    session.answer?.();
  }

  give(applicationId: string, order: Order): boolean {
    const session = this.#sessions.get(applicationId);
    if (!session || session.isOver) return false;
    this.#sequence += 1;
    const sequence = this.#sequence;
    session.orders.push({ sequence, line: JSON.stringify({ ...order, sequence }) });
    session.answer?.();
    return true;
  }

  /** Milliseconds since a master was heard. */
  silenceOf(applicationId: string): number {
    return performance.now() - (this.#sessions.get(applicationId)?.heardAt ?? 0);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://service');
    const [, applicationId, what] = PATH.exec(url.pathname) ?? [];
    if (applicationId === undefined) return end(response, 404);
    if (!this.#isAllowed(applicationId, request.headers.authorization)) return end(response, 401);
    const session = this.#sessions.get(applicationId);
    // It may only not have been found yet by a service that has begun just now.
    if (!session) return end(response, 503);
    const master = numberOf(url.searchParams.get('master')) ?? 0;
    if (session.isOver || master < session.master) return end(response, 410);
    session.heardAt = performance.now();
    if (master > session.master) this.#begin(applicationId, session, master);
    if (what === 'events') return this.#take(session, master, request, response);
    return this.#wait(session, numberOf(url.searchParams.get('after')) ?? 0, response);
  }

  #isAllowed(applicationId: string, authorization = ''): boolean {
    const wanted = Buffer.from(`Bearer ${this.secretOf(applicationId)}`);
    const given = Buffer.from(authorization);
    return given.length === wanted.length && timingSafeEqual(given, wanted);
  }

  /** What was ordered of the one before is its affair: all begins anew. */
  #begin(applicationId: string, session: Session, master: number): void {
    if (session.master > 0) session.orders = [];
    Object.assign(session, { master, lastEvent: 0 });
    session.answer?.();
    this.#options.dialled(applicationId);
  }

  async #take(
    session: Session,
    master: number,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const lines = new Lines(LARGEST_EVENT);
    let length = 0;
    const posted: string[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > LARGEST_POST) return end(response, 413);
      posted.push(...lines.add(chunk));
    }
    posted.push(...lines.add(Buffer.from('\n')));
    if (session.master !== master) return end(response, 410);
    for (const line of posted.filter((each) => each.trim() !== '')) this.#hear(session, line);
    return end(response, 204);
  }

  /** What makes no sense is passed over: posted again, it would make no more. */
  #hear(session: Session, line: string): void {
    const said: unknown = JSON.parse(line);
    const sequence = isObject(said) ? (numberOf(said['sequence']) ?? 0) : 0;
    if (sequence <= session.lastEvent) return;
    session.lastEvent = sequence;
    try {
      const event = eventOf(said, line);
      if (!('app' in event) || event.app === session.app) this.#options.hear(event);
    } catch (error) {
      this.#options.logger.warn(`an application master says ${messageOf(error)}`);
    }
  }

  #wait(session: Session, after: number, response: ServerResponse): void {
    const { pollMs = POLL_MS } = this.#options;
    const { master } = session;
    const done = (status: number, body = ''): void => {
      clearTimeout(timer);
      if (session.answer === look) delete session.answer;
      end(response, status, body);
    };
    const look = (): void => {
      if (session.isOver || session.master !== master) return done(410);
      session.orders = session.orders.filter(({ sequence }) => sequence > after);
      const lines = session.orders.map(({ line }) => `${line}\n`);
      return lines.length > 0 ? done(200, lines.join('')) : undefined;
    };
    const timer = setTimeout(() => done(200), pollMs);
    response.once('close', () => {
      clearTimeout(timer);
      if (session.answer === look) delete session.answer;
    });
    // One that has lost its connection asks again: the poll before is nobody's.
    session.answer = look;
    look();
  }

  /** Where it listens on all addresses, nodes know this machine by its name. */
  #ownUrl(): string {
    const { address, port, family } = this.#server.address() as AddressInfo;
    const host = /^(?:0\.0\.0\.0|::)$/.test(address)
      ? hostname()
      : family === 'IPv6'
        ? `[${address}]`
        : address;
    return `${this.#options.tls ? 'https' : 'http'}://${host}:${port}`;
  }
}

function end(response: ServerResponse, status: number, body = ''): void {
  response.writeHead(status, { 'content-type': 'application/x-ndjson' }).end(body);
}
