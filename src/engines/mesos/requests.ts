import { Socket } from 'node:net';

import { buildConnector } from 'undici';
import type { Client, Dispatcher } from 'undici';

import { messageOf } from '../../errors.ts';

/** All PEM. */
export interface Tls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** How everything is asked, of masters and agents. */
export interface Transport {
  readonly tls?: Tls;
  /** The header's value. */
  readonly authorization?: string;
  /** Milliseconds until a connection has to be there, and an answer. */
  readonly connectMs: number;
  readonly answerMs: number;
}

/** A request that was refused, or got no answer. */
export class CallError extends Error {
  /** Of a complete answer. */
  readonly status: number | undefined;
  /** Whether the other side may have seen it. */
  readonly isSent: boolean;

  constructor(
    message: string,
    { status, isSent, cause }: { status?: number; isSent: boolean; cause?: unknown },
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'CallError';
    this.status = status;
    this.isSent = isSent;
  }

  /** Whether it was seen, for all that is known, but there was no answer in time. */
  get isTimeout(): boolean {
    return TIMEOUTS.has(codeOf(this.cause));
  }
}

const TIMEOUTS: ReadonlySet<string> = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT']);
const EXCERPT = 300;

/**
 * Makes connections that can be ended all at once, also those that are only being made, which clients do not end.
 * (A signal in the options of each would be simpler, but Node keeps every socket that has had one.)
 */
export class Sockets {
  readonly #sockets = new Set<Socket>();
  readonly #connect: buildConnector.connector;

  constructor({ tls, connectMs }: Transport) {
    // Mesos speaks HTTP/1.1.
    this.#connect = buildConnector({ ...tls, timeout: connectMs, allowH2: false });
  }

  readonly connect: buildConnector.connector = (options, callback) => {
    const socket: unknown = this.#connect(options, callback);
    if (!(socket instanceof Socket)) return;
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  };

  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

export const clientOptions = (
  { answerMs }: Transport,
  { connect }: Sockets,
): Pick<Client.Options, 'connect' | 'headersTimeout' | 'bodyTimeout'> => ({
  connect,
  headersTimeout: answerMs,
  bodyTimeout: answerMs,
});

/** Mesos takes nothing but exactly this type, without a charset (recorded from a 1.12 master). */
export const jsonHeaders = ({
  authorization,
}: Pick<Transport, 'authorization'>): Record<string, string> => ({
  'content-type': 'application/json',
  accept: 'application/json',
  ...(authorization !== undefined && { authorization }),
});

/**
 * Sends a request and waits for the whole answer.
 *
 * @param totalMs how long all of it may take; otherwise only each part's wait is limited, which costs less
 * @returns the answer's text, of a status 2xx
 * @throws CallError
 */
export function send(
  dispatcher: Dispatcher,
  request: Dispatcher.DispatchOptions,
  totalMs?: number,
): Promise<string> {
  return new Promise((resolve, reject) => {
    let controller: Dispatcher.DispatchController | undefined;
    let status = 0;
    const chunks: Buffer[] = [];
    const fail = (error: unknown) => {
      clearTimeout(timer);
      const isSent = controller !== undefined;
      reject(new CallError(describe(error), { isSent, cause: error }));
    };
    const tooLate = new Error(`no answer within ${(totalMs ?? 0) / 1000} s`);
    let timer: NodeJS.Timeout | undefined;
    if (totalMs !== undefined) {
      timer = setTimeout(() => {
        fail(tooLate);
        controller?.abort(tooLate);
        timer = undefined;
      }, totalMs);
    }
    dispatcher.dispatch(request, {
      onRequestStart: (started) => {
        controller = started;
        if (totalMs !== undefined && !timer) started.abort(tooLate);
      },
      onResponseStart: (_, code) => void (status = code),
      onResponseData: (_, chunk) => void chunks.push(chunk),
      onResponseEnd: () => {
        clearTimeout(timer);
        // Most have none.
        const text = chunks.length === 0 ? '' : Buffer.concat(chunks).toString('utf8');
        if (status >= 200 && status < 300) resolve(text);
        else reject(new CallError(refusal(status, text), { status, isSent: true }));
      },
      onResponseError: (_, error) => fail(error),
    });
  });
}

/** In words, with the beginning of what was answered. */
export const refusal = (status: number, text: string): string =>
  `it answered ${status}${text.trim() === '' ? '' : `: ${excerpt(text)}`}`;

export const excerpt = (text: string): string =>
  text.length > EXCERPT ? `${text.slice(0, EXCERPT)}…` : text.trim();

/** Also of errors without a message of their own, e.g. of a name with several addresses of which none answers. */
export function describe(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describe).join(', ');
  const message = messageOf(error) || codeOf(error) || 'unknown error';
  // Without Node's own advice on how to start it.
  return CERTIFICATE.test(codeOf(error))
    ? `${message.replace(/;.*/s, '')}: check engines.mesos.caFile`
    : message;
}

/** Of OpenSSL's and Node's codes, e.g. DEPTH_ZERO_SELF_SIGNED_CERT. */
const CERTIFICATE = /CERT|LEAF_SIGNATURE|ERR_TLS|ERR_SSL/;

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : '';
