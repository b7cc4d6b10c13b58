import { open } from 'node:fs/promises';

import { messageOf, PushbroomError } from '../../errors.ts';
import type { Tokens } from './identity.ts';
import { isToken } from './parse.ts';

/** Bytes. */
const MAX_FILE = 16_384;
const OTHERS_MAY_READ = 0o044;
/** How a file begins that Hadoop's own programs keep tokens in. */
const CREDENTIALS = 'HDTS';

/**
 * A delegation token that somebody else renews: a file that holds nothing but what GETDELEGATIONTOKEN calls `urlString`.
 * It is read whenever it has changed.
 *
 * @param warn told in words if others than the owner may read the file
 */
export function tokenFile(file: string, warn: (message: string) => void): Tokens {
  let known = '';
  let token = '';
  let isWarned = false;

  async function current(): Promise<string> {
    const handle = await open(file);
    try {
      const { mtimeMs, size, ino, mode } = await handle.stat();
      const identity = `${mtimeMs} ${size} ${ino}`;
      if (identity === known) return token;
      if (size > MAX_FILE) throw new Error(`it is larger than ${MAX_FILE} bytes`);
      token = tokenOf(await handle.readFile('utf8'));
      known = identity;
      if ((mode & OTHERS_MAY_READ) !== 0 && !isWarned) {
        isWarned = true;
        warn(`others than its owner may read the delegation token in ${file}: chmod 600 ${file}`);
      }
      return token;
    } finally {
      await handle.close();
    }
  }
  return {
    current: () =>
      current().catch((cause: unknown) => {
        const message = `Cannot read a delegation token from ${file}: ${messageOf(cause)}.`;
        throw new PushbroomError('UNAVAILABLE', message, { cause });
      }),
    // Whoever renews it has to write another one.
    refused: () => undefined,
  };
}

/** What the file holds is never told. */
function tokenOf(content: string): string {
  const token = content.trim();
  if (isToken(token)) return token;
  if (token === '') throw new Error('it is empty');
  throw new Error(
    token.startsWith(CREDENTIALS)
      ? 'it is a credentials file of Hadoop; write the token as WebHDFS gives it (urlString)'
      : 'it holds something else than one delegation token (urlString of GETDELEGATIONTOKEN)',
  );
}
