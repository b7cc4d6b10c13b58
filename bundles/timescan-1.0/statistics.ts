import type { SampleArray } from '../lib/samples.ts';

/** Statistics over time for each of many pixels, by Welford's method; NaN is no look. */
export class Statistics {
  static readonly names = ['min', 'max', 'mean', 'std', 'count'] as const;

  readonly #min: Float32Array;
  readonly #max: Float32Array;
  readonly #mean: Float64Array;
  readonly #squares: Float64Array;
  readonly #count: Uint32Array;

  constructor(pixels: number) {
    this.#min = new Float32Array(pixels).fill(NaN);
    this.#max = new Float32Array(pixels).fill(NaN);
    this.#mean = new Float64Array(pixels);
    this.#squares = new Float64Array(pixels);
    this.#count = new Uint32Array(pixels);
  }

  /** Adds one look at the pixels from `first` on. */
  add(values: SampleArray, first: number): void {
    const [min, max, mean, squares] = [this.#min, this.#max, this.#mean, this.#squares];
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      if (Number.isNaN(value)) continue;
      const pixel = first + i;
      const count = ++this.#count[pixel]!;
      // Negated, so that the first look wins against NaN.
      if (!(min[pixel]! <= value)) min[pixel] = value;
      if (!(max[pixel]! >= value)) max[pixel] = value;
      const deviation = value - mean[pixel]!;
      mean[pixel]! += deviation / count;
      squares[pixel]! += deviation * (value - mean[pixel]!);
    }
  }

  /** One array for each of `names`; all but the count are NaN where there was no look. */
  results(): Float32Array[] {
    const mean = new Float32Array(this.#mean);
    const std = new Float32Array(this.#squares.length);
    for (let pixel = 0; pixel < std.length; pixel++) {
      const count = this.#count[pixel]!;
      if (count === 0) mean[pixel] = NaN;
      std[pixel] = Math.sqrt(this.#squares[pixel]! / count);
    }
    return [this.#min, this.#max, mean, std, new Float32Array(this.#count)];
  }
}
