import type { AttemptState, Failure, FailureKind, RetryPolicy } from './model.ts';

/** What the end of a program says, from the surest sign to the vaguest. */
export interface Signs {
  readonly exitCode?: number;
  readonly signal?: string;
  /** The end of what it said on stderr. */
  readonly lastWords: string;
}

/**
 * Words that give a cause away, as C, C++, Python, Java, GDAL and the shells say it. The first that matches counts;
 * memory before disk, because both say "cannot allocate".
 */
const TELLING: readonly (readonly [FailureKind, RegExp])[] = [
  [
    'memory',
    /out of memory|cannot allocate memory|OutOfMemoryError|\bMemoryError\b|std::bad_alloc|unable to allocate .*(array|memory)/i,
  ],
  ['disk', /no space left on device|disk quota exceeded|ENOSPC|EDQUOT/i],
  [
    'network',
    /connection (refused|reset|timed out)|could not resolve host|name or service not known|temporary failure in name resolution|network is unreachable|no route to host|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EHOSTUNREACH|stale file handle/i,
  ],
  [
    'input',
    /not recognized as (a|being in a) supported file format|unexpected end of (file|zip|data)|end-of-central-directory|not a gzip file|\bBadZipFile\b|corrupt(ed)? (input|product|file|data|archive)|truncated (input|product|file|data|archive)|bad magic number|crc(32)? (error|mismatch|check failed)|(input|product) .*(is missing|does not exist|not found)/i,
  ],
];

/** Shells say 128 + n for a program that signal n ended (POSIX.1-2017, 2.8.2). */
const KILLED = 137;

/**
 * Who is to blame for a program that failed on its own: SIGKILL is the kernel's word for no memory left, because nobody
 * else sends it to a program that we have not ended.
 */
export function classify({ exitCode, signal, lastWords }: Signs): FailureKind {
  const telling = TELLING.find(([, words]) => words.test(lastWords));
  if (telling) return telling[0];
  return signal === 'SIGKILL' || exitCode === KILLED ? 'memory' : 'processor';
}

/** What becomes of a task whose attempt failed. */
interface Treatment {
  /** What it is counted against: the job's `maxAttempts` or `maxLosses`; nothing for what is
   * nobody's fault or somebody's wish. */
  readonly budget: 'failures' | 'losses' | 'none';
  /** Most failures of the kind, however many attempts the job allows. */
  readonly most?: number;
  /** At once where there is another node, or after a pause that grows. */
  readonly isAtOnce: boolean;
  /** Whether the node may be to blame, so that the next attempt goes to another one. */
  readonly isNodeSuspect: boolean;
}

const PROGRAM = { budget: 'failures', isAtOnce: false, isNodeSuspect: true } as const;
const INFRASTRUCTURE = { budget: 'losses', isAtOnce: true, isNodeSuspect: true } as const;

export const TREATMENTS: Readonly<Record<FailureKind, Treatment>> = {
  // Once more, because a storage that was away for a moment looks the same.
  input: { ...PROGRAM, most: 2, isNodeSuspect: false },
  processor: PROGRAM,
  time: PROGRAM,
  memory: { ...PROGRAM, isNodeSuspect: false },
  disk: INFRASTRUCTURE,
  network: INFRASTRUCTURE,
  engine: INFRASTRUCTURE,
  // Nobody's fault, but asked again at once there would be no room yet.
  capacity: { budget: 'none', isAtOnce: false, isNodeSuspect: false },
  operator: { budget: 'none', isAtOnce: true, isNodeSuspect: false },
};

/** Why an attempt that did not finish did not, in case its engine does not say. */
export function failureOf(to: AttemptState, failure: Failure | undefined): Failure {
  if (failure) return failure;
  return to === 'failed'
    ? { kind: 'processor', message: 'The attempt failed without a word why.' }
    : { kind: 'engine', message: `The attempt was ${to} without a word why.` };
}

/** Twice the memory, as far as there is so much; `undefined` where it has all of that already. */
export const moreMemory = (memoryMb: number, most: number): number | undefined =>
  memoryMb < most ? Math.min(2 * memoryMb, most) : undefined;

/** Milliseconds before attempt `tries + 1`. */
export const retryDelay = ({ delay, maxDelay }: RetryPolicy, tries: number): number =>
  1000 * Math.min(delay * 2 ** Math.max(0, tries - 1), maxDelay);

const CAUSE_LENGTH = 200;

/** A failure's message without paths, quoted names, numbers and ids: equal for what failed for the same reason. */
export const causeOf = ({ kind, message }: Failure): string =>
  `${kind}: ${message}`
    .slice(0, 4 * CAUSE_LENGTH)
    .replaceAll(/'[^']*'|"[^"]*"/g, '…')
    .replaceAll(/[^\s:,;()[\]]*\/[^\s:,;()[\]]*/g, '…')
    .replaceAll(/0x[\da-f]+|\b[\da-f-]*\d[\da-f-]*\b/gi, '#')
    .slice(0, CAUSE_LENGTH);
