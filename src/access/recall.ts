import { hash, randomBytes } from 'node:crypto';
import type { Millis } from '../core/model.ts';

/** What secrets were found to be good for, for a while. */
export interface Recall<T> {
  /** The answer as it is remembered, or else as it is found now; who asks meanwhile shares it, also where it fails. */
  get(secret: readonly string[], find: () => Promise<Found<T>>): Promise<T>;
}

export interface Found<T> {
  readonly value: T;
  readonly until: Millis;
}

const MOST = 10_000;

/** Keeps digests under a key of its own, so that the memory of this process tells no secret. */
export function createRecall<T>(now: () => Millis): Recall<T> {
  const key = randomBytes(32).toString('base64');
  const found = new Map<string, Found<T>>();
  const finding = new Map<string, Promise<T>>();
  // An HMAC would take ten times as long, at each request; nobody ever sees a digest, to make another one of it.
  const digestOf = (secret: readonly string[]) =>
    hash('sha256', key + JSON.stringify(secret), 'base64');

  const learn = async (digest: string, find: () => Promise<Found<T>>): Promise<T> => {
    try {
      const news = await find();
      if (found.size >= MOST) found.clear();
      found.set(digest, news);
      return news.value;
    } finally {
      finding.delete(digest);
    }
  };

  return {
    get: async (secret, find) => {
      const digest = digestOf(secret);
      const known = found.get(digest);
      if (known && known.until > now()) return known.value;
      const already = finding.get(digest);
      if (already) return already;
      const learning = learn(digest, find);
      finding.set(digest, learning);
      return learning;
    },
  };
}
