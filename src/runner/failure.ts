import type { Failure, FailureKind } from '../core/model.ts';
import { PushbroomError, isDiskFull, messageOf } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import type { ProgramEnd } from './program.ts';

/** Ends an attempt early with a reason. */
export class AttemptFailed extends Error {
  readonly failure: Failure;
  readonly program: ProgramEnd | undefined;
  constructor(kind: FailureKind, message: string, program?: ProgramEnd) {
    super(message);
    this.failure = { kind, message };
    this.program = program;
  }
}

/** What the node could not do for an attempt, as the attempt's failure. */
export const failureOf = (error: unknown): Failure =>
  isDiskFull(error)
    ? { kind: 'disk', message: `no space is left on the node's disk: ${messageOf(error)}` }
    : { kind: 'engine', message: messageOf(error) };

type ByCode = Partial<Record<ErrorCode, FailureKind>>;

/** One who may not read a product, or asks for what is none, does not get it on another node either. */
const READING: ByCode = {
  NOT_FOUND: 'input',
  FORBIDDEN: 'input',
  CONFLICT: 'input',
  INVALID_PARAMETER: 'input',
  UNAVAILABLE: 'network',
};
/** The place of a result is ours, only the names in it are not. */
const WRITING: ByCode = {
  INVALID_PARAMETER: 'processor',
  STORAGE_FULL: 'disk',
  UNAVAILABLE: 'network',
};

/** Others, such as that of a full disk of the node, are left as they are. */
const asEnd = (kinds: ByCode, error: unknown, what: string): unknown =>
  error instanceof PushbroomError
    ? new AttemptFailed(kinds[error.code] ?? 'engine', `${what}: ${error.message}`)
    : error;

/** What an error of a storage means for an attempt that needs an input from there. */
export const notBrought = (location: string, error: unknown): unknown =>
  asEnd(READING, error, `the input ${location} cannot be used`);

/** What an error of a storage means for an attempt whose outputs belong there. */
export const notStored = (location: string, error: unknown): unknown =>
  asEnd(WRITING, error, `the outputs cannot be brought to ${location}`);
