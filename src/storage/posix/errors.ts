import { messageOf, PushbroomError } from '../../errors.ts';
import type { ErrorCode } from '../../errors.ts';

/** What the codes of the system mean (errno(3)); everything else may be different in a while. */
const CODES: Readonly<Record<string, ErrorCode>> = {
  ENOENT: 'NOT_FOUND',
  EACCES: 'FORBIDDEN',
  EPERM: 'FORBIDDEN',
  EROFS: 'FORBIDDEN',
  ENOSPC: 'STORAGE_FULL',
  EDQUOT: 'STORAGE_FULL',
  EFBIG: 'STORAGE_FULL',
  ENOTDIR: 'CONFLICT',
  EISDIR: 'CONFLICT',
  EEXIST: 'CONFLICT',
  ENOTEMPTY: 'CONFLICT',
  EXDEV: 'CONFLICT',
  EINVAL: 'INVALID_PARAMETER',
  ELOOP: 'INVALID_PARAMETER',
  ENAMETOOLONG: 'INVALID_PARAMETER',
};

const REMEDIES: Readonly<Partial<Record<ErrorCode, string>>> = {
  FORBIDDEN: '; give the account that this runs under the right to do it',
  STORAGE_FULL: '; remove something, or have the quota raised',
};

/** The `code` of the system's errors, or '' */
export const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';

/**
 * An error of the file system in our words.
 *
 * @param deed in the infinitive, with its object: `read /a/b`
 */
export function posixError(location: string, deed: string, error: unknown): PushbroomError {
  if (error instanceof PushbroomError) return error;
  const code = CODES[codeOf(error)] ?? 'UNAVAILABLE';
  const message =
    code === 'NOT_FOUND'
      ? `${location} is not there.`
      : `Cannot ${deed}: ${messageOf(error)}${REMEDIES[code] ?? ''}.`;
  return new PushbroomError(code, message, { cause: error });
}
