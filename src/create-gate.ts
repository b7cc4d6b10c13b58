/** The part of the composition root that knows who may do what. */
import { readFile } from 'node:fs/promises';

import type { Logger } from 'pino';

import { openAudit } from './access/audit.ts';
import type { Gate } from './access/gate.ts';
import { createGuard } from './access/guard.ts';
import type { GuardOptions } from './access/guard.ts';
import { createJobsFor } from './access/restrict.ts';
import type { RestrictOptions } from './access/restrict.ts';
import { openShares } from './access/share.ts';
import { createUsers } from './access/users.ts';
import type { User, Users } from './access/users.ts';
import { createVisibility } from './access/visibility.ts';
import type { Offers } from './access/visibility.ts';
import { createWindow } from './access/window.ts';
import type { Config } from './config.ts';
import { isGuarded, readUsersFile } from './config-access.ts';
import { messageOf, PushbroomError } from './errors.ts';
import type { Layout } from './layout.ts';
import { isForOthers, ownerOf } from './processes/bundle.ts';
import type { Registry } from './processes/registry.ts';
import { systemClock } from './scheduler/clock.ts';

export interface GateParts {
  readonly config: Config;
  readonly layout: Layout;
  readonly logger: Logger;
  /** Are called when the service ends. */
  readonly closers: (() => unknown)[];
  readonly jobsOver: RestrictOptions['jobsOver'];
  readonly registry: Pick<Registry, 'bundle' | 'bundles'>;
}

export interface ReloadableGate extends Gate {
  /** Reads the users' file anew. @throws INVALID_PARAMETER: then the users stay as they are */
  reload(): Promise<void>;
}

const { now } = systemClock;
/** Of a name that somebody tried to log in by. */
const MOST_CHARACTERS = 100;

/** @throws INVALID_PARAMETER for users that cannot be read */
export async function createGate(parts: GateParts): Promise<ReloadableGate> {
  const { config, layout, logger, closers } = parts;
  const { access, datasets } = config;
  const audit = await openAudit({
    file: access.auditFile ?? layout.audit,
    now,
    warn: (message) => logger.error(message),
  });
  closers.push(() => audit[Symbol.asyncDispose]());
  const failed = (address: string, by?: string) =>
    audit.record({ what: 'login', ...(by && { by }), address, outcome: 'UNAUTHENTICATED' });
  const users = createUsers({
    users: await readUsers(access),
    failures: access.rateLimit.failedLogins,
    seconds: access.rateLimit.per,
    onFailure: (name, address) => failed(address, name.slice(0, MOST_CHARACTERS)),
    now,
  });
  warnOfOpenDoors(config, logger);
  return {
    guard: createGuard(await guardOptions(config, users, failed)),
    audit,
    shares: await openShares(layout.shareKey, now),
    jobsFor: createJobsFor({
      jobsOver: parts.jobsOver,
      datasets,
      visibility: createVisibility(datasets, access.bundles, offersOf(parts.registry)),
    }),
    reload: async () => users.set(await readUsers(access)),
  };
}

const offersOf = (registry: GateParts['registry']): Offers => ({
  of(name, version) {
    const bundle = registry.bundle(name, version);
    return bundle && { owner: ownerOf(bundle), isForOthers: isForOthers(bundle) };
  },
  areLimited: () => !registry.bundles().every(isForOthers),
});

async function guardOptions(
  config: Config,
  users: Users,
  failed: (address: string) => void,
): Promise<GuardOptions> {
  const { access, staging } = config;
  const { requests, per, failedLogins } = access.rateLimit;
  // Clients go on with a token that has expired: some lines tell that as well as thousands.
  const told = createWindow(failedLogins, per, now);
  const onBadToken = (address: string) => {
    if (told.wait(address) > 0) return;
    told.count(address);
    failed(address);
  };
  // Its cryptography is loaded only where tokens are expected.
  const tokens = access.oidc && (await import('./access/tokens.ts')).createTokens(access.oidc, now);
  return {
    userPrefix: staging.userPrefix,
    defaultUser: staging.user,
    ...(isGuarded(config) && {
      known: { users, anonymous: access.anonymous, ...(tokens && { tokens, onBadToken }) },
    }),
    ...(requests !== undefined && { requests: { limit: requests, seconds: per } }),
    now,
  };
}

async function readUsers({ users, usersFile }: Config['access']): Promise<readonly User[]> {
  if (usersFile === undefined) return users;
  const text = await readFile(usersFile, 'utf8').catch((cause: unknown) => {
    const message = `access.usersFile: ${usersFile} cannot be read: ${messageOf(cause)}`;
    throw new PushbroomError('INVALID_PARAMETER', message, { cause });
  });
  const others = readUsersFile(usersFile, text);
  const twice = others.find(({ name }) => users.some((user) => user.name === name));
  if (!twice) return [...users, ...others];
  const message = `${usersFile}: the user ${twice.name} is in access.users, too`;
  throw new PushbroomError('INVALID_PARAMETER', message);
}

const isLoopback = (host: string): boolean => /^(localhost|127[.].*|::1)$/.test(host);

function warnOfOpenDoors(config: Config, logger: Logger): void {
  if (!isGuarded(config) && !isLoopback(config.public.host)) {
    logger.warn(
      `NOBODY HAS TO LOG IN: whoever reaches ${config.public.host}:${config.public.port} may do everything there. ` +
        'Name users in access.users, or let the listener be at 127.0.0.1 (docs/access.md)',
    );
  }
  if (!config.internal.authentication && !isLoopback(config.internal.host)) {
    logger.warn(
      `WHOEVER REACHES ${config.internal.host}:${config.internal.port} IS AN OPERATOR: ` +
        'set internal.authentication, or let the listener be at 127.0.0.1 (docs/access.md)',
    );
  }
}
