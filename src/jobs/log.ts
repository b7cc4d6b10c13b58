import { open } from 'node:fs/promises';

import { parseAttemptId } from '../core/ids.ts';
import type { AttemptId } from '../core/model.ts';
import { PushbroomError } from '../errors.ts';
import type { Layout } from '../layout.ts';
import type { Store } from '../store/store.ts';

/** Reads what an attempt says, also while it runs. A log that grows past its size begins anew. */
export function createLogReader({ store, layout }: { store: Store; layout: Layout }) {
  /**
   * @param offset of a byte; beyond the end, the log has begun anew and is read from its start
   * @param limit at least 4, the most bytes that a character has
   * @returns text from there on, at most `limit` bytes and only whole characters, and the offset after it
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
      const { size } = await file.stat();
      const start = offset > size ? 0 : offset;
      const bytes = Buffer.allocUnsafe(Math.min(limit, size - start));
      const { bytesRead } = await file.read(bytes, 0, bytes.length, start);
      const length = wholeCharacters(bytes.subarray(0, bytesRead));
      return { text: bytes.toString('utf8', 0, length), next: start + length };
    } finally {
      await file.close();
    }
  };
}

/** How many bytes come before a last character that is not complete; all of them if there is nothing else. */
function wholeCharacters(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length - 1); back += 1) {
    const byte = bytes.at(-back)!;
    // 10xxxxxx goes on, 11xxxxxx begins (RFC 3629).
    if (byte < 0x80) break;
    if (byte < 0xc0) continue;
    const wanted = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return back < wanted ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}
