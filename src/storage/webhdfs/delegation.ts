import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';

import { messageOf, PushbroomError } from '../../errors.ts';
import type { Tokens } from './identity.ts';
import { askNegotiated, getTicket, ProgramError } from './negotiate.ts';
import type { NegotiatedAnswer } from './negotiate.ts';
import { BadAnswer, parseExpiry, parseToken, remoteException } from './parse.ts';

export interface KerberosOptions {
  /** Of the storage. */
  readonly name: string;
  /** Base URLs of its name nodes. */
  readonly urls: readonly string[];
  /** Who tokens are for and who renews them; of the account's own ticket where absent. */
  readonly principal?: string | undefined;
  /** File with its key; the account's own tickets are used where absent. */
  readonly keytab?: string | undefined;
  /** Where tickets are kept that were got by the key. */
  readonly ticketCache: string;
  readonly caFile?: string | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly warn: (message: string) => void;
}

interface Held {
  readonly token: string;
  readonly since: number;
  /** When it is no longer accepted; not known of one that cannot be renewed. */
  readonly endsAt?: number;
  /** When it has to be renewed, if that makes sense. */
  readonly renewAt?: number;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/**
 * By then another token is given out; the one before is renewed for as long as it lets itself be, because attempts have
 * it (`dfs.namenode.delegation.token.max-lifetime`: 7 days).
 */
const REPLACED_AFTER = 24 * HOUR;
/** Of one that cannot be renewed (`dfs.namenode.delegation.token.renew-interval`: 24 hours). */
const REPLACED_UNRENEWED = HOUR;
const RENEWED_AGAIN = 5 * MINUTE;
const SHORTEST = 1000;

/** Delegation tokens that are got, and renewed in time, with a Kerberos ticket. */
export class KerberosTokens implements Tokens {
  readonly #options: KerberosOptions;
  /** The last is the one that is given out. */
  #held: Held[] = [];
  #coming: Promise<string> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: KerberosOptions) {
    this.#options = options;
  }

  async current(): Promise<string> {
    const last = this.#held.at(-1);
    if (last && !this.#isStale(last)) return last.token;
    this.#coming ??= this.#get().finally(() => (this.#coming = undefined));
    try {
      return await this.#coming;
    } catch (error) {
      if (!last || this.#hasEnded(last)) throw error;
      this.#options.warn(messageOf(error));
      return last.token;
    }
  }

  refused(token: string): void {
    this.#held = this.#held.filter((each) => each.token !== token);
  }

  /** Renews nothing any more. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #isStale(held: Held): boolean {
    const age = this.#options.now() - held.since;
    const isOld = age >= (held.endsAt === undefined ? REPLACED_UNRENEWED : REPLACED_AFTER);
    return isOld || this.#hasEnded(held);
  }

  #hasEnded({ endsAt = Infinity }: Held): boolean {
    return this.#options.now() >= endsAt;
  }

  async #get(): Promise<string> {
    const { principal, now } = this.#options;
    const since = now();
    const renewer = principal === undefined ? {} : { renewer: principal };
    const token = await this.#ask('GET', { op: 'GETDELEGATIONTOKEN', ...renewer }, parseToken);
    const held = { token, since };
    // Only by a renewal is it known when it ends.
    const latest = principal === undefined ? held : await this.#renewed(held);
    this.#held = [...this.#held.filter(({ endsAt }) => endsAt !== undefined), latest];
    this.#schedule();
    return token;
  }

  /** Again when half of its time has passed, until that brings no more time. */
  async #renewed(held: Held): Promise<Held> {
    const parameters = { op: 'RENEWDELEGATIONTOKEN', token: held.token };
    const endsAt = await this.#ask('PUT', parameters, parseExpiry);
    const now = this.#options.now();
    const { token, since } = held;
    if (endsAt <= (held.endsAt ?? 0)) return { token, since, endsAt };
    return { token, since, endsAt, renewAt: now + (endsAt - now) / 2 };
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const next = Math.min(...this.#held.map(({ renewAt = Infinity }) => renewAt));
    if (this.#isClosed || next === Infinity) return;
    const wait = Math.min(Math.max(next - this.#options.now(), SHORTEST), REPLACED_AFTER);
    this.#timer = setTimeout(() => void this.#renewDue(), wait).unref();
  }

  async #renewDue(): Promise<void> {
    const { now, warn } = this.#options;
    const renewed = new Map<string, Held>();
    for (const held of this.#held.filter(({ renewAt = Infinity }) => renewAt <= now())) {
      const later = { ...held, renewAt: now() + RENEWED_AGAIN };
      const next = await this.#renewed(held).catch((error: unknown) => {
        warn(messageOf(error));
        return later;
      });
      renewed.set(held.token, next);
    }
    // Meanwhile one may have been refused, or another one got.
    this.#held = this.#held
      .map((held) => renewed.get(held.token) ?? held)
      .filter((held) => !this.#hasEnded(held));
    this.#schedule();
  }

  async #ask<T>(
    method: 'GET' | 'PUT',
    parameters: Readonly<Record<string, string>>,
    understand: (text: string) => T,
  ): Promise<T> {
    const { name, urls, keytab, principal, ticketCache, caFile } = this.#options;
    const reasons: string[] = [];
    let isRefused = false;
    try {
      if (keytab !== undefined && principal !== undefined) {
        await mkdir(dirname(ticketCache), { recursive: true });
        await getTicket(keytab, principal, ticketCache);
      }
      for (const base of urls) {
        const url = urlOf(base, parameters);
        const ticket = { caFile, cache: keytab === undefined ? undefined : ticketCache };
        const answer = await askNegotiated(method, url, ticket).catch(noAnswer);
        if (answer.status === 200) return understand(answer.text);
        isRefused ||= answer.status === 401;
        reasons.push(`${url.host}: ${reasonOf(answer)}`);
      }
    } catch (error) {
      if (!(error instanceof ProgramError || error instanceof BadAnswer)) throw error;
      reasons.push(error.message);
    }
    const message = `There is no delegation token for the storage '${name}': ${reasons.join('; ')}.`;
    throw new PushbroomError(isRefused ? 'FORBIDDEN' : 'UNAVAILABLE', message);
  }
}

/** The next name node may be there. */
const noAnswer = (error: unknown): NegotiatedAnswer => {
  if (error instanceof ProgramError) return { status: 0, text: error.message };
  throw error;
};

function reasonOf({ status, text }: NegotiatedAnswer): string {
  if (status === 0) return text;
  const remote = remoteException(text);
  if (remote) return remote.words || remote.exception;
  return status === 401
    ? 'it does not accept the Kerberos ticket: look for one with klist, and at principal and keytab'
    : `it answers ${status}`;
}

function urlOf(base: string, parameters: Readonly<Record<string, string>>): URL {
  const url = new URL(base);
  const prefix = url.pathname.replace(/\/+$/, '').replace(/\/webhdfs\/v1$/, '');
  url.pathname = `${prefix}/webhdfs/v1/`;
  url.search = new URLSearchParams(parameters).toString();
  return url;
}
