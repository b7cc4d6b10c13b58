import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';

/** SHA-256, lower-case hexadecimal. */
export const hashBytes = (content: Uint8Array): string =>
  createHash('sha256').update(content).digest('hex');

/** SHA-256 of a file, lower-case hexadecimal. */
export async function hashFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
