import type { IncomingHttpHeaders } from 'node:http';
import type { Millis } from '../core/model.ts';
import { PushbroomError } from '../errors.ts';
import type { Caller } from '../jobs/jobs.ts';
import { readCredentials } from './credentials.ts';
import { readRemoteUser } from './remote-user.ts';
import type { RemoteUser } from './remote-user.ts';
import type { Tokens } from './tokens.ts';
import type { User, Users } from './users.ts';
import { createWindow } from './window.ts';

/** Who asks, and on whose behalf. */
export interface Identity {
  readonly caller: Caller;
  /** The name by which somebody has logged in; absent where nobody has. */
  readonly login?: string;
  /** Whether nobody has logged in, although users are known. */
  readonly isAnonymous?: true;
  /** Whether it is a portal, which may ask on behalf of its users, that asks for itself. */
  readonly isPortal?: true;
  readonly address: string;
}

export interface GuardOptions {
  /** Put before the name of a portal's user, `tep_` for Urban TEP. */
  readonly userPrefix: string;
  /** On whose behalf requests run that name nobody. */
  readonly defaultUser: string;
  /** Absent where nobody has to log in: then who names nobody is an operator. */
  readonly known?: {
    readonly users: Users;
    readonly tokens?: Tokens;
    readonly onBadToken?: (address: string) => void;
    /** Whether who does not log in may ask as an ordinary user. */
    readonly anonymous: boolean;
  };
  /** Requests of one user in so many seconds, or of one address where there is none. */
  readonly requests?: { readonly limit: number; readonly seconds: number };
  readonly now: () => Millis;
}

export interface Guard {
  /** @throws UNAUTHENTICATED, FORBIDDEN, INVALID_PARAMETER, TOO_MANY_REQUESTS, UNAVAILABLE */
  authenticate(headers: IncomingHttpHeaders, address: string): Promise<Identity>;
  /** Counts a request. @throws TOO_MANY_REQUESTS */
  admit(identity: Identity): void;
  /** What goes with the answer to a request that was refused. */
  headersFor(refusal: unknown, headers: IncomingHttpHeaders): Readonly<Record<string, string>>;
  /** Whether somebody may read the results of a user. */
  mayRead(identity: Identity, owner: string): boolean;
}

/** Finds out on whose behalf a request comes, and refuses those who may not ask. */
export function createGuard(options: GuardOptions): Guard {
  const { known, userPrefix, requests, now } = options;
  const window = requests && createWindow(requests.limit, requests.seconds, now);
  return {
    authenticate: async (headers, address) => {
      const remote = readRemoteUser(headers);
      if (!known) return unguarded(remote, address, options);
      if (headers.authorization === undefined) return anonymous(remote, address, options);
      const credentials = readCredentials(headers.authorization);
      if (credentials.type === 'basic') {
        const { name, password } = credentials;
        const user = await known.users.logIn(name, password, address);
        return identityOf(user, remote, address, options);
      }
      if (!known.tokens) {
        throw new PushbroomError('UNAUTHENTICATED', 'tokens are not accepted here, passwords are');
      }
      const caller = await known.tokens(credentials.token).catch((error: unknown) => {
        if (isUnauthenticated(error)) known.onBadToken?.(address);
        throw error;
      });
      refuseRemote(remote, caller.user);
      return { caller, login: caller.user, address };
    },
    admit(identity) {
      if (!requests || !window) return;
      const { caller, login, address } = identity;
      const key = JSON.stringify(login === undefined ? [address] : [login, caller.user]);
      const wait = window.wait(key);
      if (wait > 0) {
        const message = `more than ${requests.limit} requests in ${requests.seconds} s; go on in ${wait} s`;
        throw new PushbroomError('TOO_MANY_REQUESTS', message, { retryAfter: wait });
      }
      window.count(key);
    },
    headersFor(refusal, headers) {
      if (!(refusal instanceof PushbroomError)) return {};
      const { code, retryAfter } = refusal;
      return {
        ...(code === 'UNAUTHENTICATED' && {
          'www-authenticate': challenge(known?.tokens !== undefined, headers),
        }),
        ...(retryAfter !== undefined && { 'retry-after': String(retryAfter) }),
      };
    },
    mayRead: ({ caller, isPortal }, owner) =>
      caller.role !== 'user' ||
      caller.user === owner ||
      (isPortal === true && owner.startsWith(userPrefix)),
  };
}

const isUnauthenticated = (error: unknown): boolean =>
  error instanceof PushbroomError && error.code === 'UNAUTHENTICATED';

/** As it is where nothing is configured: whoever reaches the service is trusted. */
const unguarded = (remote: RemoteUser, address: string, options: GuardOptions): Identity => ({
  caller: {
    ...(remote.name === undefined
      ? { user: options.defaultUser, role: 'operator' }
      : { user: options.userPrefix + remote.name, role: 'user' }),
    groups: [],
    ...referenceOf(remote),
  },
  address,
});

function anonymous(remote: RemoteUser, address: string, options: GuardOptions): Identity {
  if (!options.known!.anonymous) {
    throw new PushbroomError('UNAUTHENTICATED', 'log in with your user name and password or token');
  }
  refuseRemote(remote, 'who has not logged in');
  const caller: Caller = { user: options.defaultUser, role: 'user', groups: [] };
  return { caller, isAnonymous: true, address };
}

function identityOf(
  { name, role, groups, actsForOthers }: User,
  remote: RemoteUser,
  address: string,
  { known, userPrefix }: GuardOptions,
): Identity {
  if (!actsForOthers) {
    refuseRemote(remote, name);
    return { caller: { user: name, role, groups }, login: name, address };
  }
  if (remote.name === undefined) {
    const caller = { user: name, role, groups, ...referenceOf(remote) };
    return { caller, login: name, isPortal: true, address };
  }
  const user = userPrefix + remote.name;
  const its = known!.users.user(user)?.groups ?? [];
  return {
    caller: { user, role: 'user', groups: its, ...referenceOf(remote) },
    login: name,
    address,
  };
}

const referenceOf = ({ reference }: RemoteUser) => (reference === undefined ? {} : { reference });

/** @throws FORBIDDEN: only portals say on whose behalf they ask */
function refuseRemote({ name, reference }: RemoteUser, who: string): void {
  if (name === undefined && reference === undefined) return;
  const header = name === undefined ? 'remote_ref' : 'Remote_user';
  throw new PushbroomError(
    'FORBIDDEN',
    `'${who}' may not act for others: leave out the header '${header}', or let it be allowed by access.users[].actsForOthers`,
    { locator: header },
  );
}

/** RFC 9110, 11.6.1; the error is that of RFC 6750, 3. */
function challenge(takesTokens: boolean, { authorization = '' }: IncomingHttpHeaders): string {
  const realm = 'realm="pushbroom"';
  const error = /^bearer\b/i.test(authorization) ? ', error="invalid_token"' : '';
  const bearer = takesTokens ? [`Bearer ${realm}${error}`] : [];
  return [`Basic ${realm}, charset="UTF-8"`, ...bearer].join(', ');
}
