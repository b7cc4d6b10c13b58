/** The part of the composition root that knows the storages. */
import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';

import type { Logger } from 'pino';

import type { Config } from './config.ts';
import { messageOf, PushbroomError } from './errors.ts';
import { systemClock } from './scheduler/clock.ts';
import { parseUrl } from './storage/location.ts';
import type { StorageAccess, Storages } from './storage/storage.ts';
import { openStorages } from './storage/storages.ts';
import type { Tokens } from './storage/webhdfs/identity.ts';

export interface ServiceStorages {
  /** For the service itself. */
  readonly storages: Storages;
  /**
   * How nodes reach the storage of a URL, with a token that is good for some days.
   *
   * @returns `undefined` for what is on none of the configured storages
   * @throws PushbroomError UNAVAILABLE or FORBIDDEN where there is no token
   */
  access(location: string): Promise<StorageAccess | undefined>;
}

type HdfsSettings = Config['storage']['hdfs'][number];

/**
 * @param closers are called when the service ends
 * @throws PushbroomError INVALID_PARAMETER for a certificate that cannot be read
 */
export async function createStorages(
  config: Pick<Config, 'storage' | 'dataDir'>,
  logger: Logger,
  closers: (() => unknown)[],
): Promise<ServiceStorages> {
  const accesses = new Map<string, StorageAccess>();
  const tokens = new Map<string, Tokens>();
  for (const settings of config.storage.hdfs) {
    const { name } = settings;
    const warn = (message: string) => logger.warn({ storage: name }, message);
    accesses.set(name, await accessOf(settings));
    const ticketCache = join(config.dataDir, 'work', 'storages', `${name}.tickets`);
    const source = await tokensOf(settings, ticketCache, warn, closers);
    if (source) tokens.set(name, source);
  }
  return {
    storages: openStorages([...accesses.values()], { tokensOf: (name) => tokens.get(name) }),
    access: async (location) => {
      const { scheme, name } = parseUrl(location) ?? {};
      const access = scheme === 'hdfs' && name !== undefined ? accesses.get(name) : undefined;
      if (!access) return undefined;
      const token = await tokens.get(access.name)?.current();
      return { ...access, ...(token !== undefined && { token }) };
    },
  };
}

async function accessOf(settings: HdfsSettings): Promise<StorageAccess> {
  const { name, urls, user = userInfo().username, authentication } = settings;
  const { caFile, replication, blockSize } = settings;
  return {
    type: 'webhdfs',
    name,
    urls,
    ...(authentication === 'simple' && { user }),
    ...(caFile !== undefined && { ca: await certificates(name, caFile) }),
    ...(replication !== undefined && { replication }),
    ...(blockSize !== undefined && { blockSize }),
  };
}

const certificates = (name: string, file: string): Promise<string> =>
  readFile(file, 'utf8').catch((cause: unknown) => {
    const message = `storage.hdfs "${name}": cannot read caFile: ${messageOf(cause)}`;
    throw new PushbroomError('INVALID_PARAMETER', message, { cause });
  });

/** Loaded only where it is needed. */
async function tokensOf(
  settings: HdfsSettings,
  ticketCache: string,
  warn: (message: string) => void,
  closers: (() => unknown)[],
): Promise<Tokens | undefined> {
  const { name, urls, authentication, tokenFile: file, principal, keytab, caFile } = settings;
  if (authentication === 'token' && file !== undefined) {
    const { tokenFile } = await import('./storage/webhdfs/token-file.ts');
    return tokenFile(file, warn);
  }
  if (authentication !== 'kerberos') return undefined;
  const { KerberosTokens } = await import('./storage/webhdfs/delegation.ts');
  const { now } = systemClock;
  const tokens = new KerberosTokens({
    name,
    urls,
    principal,
    keytab,
    ticketCache,
    caFile,
    now,
    warn,
  });
  closers.push(() => tokens.close());
  return tokens;
}
