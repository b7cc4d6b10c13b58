import { open } from 'node:fs/promises';

import { messageOf } from '../../errors.ts';

export interface Credentials {
  readonly principal: string;
  readonly secret: string;
}

/** Bytes. */
const MAX_SECRET = 4096;
const OTHERS_MAY_READ = 0o044;

/**
 * Reads the secret of a principal: the file holds nothing else, and a line end after it does not count.
 *
 * @param warn told in words if others than the owner may read the file
 * @throws Error that names the file and what is wrong with it, never what it holds
 */
export async function readSecret(file: string, warn: (message: string) => void): Promise<string> {
  const { bytes, mode } = await read(file).catch((cause: unknown) => {
    throw new Error(`cannot read a secret from ${file}: ${messageOf(cause)}`, { cause });
  });
  const secret = bytes.toString('utf8').replace(/\r?\n$/, '');
  if (secret === '') throw new Error(`${file} is empty: it has to hold a secret`);
  if (/[\r\n]/.test(secret)) {
    throw new Error(`${file} has several lines: it has to hold a secret and nothing else`);
  }
  if ((mode & OTHERS_MAY_READ) !== 0) {
    warn(`others than its owner may read the secret in ${file}: chmod 600 ${file}`);
  }
  return secret;
}

async function read(file: string): Promise<{ bytes: Buffer; mode: number }> {
  const handle = await open(file);
  try {
    const { mode, size } = await handle.stat();
    if (size > MAX_SECRET) throw new Error(`it is larger than ${MAX_SECRET} bytes`);
    // A pipe has no size.
    const bytes = Buffer.alloc(MAX_SECRET + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await handle.read(bytes, length, bytes.length - length);
      length += bytesRead;
      if (length > MAX_SECRET) throw new Error(`it is larger than ${MAX_SECRET} bytes`);
      if (bytesRead === 0) return { bytes: bytes.subarray(0, length), mode };
    }
  } finally {
    await handle.close();
  }
}

/**
 * The header of HTTP's Basic scheme (RFC 7617), the only one that Mesos brings along.
 *
 * @throws Error where the scheme does not allow the principal
 */
export function basicAuthorization({ principal, secret }: Credentials): string {
  if (principal.includes(':')) throw new Error(`the principal '${principal}' has a colon in it`);
  return `Basic ${Buffer.from(`${principal}:${secret}`).toString('base64')}`;
}
