import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { createConnection } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { runnerFiles } from '../../runner/files.ts';
import { encode, listen } from '../../runner/messages.ts';
import type { FromRunner, ToRunner } from '../../runner/messages.ts';

/** How long a runner may take to answer, or to end what it has started, on a machine that is busy. */
const PATIENCE_MS = 15_000;

// Beside this file unbuilt (.ts) or built (.js).
const RUNNER = fileURLToPath(
  new URL(`../../runner/main${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url),
);

export type Connection = ReturnType<typeof createConnectionOver>;

/** Starts a runner in a session of its own: nothing that ends the service's reaches it. */
export function startRunner(directory: string, name: string, codeCache?: string): Connection {
  const errors = openSync(join(directory, 'errors.log'), 'a', 0o600);
  const child = spawn(process.execPath, [...NODE_OPTIONS, RUNNER, name], {
    cwd: directory,
    detached: true,
    stdio: ['ignore', 'ignore', errors, 'pipe'],
    // A processor can read what its runner was started with: no secret of the service may be there.
    env: { PATH: SEARCH_PATH, ...(codeCache !== undefined && { NODE_COMPILE_CACHE: codeCache }) },
  });
  closeSync(errors);
  child.unref();
  const socket = child.stdio[3] as Socket;
  child.on('error', () => socket.destroy());
  return createConnectionOver(socket);
}

const NODE_OPTIONS = ['--max-semi-space-size=1', '--single-threaded'];
const SEARCH_PATH = '/usr/local/bin:/usr/bin:/bin';

/**
 * Connects to a runner of an earlier service.
 *
 * @param handle a descriptor of the directory: by its path, a socket's could be longer than the system takes
 */
export const findRunner = (handle: number, name: string): Connection =>
  createConnectionOver(createConnection(`/proc/self/fd/${handle}/${runnerFiles(name).socket}`));

/** What is sent before the runner has said hello waits: from its first attempt on, a later service can find it. */
function createConnectionOver(socket: Socket) {
  const ready = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  let waiting: string[] | undefined = [];
  let hear: (message: FromRunner) => void = () => undefined;

  const impatience = setTimeout(() => socket.destroy(), PATIENCE_MS);
  listen<FromRunner>(socket, (message) => {
    hear(message);
    if (message.type !== 'hello') return;
    clearTimeout(impatience);
    for (const text of waiting ?? []) socket.write(text);
    waiting = undefined;
    ready.resolve();
  });
  // Every error ends it.
  socket.on('error', () => undefined);
  socket.once('close', () => {
    clearTimeout(impatience);
    ready.resolve();
    gone.resolve();
  });

  const send = (message: ToRunner): void => {
    if (waiting) waiting.push(encode(message));
    else socket.write(encode(message));
  };
  const untilGone = async (): Promise<void> => {
    const timer = setTimeout(() => socket.destroy(), PATIENCE_MS);
    await gone.promise;
    clearTimeout(timer);
  };

  return {
    /** Resolves when the runner has said hello, or is gone. */
    ready: ready.promise,
    /** Resolves when nothing more will be heard. */
    gone: gone.promise,
    onMessage(listener: (message: FromRunner) => void): void {
      hear = listener;
    },
    send,
    /** Lets the runner go on alone. */
    async leave(): Promise<void> {
      await ready.promise;
      socket.end();
      await untilGone();
    },
    /** Ends the runner with everything that it has started. */
    async end(): Promise<void> {
      send({ type: 'end' });
      await untilGone();
    },
  };
}
