import type { Millis } from '../core/model.ts';
import { PushbroomError } from '../errors.ts';
import type { Role } from '../jobs/jobs.ts';
import { matches, NO_PASSWORD, parsePasswordHash } from './password.ts';
import { createRecall } from './recall.ts';
import { createWindow } from './window.ts';

/** Somebody whom the configuration knows. */
export interface User {
  readonly name: string;
  /** As `hashPassword` writes it; without one he cannot log in, but has groups. */
  readonly passwordHash?: string;
  readonly role: Role;
  readonly groups: readonly string[];
  /** A portal, which asks on behalf of its users. */
  readonly actsForOthers: boolean;
}

export interface Users {
  user(name: string): User | undefined;
  /** @throws UNAUTHENTICATED, TOO_MANY_REQUESTS, UNAVAILABLE */
  logIn(name: string, password: string, address: string): Promise<User>;
  /** From now on there are these. */
  set(users: readonly User[]): void;
}

export interface UsersOptions {
  readonly users: readonly User[];
  /** Failed logins of one user from one address in `seconds`. */
  readonly failures: number;
  readonly seconds: number;
  readonly onFailure: (name: string, address: string) => void;
  readonly now: () => Millis;
}

/** Computing a hash takes a processor for a quarter of a second: requests would wait for it at each poll. */
const REMEMBERED_MS = 10 * 60_000;
/** Hashes that are computed at a time, and others that wait: each takes memory and one of Node's four threads. */
const AT_ONCE = 2;
const MOST_WAITING = 100;
/** Who tries names one after the other is stopped by his address alone. */
const NAMES_PER_ADDRESS = 10;

export function createUsers(options: UsersOptions): Users {
  const { failures, seconds, onFailure, now } = options;
  const recall = createRecall<true>(now);
  const ofUser = createWindow(failures, seconds, now);
  const ofAddress = createWindow(failures * NAMES_PER_ADDRESS, seconds, now);
  const inTurn = createTurns();
  let byName = new Map(options.users.map((user) => [user.name, user]));

  /** Names come from anybody: none of them is a key by itself. */
  const pair = (name: string, address: string) => JSON.stringify([address, name]);

  function checkTries(name: string, address: string): void {
    const wait = Math.max(ofUser.wait(pair(name, address)), ofAddress.wait(address));
    if (wait === 0) return;
    const message = `too many failed logins from ${address}; try again in ${wait} s`;
    throw new PushbroomError('TOO_MANY_REQUESTS', message, { retryAfter: wait });
  }

  async function verify(name: string, password: string, address: string) {
    checkTries(name, address);
    const text = byName.get(name)?.passwordHash;
    const hash = text === undefined ? NO_PASSWORD : parsePasswordHash(text);
    // Those who waited for their turn may have failed too often meanwhile.
    const isRight = await inTurn(async () => {
      checkTries(name, address);
      return matches(password, hash);
    });
    if (isRight) return { value: true as const, until: now() + REMEMBERED_MS };
    ofUser.count(pair(name, address));
    ofAddress.count(address);
    onFailure(name, address);
    throw new PushbroomError('UNAUTHENTICATED', 'the user name or the password is wrong');
  }

  return {
    user: (name) => byName.get(name),
    set: (users) => {
      byName = new Map(users.map((user) => [user.name, user]));
    },
    async logIn(name, password, address) {
      // With the hash, so that a password that was changed is good no longer.
      const secret = [name, password, byName.get(name)?.passwordHash ?? ''];
      await recall.get(secret, () => verify(name, password, address));
      const user = byName.get(name);
      if (!user) throw new PushbroomError('UNAUTHENTICATED', 'the user is no longer there');
      return user;
    },
  };
}

/** Lets a few work at a time and the others wait, in their order. */
function createTurns() {
  const waiting: (() => void)[] = [];
  let working = 0;
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (working >= AT_ONCE) {
      if (waiting.length >= MOST_WAITING) {
        const message = 'too many logins at the same time; try again in a few seconds';
        throw new PushbroomError('UNAVAILABLE', message, { retryAfter: 5 });
      }
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else {
      working += 1;
    }
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else working -= 1;
    }
  };
}
