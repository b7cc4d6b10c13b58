import type { IncomingHttpHeaders } from 'node:http';
import { PushbroomError } from '../errors.ts';

/** For whom a portal asks, and by which of its own operations. */
export interface RemoteUser {
  readonly name?: string;
  readonly reference?: string;
}

// The name becomes a directory: no separators, and nothing hidden or climbing.
const USER = /^(?!\.)[A-Za-z0-9._@-]{1,100}$/;
const REFERENCE = /^[\u0021-\u007e]{1,200}$/;

export const isUserName = (text: string): boolean => USER.test(text);

/**
 * What a portal says in `Remote_user` and `remote_ref` (specification G.1). Header names have no case, so `REMOTE_USER`
 * is the first of them.
 *
 * @throws INVALID_PARAMETER
 */
export function readRemoteUser(headers: IncomingHttpHeaders): RemoteUser {
  const name = headerOf(headers, 'remote_user');
  const reference = headerOf(headers, 'remote_ref');
  if (name !== undefined && !isUserName(name)) {
    throw invalidHeader('Remote_user', 'letters, digits and . _ @ - not starting with a dot');
  }
  if (reference !== undefined && !REFERENCE.test(reference)) {
    throw invalidHeader('remote_ref', 'up to 200 printable characters without blanks');
  }
  return { ...(name !== undefined && { name }), ...(reference !== undefined && { reference }) };
}

/** An empty header says nothing: proxies send it for a user who is not logged in. */
const headerOf = (headers: IncomingHttpHeaders, name: string): string | undefined =>
  headers[name]?.toString().trim() || undefined;

const invalidHeader = (name: string, allowed: string): PushbroomError =>
  new PushbroomError('INVALID_PARAMETER', `the header '${name}' must be ${allowed}`, {
    locator: name,
  });
