import type { IncomingHttpHeaders } from 'node:http';
import { PushbroomError } from '../errors.ts';
import type { Caller } from '../jobs/jobs.ts';

export interface CallerOptions {
  /** Put before the name of a portal's user, `tep_` for Urban TEP. */
  readonly userPrefix: string;
  /** On whose behalf requests run that name nobody. */
  readonly defaultUser: string;
}

// The name becomes a directory: no separators, and nothing hidden or climbing.
const USER = /^(?!\.)[A-Za-z0-9._@-]{1,100}$/;
const REFERENCE = /^[\u0021-\u007e]{1,200}$/;

/**
 * On whose behalf a request comes: the portal names its user in `Remote_user` (header names have no case) and its own
 * operation in `remote_ref` (specification G.1).
 *
 * @throws INVALID_PARAMETER
 */
export function callerOf(headers: IncomingHttpHeaders, options: CallerOptions): Caller {
  const name = headerOf(headers, 'remote_user');
  const reference = headerOf(headers, 'remote_ref');
  if (name !== undefined && !USER.test(name)) {
    throw invalidHeader('Remote_user', 'letters, digits and . _ @ - not starting with a dot');
  }
  if (reference !== undefined && !REFERENCE.test(reference)) {
    throw invalidHeader('remote_ref', 'up to 200 printable characters without blanks');
  }
  return {
    user: name === undefined ? options.defaultUser : options.userPrefix + name,
    role: name === undefined ? 'operator' : 'user',
    groups: [],
    ...(reference !== undefined && { reference }),
  };
}

/** An empty header says nothing: proxies send it for a user who is not logged in. */
const headerOf = (headers: IncomingHttpHeaders, name: string): string | undefined =>
  headers[name]?.toString().trim() || undefined;

const invalidHeader = (name: string, allowed: string): PushbroomError =>
  new PushbroomError('INVALID_PARAMETER', `the header '${name}' must be ${allowed}`, {
    locator: name,
  });
