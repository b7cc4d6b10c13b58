import { messageOf } from '../errors.ts';

/** What a bundle's `jobConfig` and a request may say about how a job's tasks run (specification C.8 and our own). */
export interface Settings {
  readonly maxAttempts?: number;
  readonly failurePercent?: number;
  /** Seconds without a sign of life. */
  readonly silenceLimit?: number;
  /** Seconds; only a `descriptor.xml` sets it. */
  readonly wallTimeLimit?: number;
  readonly memoryMb?: number;
  readonly aggregateMemoryMb?: number;
  /** Whole devices, for each task of the `process` step. */
  readonly gpus?: number;
  /** At which a job is paused; need not be whole. */
  readonly maxCpuHours?: number;
  /** Container image in which all the processor's programs run; only a bundle sets it. */
  readonly image?: string;
  readonly partitions?: number;
  /** Begins the names of an aggregation's results. */
  readonly outputPrefix?: string;
  /** Ends them, before the extension. */
  readonly outputPostfix?: string;
  /** Path of a group of the share tree, or the last part of it. */
  readonly group?: string;
  /** Within the group; higher goes first. */
  readonly priority?: number;
}

interface Bounds {
  readonly key: Exclude<
    keyof Settings,
    'outputPrefix' | 'outputPostfix' | 'group' | 'image' | 'maxCpuHours'
  >;
  readonly min: number;
  readonly max: number;
  /** Ours is the given number divided by this. */
  readonly divisor?: number;
}

export const MEMORY_BOUNDS: Bounds = { key: 'memoryMb', min: 16, max: 1024 * 1024 };
export const WALL_TIME_BOUNDS: Bounds = { key: 'wallTimeLimit', min: 1, max: 30 * 86_400 };

export const QUEUE = 'calvalus.hadoop.mapreduce.job.queuename';
/** The only parameter of a request that Calvalus lets go without its own prefix. */
export const PRIORITY = 'mapreduce.job.priority';
const PRIORITY_NAMES: readonly string[] = [PRIORITY, `calvalus.hadoop.${PRIORITY}`];
const PRIORITY_BOUNDS: Bounds = { key: 'priority', min: 0, max: 200 };
const PRIORITIES = { VERY_LOW: 0, LOW: 50, NORMAL: 100, HIGH: 150, VERY_HIGH: 200 } as const;

/** Our own settings begin with this; there is nothing of that kind in Calvalus. */
const OWN_PREFIX = 'pushbroom.';
export const GPUS = `${OWN_PREFIX}gpus`;
export const MAX_CPU_HOURS = `${OWN_PREFIX}maxCpuHours`;
const IMAGE = `${OWN_PREFIX}image`;
const IMAGE_LENGTH = 255;

const OUTPUT_PREFIX = 'calvalus.output.prefix';
const OUTPUT_POSTFIX = 'calvalus.output.postfix';
const POSTFIX_PATTERN = /^[\p{L}\p{N}._+-]{1,100}$/u;
const PREFIX_PATTERN = /^(?!\.)[\p{L}\p{N}._+-]{1,200}$/u;

const ATTEMPTS: Bounds = { key: 'maxAttempts', min: 1, max: 20 };

const NUMBERS: ReadonlyMap<string, Bounds> = new Map([
  ['calvalus.hadoop.mapreduce.map.maxattempts', ATTEMPTS],
  // Its name of old, which templates of productions still have (specification C.8).
  ['calvalus.hadoop.mapred.map.max.attempts', ATTEMPTS],
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
  [GPUS, { key: 'gpus', min: 0, max: 64 }],
]);

/** @throws Error naming the bounds */
export function readBounded(text: string, { min, max, divisor = 1 }: Bounds): number {
  const value = /^\d{1,12}$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) {
    throw new Error(`'${text}' is not an integer from ${min} to ${max}`);
  }
  return Math.ceil(value / divisor);
}

function readPrefix(text: string): string {
  if (PREFIX_PATTERN.test(text)) return text;
  throw new Error(
    `'${text}' is not the beginning of a file name: letters, digits and . _ + - only`,
  );
}

function readPostfix(text: string): string {
  if (POSTFIX_PATTERN.test(text)) return text;
  throw new Error(`'${text}' is not the end of a file name: letters, digits and . _ + - only`);
}

/** Host and port of a registry, where one is named. */
const REGISTRY = String.raw`(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?/)?`;
/** OCI Distribution Specification 1.1, "Pulling manifests". */
const PATH_PART = String.raw`[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*`;
const TAG = String.raw`(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?`;
/** OCI Image Specification 1.1, "Registered algorithms". */
const DIGEST = '(?:@(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}))?';
const IMAGE_PATTERN = new RegExp(`^${REGISTRY}${PATH_PART}(?:/${PATH_PART})*${TAG}${DIGEST}$`);

function readImage(text: string): string {
  const image = text.trim();
  if (image.length <= IMAGE_LENGTH && IMAGE_PATTERN.test(image)) return image;
  throw new Error(
    `'${image.slice(0, 100)}' is not a container image like registry.example/group/name@sha256:... of at most ${IMAGE_LENGTH} characters`,
  );
}

function readHours(text: string): number {
  const hours = /^\d{1,12}(?:\.\d{1,6})?$/.test(text.trim()) ? Number(text) : 0;
  if (hours > 0) return hours;
  throw new Error(`'${text.slice(0, 100)}' is not a number of hours above 0`);
}

function readPriority(text: string): number {
  const word = Object.entries(PRIORITIES).find(([name]) => name === text.trim());
  if (word) return word[1];
  try {
    return readBounded(text, PRIORITY_BOUNDS);
  } catch (cause) {
    const words = Object.keys(PRIORITIES).join(', ');
    throw new Error(`${messageOf(cause)} and not one of ${words}`, { cause });
  }
}

/** Whether a parameter of that name is one of the settings that a request may make. */
export const isSetting = (name: string): boolean =>
  NUMBERS.has(name) ||
  PRIORITY_NAMES.includes(name) ||
  [QUEUE, OUTPUT_PREFIX, OUTPUT_POSTFIX, MAX_CPU_HOURS].includes(name);

/**
 * Picks the settings out of Calvalus's parameters and our own; all other names of Calvalus are left alone.
 *
 * @param fail throws the caller's kind of error about the parameter of that name
 */
export function readSettings(
  parameters: Iterable<readonly [name: string, value: string]>,
  fail: (name: string, message: string) => never,
): Settings {
  const settings: { -readonly [K in keyof Settings]: Settings[K] } = {};
  for (const [name, value] of parameters) {
    try {
      const bounds = NUMBERS.get(name);
      if (bounds) settings[bounds.key] = readBounded(value, bounds);
      else if (PRIORITY_NAMES.includes(name)) settings.priority = readPriority(value);
      else if (name === QUEUE) settings.group = value.trim();
      else if (name === OUTPUT_PREFIX) settings.outputPrefix = readPrefix(value);
      else if (name === OUTPUT_POSTFIX) settings.outputPostfix = readPostfix(value);
      else if (name === MAX_CPU_HOURS) settings.maxCpuHours = readHours(value);
      else if (name === IMAGE) settings.image = readImage(value);
      else if (name.startsWith(OWN_PREFIX)) {
        throw new Error(
          `there is no such setting; there are ${GPUS}, ${MAX_CPU_HOURS} and ${IMAGE}`,
        );
      }
    } catch (error) {
      fail(name, messageOf(error));
    }
  }
  return settings;
}
