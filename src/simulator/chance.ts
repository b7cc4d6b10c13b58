/**
 * Chance that depends on nothing but a seed and what it is about: whoever asks first, a task takes as long, a product
 * is as corrupt, and so two schedules of the same work can be compared.
 */
export interface Chance {
  /** In [0, 1). */
  uniform(about: string): number;
  /** Positive, with that median; `sigma` is the standard deviation of its logarithm. */
  lognormal(about: string, median: number, sigma: number): number;
  /** Positive, with that mean: times between events that know nothing of each other. */
  exponential(about: string, mean: number): number;
}

export function createChance(seed: number): Chance {
  const uniform = (about: string): number => hash(about, seed);
  return {
    uniform,
    lognormal(about, median, sigma) {
      if (sigma === 0) return median;
      // Box-Muller; 1 - uniform is never 0.
      const radius = Math.sqrt(-2 * Math.log(1 - uniform(`${about} radius`)));
      return median * Math.exp(sigma * radius * Math.cos(2 * Math.PI * uniform(`${about} angle`)));
    },
    exponential: (about, mean) => -mean * Math.log(1 - uniform(about)),
  };
}

/** Two lanes of multiplications and the finalizer of MurmurHash3, of which 53 bits make a number in [0, 1). */
function hash(text: string, seed: number): number {
  let low = seed ^ 0xdeadbeef;
  let high = seed ^ 0x41c6ce57;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    low = Math.imul(low ^ code, 0x9e3779b1);
    high = Math.imul(high ^ code, 0x5f356495);
  }
  const mixed = finalize(low ^ (high >>> 15));
  return ((mixed >>> 11) * 2 ** 32 + (finalize(high ^ mixed) >>> 0)) / 2 ** 53;
}

function finalize(bits: number): number {
  const first = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  const second = Math.imul(first ^ (first >>> 13), 0xc2b2ae35);
  return second ^ (second >>> 16);
}
