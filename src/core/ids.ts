import type { AttemptId, JobId, TaskId } from './model.ts';

/** Ids nest, so that any id leads home: `<job>.<task>.<attempt>`. Job ids never contain a dot. */
export const taskId = (job: JobId, task: number): TaskId => `${job}.${task}`;
export const attemptId = (job: JobId, task: number, attempt: number): AttemptId =>
  `${job}.${task}.${attempt}`;

/**
 * `yyyyMMddHHmmss_<workflow>_<hex>`, as portals of Urban TEP know it (specification B.7.2).
 *
 * @param timestamp fourteen digits, UTC
 * @param unique hexadecimal digits that make two jobs of one second differ
 */
export const jobId = (timestamp: string, workflow: string, unique: string): JobId =>
  `${timestamp}_${workflow}_${unique}`;

const ATTEMPT_ID = /^([^.]+)\.(\d+)\.(\d+)$/;

/** Takes an attempt id apart; `undefined` for a text that is not one. */
export function parseAttemptId(
  id: string,
): { jobId: JobId; task: number; attempt: number } | undefined {
  const match = ATTEMPT_ID.exec(id);
  if (!match) return undefined;
  return { jobId: match[1]!, task: Number(match[2]), attempt: Number(match[3]) };
}
