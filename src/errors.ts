/**
 * The catalogue of everything that the outside can do wrong: our code, the HTTP status, WPS's exceptionCode
 * (OGC 05-007r7 table 38 and OGC 06-121r9 table 27) and the last part of OGC API's problem type. One row per
 * failure, rendered three ways by the front doors.
 */
interface Entry {
  readonly status: number;
  readonly wps: string;
  readonly ogc: string;
}

const CATALOGUE = {
  NO_SUCH_PROCESS: { status: 404, wps: 'InvalidParameterValue', ogc: 'no-such-process' },
  NO_SUCH_JOB: { status: 404, wps: 'InvalidParameterValue', ogc: 'no-such-job' },
  NO_SUCH_DATASET: { status: 400, wps: 'InvalidParameterValue', ogc: 'invalid-parameter-value' },
  /** Nobody has logged in, or not as he should. */
  UNAUTHENTICATED: { status: 401, wps: 'NoApplicableCode', ogc: 'unauthenticated' },
  FORBIDDEN: { status: 403, wps: 'NoApplicableCode', ogc: 'forbidden' },
  NOT_FOUND: { status: 404, wps: 'InvalidParameterValue', ogc: 'not-found' },
  MISSING_PARAMETER: { status: 400, wps: 'MissingParameterValue', ogc: 'missing-parameter-value' },
  INVALID_PARAMETER: { status: 400, wps: 'InvalidParameterValue', ogc: 'invalid-parameter-value' },
  MALFORMED_REQUEST: { status: 400, wps: 'NoApplicableCode', ogc: 'malformed-request' },
  REQUEST_TOO_LARGE: { status: 413, wps: 'FileSizeExceeded', ogc: 'request-too-large' },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, wps: 'NoApplicableCode', ogc: 'unsupported-media-type' },
  UNSUPPORTED_VERSION: { status: 400, wps: 'VersionNegotiationFailed', ogc: 'unsupported-version' },
  NOT_SUPPORTED: { status: 501, wps: 'OperationNotSupported', ogc: 'not-supported' },
  RESULT_NOT_READY: { status: 404, wps: 'ResultNotReady', ogc: 'result-not-ready' },
  JOB_FAILED: { status: 500, wps: 'NoApplicableCode', ogc: 'job-failed' },
  JOB_DISMISSED: { status: 410, wps: 'NoApplicableCode', ogc: 'job-dismissed' },
  INVALID_BUNDLE: { status: 400, wps: 'InvalidParameterValue', ogc: 'invalid-bundle' },
  BUNDLE_EXISTS: { status: 409, wps: 'InvalidParameterValue', ogc: 'bundle-exists' },
  /** What is asked for does not go with the state that something is in. */
  CONFLICT: { status: 409, wps: 'NoApplicableCode', ogc: 'conflict' },
  /** A quota; the same request may be accepted later. */
  LIMIT_REACHED: { status: 429, wps: 'ServerBusy', ogc: 'limit-reached' },
  TOO_MANY_REQUESTS: { status: 429, wps: 'ServerBusy', ogc: 'too-many-requests' },
  STORAGE_FULL: { status: 507, wps: 'NotEnoughStorage', ogc: 'not-enough-storage' },
  UNAVAILABLE: { status: 503, wps: 'ServerBusy', ogc: 'unavailable' },
  INTERNAL: { status: 500, wps: 'NoApplicableCode', ogc: 'internal-error' },
} as const satisfies Record<string, Entry>;

export type ErrorCode = keyof typeof CATALOGUE;

/** A failure that the caller may see: its message names the place and, where there is one, the remedy. */
export class PushbroomError extends Error {
  readonly code: ErrorCode;
  /** The parameter, input or part of the document that is wrong (WPS: locator). */
  readonly locator: string | undefined;
  /** Seconds after which it may go better. */
  readonly retryAfter: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { locator?: string; retryAfter?: number; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'PushbroomError';
    this.code = code;
    this.locator = options.locator;
    this.retryAfter = options.retryAfter;
  }

  get status(): number {
    return CATALOGUE[this.code].status;
  }
  get wpsCode(): string {
    return CATALOGUE[this.code].wps;
  }
  get ogcType(): string {
    return CATALOGUE[this.code].ogc;
  }
}

/** The text of anything thrown. */
export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

/** Whether a disk or a quota has no space left, told by the system or already in our words. */
export const isDiskFull = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  (error.code === 'ENOSPC' || error.code === 'EDQUOT' || error.code === 'STORAGE_FULL');
