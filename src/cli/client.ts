import { PushbroomError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import { authorizationOf, HOW_TO_LOG_IN } from './credentials.ts';
import type { CliDeps } from './deps.ts';

type Query = Readonly<Record<string, string | number | readonly string[] | undefined>>;

/** The operator REST API. Every method throws a PushbroomError that says in one line what is wrong. */
export interface Client {
  readonly url: string;
  get<T>(path: string, query?: Query): Promise<T>;
  post<T>(path: string, body: unknown): Promise<T>;
  /** A document as it is. */
  send<T>(path: string, document: string, type: string): Promise<T>;
  upload<T>(path: string, file: Blob, name: string): Promise<T>;
  patch<T>(path: string, body: unknown): Promise<T>;
  delete<T>(path: string): Promise<T>;
  /** Part of an attempt's log, and the offset after it. */
  log(attemptId: string, stream: string, offset: number): Promise<{ text: string; next: number }>;
}

export function createClient(url: string, deps: Pick<CliDeps, 'fetch' | 'env'>): Client {
  const base = baseUrl(url);
  const call = async (
    method: string,
    path: string,
    body?: string | FormData,
    type = 'application/json',
  ): Promise<Response> => {
    const response = await reach(deps, base + path, {
      method,
      ...(body !== undefined && { body }),
      ...(typeof body === 'string' && { headers: { 'content-type': type } }),
    });
    if (!response.ok) throw await refusal(response);
    return response;
  };
  return {
    url: base,
    get: (path, query = {}) => json(call('GET', path + search(query))),
    post: (path, body) => json(call('POST', path, JSON.stringify(body))),
    send: (path, document, type) => json(call('POST', path, document, type)),
    upload(path, file, name) {
      const form = new FormData();
      form.set('file', file, name);
      return json(call('POST', path, form));
    },
    patch: (path, body) => json(call('PATCH', path, JSON.stringify(body))),
    delete: (path) => json(call('DELETE', path)),
    async log(attemptId, stream, offset) {
      const path = `/api/attempts/${encodeURIComponent(attemptId)}/log`;
      const response = await call('GET', path + search({ stream, offset }));
      return {
        text: await response.text(),
        next: Number(response.headers.get('x-next-offset') ?? offset),
      };
    },
  };
}

async function json<T>(response: Promise<Response>): Promise<T> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the API answers by its schemas
  return (await (await response).json()) as T;
}

/** A URL as a user writes it, without the slash at its end. */
export function baseUrl(url: string): string {
  if (!URL.canParse(url) || !/^https?:/.test(url)) {
    throw new PushbroomError('INVALID_PARAMETER', `"${url}" is not an http or https URL`);
  }
  return url.replace(/\/+$/, '');
}

/** `fetch` that logs in, and whose failure names the server and the remedy. */
export async function reach(
  deps: Pick<CliDeps, 'fetch' | 'env'>,
  url: string,
  { headers, ...init }: RequestInit & { readonly headers?: Record<string, string> } = {},
): Promise<Response> {
  const all = { ...headers, ...authorizationOf(deps.env) };
  try {
    return await (deps.fetch ?? fetch)(url, { ...init, headers: all });
  } catch (error) {
    if (error instanceof Error && error.name === 'AbortError') throw error;
    const { origin } = new URL(url);
    throw new PushbroomError(
      'UNAVAILABLE',
      `cannot reach ${origin}: is 'pushbroom serve' running?`,
      { cause: error },
    );
  }
}

function search(query: Query): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) parameters.append(name, String(one));
  }
  return parameters.size === 0 ? '' : `?${parameters.toString()}`;
}

async function refusal(response: Response): Promise<PushbroomError> {
  const text = await response.text();
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- checked in the next line
    const { code, message } = JSON.parse(text) as { code?: ErrorCode; message?: string };
    if (code === 'UNAUTHENTICATED' && message) {
      return new PushbroomError(code, `${message}: ${HOW_TO_LOG_IN}`);
    }
    if (code && message) return new PushbroomError(code, message);
  } catch {
    // Not ours: a proxy, or another program on that port.
  }
  return new PushbroomError(
    'UNAVAILABLE',
    `${new URL(response.url).origin} answered ${response.status}: is it Pushbroom's internal listener?`,
  );
}
