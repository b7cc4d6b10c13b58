/** What a bundle's `jobConfig` and a request may say about how a job's tasks run (specification C.8). */
export interface Settings {
  readonly maxAttempts?: number;
  readonly failurePercent?: number;
  /** Seconds without a sign of life. */
  readonly silenceLimit?: number;
  /** Seconds; only a `descriptor.xml` sets it. */
  readonly wallTimeLimit?: number;
  readonly memoryMb?: number;
  readonly aggregateMemoryMb?: number;
  readonly partitions?: number;
  /** Begins the names of an aggregation's results. */
  readonly outputPrefix?: string;
}

interface Bounds {
  readonly key: Exclude<keyof Settings, 'outputPrefix'>;
  readonly min: number;
  readonly max: number;
  /** Ours is the given number divided by this. */
  readonly divisor?: number;
}

export const MEMORY_BOUNDS: Bounds = { key: 'memoryMb', min: 16, max: 1024 * 1024 };
export const WALL_TIME_BOUNDS: Bounds = { key: 'wallTimeLimit', min: 1, max: 30 * 86_400 };

const OUTPUT_PREFIX = 'calvalus.output.prefix';
const PREFIX_PATTERN = /^(?!\.)[\p{L}\p{N}._+-]{1,200}$/u;

const NUMBERS: ReadonlyMap<string, Bounds> = new Map([
  ['calvalus.hadoop.mapreduce.map.maxattempts', { key: 'maxAttempts', min: 1, max: 20 }],
  [
    'calvalus.hadoop.mapreduce.map.failures.maxpercent',
    { key: 'failurePercent', min: 0, max: 100 },
  ],
  [
    'calvalus.hadoop.mapreduce.task.timeout',
    { key: 'silenceLimit', min: 1000, max: 7 * 86_400_000, divisor: 1000 },
  ],
  ['calvalus.hadoop.mapreduce.map.memory.mb', MEMORY_BOUNDS],
  ['calvalus.hadoop.mapreduce.reduce.memory.mb', { ...MEMORY_BOUNDS, key: 'aggregateMemoryMb' }],
  ['calvalus.l3.reducers', { key: 'partitions', min: 1, max: 1000 }],
]);

/** @throws Error naming the bounds */
export function readBounded(text: string, { min, max, divisor = 1 }: Bounds): number {
  const value = /^\d{1,12}$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) {
    throw new Error(`'${text}' is not an integer from ${min} to ${max}`);
  }
  return Math.ceil(value / divisor);
}

/**
 * Picks the settings out of Calvalus's parameters; all other names are left alone.
 *
 * @param fail throws the caller's kind of error about the parameter of that name
 */
export function readSettings(
  parameters: Iterable<readonly [name: string, value: string]>,
  fail: (name: string, message: string) => never,
): Settings {
  const settings: { -readonly [K in keyof Settings]: Settings[K] } = {};
  for (const [name, value] of parameters) {
    const bounds = NUMBERS.get(name);
    if (bounds) {
      try {
        settings[bounds.key] = readBounded(value, bounds);
      } catch (error) {
        fail(name, (error as Error).message);
      }
    } else if (name === OUTPUT_PREFIX) {
      if (!PREFIX_PATTERN.test(value)) {
        fail(
          name,
          `'${value}' is not the beginning of a file name: letters, digits and . _ + - only`,
        );
      }
      settings.outputPrefix = value;
    }
  }
  return settings;
}
