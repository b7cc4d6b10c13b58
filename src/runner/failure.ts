import type { Failure } from '../core/model.ts';
import { isDiskFull, messageOf } from '../errors.ts';

/** What the node could not do for an attempt, as the attempt's failure. */
export const failureOf = (error: unknown): Failure =>
  isDiskFull(error)
    ? { kind: 'disk', message: `no space is left on the node's disk: ${messageOf(error)}` }
    : { kind: 'engine', message: messageOf(error) };
