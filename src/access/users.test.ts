import { describe, expect, it } from 'vitest';
import { cheapHash } from '../../test/fixtures/passwords.ts';
import { createUsers } from './users.ts';
import type { User } from './users.ts';

const aUser = (name: string, password?: string): User => ({
  name,
  role: 'user',
  groups: [],
  actsForOthers: false,
  ...(password !== undefined && { passwordHash: cheapHash(password) }),
});

function start(failures = 2) {
  const clock = { now: 1_000_000 };
  const failed: string[] = [];
  const users = createUsers({
    users: [aUser('alice', 'secret'), aUser('bob', 'secret'), aUser('nobody')],
    failures,
    seconds: 60,
    onFailure: (name, address) => void failed.push(`${name} ${address}`),
    now: () => clock.now,
  });
  return { users, clock, failed };
}
const WRONG = expect.objectContaining({ code: 'UNAUTHENTICATED' });
const LATER = expect.objectContaining({ code: 'TOO_MANY_REQUESTS' });

describe('a login', () => {
  it('is that of a user whose password it is', async () => {
    const { users, failed } = start(9);
    expect(await users.logIn('alice', 'secret', 'a')).toMatchObject({ name: 'alice' });
    for (const [name, password] of [
      ['alice', 'Secret'],
      ['alice', ''],
      ['mallory', 'secret'],
      ['nobody', ''],
    ] as const) {
      await expect(users.logIn(name, password, 'a')).rejects.toEqual(WRONG);
    }
    expect(failed).toEqual(['alice a', 'alice a', 'mallory a', 'nobody a']);
  });

  it('is tried so often by one address, and again after a while', async () => {
    const { users, clock } = start();
    const guess = (address: string, name = 'alice') => users.logIn(name, 'wrong', address);
    await expect(guess('a')).rejects.toEqual(WRONG);
    await expect(guess('a')).rejects.toEqual(WRONG);
    await expect(guess('a')).rejects.toMatchObject({ code: 'TOO_MANY_REQUESTS', retryAfter: 60 });
    await expect(users.logIn('alice', 'secret', 'a')).rejects.toEqual(LATER);
    expect(await users.logIn('alice', 'secret', 'b')).toMatchObject({ name: 'alice' });
    expect(await users.logIn('bob', 'secret', 'a')).toMatchObject({ name: 'bob' });
    clock.now += 60_000;
    await expect(guess('a')).rejects.toEqual(WRONG);
  });

  it('of somebody who is known goes on while others guess', async () => {
    const { users } = start();
    await users.logIn('alice', 'secret', 'a');
    for (const end of [WRONG, WRONG, LATER]) {
      await expect(users.logIn('alice', 'wrong', 'a')).rejects.toEqual(end);
    }
    expect(await users.logIn('alice', 'secret', 'a')).toMatchObject({ name: 'alice' });
  });

  it('is refused to who tries one name after the other', async () => {
    const { users } = start(1);
    const names = Array.from({ length: 10 }, (_, index) => `user${index}`);
    for (const name of names) await expect(users.logIn(name, 'x', 'a')).rejects.toEqual(WRONG);
    await expect(users.logIn('another', 'x', 'a')).rejects.toEqual(LATER);
  });

  it('costs one look, however many ask at once, and no more for a while', async () => {
    const { users, failed } = start(100);
    const all = await Promise.allSettled(
      Array.from({ length: 50 }, () => users.logIn('alice', 'wrong', 'a')),
    );
    expect(all.every(({ status }) => status === 'rejected')).toBe(true);
    expect(failed).toEqual(['alice a']);
  });

  it('is turned away where too many others wait', async () => {
    const { users } = start(1000);
    const all = await Promise.allSettled(
      Array.from({ length: 150 }, (_, index) => users.logIn('bob', `wrong ${index}`, `${index}`)),
    );
    const away = all.filter(
      (each) => each.status === 'rejected' && each.reason.code === 'UNAVAILABLE',
    );
    expect(away).toHaveLength(48);
    expect(await users.logIn('bob', 'secret', 'a')).toMatchObject({ name: 'bob' });
  });

  it('is good no longer when the password or the user is gone', async () => {
    const { users } = start(100);
    await users.logIn('alice', 'secret', 'a');
    await users.logIn('bob', 'secret', 'a');
    users.set([aUser('alice', 'another')]);
    await expect(users.logIn('alice', 'secret', 'a')).rejects.toEqual(WRONG);
    await expect(users.logIn('bob', 'secret', 'a')).rejects.toEqual(WRONG);
    expect(await users.logIn('alice', 'another', 'a')).toMatchObject({ name: 'alice' });
  });
});
