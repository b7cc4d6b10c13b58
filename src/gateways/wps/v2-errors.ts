import { PushbroomError } from '../../errors.ts';
import type { ErrorCode } from '../../errors.ts';
import type { Process } from '../../jobs/jobs.ts';
import type { Inputs, InputValue } from '../inputs.ts';

/** Codes of OGC 14-065r2 (tables of exceptions of DescribeProcess, Execute, GetStatus and GetResult). */
type ExceptionCode =
  | 'NoSuchMode'
  | 'NoSuchInput'
  | 'NoSuchOutput'
  | 'NoSuchFormat'
  | 'TooManyInputs'
  | 'TooManyOutputs'
  | 'DataNotAccessible'
  | 'SizeExceeded'
  | 'WrongInputData';

/** An invalid parameter for which WPS 2.0 has a code of its own. */
export class Refusal extends PushbroomError {
  readonly exceptionCode: ExceptionCode;

  constructor(
    exceptionCode: ExceptionCode,
    message: string,
    options: { locator?: string; cause?: unknown } = {},
  ) {
    super('INVALID_PARAMETER', message, options);
    this.exceptionCode = exceptionCode;
  }
}

/** Where WPS 2.0 says it otherwise than 1.0.0; it has no codes for a server that is full or busy. */
const CODES: Partial<Record<ErrorCode, string>> = {
  NO_SUCH_PROCESS: 'NoSuchProcess',
  NO_SUCH_JOB: 'NoSuchJob',
  NO_SUCH_DATASET: 'WrongInputData',
  LIMIT_REACHED: 'NoApplicableCode',
  TOO_MANY_REQUESTS: 'NoApplicableCode',
  STORAGE_FULL: 'NoApplicableCode',
  UNAVAILABLE: 'NoApplicableCode',
};

export const exceptionCodeOf = (error: PushbroomError): string =>
  error instanceof Refusal ? error.exceptionCode : (CODES[error.code] ?? error.wpsCode);

/** What WPS 2.0 calls a refusal of an input, which is an invalid parameter to everybody else. */
export function asInputRefusal(thrown: unknown, process: Process, inputs: Inputs): unknown {
  if (!(thrown instanceof PushbroomError) || thrown.code !== 'INVALID_PARAMETER') return thrown;
  const { locator = '', message } = thrown;
  const given = inputs.get(locator);
  if (!given) return thrown;
  return new Refusal(codeOf(thrown, locator, given, process), message, { locator, cause: thrown });
}

function codeOf(
  { cause }: PushbroomError,
  id: string,
  given: readonly InputValue[],
  process: Process,
): ExceptionCode {
  // Only what could not be fetched has another refusal behind it.
  if (given.some(({ kind }) => kind === 'reference') && cause instanceof PushbroomError) {
    return cause.code === 'REQUEST_TOO_LARGE' ? 'SizeExceeded' : 'DataNotAccessible';
  }
  const input = process.inputs.find((each) => each.id === id);
  if (!input && !process.isOpen) return 'NoSuchInput';
  return given.length > (input?.maxOccurs ?? 1) ? 'TooManyInputs' : 'WrongInputData';
}
