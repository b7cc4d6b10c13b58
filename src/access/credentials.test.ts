import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PushbroomError } from '../errors.ts';
import { readCredentials } from './credentials.ts';

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

describe('the header Authorization', () => {
  it('gives any name and password back', () => {
    const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 50 });
    const named = name.filter((text) => !text.includes(':'));
    const password = fc.string({ unit: 'grapheme', maxLength: 100 });
    fc.assert(
      fc.property(named, password, (user, secret) => {
        expect(readCredentials(basic(`${user}:${secret}`))).toEqual({
          type: 'basic',
          name: user,
          password: secret,
        });
      }),
    );
  });

  it('gives a token back, whatever the case of the scheme', () => {
    for (const scheme of ['Bearer', 'bearer', 'BEARER']) {
      expect(readCredentials(`${scheme}  a.b_c-d`)).toEqual({ type: 'bearer', token: 'a.b_c-d' });
    }
  });

  it.each([
    '',
    'Basic',
    'Basic ',
    'Bearer',
    'Bearer a b',
    'Digest username="x"',
    'Basic !',
    basic('no colon'),
    basic(':nameless'),
    `Bearer ${'x'.repeat(20_000)}`,
  ])('is refused as %j', (header) => {
    expect(() => readCredentials(header)).toThrow(/'Authorization' must be/);
  });

  it('is never told in a refusal', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 6 }), (secret) => {
        for (const header of [secret, `Basic ${secret}`, `Bearer ${secret}`]) {
          try {
            readCredentials(header);
          } catch (error) {
            expect(error).toBeInstanceOf(PushbroomError);
            expect((error as Error).message).not.toContain(secret);
          }
        }
      }),
    );
  });
});
