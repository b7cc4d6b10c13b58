import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PushbroomError } from '../errors.ts';
import type { Caller } from '../jobs/jobs.ts';
import { callerOf } from './caller.ts';

const OPTIONS = { userPrefix: 'tep_', defaultUser: 'anonymous' };

/** What a function returns, or what it throws. */
function outcomeOf(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    return error;
  }
}

describe('the caller of a request', () => {
  it('is the default user where no header names one', () => {
    expect(callerOf({}, OPTIONS)).toEqual({ user: 'anonymous', role: 'operator', groups: [] });
    expect(callerOf({ remote_user: '' }, OPTIONS)).toEqual({
      user: 'anonymous',
      role: 'operator',
      groups: [],
    });
  });

  it('is the portal user with the prefix, and carries the reference of the portal', () => {
    const headers = { remote_user: 'martin.boettcher.bc', remote_ref: '1738ad7b-534e' };
    expect(callerOf(headers, OPTIONS)).toEqual({
      user: 'tep_martin.boettcher.bc',
      role: 'user',
      groups: [],
      reference: '1738ad7b-534e',
    });
  });

  it.each(['..', '.hidden', 'a/b', 'a\\b', 'a b', 'a\0', 'ä', 'alice, bob', 'x'.repeat(101)])(
    'is refused as %j',
    (name) => {
      expect(() => callerOf({ remote_user: name }, OPTIONS)).toThrow(/Remote_user/);
    },
  );

  it('is refused with a reference that is not printable', () => {
    expect(() => callerOf({ remote_ref: 'a\tb' }, OPTIONS)).toThrow(/remote_ref/);
    expect(() => callerOf({ remote_ref: 'x'.repeat(201) }, OPTIONS)).toThrow(/remote_ref/);
  });

  it('always names a single directory, whatever the header says', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        const caller = outcomeOf(() =>
          callerOf({ remote_user: name }, { ...OPTIONS, userPrefix: '' }),
        );
        const refused = caller instanceof PushbroomError;
        expect(refused || /^[\w@-][\w.@-]*$/.test((caller as Caller).user)).toBe(true);
      }),
    );
  });
});
