import { PushbroomError } from '../errors.ts';

export type Credentials =
  | { readonly type: 'basic'; readonly name: string; readonly password: string }
  | { readonly type: 'bearer'; readonly token: string };

const MOST_CHARACTERS = 16_384;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
/** RFC 6750, 2.1. */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

/**
 * Reads the header `Authorization`: Basic (RFC 7617, in UTF-8) or Bearer (RFC 6750).
 *
 * @throws UNAUTHENTICATED, never with what the header says
 */
export function readCredentials(header: string): Credentials {
  const [, scheme = '', rest = ''] = /^(\S+) +(\S+)$/.exec(header.trim()) ?? [];
  if (header.length <= MOST_CHARACTERS) {
    if (scheme.toLowerCase() === 'bearer' && TOKEN.test(rest)) {
      return { type: 'bearer', token: rest };
    }
    if (scheme.toLowerCase() === 'basic' && BASE64.test(rest)) {
      const text = Buffer.from(rest, 'base64').toString();
      const colon = text.indexOf(':');
      if (colon > 0) {
        return { type: 'basic', name: text.slice(0, colon), password: text.slice(colon + 1) };
      }
    }
  }
  throw new PushbroomError(
    'UNAUTHENTICATED',
    "the header 'Authorization' must be 'Basic' with name:password in base64, or 'Bearer' with a token",
    { locator: 'Authorization' },
  );
}
