import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import type { JobId, Millis } from '../core/model.ts';

/** Makes links by which a browser gets the results of one job, without a login and for a while. */
export interface Shares {
  /** The query of such a link: `expires` in seconds since 1970, and `signature`. */
  sign(user: string, job: JobId, until: Millis): string;
  /** Whether a query is one that was made for that job, and is still good. */
  accepts(user: string, job: JobId, query: Readonly<Record<string, unknown>>): boolean;
}

const KEY_BYTES = 32;

/** @param file where the key is kept; it is made with the first start */
export async function openShares(file: string, now: () => Millis): Promise<Shares> {
  const key = await readKey(file);
  const signatureOf = (user: string, job: JobId, expires: number): Buffer =>
    createHmac('sha256', key)
      .update(JSON.stringify([user, job, expires]))
      .digest();
  return {
    sign(user, job, until) {
      const expires = Math.floor(until / 1000);
      const signature = signatureOf(user, job, expires).toString('base64url');
      return `expires=${expires}&signature=${signature}`;
    },
    accepts(user, job, { expires, signature }) {
      if (typeof expires !== 'string' || typeof signature !== 'string') return false;
      if (!/^\d{1,12}$/.test(expires) || Number(expires) * 1000 <= now()) return false;
      const wanted = signatureOf(user, job, Number(expires));
      const given = Buffer.from(signature, 'base64url');
      return given.length === wanted.length && timingSafeEqual(given, wanted);
    },
  };
}

/** A key that is there is never replaced: links that were given away go on working. */
async function readKey(file: string): Promise<Buffer> {
  try {
    return checked(file, await readFile(file));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
  const key = randomBytes(KEY_BYTES);
  const written = `${file}.new`;
  await writeFile(written, key, { mode: 0o600, flush: true });
  await rename(written, file);
  return key;
}

function checked(file: string, key: Buffer): Buffer {
  if (key.length === KEY_BYTES) return key;
  throw new Error(`${file} must hold ${KEY_BYTES} random bytes; remove it to have it made anew`);
}
