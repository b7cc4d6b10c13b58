import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Logger } from 'pino';

import { messageOf } from '../../errors.ts';
import { excerpt } from './json.ts';
import { Lines } from './lines.ts';
import { parseEvent } from './parse.ts';
import type { AmEvent, Order } from './protocol.ts';

/** The way to the application-master program, wherever it runs. */
export interface Channel {
  /** Speaks with the program until the signal aborts. Never rejects. */
  run(listener: ChannelListener, signal: AbortSignal): Promise<void>;
  /** @returns whether there is a program that will get it; one that dies meanwhile is told of by `lost` */
  give(order: Order): boolean;
}

export interface ChannelListener {
  /** Synchronously and in order; `ready` first, and again from each program that follows. */
  hear(event: AmEvent): void;
  /** There is no program any more, or not yet: nothing is heard until the next one's `ready`. */
  lost(reason: string): void;
}

/** How the program is started. */
export interface Program {
  readonly command: string;
  readonly arguments: readonly string[];
  /** All of its environment. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly directory?: string;
}

export interface SidecarOptions {
  readonly program: () => Promise<Program>;
  readonly logger: Logger;
  /** Milliseconds between two starts. */
  readonly backoff?: { readonly first: number; readonly longest: number };
  /** Milliseconds until it has to be ready, and after which one that should end is made to. */
  readonly readyMs?: number;
  readonly endMs?: number;
}

const BACKOFF = { first: 500, longest: 30_000 };
/** A JVM on a machine that is short of everything. */
const READY_MS = 120_000;
const END_MS = 10_000;
/** Bytes: the longest that it has to say holds an end with its list of outputs. */
const LONGEST_LINE = 64 * 1024 ** 2;
const LONGEST_COMPLAINT = 8 * 1024;

/**
 * The program as a process beside the service, for all applications: orders on its stdin, events on its stdout, its log
 * on stderr. It ends when its stdin does, also where the service was killed. One that dies is started again.
 */
export function createSidecar(options: SidecarOptions): Channel {
  let current: Sidecar | undefined;
  return {
    async run(listener, signal) {
      const { logger, backoff = BACKOFF } = options;
      let failures = 0;
      while (!signal.aborted) {
        const sidecar = new Sidecar(options, listener);
        current = sidecar;
        const reason = await sidecar.run(signal);
        current = undefined;
        if (signal.aborted) break;
        if (sidecar.isReady) failures = 0;
        const retryInMs = Math.min(backoff.longest, backoff.first * 2 ** failures);
        failures += 1;
        listener.lost(reason);
        logger.warn({ retryInMs }, `the application-master program: ${reason}`);
        await sleep(retryInMs, undefined, { signal }).catch(() => undefined);
      }
    },
    give: (order) => current?.give(order) ?? false,
  };
}

/** One process. */
class Sidecar {
  readonly #options: SidecarOptions;
  readonly #listener: ChannelListener;
  #child: ChildProcess | undefined;
  #isReady = false;
  /** Why we have ended it. */
  #why: string | undefined;
  #lastWords = '';

  constructor(options: SidecarOptions, listener: ChannelListener) {
    this.#options = options;
    this.#listener = listener;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  give(order: Order): boolean {
    const stdin = this.#child?.stdin;
    if (!this.#isReady || !stdin?.writable || this.#why !== undefined) return false;
    stdin.write(`${JSON.stringify(order)}\n`);
    return true;
  }

  /** @returns how it ended, in words */
  async run(signal: AbortSignal): Promise<string> {
    const { readyMs = READY_MS } = this.#options;
    try {
      this.#child = start(await this.#options.program());
    } catch (error) {
      return `cannot be started: ${messageOf(error)}`;
    }
    const child = this.#child;
    const ended = endOf(child);
    this.#listen(child);
    const unready = setTimeout(() => {
      if (!this.#isReady) this.#end(`was not ready within ${readyMs / 1000} s`);
    }, readyMs);
    const onAbort = () => this.#end('the service ends');
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
    const how = await ended;
    clearTimeout(unready);
    signal.removeEventListener('abort', onAbort);
    const words = this.#lastWords === '' ? '' : `: ${this.#lastWords}`;
    return `${this.#why ?? how}${words}`;
  }

  #listen(child: ChildProcess): void {
    const said = new Lines(LONGEST_LINE);
    child.stdout!.on('data', (chunk: Buffer) => {
      try {
        for (const line of said.add(chunk)) this.#hear(line);
      } catch (error) {
        // What it says is no longer to be understood.
        child.stdout!.removeAllListeners('data').resume();
        this.#end(messageOf(error));
      }
    });
    const complaints = new Lines(LONGEST_COMPLAINT);
    child.stderr!.on('data', (chunk: Buffer) => {
      for (const line of linesOf(complaints, chunk)) this.#complain(line);
    });
    // It has ended: told by its exit.
    child.stdin!.on('error', () => undefined);
  }

  #hear(line: string): void {
    if (line.trim() === '' || this.#why !== undefined) return;
    let event: AmEvent;
    try {
      event = parseEvent(line);
    } catch (error) {
      // Somebody else's library may print there.
      this.#options.logger.warn(`the application-master program says ${messageOf(error)}`);
      return;
    }
    if (event.event === 'ready') this.#isReady = true;
    if (this.#isReady) this.#listener.hear(event);
  }

  #complain(line: string): void {
    if (line.trim() === '') return;
    this.#lastWords = excerpt(line);
    this.#options.logger.debug(`application-master program: ${line}`);
  }

  /** It is asked to, and made to when it does not. */
  #end(why: string): void {
    if (this.#why !== undefined) return;
    this.#why = why;
    const child = this.#child;
    child?.stdin?.end();
    const { endMs = END_MS } = this.#options;
    const timer = setTimeout(() => child?.kill('SIGKILL'), endMs);
    child?.once('exit', () => clearTimeout(timer));
  }
}

function start({ command, arguments: args, environment, directory }: Program): ChildProcess {
  return spawn(command, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    // Out of the terminal's group: the service ends it, after all that it still has to say.
    detached: true,
    ...(environment && { env: { ...environment } }),
    ...(directory !== undefined && { cwd: directory }),
  });
}

const endOf = (child: ChildProcess): Promise<string> =>
  new Promise((resolve) => {
    child.once('error', (error) => resolve(`cannot be started: ${error.message}`));
    // After everything that it has said.
    child.once('close', (code, signal) =>
      resolve(signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`),
    );
  });

function linesOf(lines: Lines, chunk: Buffer): string[] {
  try {
    return lines.add(chunk);
  } catch {
    return [];
  }
}
