import { open } from 'node:fs/promises';

import { parseAttemptId } from '../core/ids.ts';
import type { Attempt, AttemptId } from '../core/model.ts';
import type { LogPart, LogText } from '../engines/engine.ts';
import { PushbroomError, messageOf } from '../errors.ts';
import type { Layout } from '../layout.ts';
import type { Store } from '../store/store.ts';
import { wholeCharacters } from '../text.ts';

export interface LogReaderOptions {
  readonly store: Store;
  readonly layout: Layout;
  /** Asks the attempt's engine for what it has not left with the job's logs yet, or never will. */
  readonly readRemote?: (attempt: Attempt, part: LogPart) => Promise<LogText | undefined>;
}

/** Reads what an attempt says, also while it runs. A log that grows past its size begins anew. */
export function createLogReader({ store, layout, readRemote }: LogReaderOptions) {
  /**
   * @param offset of a byte; beyond the end, the log has begun anew and is read from its start
   * @param limit at least 4, the most bytes that a character has
   * @returns text from there on, at most `limit` bytes and only whole characters, and the offset after it
   * @throws NOT_FOUND, UNAVAILABLE where its node has it and cannot be asked
   */
  return async (
    attemptId: AttemptId,
    stream: 'out' | 'err',
    offset: number,
    limit: number,
  ): Promise<LogText> => {
    const ids = parseAttemptId(attemptId);
    // The job is looked up before its name becomes a path.
    const attempts =
      ids && (await store.job(ids.jobId)) ? await store.attempts(ids.jobId, ids.task) : [];
    const attempt = attempts.find(({ id }) => id === attemptId);
    if (!ids || !attempt) {
      throw new PushbroomError('NOT_FOUND', `There is no attempt '${attemptId.slice(0, 200)}'.`);
    }
    const path = `${layout.log(ids.jobId, ids.task, ids.attempt)}.${stream}`;
    const said =
      (await readFile(path, offset, limit)) ??
      (await askFor({ ...attempt, jobId: ids.jobId }, { stream, offset, limit }));
    // Who says nothing has no file.
    return said ?? { text: '', next: offset };
  };

  async function askFor(attempt: Attempt, part: LogPart): Promise<LogText | undefined> {
    try {
      return await readRemote?.(attempt, part);
    } catch (error) {
      const why = `The log of ${attempt.id} cannot be read from node ${attempt.node} now: ${messageOf(error)}`;
      throw new PushbroomError('UNAVAILABLE', why, { cause: error });
    }
  }
}

async function readFile(path: string, offset: number, limit: number): Promise<LogText | undefined> {
  const file = await open(path).catch(() => undefined);
  if (!file) return undefined;
  try {
    const { size } = await file.stat();
    const start = offset > size ? 0 : offset;
    const bytes = Buffer.allocUnsafe(Math.min(limit, size - start));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, start);
    const length = wholeCharacters(bytes.subarray(0, bytesRead));
    return { text: bytes.toString('utf8', 0, length), next: start + length };
  } finally {
    await file.close();
  }
}
