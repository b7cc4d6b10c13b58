import { isIP } from 'node:net';

import { readLeader } from './zookeeper.ts';
import type { LeaderOptions, ZooKeeperAddress, ZooKeeperServer } from './zookeeper.ts';

/** Where the leading master may be. */
export interface Masters {
  /**
   * Who is to be asked now, as the base of its API's addresses: the last of the list that led, or another after that one
   * failed; or who leads according to ZooKeeper at this moment.
   *
   * @throws Error that says why nobody is known to lead
   */
  leader(signal: AbortSignal): Promise<URL>;
  /** A subscription came about there, perhaps by way of others. */
  led(url: URL): void;
  /** Nothing came of asking there. */
  failed(url: URL): void;
}

export interface MastersOptions extends LeaderOptions {
  /** Whether masters that ZooKeeper names speak TLS, which it does not say. */
  readonly isSecure?: boolean;
}

/** Path of the scheduler API below a master's base. */
export const SCHEDULER_PATH = 'api/v1/scheduler';
const MASTER_PORT = 5050;
const ZOOKEEPER_PORT = 2181;
const PROTOCOLS = ['http:', 'https:'];

/**
 * @param addresses of masters (`host:port`, `http://host:port`, `https://host:port`), or a single
 *   `zk://[user:password@]host:port,host:port/path` as Mesos's own `--zk` has it; without problems
 * @throws Error with the first of the addresses' problems
 */
export function createMasters(addresses: readonly string[], options: MastersOptions = {}): Masters {
  const [problem] = masterProblems(addresses);
  if (problem !== undefined) throw new Error(problem);
  const [first] = addresses;
  return isZooKeeper(first!)
    ? electedMasters(parseZooKeeper(first!), options)
    : listedMasters(addresses.map(parseMaster));
}

/** What is wrong with the addresses of a configuration, in words and without the secrets in them. */
export function masterProblems(addresses: readonly string[]): string[] {
  if (addresses.length === 0) return ['names no master'];
  if (addresses.length > 1 && addresses.some(isZooKeeper)) {
    return [
      'a zk:// address stands alone: it lists all ZooKeeper servers, and they know the masters',
    ];
  }
  return addresses.flatMap((address) => {
    try {
      if (isZooKeeper(address)) parseZooKeeper(address);
      else parseMaster(address);
      return [];
    } catch (error) {
      return [`${JSON.stringify(withoutSecret(address))} ${(error as Error).message}`];
    }
  });
}

const isZooKeeper = (address: string): boolean => address.startsWith('zk://');
const withoutSecret = (address: string): string => address.replace(/^(\w+:\/\/)?.*@/, '$1…@');

function listedMasters(urls: readonly URL[]): Masters {
  let current = 0;
  const isCurrent = ({ href }: URL) => urls[current]!.href === href;
  return {
    leader: async () => urls[current]!,
    led({ href }) {
      const index = urls.findIndex((url) => url.href === href);
      if (index !== -1) current = index;
    },
    failed(url) {
      if (isCurrent(url)) current = (current + 1) % urls.length;
    },
  };
}

function electedMasters(address: ZooKeeperAddress, options: MastersOptions): Masters {
  return {
    leader: async (signal) =>
      addressOf(await readLeader(address, signal, options), options.isSecure ?? false),
    led: () => undefined,
    failed: () => undefined,
  };
}

/**
 * The address in a MasterInfo (`mesos.proto`). Agents themselves reach the master by its IP address, so that is sure
 * to work where the host's name may not; but a certificate is for the name.
 */
function addressOf(masterInfo: string, isSecure: boolean): URL {
  const { hostname, ip, port } = readAddress(masterInfo);
  const host = isSecure ? (hostname ?? ip) : (ip ?? hostname);
  const url = originOf(isSecure, host, port);
  if (url) return url;
  throw new Error(`ZooKeeper holds no address of the leading master, but ${excerpt(masterInfo)}`);
}

/** Undefined where a cluster says something else than a host and a port. */
export function originOf(isSecure: boolean, host: unknown, port: unknown): URL | undefined {
  if (!isHost(host) || !isPort(port)) return undefined;
  const text = `${isSecure ? 'https' : 'http'}://${isIP(host) === 6 ? `[${host}]` : host}:${port}/`;
  return URL.canParse(text) ? new URL(text) : undefined;
}

function readAddress(masterInfo: string): { hostname?: string; ip?: string; port?: unknown } {
  try {
    const { address } = JSON.parse(masterInfo) as { address?: Record<string, unknown> };
    const { hostname, ip, port } = address ?? {};
    return {
      ...(isText(hostname) && { hostname }),
      ...(isText(ip) && { ip }),
      port,
    };
  } catch {
    return {};
  }
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isHost = (host: unknown): host is string =>
  typeof host === 'string' && (/^[\w.-]+$/.test(host) || isIP(host) === 6);
const isPort = (port: unknown): port is number =>
  Number.isInteger(port) && (port as number) > 0 && (port as number) < 65_536;
const excerpt = (text: string): string => JSON.stringify(text.slice(0, 100));

/** @throws Error to be read after the address */
function parseMaster(address: string): URL {
  const text = /^\w+:\/\//.test(address) ? address : `http://${address}`;
  if (!URL.canParse(text)) throw new Error('is no address of a master such as host:5050');
  const url = new URL(text);
  if (!PROTOCOLS.includes(url.protocol)) throw new Error('begins neither with http, https nor zk');
  if (url.username !== '' || url.password !== '') {
    throw new Error('has a name or password in it: they are settings of their own');
  }
  if (url.search !== '' || url.hash !== '') throw new Error('has more than host, port and path');
  if (text !== address && !/:\d+\/?$/.test(address)) {
    throw new Error(`has no port: a master's is ${MASTER_PORT} unless it is set otherwise`);
  }
  return baseOf(url);
}

/** Without the API's own path, and with a slash at its end: relative addresses are resolved against it. */
function baseOf(url: URL): URL {
  const base = new URL(url.origin);
  base.pathname = url.pathname.replace(new RegExp(`(/${SCHEDULER_PATH})?/*$`), '/');
  return base;
}

/** @throws Error to be read after the address */
function parseZooKeeper(address: string): ZooKeeperAddress {
  const match = /^zk:\/\/(?:([^/]*)@)?([^/@]+)(\/.*)?$/.exec(address);
  if (!match) throw new Error('is no address such as zk://host:2181,host:2181/mesos');
  const [, auth, servers, path = '/'] = match;
  if (!/^(\/[^/]+)+\/?$/.test(path)) {
    throw new Error('lacks the path below which the masters register, usually /mesos');
  }
  if (auth !== undefined && !/^[^:]+:./.test(auth)) {
    throw new Error('has something before @ that is not user:password');
  }
  return {
    servers: servers!.split(',').map(parseServer),
    path: path.replace(/\/$/, ''),
    ...(auth !== undefined && { auth }),
  };
}

function parseServer(text: string): ZooKeeperServer {
  const [, host, port = String(ZOOKEEPER_PORT)] =
    /^([\w.-]+|\[[\da-f:.]+\])(?::(\d+))?$/i.exec(text) ?? [];
  if (host === undefined || !isPort(Number(port))) {
    throw new Error(`has a ZooKeeper server ${JSON.stringify(text)} that is not host:port`);
  }
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) };
}

/**
 * Where a master that does not lead sends us. Mesos gives host and port only (`//host:port`, recorded from a 1.12
 * master); a proxy before it may give more.
 *
 * @param from the base of the master that was asked
 * @throws Error where it is not to be followed
 */
export function redirected(from: URL, location: string): URL {
  const asked = new URL(SCHEDULER_PATH, from);
  const refuse = (why: string) =>
    new Error(
      `${from.origin} redirects to ${JSON.stringify(withoutSecret(location).slice(0, 200))}, ${why}`,
    );
  if (!URL.canParse(location, asked.href)) throw refuse('which is no address');
  const url = new URL(location, asked);
  if (!PROTOCOLS.includes(url.protocol)) throw refuse('which is neither http nor https');
  if (asked.protocol === 'https:' && url.protocol === 'http:') {
    throw refuse('which is less safe than https');
  }
  return baseOf(url);
}
