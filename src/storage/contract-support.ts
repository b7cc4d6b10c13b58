import { createHash } from 'node:crypto';

import type { ErrorCode } from '../errors.ts';
import { joinLocation } from './location.ts';
import type { Storage } from './storage.ts';

export const MIB = 1024 * 1024;

/** Of one test. */
export interface Place {
  storage: Storage;
  directory: string;
  lacks: (name: string) => boolean;
}

export const at = ({ directory }: Place, ...names: readonly string[]): string =>
  joinLocation(directory, ...names);

export const bytes = (text: string): Buffer => Buffer.from(text);

export async function textAt({ storage }: Place, location: string): Promise<string> {
  return Buffer.concat(await (await storage.read(location)).toArray()).toString();
}

export async function namesIn({ storage }: Place, directory: string): Promise<string[]> {
  const names: string[] = [];
  for await (const batch of storage.list(directory)) names.push(...batch.map(({ name }) => name));
  return names;
}

/** Chunks that look like nothing else, and the same each time. */
export async function* chunks(count: number, size = MIB): AsyncGenerator<Buffer> {
  for (let index = 0; index < count; index += 1) {
    const chunk = Buffer.alloc(size);
    for (let from = 0; from < size; from += 4096) chunk.writeUInt32LE(index * size + from, from);
    yield chunk;
  }
}

export async function sha256(content: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of content) hash.update(chunk);
  return hash.digest('hex');
}

/** Some content, and then none, and no end. */
export async function* hanging(begun: () => void): AsyncGenerator<Buffer> {
  yield* chunks(2);
  begun();
  await new Promise(() => undefined);
}

export const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'nothing',
    (error: { code: ErrorCode }) => error.code ?? error,
  );
