import type { Logger } from 'pino';

import { messageOf } from '../../errors.ts';
import { parseApplications, parseInfo, parseNodes, parseQueues } from './answers.ts';
import type { Application, ClusterInfo, ClusterNode, QueueShare } from './answers.ts';
import { excerpt, objectOf, textOf } from './json.ts';

export interface ResourceManagerOptions {
  /** Base URLs of all of them, e.g. `http://rm1:8088`; the one that is active answers. */
  readonly urls: readonly string[];
  /** Who asks, under simple authentication. */
  readonly user: string;
  readonly logger: Logger;
  /** Milliseconds for one answer. */
  readonly answerMs?: number;
}

/**
 * The ResourceManager's REST. Everything rejects with a RestError where none of them answers, or not in the words of
 * one.
 */
export interface ResourceManager {
  info(): Promise<ClusterInfo>;
  nodes(): Promise<ClusterNode[]>;
  /** @param partition a node label; without it, the nodes that have none */
  queues(partition?: string): Promise<QueueShare[]>;
  /** Those that have not ended, with all of these tags. */
  applications(tags: readonly string[]): Promise<Application[]>;
  /** One that has ended or is not known is not an error. */
  end(applicationId: string): Promise<void>;
  /** @returns what the JSON says; undefined for an empty answer */
  ask(method: 'GET' | 'POST' | 'PUT', path: string, body?: object): Promise<unknown>;
}

/** A request that no ResourceManager has answered as it should. */
export class RestError extends Error {
  /** Of an answer. */
  readonly status: number | undefined;

  constructor(message: string, options: { status?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'RestError';
    this.status = options.status;
  }
}

const ANSWER_MS = 20_000;
/** Bytes: some thousand nodes. */
const LARGEST = 64 * 1024 ** 2;
const ACTIVE = 'NEW,NEW_SAVING,SUBMITTED,ACCEPTED,RUNNING';
const MAX_REDIRECTS = 3;

export function createResourceManager(options: ResourceManagerOptions): ResourceManager {
  const rest = new Rest(options);
  const ask: ResourceManager['ask'] = (method, path, body) => rest.ask(method, path, body);
  const get = (path: string) => ask('GET', path);
  return {
    ask,
    info: async () => parseInfo(await get('info')),
    nodes: async () => parseNodes(await get('nodes')),
    queues: async (partition) => parseQueues(await get('scheduler'), partition),
    async applications(tags) {
      const query = new URLSearchParams({ states: ACTIVE, applicationTags: tags[0] ?? '' });
      const found = parseApplications(await get(`apps?${query.toString()}`));
      // Of several tags, the ResourceManager takes those with any of them.
      return found.filter((application) => tags.every((tag) => application.tags.includes(tag)));
    },
    async end(applicationId) {
      const path = `apps/${encodeURIComponent(applicationId)}/state`;
      try {
        await ask('PUT', path, { state: 'KILLED' });
      } catch (error) {
        const isOver = error instanceof RestError && [400, 404].includes(error.status ?? 0);
        if (!isOver) throw error;
      }
    },
  };
}

/** The last that was active is asked first. */
class Rest {
  readonly #options: ResourceManagerOptions;
  #urls: readonly URL[];

  constructor(options: ResourceManagerOptions) {
    this.#options = options;
    this.#urls = options.urls.map((url) => new URL(url.endsWith('/') ? url : `${url}/`));
  }

  async ask(method: string, path: string, body?: object): Promise<unknown> {
    const failures: RestError[] = [];
    for (const url of this.#urls) {
      try {
        const answer = await this.#askOne(url, method, path, body);
        if (url !== this.#urls[0]) {
          this.#urls = [url, ...this.#urls.filter((other) => other !== url)];
          this.#options.logger.info({ url: url.origin }, 'this ResourceManager is active');
        }
        return answer;
      } catch (error) {
        if (!(error instanceof RestError)) throw error;
        // It is the active one, and means it.
        if (error.status !== undefined && error.status >= 400 && error.status < 500) throw error;
        failures.push(error);
      }
    }
    throw new RestError(failures.map(({ message }) => message).join('; '), {
      cause: failures[0],
    });
  }

  async #askOne(base: URL, method: string, path: string, body?: object): Promise<unknown> {
    const { user, answerMs = ANSWER_MS } = this.#options;
    let url = new URL(`ws/v1/cluster/${path}`, base);
    url.searchParams.set('user.name', user);
    const signal = AbortSignal.timeout(answerMs);
    try {
      for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
        const response = await fetch(url.href, {
          method,
          redirect: 'manual',
          signal,
          headers: {
            accept: 'application/json',
            ...(body && { 'content-type': 'application/json' }),
          },
          ...(body && { body: JSON.stringify(body) }),
        });
        // A standby one sends on to the active one, also what is posted (seen on 3.5.0).
        const target = response.headers.get('location');
        if (response.status < 300 || response.status >= 400 || target === null) {
          return await answerOf(response);
        }
        await response.body?.cancel();
        url = redirected(url, target);
      }
      throw new RestError(`more than ${MAX_REDIRECTS} redirects`);
    } catch (error) {
      const { status } = error as { status?: number };
      const message = `${base.origin}: ${signal.aborted ? `no answer within ${answerMs / 1000} s` : wordsOf(error)}`;
      throw new RestError(message, { ...(status !== undefined && { status }), cause: error });
    }
  }
}

function redirected(from: URL, target: string): URL {
  const url = URL.parse(target, from.href);
  if (url && (url.protocol === 'http:' || url.protocol === 'https:')) return url;
  throw new RestError(`sends on to ${excerpt(target)}, which is no address`);
}

async function answerOf(response: Response): Promise<unknown> {
  const text = await textWithin(response, LARGEST);
  const { status } = response;
  if (status === 401) {
    const message =
      'wants another authentication than simple (401): its REST has to be open to the service';
    throw new RestError(message, { status });
  }
  if (status >= 300) {
    throw new RestError(`answered ${status}: ${reasonOf(text)}`, { status });
  }
  if (text.trim() === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new RestError(`did not answer in JSON: ${excerpt(text)}`);
  }
}

/** Hadoop puts its exceptions into JSON. */
function reasonOf(text: string): string {
  try {
    const { RemoteException: said } = objectOf(JSON.parse(text));
    const message = textOf(objectOf(said)['message']);
    if (message !== undefined) return excerpt(message);
  } catch {
    // It was something else.
  }
  return excerpt(text);
}

async function textWithin(response: Response, limit: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > limit) throw new RestError(`answered with more than ${limit} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** What `fetch` throws has its reason inside. */
function wordsOf(error: unknown): string {
  const cause = error instanceof Error && !(error instanceof RestError) ? error.cause : undefined;
  if (cause instanceof AggregateError) return cause.errors.map(messageOf).join(', ');
  return messageOf(cause ?? error);
}
