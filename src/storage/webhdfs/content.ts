import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';

import { isWorthAnotherNode } from './data-nodes.ts';
import { Away } from './http.ts';
import type { Answer, Flow } from './http.ts';

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

/** So that a data node need not wait for whoever reads. */
const READ_AHEAD = 1024 * 1024;

/** Part of a file. When its data node dies, it goes on with another one where that left off. */
export class Content extends Readable {
  readonly #source: Source;
  readonly #stop = new AbortController();
  readonly #stopWatching: () => void;
  #answer: Answer | undefined;
  #flow: Flow | undefined;
  #offset: number;
  #failures = 0;

  constructor(source: Source, signal?: AbortSignal) {
    super({ highWaterMark: READ_AHEAD });
    this.#source = source;
    this.#offset = source.offset;
    const abort = () => this.destroy(signal?.reason as Error);
    signal?.addEventListener('abort', abort);
    this.#stopWatching = () => signal?.removeEventListener('abort', abort);
    // An abort before anybody has it who could listen must not end the program.
    this.on('error', ignore);
  }

  /** So that what cannot be read at all is told before anything else is done with it. */
  async begin(): Promise<this> {
    try {
      await this.#open();
      this.off('error', ignore);
      return this;
    } catch (error) {
      this.destroy();
      throw error;
    }
  }

  override _read(): void {
    if (this.#offset === this.#source.end) this.push(null);
    else if (this.#flow) this.#flow.resume();
    else if (this.#answer) this.#flow = this.#take(this.#answer);
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#stopWatching();
    this.#stop.abort();
    this.#answer?.dismiss();
    callback(error);
  }

  #take(answer: Answer): Flow {
    const fail = (error: unknown) => void this.#goOn(error);
    return answer.flow({
      data: (chunk) => {
        if (this.#offset + chunk.length > this.#source.end) {
          answer.dismiss();
          return fail(new Away(answer.url, 'has sent more than was asked for'));
        }
        this.#failures = 0;
        this.#offset += chunk.length;
        if (!this.push(chunk)) this.#flow?.pause();
        return undefined;
      },
      end: () => {
        if (this.#offset === this.#source.end) this.push(null);
        else fail(new Away(answer.url, 'has sent less than there is'));
      },
      fail,
    });
  }

  /** Reads on, if that makes sense. */
  async #goOn(error: unknown): Promise<void> {
    if (this.destroyed) return;
    try {
      await this.#recover(error);
      await this.#open();
      // It may have been taken by whoever reads on at this moment.
      if (this.#answer && !this.#flow) this.#flow = this.#take(this.#answer);
    } catch (last) {
      this.destroy(this.#source.errorOf(last) as Error);
    }
  }

  async #open(): Promise<void> {
    while (this.#offset < this.#source.end && !this.#answer) {
      try {
        this.#answer = await this.#source.open(this.#offset, this.#stop.signal);
      } catch (error) {
        await this.#recover(error);
      }
    }
    if (this.destroyed) this.#answer?.dismiss();
  }

  async #recover(error: unknown): Promise<void> {
    const { pauses, failed, check } = this.#source;
    this.#answer?.dismiss();
    this.#answer = undefined;
    this.#flow = undefined;
    const ms = pauses[this.#failures];
    if (!isWorthAnotherNode(error) || ms === undefined || this.destroyed) throw error;
    this.#failures += 1;
    if (error instanceof Away) failed(error.server);
    await pause(ms * (0.5 + Math.random()), undefined, { signal: this.#stop.signal });
    await check(this.#stop.signal);
  }
}
