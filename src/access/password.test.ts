import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cheapHash } from '../../test/fixtures/passwords.ts';
import { hashPassword, matches, NO_PASSWORD, parsePasswordHash } from './password.ts';

describe('a password', () => {
  it('matches its own hash, which nobody else has', async () => {
    const [first, second] = [await hashPassword('Grüße'), await hashPassword('Grüße')];
    expect(first).not.toBe(second);
    expect(first).toMatch(/^scrypt\$32768\$8\$3\$/);
    expect(await matches('Grüße', parsePasswordHash(first))).toBe(true);
    expect(await matches('Gru\u0308ße', parsePasswordHash(second))).toBe(true);
    expect(await matches('Grusse', parsePasswordHash(first))).toBe(false);
  });

  it('matches that hash and no other, whatever it is', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary' }), fc.string(), async (password, other) => {
        const hash = parsePasswordHash(cheapHash(password.normalize('NFC')));
        expect(await matches(password, hash)).toBe(true);
        expect(await matches(other, hash)).toBe(
          other.normalize('NFC') === password.normalize('NFC'),
        );
      }),
    );
  });

  it('costs a user who is not there what it costs another', async () => {
    const { N, r, p } = parsePasswordHash(await hashPassword('x'));
    expect(NO_PASSWORD).toMatchObject({ N, r, p });
    expect(await matches('', NO_PASSWORD)).toBe(false);
  });
});

describe('a hash', () => {
  const SALT = 'MDEyMzQ1Njc4OWFiY2RlZg==';
  const KEY = 'A'.repeat(43);
  it.each([
    ['', /hash-password/],
    ['secret', /hash-password/],
    [`scrypt$16$1$1$${SALT}`, /hash-password/],
    [`bcrypt$16$1$1$${SALT}$${KEY}`, /hash-password/],
    [`scrypt$15$1$1$${SALT}$${KEY}`, /power of two/],
    [`scrypt$1$1$1$${SALT}$${KEY}`, /power of two/],
    [`scrypt$16$0$1$${SALT}$${KEY}`, /power of two/],
    [`scrypt$67108864$8$1$${SALT}$${KEY}`, /too high/],
    [`scrypt$1024$8$999$${SALT}$${KEY}`, undefined],
    [`scrypt$32768$8$999$${SALT}$${KEY}`, /too high/],
  ])('%s is read or refused', (text, reason) => {
    if (reason) expect(() => parsePasswordHash(text)).toThrow(reason);
    else expect(parsePasswordHash(text).key).toHaveLength(32);
  });

  it('that is refused is not told', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 8 }), (text) => {
        try {
          parsePasswordHash(text);
        } catch (error) {
          expect((error as Error).message).not.toContain(text);
        }
      }),
    );
  });
});
