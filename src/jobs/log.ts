import { open } from 'node:fs/promises';

import { parseAttemptId } from '../core/ids.ts';
import type { AttemptId } from '../core/model.ts';
import { PushbroomError } from '../errors.ts';
import type { Layout } from '../layout.ts';
import type { Store } from '../store/store.ts';

/** Reads what an attempt says, also while it runs. A log that grows past its size begins anew. */
export function createLogReader({ store, layout }: { store: Store; layout: Layout }) {
  /**
   * @returns text from byte `offset` on, at most `limit` bytes, and the offset after it
   * @throws NO_SUCH_JOB, NOT_FOUND
   */
  return async (attemptId: AttemptId, stream: 'out' | 'err', offset: number, limit: number) => {
    const ids = parseAttemptId(attemptId);
    // The job is looked up before its name becomes a path.
    const attempts =
      ids && (await store.job(ids.jobId)) ? await store.attempts(ids.jobId, ids.task) : [];
    if (!ids || !attempts.some(({ id }) => id === attemptId)) {
      throw new PushbroomError('NOT_FOUND', `There is no attempt '${attemptId.slice(0, 200)}'.`);
    }
    const path = `${layout.log(ids.jobId, ids.task, ids.attempt)}.${stream}`;
    const file = await open(path).catch(() => undefined);
    // Who says nothing has no file.
    if (!file) return { text: '', next: offset };
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(limit), 0, limit, offset);
      return { text: buffer.toString('utf8', 0, bytesRead), next: offset + bytesRead };
    } finally {
      await file.close();
    }
  };
}
