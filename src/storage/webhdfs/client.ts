import { setTimeout as pause } from 'node:timers/promises';

import { messageOf } from '../../errors.ts';
import { Refusal } from './errors.ts';
import { Away, textOf } from './http.ts';
import type { Answer, Http, Request } from './http.ts';
import type { Identity } from './identity.ts';
import { BadAnswer, remoteException } from './parse.ts';

export interface Question {
  readonly method: Request['method'];
  readonly path: string;
  readonly operation: string;
  readonly parameters?: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal | undefined;
}

/** No name node does what it was asked to. */
export class NoNameNode extends Error {
  constructor(reasons: readonly string[]) {
    super(reasons.join('; '));
    this.name = 'NoNameNode';
  }
}

/** Bytes of an answer: LISTSTATUS of a directory with as many files as HDFS allows (a million) has some 400 MB. */
const MAX_ANSWER = 512 * 1024 ** 2;
const MAX_REFUSAL = 256 * 1024;
const MAX_REDIRECTS = 5;
const EXCERPT = 120;

export interface NameNodesOptions {
  /** Base URLs of name nodes or of HttpFS. */
  readonly urls: readonly string[];
  readonly http: Http;
  readonly identity: Identity;
  /** Milliseconds before all of them are asked again. */
  readonly pauses: readonly number[];
}

/** Asks the name node that is active, whichever that is: the last one that answered comes first. */
export class NameNodes {
  readonly #options: NameNodesOptions;
  readonly #bases: readonly URL[];
  #last = 0;

  constructor(options: NameNodesOptions) {
    this.#options = options;
    this.#bases = options.urls.map(baseOf);
  }

  /**
   * @param understand may throw BadAnswer
   * @throws Refusal; NoNameNode; the signal's reason
   */
  ask<T>(question: Question, understand: (text: string) => T): Promise<T> {
    return this.#try(question, async (answer) => {
      const last = await this.#followed(answer, question);
      if (!isGood(last.status)) throw await refusalOf(last);
      return understand(await textOf(last, MAX_ANSWER));
    });
  }

  /**
   * Asks for content, or for a place that takes it.
   *
   * @returns the place of a data node, or the answer itself, where the server has the content (HttpFS)
   * @throws as `ask`
   */
  seek(question: Question): Promise<URL | Answer> {
    return this.#try(question, async (answer) => {
      if (isGood(answer.status)) return answer;
      if (!isRedirect(answer.status)) throw await refusalOf(answer);
      const place = placeOf(answer);
      await textOf(answer, MAX_REFUSAL);
      return withNames(place, question.path);
    });
  }

  async #try<T>(question: Question, take: (answer: Answer) => Promise<T>): Promise<T> {
    const reasons = new Map<number, string>();
    for (const ms of [0, ...this.#options.pauses]) {
      if (ms > 0) await pause(ms * (0.5 + Math.random()), undefined, { signal: question.signal });
      const first = this.#last;
      for (let tried = 0; tried < this.#bases.length; tried += 1) {
        const index = (first + tried) % this.#bases.length;
        try {
          const taken = await this.#once(this.#bases[index]!, question, take);
          this.#last = index;
          return taken;
        } catch (error) {
          question.signal?.throwIfAborted();
          reasons.set(index, reasonOf(this.#bases[index]!, error));
        }
      }
    }
    throw new NoNameNode([...reasons.values()]);
  }

  async #once<T>(base: URL, question: Question, take: (answer: Answer) => Promise<T>): Promise<T> {
    const { identity, http } = this.#options;
    const { method, signal } = question;
    const parameters = await identity.parameters();
    const url = urlOf(base, question, parameters);
    try {
      return await take(await http.send({ method, url, signal }));
    } catch (error) {
      const isOver = error instanceof Refusal && error.isAboutIdentity;
      if (!isOver || !identity.refused(parameters)) throw error;
      const again = urlOf(base, question, await identity.parameters());
      return take(await http.send({ method, url: again, signal }));
    }
  }

  /** The answer at the end of redirects, as of a balancer of loads or, for checksums, to a data node. */
  async #followed(answer: Answer, { method, signal }: Question): Promise<Answer> {
    let last = answer;
    for (let redirects = 0; isRedirect(last.status); redirects += 1) {
      if (redirects === MAX_REDIRECTS) {
        throw new Away(last.url, `redirects more than ${MAX_REDIRECTS} times`);
      }
      const url = placeOf(last);
      await textOf(last, MAX_REFUSAL);
      last = await this.#options.http.send({ method, url, signal }).catch(nameUnknown);
    }
    return last;
  }
}

/** What one name node said; what another one would say as well is thrown. */
function reasonOf(base: URL, error: unknown): string {
  if (error instanceof Away) return error.message;
  if (error instanceof BadAnswer) return `${base.host}: ${error.message}`;
  if (error instanceof Refusal && error.isPassing) return `${base.host} says: ${error.words}`;
  throw error;
}

const API = '/webhdfs/v1';
const encoded = (path: string): string => path.split('/').map(encodeURIComponent).join('/');

const isGood = (status: number): boolean => status === 200 || status === 201;
const isRedirect = (status: number): boolean =>
  status === 301 || status === 302 || status === 307 || status === 308;

/** @throws TypeError for what is no URL: the configuration has been checked */
function baseOf(text: string): URL {
  const url = new URL(text);
  url.pathname = url.pathname.replace(/\/+$/, '').replace(/\/webhdfs\/v1$/, '');
  return url;
}

function urlOf(base: URL, question: Question, identity: Readonly<Record<string, string>>): URL {
  const url = new URL(base);
  const { path, operation, parameters = {} } = question;
  const prefix = base.pathname.replace(/\/$/, '');
  url.pathname = prefix + API + encoded(path);
  // In lower case: some of 3.5.0 are not understood otherwise.
  const all: Question['parameters'] = { op: operation, ...identity, ...parameters };
  url.search = Object.entries(all)
    .flatMap(([name, value]) => (value === undefined ? [] : `${name}=${encodeURIComponent(value)}`))
    .join('&');
  return url;
}

/** Where an answer redirects to. What it says may hold a token: it is not told. */
function placeOf(answer: Answer): URL {
  const { location } = answer.message.headers;
  const place = URL.parse(location ?? '', answer.url.href);
  if (location === undefined || !place || !/^https?:$/.test(place.protocol)) {
    throw new Away(answer.url, `answered ${answer.status} and does not say where to go`);
  }
  if (answer.url.protocol === 'https:' && place.protocol === 'http:') {
    throw new Away(answer.url, `redirects to ${place.host} without TLS, which is not followed`);
  }
  return place;
}

/**
 * Java writes the names in a redirect in Unicode's form C (`URI.toASCIIString`; seen on 3.5.0), although another file may
 * have that name: they are written as they are.
 */
function withNames(place: URL, path: string): URL {
  const start = place.pathname.indexOf(`${API}/`);
  if (path === path.normalize('NFC') || start < 0) return place;
  const named = new URL(place);
  named.pathname = place.pathname.slice(0, start) + API + encoded(path);
  return named;
}

/** Of a server that another one has redirected to. */
export function nameUnknown(error: unknown): never {
  if (!(error instanceof Away) || !error.isUnknown) throw error;
  const { hostname } = error.server;
  const what =
    `is where the content is, but '${hostname}' has no address on this machine: ` +
    'give it one by DNS or in /etc/hosts, or use HttpFS';
  throw new Away(error.server, what, error);
}

/** What an answer that is not good says, as an error. */
export async function refusalOf(answer: Answer): Promise<Refusal | Away> {
  const { status, url } = answer;
  const text = await textOf(answer, MAX_REFUSAL);
  const remote = remoteException(text);
  if (remote) return new Refusal(status, remote);
  if (status === 401) {
    const words = 'authentication is required';
    return new Refusal(status, { exception: 'AuthenticationException', words });
  }
  const said = text.trim() === '' ? '' : `: ${JSON.stringify(text.slice(0, EXCERPT))}`;
  const hint =
    status === 404 ? ' (is this the HTTP address of a name node, and WebHDFS enabled there?)' : '';
  return new Away(url, `answered ${status}, which is no answer of WebHDFS${said}${hint}`);
}

/** Whether something may be done again. */
export const isPassing = (error: unknown): boolean =>
  error instanceof Away ||
  error instanceof NoNameNode ||
  error instanceof BadAnswer ||
  (error instanceof Refusal && error.isPassing);

export const wordsOf = (error: unknown): string => messageOf(error).replace(/\.$/, '');
