import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PushbroomError } from '../errors.ts';
import { readRemoteUser } from './remote-user.ts';
import type { RemoteUser } from './remote-user.ts';

/** What a function returns, or what it throws. */
function outcomeOf(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    return error;
  }
}

describe("a portal's user", () => {
  it('is nobody where no header names one', () => {
    expect(readRemoteUser({})).toEqual({});
    expect(readRemoteUser({ remote_user: '', remote_ref: ' ' })).toEqual({});
  });

  it('comes with the reference of the portal', () => {
    const headers = {
      remote_user: 'martin.boettcher.bc',
      remote_ref: '1738ad7b-534e',
      remote_domain: 'tep',
    };
    expect(readRemoteUser(headers)).toEqual({
      name: 'martin.boettcher.bc',
      reference: '1738ad7b-534e',
    });
  });

  it.each(['..', '.hidden', 'a/b', 'a\\b', 'a b', 'a\0', 'ä', 'alice, bob', 'x'.repeat(101)])(
    'is refused as %j',
    (name) => {
      expect(() => readRemoteUser({ remote_user: name })).toThrow(/Remote_user/);
    },
  );

  it('is refused with a reference that is not printable', () => {
    expect(() => readRemoteUser({ remote_ref: 'a\tb' })).toThrow(/remote_ref/);
    expect(() => readRemoteUser({ remote_ref: 'x'.repeat(201) })).toThrow(/remote_ref/);
  });

  it('always names a single directory, whatever the header says', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const read = outcomeOf(() => readRemoteUser({ remote_user: text }));
        if (read instanceof PushbroomError) return;
        const { name } = read as RemoteUser;
        expect(name === undefined || /^[\w@-][\w.@-]*$/.test(name)).toBe(true);
      }),
    );
  });
});
