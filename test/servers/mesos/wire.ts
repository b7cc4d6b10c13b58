import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export interface Reply {
  readonly status: number;
  readonly body?: string | Buffer;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export const accepted: Reply = { status: 202 };
export const ok: Reply = { status: 200 };
export const json = (value: unknown): Reply => ({
  status: 200,
  body: JSON.stringify(value),
  type: 'application/json',
});
export const refused = (
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): Reply => ({ status, body, headers });
export const notFound = refused(404, '404 Not Found.');

export function reply(response: ServerResponse, { status, body = '', type, headers }: Reply): void {
  // An empty body has no type, as recorded.
  const contentType = body.length ? { 'content-type': type ?? 'text/plain; charset=utf-8' } : {};
  response.writeHead(status, {
    ...headers,
    ...contentType,
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}

/** By callbacks, because thousands of small ones are read in a second. */
export function bodyOf(request: IncomingMessage): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => resolve(Buffer.concat(chunks).toString()));
  });
}

/** An HTTP server that can be cut off at once with all its connections, and can listen again at the same address. */
export class Listener {
  readonly host: string;
  #port = 0;
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();
  readonly #handle: RequestListener;

  constructor(host: string, handle: RequestListener) {
    this.host = host;
    this.#handle = handle;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `http://${this.host}:${this.#port}`;
  }

  async open(): Promise<void> {
    const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, this.#handle);
    server.on('connection', (socket) => {
      socket.setNoDelay(true);
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => socket.destroy());
    });
    server.listen(this.#port, this.host);
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    const closed = once(server, 'close');
    server.close();
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await closed;
  }
}

/** A subscription's answer: RecordIO (`<bytes>\n<JSON>`) over a chunked response, the records of one turn together. */
export class RecordStream {
  readonly id: string;
  readonly #response: ServerResponse;
  #waiting: (string | Buffer)[] = [];
  #isOver = false;

  constructor(id: string, response: ServerResponse, onClose: () => void) {
    this.id = id;
    this.#response = response;
    response.writeHead(200, { 'content-type': 'application/json', 'mesos-stream-id': id });
    response.on('close', () => {
      if (this.#isOver) return;
      this.#isOver = true;
      onClose();
    });
  }

  /** JSON text of one event. */
  record(event: string): void {
    this.raw(`${Buffer.byteLength(event)}\n${event}`);
  }

  event(event: object): void {
    this.record(JSON.stringify(event));
  }

  raw(bytes: string | Buffer): void {
    if (this.#isOver) return;
    if (this.#waiting.length === 0) setImmediate(() => this.#flush());
    this.#waiting.push(bytes);
  }

  /** Ends it in order, without telling that it closed. */
  end(): void {
    this.#flush();
    this.#isOver = true;
    this.#response.end();
  }

  /** As a broken connection does. */
  cut(): void {
    this.#response.socket?.resetAndDestroy();
  }

  #flush(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    if (this.#isOver) return;
    const isText = waiting.every((part) => typeof part === 'string');
    this.#response.write(
      isText ? waiting.join('') : Buffer.concat(waiting.map((part) => Buffer.from(part))),
    );
  }
}
