import type { ServerResponse } from 'node:http';
import type { JobState } from '../core/model.ts';

/** A job has moved. */
export interface JobChange {
  readonly jobId: string;
  readonly state: JobState;
  readonly percent: number;
  /** Why it is paused, where no operator has done it. */
  readonly paused?: string;
}

export interface EventStream {
  /**
   * Sends every change to a client until it goes away, those that it missed first.
   *
   * @param lastEventId what the client saw last, as it says in `Last-Event-ID`
   */
  attach(response: ServerResponse, lastEventId?: string): void;
  close(): void;
}

/** So many changes are kept for clients that come back. */
const KEPT = 1000;
const HEARTBEAT_MS = 15_000;
/** A client that lets so many bytes pile up is cut off; it comes back and catches up. */
const MAX_WAITING = 1024 * 1024;

const send = (client: ServerResponse, text: string) => {
  if (client.writableLength > MAX_WAITING) client.destroy();
  else client.write(text);
};

/**
 * Server-sent events of job changes (HTML Living Standard, 9.2): `id` is a sequence number. It goes on
 * from the clock, so that ids of an earlier run of the server are always older. A client that was away too long
 * gets one `resync` event: it has to read anew.
 */
export function createEventStream(
  subscribe: (listener: (change: JobChange) => void) => () => void,
  heartbeatMs: number = HEARTBEAT_MS,
): EventStream {
  const clients = new Set<ServerResponse>();
  const recent: { readonly id: number; readonly text: string }[] = [];
  let sequence = Date.now();

  const sendAll = (text: string) => clients.forEach((client) => send(client, text));

  const unsubscribe = subscribe((change) => {
    const id = ++sequence;
    const text = `id: ${id}\nevent: job\ndata: ${JSON.stringify(change)}\n\n`;
    recent.push({ id, text });
    if (recent.length > KEPT) recent.shift();
    sendAll(text);
  });
  const heartbeat = setInterval(() => sendAll(': still here\n\n'), heartbeatMs);
  heartbeat.unref();

  return {
    attach(response, lastEventId) {
      response.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
      });
      response.write('retry: 2000\n\n');
      if (lastEventId !== undefined) {
        const seen = Number(lastEventId);
        const oldest = sequence - recent.length;
        if (seen >= oldest && seen <= sequence) {
          for (const { id, text } of recent) if (id > seen) response.write(text);
        } else {
          response.write(`id: ${sequence}\nevent: resync\ndata: {}\n\n`);
        }
      }
      clients.add(response);
      response.on('close', () => clients.delete(response));
      response.on('error', () => clients.delete(response));
    },
    close() {
      unsubscribe();
      clearInterval(heartbeat);
      clients.forEach((client) => client.end());
    },
  };
}
