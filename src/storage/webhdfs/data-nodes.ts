import { isPassing, nameUnknown, NoNameNode, refusalOf } from './client.ts';
import type { NameNodes } from './client.ts';
import { Refusal } from './errors.ts';
import { addressesOf, Away, textOf } from './http.ts';
import type { Answer, Http } from './http.ts';

export interface DataNodesOptions {
  readonly nameNodes: NameNodes;
  readonly http: Http;
  readonly replication?: number | undefined;
  readonly blockSize?: number | undefined;
}

/** Times that a name node is asked for another data node, where it does not know one by the address that we have. */
const PICKS = 8;
/** Bytes of what is said to a file that was made. */
const MAX_ANSWER = 64 * 1024;
/** HttpFS takes nothing else (`CheckUploadContentTypeFilter`). */
const UPLOAD = { 'content-type': 'application/octet-stream' };

/** Brings contents from data nodes and to them. */
export class DataNodes {
  readonly #options: DataNodesOptions;

  constructor(options: DataNodesOptions) {
    this.#options = options;
  }

  /**
   * @param excluded hosts with ports that should not be used
   * @throws Refusal; Away; NoNameNode; the signal's reason
   */
  async open(
    path: string,
    range: { readonly offset: number; readonly length: number },
    excluded: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<Answer> {
    const parameters = {
      offset: String(range.offset),
      length: String(range.length),
      excludedatanodes: await namesOf(excluded),
    };
    const operation = 'OPEN';
    const found = await this.#options.nameNodes.seek({
      method: 'GET',
      path,
      operation,
      parameters,
      signal,
    });
    if (!(found instanceof URL)) return found;
    const { http } = this.#options;
    const answer = await http.send({ method: 'GET', url: found, signal }).catch(nameUnknown);
    if (answer.status !== 200) throw await refusalOf(answer);
    return answer;
  }

  /**
   * Makes a file. If it fails, part of it may be there.
   *
   * @returns bytes that were written
   * @throws as `open`; what the content rejects with
   */
  async create(
    path: string,
    content: AsyncIterable<Uint8Array>,
    excluded: Set<string>,
    signal: AbortSignal,
  ): Promise<number> {
    const url = await this.#placeFor(path, excluded, signal);
    const { http } = this.#options;
    try {
      const request = { method: 'PUT', url, headers: UPLOAD, body: content, signal } as const;
      const answer = await http.send(request).catch(nameUnknown);
      if (answer.status !== 201 && answer.status !== 200) throw await refusalOf(answer);
      await textOf(answer, MAX_ANSWER);
      if (!answer.isSent) throw new Away(answer.url, 'has answered before it had all of the file');
      return answer.sent;
    } catch (error) {
      excluded.add(url.host);
      throw error;
    }
  }

  async #placeFor(path: string, excluded: Set<string>, signal: AbortSignal): Promise<URL> {
    const { nameNodes, replication, blockSize } = this.#options;
    const operation = 'CREATE';
    for (let picks = 1; ; picks += 1) {
      const parameters = {
        createparent: 'true',
        overwrite: 'false',
        replication: replication?.toString(),
        blocksize: blockSize?.toString(),
        excludedatanodes: await namesOf(excluded),
      };
      try {
        const found = await nameNodes.seek({ method: 'PUT', path, operation, parameters, signal });
        if (!(found instanceof URL)) throw await refusalOf(found);
        if (!excluded.has(found.host) || picks === PICKS) return found;
      } catch (error) {
        if (excluded.size === 0 || !(error instanceof Refusal) || error.isPassing) throw error;
        // There may be no others.
        excluded.clear();
      }
    }
  }
}

/**
 * Whether another data node, or a later try, may have what one has not: a quota is the same everywhere, and name nodes have
 * been asked often enough.
 */
export const isWorthAnotherNode = (error: unknown): boolean =>
  (isPassing(error) && !(error instanceof NoNameNode)) ||
  (error instanceof Refusal && (error.code === 'UNAVAILABLE' || error.isDiskFull));

/** As a name node may know them: it looks for addresses (seen on 3.5.0), but sends to names. */
async function namesOf(excluded: ReadonlySet<string>): Promise<string | undefined> {
  if (excluded.size === 0) return undefined;
  const hosts = Array.from(excluded, (host) => host.replace(/:\d+$/, '').replace(/^\[|\]$/g, ''));
  const addresses = await Promise.all(hosts.map(addressesOf));
  return [...new Set([...hosts, ...addresses.flat()])].join(',');
}
