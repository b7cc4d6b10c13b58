import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';

/** A request as it came, and the answer to be given. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: { readonly type?: string; readonly [field: string]: unknown };
  readonly response: ServerResponse;
}

export interface BareMaster {
  readonly url: string;
  readonly port: number;
  readonly asked: readonly Asked[];
  /** Of those asked, the calls of a type. */
  calls(type: string): readonly Asked[];
  readonly sockets: ReadonlySet<Socket>;
  /** Takes no new connections; those that are there stay. */
  close(): void;
  stop(): Promise<void>;
}

export const record = (event: object): string => {
  const text = JSON.stringify(event);
  return `${Buffer.byteLength(text)}\n${text}`;
};

export const subscribed = (frameworkId = 'framework-1', seconds = 15): object => ({
  type: 'SUBSCRIBED',
  subscribed: {
    framework_id: { value: frameworkId },
    heartbeat_interval_seconds: seconds,
    master_info: { id: 'master-1', ip: 16_777_343, port: 5050, version: '1.12.0' },
  },
});
export const HEARTBEAT = { type: 'HEARTBEAT' };

/** Answers SUBSCRIBE with a stream that begins with these events. */
export function openStream({ response }: Asked, ...events: readonly object[]): ServerResponse {
  response.writeHead(200, { 'Content-Type': 'application/json', 'Mesos-Stream-Id': 'stream-1' });
  response.flushHeaders();
  if (events.length > 0) response.write(events.map(record).join(''));
  return response;
}

/** As a master answers when all is well. */
export function answerWell(asked: Asked): void {
  if (asked.body.type === 'SUBSCRIBE') openStream(asked, subscribed(), HEARTBEAT);
  else asked.response.writeHead(202).end();
}

/** The first SUBSCRIBE is answered otherwise. */
export function firstThenWell(first: (asked: Asked) => void): (asked: Asked) => void {
  let isFirst = true;
  return (asked) => {
    const isSubscribe = asked.body.type === 'SUBSCRIBE';
    if (isFirst && isSubscribe) first(asked);
    else answerWell(asked);
    isFirst &&= !isSubscribe;
  };
}

/** An HTTP server on 127.0.0.1 that answers as each test wants it to. */
export async function startBareMaster(
  answer: (asked: Asked) => void = answerWell,
  tls?: TlsOptions,
): Promise<BareMaster> {
  const asked: Asked[] = [];
  const sockets = new Set<Socket>();
  const server = tls ? createTlsServer(tls) : createServer();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('request', (request, response) => {
    let text = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => (text += chunk));
    request.on('end', () => {
      const { method = '', url: path = '', headers } = request;
      const one = { method, path, headers, body: text === '' ? {} : JSON.parse(text), response };
      asked.push(one);
      answer(one);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}/`,
    port,
    asked,
    calls: (type) => asked.filter(({ body }) => body.type === type),
    sockets,
    close: () => void server.close(),
    async stop() {
      server.close();
      server.closeAllConnections();
      for (const socket of sockets) socket.destroy();
      if (server.listening) await once(server, 'close');
    },
  };
}
