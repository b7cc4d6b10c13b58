import { lookup } from 'node:dns/promises';
import { Agent as HttpAgent, request as requestHttp } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { getCACertificates } from 'node:tls';

import { messageOf } from '../../errors.ts';

/** No answer, or not to its end: it may be different with another server, or in a while. */
export class Away extends Error {
  readonly server: URL;
  /** Whether the server's name has no address. */
  readonly isUnknown: boolean;

  constructor(server: URL, what: string, cause?: unknown) {
    super(`${server.host} ${what}`, { cause });
    this.name = 'Away';
    this.server = server;
    this.isUnknown = UNRESOLVED.has(codeOf(cause));
  }
}

const UNRESOLVED: ReadonlySet<string> = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_NODATA']);
const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : '';

export interface Waits {
  /** Milliseconds until a connection has to be there. */
  readonly connectMs: number;
  /** Milliseconds without anything from a server that something is expected of. */
  readonly silenceMs: number;
}

export interface Request {
  readonly method: 'GET' | 'PUT' | 'DELETE';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Taken from when the connection is there. */
  readonly body?: AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal | undefined;
}

/** Connections to one server at a time that are kept for what comes next. */
const KEPT = 32;
/** Bytes of a body that are given to a connection before it has taken them. */
const MOST_WAITING = 2 * 1024 * 1024;

/** Sends requests as HTTP/1.1, which is all that Hadoop speaks. `fetch` fails at its unasked-for `100 Continue`. */
export class Http {
  readonly #waits: Waits;
  readonly #http = new HttpAgent({ keepAlive: true, maxSockets: KEPT });
  readonly #https: HttpsAgent;
  readonly #tls: { readonly ca?: string[] };

  /** @param ca certificates in PEM that are trusted beside Node's */
  constructor(waits: Waits, ca?: string) {
    this.#waits = waits;
    this.#tls = ca === undefined ? {} : { ca: [...getCACertificates('default'), ca] };
    this.#https = new HttpsAgent({ ...this.#tls, keepAlive: true, maxSockets: KEPT });
  }

  /**
   * @returns the answer's head; its body has to be taken by `bytesOf`, or dismissed
   * @throws Away; what the body rejects with; the signal's reason
   */
  async send({ method, url, headers, body, signal }: Request): Promise<Answer> {
    signal?.throwIfAborted();
    const isSecure = url.protocol === 'https:';
    // A connection that the server has given up meanwhile would cost a content that comes but once.
    const agent = body ? false : isSecure ? this.#https : this.#http;
    const options = { method, agent, ...(headers && { headers }), ...(isSecure && this.#tls) };
    const sent = isSecure ? requestHttps(url, options) : requestHttp(url, options);
    return new Exchange(url, sent, this.#waits, signal).run(body);
  }
}

/** The addresses of a server as others may know it. */
export const addressesOf = async (host: string): Promise<string[]> =>
  lookup(host, { all: true }).then(
    (found) => found.map(({ address }) => address),
    () => [],
  );

/** The head of an answer. Its body has to be taken, or dismissed. */
export interface Answer {
  readonly url: URL;
  readonly status: number;
  readonly message: IncomingMessage;
  /** Bytes that were sent with the request, and whether they were all: a server may answer before that. */
  readonly sent: number;
  readonly isSent: boolean;
  /** Flows at once, until it is dismissed. */
  flow(receiver: Receiver): Flow;
  /** Nobody wants any more of it. */
  dismiss(): void;
}

export interface Receiver {
  data(chunk: Buffer): void;
  end(): void;
  /** With Away, or the signal's reason. Nothing comes after it. */
  fail(error: unknown): void;
}

/** Of a body: what is held back is not taken from the server, and the server is not to blame for it. */
export interface Flow {
  pause(): void;
  resume(): void;
}

/** One request and its answer, with a clock that runs while something is expected of the server. */
class Exchange {
  readonly #url: URL;
  readonly #request: ClientRequest;
  readonly #waits: Waits;
  readonly #signal: AbortSignal | undefined;
  readonly #abort = () => this.#request.destroy(this.#signal?.reason as Error);
  #timer: NodeJS.Timeout | undefined;
  #late: Away | undefined;
  #isOver = false;
  #sent = 0;

  constructor(url: URL, request: ClientRequest, waits: Waits, signal: AbortSignal | undefined) {
    this.#url = url;
    this.#request = request;
    this.#waits = waits;
    this.#signal = signal;
    signal?.addEventListener('abort', this.#abort);
  }

  async run(body: AsyncIterable<Uint8Array> | undefined): Promise<Answer> {
    const request = this.#request;
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', resolve);
      request.on('error', reject);
      request.once('close', () => reject(new Away(this.#url, 'has closed the connection')));
    });
    try {
      const { connectMs, silenceMs } = this.#waits;
      this.#expect(connectMs, 'cannot be connected to');
      await Promise.race([connected(request), answered]);
      this.#expectNothing();
      if (body) await this.#upload(body, answered);
      else request.end();
      this.#expect(silenceMs, 'is silent');
      const message = await answered;
      this.#expectNothing();
      return this.#answerOf(message);
    } catch (error) {
      this.#end();
      request.destroy();
      throw this.#errorOf(error);
    }
  }

  /** Until all of it is sent, or there is an answer: then nobody wants the rest. */
  async #upload(body: AsyncIterable<Uint8Array>, answered: Promise<unknown>): Promise<void> {
    const queue = new Queue(this.#request);
    const answer = answered.finally(() => queue.stop());
    const send = async () => {
      for await (const chunk of body) {
        this.#sent += chunk.length;
        this.#expect(this.#waits.silenceMs, 'takes nothing');
        const isWanted = await queue.put(chunk);
        this.#expectNothing();
        if (!isWanted) return;
      }
      this.#request.end();
    };
    await Promise.race([send(), answer]);
  }

  #answerOf(message: IncomingMessage): Answer {
    return {
      url: this.#url,
      status: message.statusCode ?? 0,
      message,
      sent: this.#sent,
      isSent: this.#request.writableEnded,
      flow: (receiver) => this.#flow(message, receiver),
      dismiss: () => {
        this.#end();
        message.destroy();
        this.#request.destroy();
      },
    };
  }

  #flow(message: IncomingMessage, { data, end, fail }: Receiver): Flow {
    const { silenceMs } = this.#waits;
    const over = (tell: () => void) => () => {
      if (this.#isOver) return;
      this.#end();
      // It may not have wanted the rest of what is sent to it.
      if (!this.#request.writableFinished) this.#request.destroy();
      tell();
    };
    message.on('data', (chunk: Buffer) => {
      this.#timer?.refresh();
      data(chunk);
    });
    message.once('end', over(end));
    message.on('error', (error) => over(() => fail(this.#errorOf(error)))());
    const leftOff = over(() => fail(this.#errorOf(new Away(this.#url, 'has left off'))));
    message.once('close', leftOff);
    // It may have broken off before anybody was there to hear of it.
    if (message.destroyed) setImmediate(leftOff);
    this.#expect(silenceMs, 'is silent');
    return {
      pause: () => {
        this.#expectNothing();
        message.pause();
      },
      resume: () => {
        if (this.#isOver) return;
        this.#expect(silenceMs, 'is silent');
        message.resume();
      },
    };
  }

  #expect(ms: number, what: string): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#late = new Away(this.#url, `${what} for ${ms / 1000} s`);
      this.#request.destroy(this.#late);
    }, ms);
  }

  #expectNothing(): void {
    clearTimeout(this.#timer);
  }

  #end(): void {
    this.#isOver = true;
    this.#expectNothing();
    this.#signal?.removeEventListener('abort', this.#abort);
  }

  #errorOf(error: unknown): unknown {
    if (this.#signal?.aborted) return this.#signal.reason;
    if (this.#late) return this.#late;
    const code = codeOf(error);
    if (code === '' || error instanceof Away) return error;
    const remedy = UNTRUSTED.test(code) ? "; give its authority's certificate as caFile" : '';
    return new Away(this.#url, `cannot be used: ${messageOf(error) || code}${remedy}`, error);
  }
}

/** What is on its way to a server: some of it waits, so that the server does not. */
class Queue {
  readonly #request: ClientRequest;
  #waiting = 0;
  #isStopped = false;
  #wake: (() => void) | undefined;

  constructor(request: ClientRequest) {
    this.#request = request;
  }

  /** @returns whether more is wanted, when there is room for it */
  async put(chunk: Uint8Array): Promise<boolean> {
    if (this.#isStopped) return false;
    this.#waiting += chunk.length;
    this.#request.write(chunk, () => {
      this.#waiting -= chunk.length;
      if (this.#waiting <= MOST_WAITING) this.#wake?.();
    });
    if (this.#waiting > MOST_WAITING) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return !this.#isStopped;
  }

  stop(): void {
    this.#isStopped = true;
    this.#wake?.();
  }
}

/** Of Node's errors about certificates. */
const UNTRUSTED = /CERT|SIGNATURE|ISSUER/;

/** A socket that is used again is there at once. */
const connected = (request: ClientRequest): Promise<void> =>
  new Promise((resolve) => {
    request.once('socket', (socket) => {
      const event = 'encrypted' in socket ? 'secureConnect' : 'connect';
      if (socket.connecting) socket.once(event, resolve);
      else resolve();
    });
  });

/**
 * The whole body of an answer.
 *
 * @throws Away for one of more bytes than the limit, or that breaks off; the signal's reason
 */
export async function textOf(answer: Answer, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  await new Promise<void>((resolve, reject) => {
    answer.flow({
      data: (chunk) => {
        size += chunk.length;
        chunks.push(chunk);
        if (size <= limit) return;
        answer.dismiss();
        reject(new Away(answer.url, `answers with more than ${limit} bytes`));
      },
      end: resolve,
      fail: reject,
    });
  });
  return Buffer.concat(chunks).toString('utf8');
}
