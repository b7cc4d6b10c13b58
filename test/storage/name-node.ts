/** A server that answers as a test wants: for what a real name node does not do when it is asked to. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

import { onTestFinished } from 'vitest';

import type { StorageAccess } from '../../src/storage/storage.ts';
import { createWebHdfs } from '../../src/storage/webhdfs/webhdfs.ts';
import type { WebHdfs, WebHdfsOptions } from '../../src/storage/webhdfs/webhdfs.ts';

export interface Asked {
  readonly method: string;
  /** Decoded, without `/webhdfs/v1`. */
  readonly path: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

export interface NameNode {
  readonly url: string;
  readonly port: number;
  /** `op`s of all requests, in their order. */
  readonly operations: readonly string[];
}

/** @param answer may answer itself; what it returns is sent as JSON, with status 200 */
export async function startNameNode(
  answer: (asked: Asked) => unknown,
  tls?: { readonly key: string; readonly cert: string },
): Promise<NameNode> {
  const operations: string[] = [];
  const listener: RequestListener = (request, response) => {
    const url = new URL(request.url!, 'http://x');
    const parameters = Object.fromEntries(url.searchParams);
    const path = decodeURIComponent(url.pathname).replace(/^\/webhdfs\/v1/, '');
    operations.push(parameters['op'] ?? '');
    const result = answer({ method: request.method!, path, parameters, request, response });
    if (result !== undefined) json(response, result);
  };
  const server = tls ? createSecureServer(tls, listener) : createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http${tls ? 's' : ''}://127.0.0.1:${port}`, port, operations };
}

export function json(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

export function refuse(
  response: ServerResponse,
  exception: string,
  message: string,
  status = 403,
): void {
  json(
    response,
    { RemoteException: { exception, javaClassName: `x.${exception}`, message } },
    status,
  );
}

export const missing = (response: ServerResponse, path: string): void =>
  refuse(response, 'FileNotFoundException', `File does not exist: ${path}`, 404);

export const redirect = (response: ServerResponse, location: string): void =>
  void response.writeHead(307, { location }).end();

export const statusOf = (more: Readonly<Record<string, unknown>> = {}) => ({
  FileStatus: { pathSuffix: '', type: 'FILE', length: 5, modificationTime: 1, fileId: 7, ...more },
});

/** So that tests of failures are quick. */
const QUICK: WebHdfsOptions = { pauses: [1, 1, 1], connectMs: 5_000, silenceMs: 5_000 };

export function storageOf(
  urls: readonly string[],
  options: WebHdfsOptions = {},
  access: Partial<StorageAccess> = {},
): WebHdfs {
  const reached = { type: 'webhdfs', name: 'c', urls, user: 'tep', ...access } as const;
  return createWebHdfs(reached, { ...QUICK, ...options });
}

export async function textAt(storage: WebHdfs, location: string): Promise<string> {
  return text(await storage.read(location));
}
