import type { Failure } from '../core/model.ts';
import { PushbroomError, messageOf } from '../errors.ts';

/** What the node could not do for an attempt, as the attempt's failure. */
export const failureOf = (error: unknown): Failure =>
  isDiskFull(error)
    ? { kind: 'disk', message: `no space is left on the node's disk: ${messageOf(error)}` }
    : { kind: 'engine', message: messageOf(error) };

const isDiskFull = (error: unknown): boolean =>
  error instanceof PushbroomError
    ? error.code === 'STORAGE_FULL'
    : error instanceof Error &&
      'code' in error &&
      (error.code === 'ENOSPC' || error.code === 'EDQUOT');
