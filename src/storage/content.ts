import type { Content } from './storage.ts';

/** An error of what is to be written, and not of the storage that it is written to. */
export class ContentError extends Error {
  constructor(cause: unknown) {
    super('the content broke off', { cause });
    this.name = 'ContentError';
  }
}

/** Whether the whole of it can be had once more. */
export const isRepeatable = (content: Content): boolean =>
  content instanceof Uint8Array || typeof content === 'function';

/**
 * The chunks of a content; nobody who aborts has to wait for the next one.
 *
 * @throws ContentError around what the content itself rejects with; the signal's reason
 */
export async function* chunksOf(
  content: Content,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  signal?.throwIfAborted();
  if (content instanceof Uint8Array) {
    if (content.length > 0) yield content;
    return;
  }
  const chunks = (typeof content === 'function' ? content() : content)[Symbol.asyncIterator]();
  let isOver = false;
  let giveUp: ((reason: unknown) => void) | undefined;
  const abort = () => giveUp?.(signal?.reason);
  signal?.addEventListener('abort', abort);
  const take = () =>
    new Promise<IteratorResult<Uint8Array>>((resolve, reject) => {
      giveUp = reject;
      chunks.next().then(resolve, (error: unknown) => {
        isOver = true;
        reject(new ContentError(error));
      });
    });
  try {
    for (let next = await take(); !next.done; next = await take()) yield next.value;
    isOver = true;
  } finally {
    signal?.removeEventListener('abort', abort);
    // One that hangs would not let itself be waited for.
    if (!isOver) chunks.return?.()?.catch(() => undefined);
  }
}
