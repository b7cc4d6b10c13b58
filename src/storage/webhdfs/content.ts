import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';

import { isWorthAnotherNode } from './data-nodes.ts';
import { Away } from './http.ts';
import type { Answer } from './http.ts';

export interface Source {
  readonly offset: number;
  /** The byte after the last. */
  readonly end: number;
  /** Milliseconds before it is tried again, where the time before brought nothing. */
  readonly pauses: readonly number[];
  /** Of the bytes from an offset to the end. */
  open(offset: number, signal: AbortSignal): Promise<Answer>;
  /** Told of a server that has not sent all that it should. */
  failed(server: URL): void;
  /** Rejects where it is not the same file any more. */
  check(signal: AbortSignal): Promise<void>;
  /** In words for who reads. */
  errorOf(error: unknown): unknown;
}

const ignore = () => undefined;

/** Part of a file. When its data node dies, it goes on with another one where that left off. */
export class Content extends Readable {
  readonly #source: Source;
  readonly #stop = new AbortController();
  readonly #stopWatching: () => void;
  #answer: Answer | undefined;
  #chunks: AsyncGenerator<Buffer, undefined> | undefined;
  #offset: number;
  #failures = 0;

  constructor(source: Source, signal?: AbortSignal) {
    super({ highWaterMark: 256 * 1024 });
    this.#source = source;
    this.#offset = source.offset;
    const abort = () => this.destroy(signal?.reason as Error);
    signal?.addEventListener('abort', abort);
    this.#stopWatching = () => signal?.removeEventListener('abort', abort);
    // Until somebody has it who could listen.
    this.on('error', ignore);
  }

  /** So that what cannot be read at all is told before anything else is done with it. */
  async begin(): Promise<this> {
    try {
      while (this.#offset < this.#source.end && !this.#chunks) {
        await this.#open().catch((error: unknown) => this.#recover(error));
      }
      return this;
    } catch (error) {
      this.destroy();
      throw error;
    }
  }

  override _read(): void {
    this.#next().then(
      (chunk) => this.push(chunk),
      (error: unknown) => this.destroy(this.#source.errorOf(error) as Error),
    );
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#stopWatching();
    this.#stop.abort();
    this.#answer?.dismiss();
    callback(error);
  }

  async #next(): Promise<Buffer | null> {
    for (;;) {
      try {
        if (this.#offset === this.#source.end) return null;
        if (!this.#chunks) await this.#open();
        const { value } = await this.#chunks!.next();
        if (value) return this.#take(value);
        throw new Away(this.#answer!.url, 'has sent less than there is');
      } catch (error) {
        await this.#recover(error);
      }
    }
  }

  #take(chunk: Buffer): Buffer {
    if (this.#offset + chunk.length > this.#source.end) {
      throw new Away(this.#answer!.url, 'has sent more than was asked for');
    }
    this.#failures = 0;
    this.#offset += chunk.length;
    return chunk;
  }

  async #open(): Promise<void> {
    this.#answer = await this.#source.open(this.#offset, this.#stop.signal);
    this.#chunks = this.#answer.bytes() as AsyncGenerator<Buffer, undefined>;
  }

  async #recover(error: unknown): Promise<void> {
    const { pauses, failed, check } = this.#source;
    this.#chunks = undefined;
    this.#answer?.dismiss();
    this.#answer = undefined;
    const ms = pauses[this.#failures];
    if (!isWorthAnotherNode(error) || ms === undefined || this.destroyed) throw error;
    this.#failures += 1;
    if (error instanceof Away) failed(error.server);
    await pause(ms * (0.5 + Math.random()), undefined, { signal: this.#stop.signal });
    await check(this.#stop.signal);
  }
}
