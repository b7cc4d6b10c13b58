import { attemptId, parseAttemptId } from '../../core/ids.ts';
import type { AttemptId, JobId } from '../../core/model.ts';
import type { RequestId } from './protocol.ts';

/** More attempts no task can have, and with so many tasks as a double has room for. */
const ATTEMPTS = 2 ** 20;

/**
 * A request's id within its application tells its attempt, so that every container that runs does, without any memory
 * of ours.
 *
 * @returns undefined for an id that no request can have
 */
export function requestOf(id: AttemptId): { job: JobId; request: RequestId } | undefined {
  const ids = parseAttemptId(id);
  if (!ids || ids.attempt >= ATTEMPTS) return undefined;
  const request = ids.task * ATTEMPTS + ids.attempt;
  return Number.isSafeInteger(request) && request >= 1 ? { job: ids.jobId, request } : undefined;
}

export const attemptOf = (job: JobId, request: RequestId): AttemptId =>
  attemptId(job, Math.floor(request / ATTEMPTS), request % ATTEMPTS);
