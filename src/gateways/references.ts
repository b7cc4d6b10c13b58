import { lookup as resolveName } from 'node:dns';
import type { LookupFunction } from 'node:net';

import ipaddr from 'ipaddr.js';
import type { Agent, Dispatcher } from 'undici';

import { PushbroomError, messageOf } from '../errors.ts';

/** Where a value lies. */
export interface Reference {
  readonly href: string;
  /** Sent with POST (WPS `Body`); GET without. */
  readonly body?: Buffer;
  /** What the request says of it; else its server does. */
  readonly mediaType?: string;
  readonly encoding?: 'base64';
}

/** @throws INVALID_PARAMETER, REQUEST_TOO_LARGE, in words that follow the name of the input */
export type FetchReference = (
  reference: Reference,
) => Promise<{ readonly content: Buffer; readonly mediaType?: string }>;

export interface ReferenceOptions {
  /** Names and addresses of servers in the centre's own network that requests may name, e.g. of its archive. */
  readonly allow: readonly string[];
  readonly maxBytes: number;
  /** For the whole of it, redirects included. */
  readonly seconds: number;
  readonly maxRedirects: number;
}

/** For one request, so that nobody makes this server ask the world many times. */
const MOST_REFERENCES = 20;

/**
 * Fetches what requests name by URL, from the public internet alone: an address in a private network, of this machine or
 * of a link is refused, by whatever name it goes and wherever a redirect leads.
 */
export class References implements Disposable {
  readonly #options: ReferenceOptions;
  #agent: Agent | undefined;

  constructor(options: ReferenceOptions) {
    this.#options = options;
  }

  /** For the inputs of one request. */
  forRequest(): FetchReference {
    let count = 0;
    return async (reference) => {
      if (++count > MOST_REFERENCES) {
        throw refused(`the request has more than ${MOST_REFERENCES} references`);
      }
      return this.#fetch(reference);
    };
  }

  /** Whether something can be sent there, as far as that shows without asking for it. @throws INVALID_PARAMETER */
  check(href: string): void {
    this.#check(href);
  }

  /** Posts JSON, under the same rules. Redirects are not followed. @throws INVALID_PARAMETER */
  async post(href: string, json: string, signal: AbortSignal): Promise<void> {
    const url = this.#check(href);
    const late = AbortSignal.timeout(1000 * this.#options.seconds);
    try {
      const { statusCode, body } = await this.#send(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: json,
        signal: AbortSignal.any([signal, late]),
      });
      await body.dump();
      if (statusCode < 200 || statusCode > 299) throw refused(`its server answers ${statusCode}`);
    } catch (error) {
      if (error instanceof PushbroomError) throw error;
      throw refused(`it cannot be reached: ${reasonOf(error)}`, error);
    }
  }

  async #fetch(reference: Reference): Promise<{ content: Buffer; mediaType?: string }> {
    const { maxBytes, seconds, maxRedirects } = this.#options;
    const signal = AbortSignal.timeout(1000 * seconds);
    try {
      let url = this.#check(reference.href);
      for (let redirects = 0; ; redirects += 1) {
        const { body } = reference;
        const answer = await this.#send(url, {
          method: body === undefined ? 'GET' : 'POST',
          headers: { 'accept-encoding': 'identity' },
          signal,
          ...(body !== undefined && { body }),
        });
        const next = locationOf(answer);
        if (next === undefined) return await readAnswer(answer, reference, maxBytes);
        await answer.body.dump();
        if (redirects === maxRedirects)
          throw refused(`it redirects more than ${maxRedirects} times`);
        url = this.#check(next, url);
      }
    } catch (error) {
      if (error instanceof PushbroomError) throw error;
      if (signal.aborted) throw refused(`it did not come within ${seconds} s`, error);
      throw refused(`it cannot be fetched: ${reasonOf(error)}`, error);
    }
  }

  async #send(url: URL, options: Omit<Dispatcher.RequestOptions, 'origin' | 'path'>) {
    // Loaded with the first reference: most services never see one.
    const { Agent, request } = await import('undici');
    const allowed = new Set(this.#options.allow.map((name) => name.toLowerCase()));
    // The address that is checked is the one that is connected to: a name that resolves differently next time does not help.
    this.#agent ??= new Agent({ connect: { lookup: publicOnly(allowed) }, pipelining: 0 });
    return request(url, { ...options, dispatcher: this.#agent });
  }

  #check(href: string, base?: URL): URL {
    const url = URL.parse(href, base?.href);
    if (!url) throw refused('its reference is not a URL');
    if (url.protocol !== 'http:' && url.protocol !== 'https:') {
      throw refused(`its reference must be http or https, and not '${url.protocol}'`);
    }
    if (url.username !== '' || url.password !== '') {
      throw refused('its reference must not hold a user or password');
    }
    // Of addresses nobody asks for a name, so these are looked at here.
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const isAllowed = this.#options.allow.includes(host);
    if (ipaddr.isValid(host) && !isAllowed && !isPublic(host)) throw refused(notPublic(host));
    return url;
  }

  [Symbol.dispose](): void {
    void this.#agent?.destroy();
  }
}

/** Names are resolved as always, and what is not public is left out. */
function publicOnly(allowed: ReadonlySet<string>): LookupFunction {
  return (name, options, callback) => {
    resolveName(name, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, '', 4);
      const isAllowed = allowed.has(name.toLowerCase());
      const usable = addresses.filter(({ address }) => isAllowed || isPublic(address));
      if (usable.length === 0) return callback(refused(notPublic(name)), '', 4);
      if (options.all) return callback(null, usable);
      return callback(null, usable[0]!.address, usable[0]!.family);
    });
  };
}

/** IPv4 in IPv6 counts as what it is. */
export function isPublic(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  return ipaddr.process(address).range() === 'unicast';
}

const notPublic = (host: string): string =>
  `its reference leads to '${host.slice(0, 100)}', which is not on the public internet`;

function locationOf({ statusCode, headers }: Dispatcher.ResponseData): string | undefined {
  const { location } = headers;
  return [301, 302, 303, 307, 308].includes(statusCode) && typeof location === 'string'
    ? location
    : undefined;
}

async function readAnswer(
  { statusCode, headers, body }: Dispatcher.ResponseData,
  reference: Reference,
  maxBytes: number,
): Promise<{ content: Buffer; mediaType?: string }> {
  if (statusCode < 200 || statusCode > 299) {
    await body.dump();
    throw refused(`its server answers ${statusCode}`);
  }
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) {
      throw new PushbroomError('REQUEST_TOO_LARGE', `it has more than ${maxBytes} bytes`);
    }
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  const told = headers['content-type']?.toString();
  const mediaType = reference.mediaType ?? told;
  return {
    content:
      reference.encoding === 'base64' ? Buffer.from(bytes.toString('latin1'), 'base64') : bytes,
    ...(mediaType !== undefined && { mediaType }),
  };
}

/** What a person can do something about; not every detail of a connection that failed. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause ? error.cause : error;
  if (cause instanceof Error && 'code' in cause) return String(cause.code);
  return messageOf(cause);
}

const refused = (reason: string, cause?: unknown): PushbroomError =>
  new PushbroomError('INVALID_PARAMETER', reason, { cause });
