import { describe, expect, it } from 'vitest';
import { basic, cheapHash } from '../../test/fixtures/passwords.ts';
import { PushbroomError } from '../errors.ts';
import { createGuard } from './guard.ts';
import type { GuardOptions } from './guard.ts';
import { createUsers } from './users.ts';

const NOBODY = { role: 'user', groups: [], actsForOthers: false } as const;
const users = createUsers({
  users: [
    { ...NOBODY, name: 'alice', passwordHash: cheapHash('secret'), groups: ['g'] },
    { ...NOBODY, name: 'portal', passwordHash: cheapHash('secret'), actsForOthers: true },
  ],
  failures: 10,
  seconds: 60,
  onFailure: () => undefined,
  now: () => 0,
});

const guard = (options: Partial<GuardOptions> = {}) =>
  createGuard({ userPrefix: 'tep_', defaultUser: 'anonymous', now: () => 0, ...options });
const guarded = (known: Partial<GuardOptions['known']> = {}, options: Partial<GuardOptions> = {}) =>
  guard({ ...options, known: { users, anonymous: false, ...known } });
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe('where nobody has to log in', () => {
  it('who names nobody is an operator, who is named a user', async () => {
    const open = guard();
    expect(await open.authenticate({}, 'a')).toEqual({
      caller: { user: 'anonymous', role: 'operator', groups: [] },
      address: 'a',
    });
    const headers = { remote_user: 'anna', remote_ref: 'r' };
    expect((await open.authenticate(headers, 'a')).caller).toEqual({
      user: 'tep_anna',
      role: 'user',
      groups: [],
      reference: 'r',
    });
    expect(await open.authenticate(basic('any', 'thing'), 'a')).toMatchObject({
      caller: { user: 'anonymous' },
    });
  });
});

describe('a token', () => {
  const tokens = async (token: string) => {
    if (token === 'away') throw new PushbroomError('UNAVAILABLE', 'away', { retryAfter: 10 });
    if (token === 'bad') throw new PushbroomError('UNAUTHENTICATED', 'bad');
    return { user: token, role: 'operator', groups: [] } as const;
  };

  it('lets in whom it names, who does not act for others', async () => {
    const { authenticate } = guarded({ tokens });
    expect(await authenticate(bearer('olga'), 'a')).toEqual({
      caller: { user: 'olga', role: 'operator', groups: [] },
      login: 'olga',
      address: 'a',
    });
    const asking = authenticate({ ...bearer('portal'), remote_user: 'anna' }, 'a');
    await expect(asking).rejects.toMatchObject({ code: 'FORBIDDEN' });
    expect(await authenticate(basic('alice'), 'a')).toMatchObject({ login: 'alice' });
  });

  it('that is bad is told, with what would be accepted', async () => {
    const told: string[] = [];
    const onBadToken = (address: string) => void told.push(address);
    const { authenticate, headersFor } = guarded({ tokens, onBadToken });
    const refused = async (token: string) => {
      const headers = bearer(token);
      const error: unknown = await authenticate(headers, 'a').catch((thrown: unknown) => thrown);
      return headersFor(error, headers);
    };
    expect(await refused('bad')).toEqual({
      'www-authenticate':
        'Basic realm="pushbroom", charset="UTF-8", Bearer realm="pushbroom", error="invalid_token"',
    });
    expect(await refused('away')).toEqual({ 'retry-after': '10' });
    expect(told).toEqual(['a']);
    expect(headersFor(new Error('x'), {})).toEqual({});
  });
});

describe('results', () => {
  it('are read by their owner, operators, and the portal that asks for itself', async () => {
    const { authenticate, mayRead } = guarded({ anonymous: true });
    const portal = basic('portal');
    const readable = async (headers: Record<string, string>) => {
      const identity = await authenticate(headers, 'a');
      return ['alice', 'tep_anna', 'tep_bert', 'portal', 'anonymous'].filter((owner) =>
        mayRead(identity, owner),
      );
    };
    expect(await readable(basic('alice'))).toEqual(['alice']);
    expect(await readable(portal)).toEqual(['tep_anna', 'tep_bert', 'portal']);
    expect(await readable({ ...portal, remote_user: 'anna' })).toEqual(['tep_anna']);
    expect(await readable({})).toEqual(['anonymous']);
  });
});

describe('requests', () => {
  it('are counted for each user of a portal, and for each address without one', async () => {
    let clock = 0;
    const requests = { limit: 1, seconds: 60 };
    const options = { requests, now: () => clock };
    const { authenticate, admit } = guarded({ anonymous: true }, options);
    const ask = async (headers: Record<string, string>, address = 'a') => {
      try {
        admit(await authenticate(headers, address));
        return 'ok';
      } catch (error) {
        return (error as PushbroomError).retryAfter;
      }
    };
    const anna = { ...basic('portal'), remote_user: 'anna' };
    const bert = { ...basic('portal'), remote_user: 'bert' };
    for (const end of ['ok', 60]) {
      for (const headers of [basic('alice'), anna, bert, {}]) expect(await ask(headers)).toBe(end);
    }
    expect(await ask({}, 'b')).toBe('ok');
    expect(await ask(basic('alice'), 'b')).toBe(60);
    clock += 60_000;
    expect(await ask(basic('alice'))).toBe('ok');
  });
});
