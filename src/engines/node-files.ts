import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { BigIntStats } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';

import type { Logger } from 'pino';

export interface NodeFilesOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** As nodes see it, without a slash at its end; by default from where it listens. */
  readonly baseUrl?: string;
  readonly logger: Logger;
}

export type NodeFiles = Awaited<ReturnType<typeof serveNodeFiles>>;

interface Published {
  readonly path: string;
  readonly sha256: string;
  /** Of the file when it was read last: which one it was, and when it was changed. */
  identity: string;
}

const NAME = /^(?!\.)[\w.+-]{1,200}$/;

/**
 * Serves files to nodes: the runner, Node itself and bundles. An address holds its content's hash, so caches may keep
 * what they have fetched for ever, and only who was told of a file can ask for it. Nothing but what was published is
 * there; a file that has changed since is gone.
 *
 * @throws Error where nothing can listen there
 */
export async function serveNodeFiles({ host, port, baseUrl, logger }: NodeFilesOptions) {
  /** By address. */
  const files = new Map<string, Published>();
  /** What was read, by path and identity, so that nothing is read twice. */
  const read = new Map<string, Promise<Published>>();

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const file = files.get(request.url ?? '');
    if (!file) return refuse(response, 404, 'there is no such file');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      return refuse(response, 405, 'files can only be read');
    }
    const handle = await open(file.path).catch(() => undefined);
    if (!handle || !(await isUnchanged(handle, file))) {
      await handle?.close();
      logger.warn({ path: file.path, url: request.url }, 'a published file is gone or has changed');
      return refuse(response, 410, 'the file is gone');
    }
    return send(handle, request, response);
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      // Most likely somebody who has hung up.
      logger.debug({ err: error, url: request.url }, 'a file could not be sent');
      response.destroy();
    });
  });
  server.listen(port, host);
  await once(server, 'listening');
  const base = baseUrl ?? urlOf(server.address() as AddressInfo);

  /** Whoever asks for a file that is being read waits for that. */
  async function readOnce(path: string): Promise<Published> {
    const key = `${path}\n${identityOf(await stat(path, { bigint: true }))}`;
    let published = read.get(key);
    if (!published) {
      published = readFile(path);
      read.set(key, published);
      published.catch(() => read.delete(key));
    }
    return published;
  }

  return {
    baseUrl: base,
    /**
     * @param path of a regular file that is not changed as long as it is served
     * @param name what the file is called at its address: letters, digits, `_`, `+`, `-` and, within it, `.`
     * @returns its URL, always the same for the same content
     */
    async publish(path: string, { name }: { readonly name: string }): Promise<string> {
      if (!NAME.test(name)) throw new Error(`a file cannot be published as '${name}'`);
      const published = await readOnce(resolve(path));
      const url = `/files/${published.sha256}/${name}`;
      files.set(url, published);
      return base + url;
    },
    async close(): Promise<void> {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Where it listens on all addresses, nodes know this machine by its name. */
function urlOf({ address, family, port }: AddressInfo): string {
  if (address === '0.0.0.0' || address === '::') return `http://${hostname()}:${port}`;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

async function readFile(path: string): Promise<Published> {
  const handle = await open(path);
  try {
    const found = await handle.stat({ bigint: true });
    if (!found.isFile()) throw new Error(`${path} is not a regular file`);
    return { path, identity: identityOf(found), sha256: await hashOf(handle) };
  } finally {
    await handle.close();
  }
}

/** A file that only looks changed, e.g. has another mode, is served on. */
async function isUnchanged(handle: FileHandle, file: Published): Promise<boolean> {
  const identity = identityOf(await handle.stat({ bigint: true }));
  if (identity === file.identity) return true;
  if ((await hashOf(handle)) !== file.sha256) return false;
  file.identity = identity;
  return true;
}

const identityOf = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string =>
  [dev, ino, size, mtimeNs, ctimeNs].join(' ');

async function hashOf(handle: FileHandle): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(handle.createReadStream({ start: 0, autoClose: false }), hash);
  return hash.digest('hex');
}

/** The length is always told: Mesos's fetcher asks for it by HEAD, and keeps nothing whose length it does not know. */
async function send(
  handle: FileHandle,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const { size } = await handle.stat();
    response.writeHead(200, {
      'content-type': 'application/octet-stream',
      'content-length': size,
      'cache-control': 'public, max-age=31536000, immutable',
      'accept-ranges': 'none',
    });
    if (request.method === 'HEAD' || size === 0) response.end();
    else {
      const stream = handle.createReadStream({ start: 0, end: size - 1, autoClose: false });
      await pipeline(stream, response, { end: false });
      if (stream.bytesRead < size) throw new Error('the file has become shorter');
      response.end();
    }
  } finally {
    await handle.close();
  }
}

function refuse(response: ServerResponse, status: number, why: string): void {
  response.writeHead(status, { 'content-type': 'text/plain' });
  response.end(`${why}\n`);
}
