import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

/** Cost of scrypt (RFC 7914): memory is 128 * N * r bytes, time goes with N * r * p. */
interface Cost {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

export interface PasswordHash extends Cost {
  readonly salt: Buffer;
  readonly key: Buffer;
}

/** 32 MiB and a quarter of a second; one of the sets that OWASP's Password Storage Cheat Sheet holds for equal. */
const COST: Cost = { N: 2 ** 15, r: 8, p: 3 };
const SALT_BYTES = 16;
const KEY_BYTES = 32;
const MOST_MEMORY = 256 * 1024 * 1024;
const MOST_TIME = 2 ** 24;

const derive = promisify<string, Buffer, number, Cost & { maxmem: number }, Buffer>(scrypt);

/** A password as the configuration keeps it: `scrypt$N$r$p$salt$hash`, the last two in base64. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const key = await keyOf(password, { ...COST, salt, key: Buffer.alloc(KEY_BYTES) });
  const { N, r, p } = COST;
  return ['scrypt', N, r, p, salt.toString('base64'), key.toString('base64')].join('$');
}

const HASH =
  /^scrypt\$(\d{1,8})\$(\d{1,3})\$(\d{1,3})\$([A-Za-z0-9+/]{11,86}={0,2})\$([A-Za-z0-9+/]{22,86}={0,2})$/;

/** @throws Error that says what is wrong, without the text */
export function parsePasswordHash(text: string): PasswordHash {
  const [, N, r, p, salt, key] = HASH.exec(text) ?? [];
  if (key === undefined) {
    throw new Error("must be as 'pushbroom hash-password' prints it: scrypt$N$r$p$salt$hash");
  }
  const cost = { N: Number(N), r: Number(r), p: Number(p) };
  if (cost.N < 2 || !Number.isInteger(Math.log2(cost.N)) || cost.r < 1 || cost.p < 1) {
    throw new Error('has a cost that scrypt does not know: N is a power of two, r and p are >= 1');
  }
  if (memoryOf(cost) > MOST_MEMORY || cost.N * cost.r * cost.p > MOST_TIME) {
    throw new Error('has a cost that is too high: at most 256 MiB, and N * r * p of 16777216');
  }
  return { ...cost, salt: Buffer.from(salt!, 'base64'), key: Buffer.from(key, 'base64') };
}

/** Does not tell by its time how much of the password is right. */
export const matches = async (password: string, hash: PasswordHash): Promise<boolean> =>
  timingSafeEqual(await keyOf(password, hash), hash.key);

/** What no password matches, at the cost of one that could: so that time does not tell which users there are. */
export const NO_PASSWORD: PasswordHash = {
  ...COST,
  salt: randomBytes(SALT_BYTES),
  key: randomBytes(KEY_BYTES),
};

// Keyboards compose letters in different ways (RFC 7617, 2.1).
const keyOf = (password: string, { salt, key, N, r, p }: PasswordHash): Promise<Buffer> =>
  derive(password.normalize('NFC'), salt, key.length, { N, r, p, maxmem: 2 * MOST_MEMORY });

const memoryOf = ({ N, r, p }: Cost): number => 128 * r * (N + p);
