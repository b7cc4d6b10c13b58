/** Attempts whose durations are kept: enough for a median, few enough to follow a change. */
const KEPT = 101;

/** How long the attempts of a step take, from the last ones that finished. */
export class Durations {
  readonly #last: number[] = [];
  #count = 0;
  #sum = 0;
  #sorted: number[] | undefined;

  /** Finished attempts so far. */
  get count(): number {
    return this.#count;
  }

  /** @param duration milliseconds */
  add(duration: number): void {
    const slot = this.#count % KEPT;
    this.#sum += duration - (this.#last[slot] ?? 0);
    this.#last[slot] = duration;
    this.#count += 1;
    this.#sorted = undefined;
  }

  /** Milliseconds; `undefined` before the first. */
  get mean(): number | undefined {
    return this.#count === 0 ? undefined : this.#sum / this.#last.length;
  }

  /** Milliseconds; `undefined` before the first. */
  get median(): number | undefined {
    this.#sorted ??= this.#last.toSorted((a, b) => a - b);
    return this.#sorted[this.#sorted.length >> 1];
  }
}
