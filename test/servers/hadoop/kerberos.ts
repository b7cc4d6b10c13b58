import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';

import type { Settings, SiteSettings } from './settings.ts';

const REALM = 'PUSHBROOM.TEST';
const PORT = 8800;
const PROGRAMS = ['krb5kdc', 'kdb5_util', 'kadmin.local', 'kinit', 'curl'];
/** Debian keeps some where only root looks. */
const PATH = `${process.env['PATH']}:/usr/sbin:/sbin`;

/** For `skipIf`: said aloud where tests are skipped; in CI, where the machine is ours, it is an error. */
export function lacksKerberos(): boolean {
  const missing = PROGRAMS.filter(
    (program) => spawnSync('which', [program], { env: { PATH } }).status !== 0,
  );
  if (missing.length === 0) return false;
  const what = `Kerberos, for which ${missing.join(' and ')} would have to be installed`;
  if (process.env['CI'] === 'true') throw new Error(`CI has to have ${what}`);
  process.stderr.write(`SKIPPED: tests that need ${what}\n`);
  return true;
}

/** A realm of a cluster's own. */
export interface Kerberos extends AsyncDisposable {
  /** What KRB5_CONFIG has to name for `kinit` and `curl`. */
  readonly configuration: string;
  /** A user's, who may do in HDFS what every user may. */
  readonly principal: string;
  /** That user's. */
  readonly keytab: string;
  /** HDFS itself. */
  readonly superuser: {
    readonly principal: string;
    readonly keytab: string;
    /** The file of a ticket of its, good for a day. */
    readonly ticket: string;
  };
  /** Asks by HTTP as HDFS itself; what comes back. */
  ask(url: string): Promise<string>;
}

/**
 * Starts a key distribution centre.
 *
 * @param host where it listens, and of the NameNode
 * @param hosts of the DataNodes
 */
export async function startKerberos(
  directory: string,
  host: string,
  hosts: readonly string[],
): Promise<Kerberos> {
  const home = join(directory, 'kerberos');
  await mkdir(home);
  const configuration = join(home, 'krb5.conf');
  await writeFile(configuration, clientSettings(host));
  await writeFile(join(home, 'kdc.conf'), centreSettings(home, host));
  const env = { PATH, KRB5_CONFIG: configuration, KRB5_KDC_PROFILE: join(home, 'kdc.conf') };
  await run('kdb5_util', ['create', '-s', '-r', REALM, '-P', 'no secret'], env);
  const service = join(home, 'service.keytab');
  const superuser = `hdfs/${host}@${REALM}`;
  const principals = [superuser, ...[host, ...hosts].map((each) => `HTTP/${each}@${REALM}`)];
  const principal = `pushbroom@${REALM}`;
  const keytab = join(home, 'pushbroom.keytab');
  const orders = [
    ...[...principals, principal].map((each) => `addprinc -randkey ${each}`),
    `ktadd -k ${service} ${principals.join(' ')}`,
    `ktadd -k ${keytab} ${principal}`,
  ];
  for (const order of orders) await run('kadmin.local', ['-r', REALM, '-q', order], env);
  const stop = await startCentre(host, env);
  const ticket = join(home, 'ticket');
  await run('kinit', ['-k', '-t', service, '-c', `FILE:${ticket}`, superuser], env);
  const itself = { principal: superuser, keytab: service, ticket };
  return {
    configuration,
    principal,
    keytab,
    superuser: itself,
    async ask(url) {
      const environment = { ...env, KRB5CCNAME: `FILE:${ticket}` };
      const args = ['--silent', '--max-time', '5', '--negotiate', '--user', ':', url];
      return (await promisify(execFile)('curl', args, { env: environment })).stdout;
    },
    [Symbol.asyncDispose]: stop,
  };
}

/** Of HDFS under Kerberos. All daemons are one user, because in one Java program there can only be one. */
export function kerberosSettings({ superuser: { principal, keytab } }: Kerberos): SiteSettings {
  const web = principal.replace('hdfs/', 'HTTP/');
  const core: Settings = {
    'hadoop.security.authentication': 'kerberos',
    'hadoop.http.authentication.type': 'kerberos',
    'hadoop.http.authentication.kerberos.principal': web,
    'hadoop.http.authentication.kerberos.keytab': keytab,
  };
  const hdfs: Settings = {
    'dfs.block.access.token.enable': true,
    'dfs.namenode.kerberos.principal': principal,
    'dfs.namenode.keytab.file': keytab,
    'dfs.datanode.kerberos.principal': principal,
    'dfs.datanode.keytab.file': keytab,
    'dfs.web.authentication.kerberos.principal': web,
    'dfs.web.authentication.kerberos.keytab': keytab,
    // Of DataNodes a port is wanted that only root can have, or TLS.
    'ignore.secure.ports.for.testing': true,
  };
  return { core, hdfs };
}

const clientSettings = (host: string): string => `[libdefaults]
default_realm = ${REALM}
dns_lookup_realm = false
dns_lookup_kdc = false
dns_canonicalize_hostname = false
rdns = false
udp_preference_limit = 1
[realms]
${REALM} = {
  kdc = ${host}:${PORT}
}
`;

const centreSettings = (home: string, host: string): string => `[kdcdefaults]
kdc_listen = ${host}:${PORT}
kdc_tcp_listen = ${host}:${PORT}
[realms]
${REALM} = {
  database_name = ${home}/principal
  key_stash_file = ${home}/stash
  acl_file = ${home}/acl
  max_renewable_life = 7d
}
`;

type Environment = Readonly<Record<string, string>>;

async function run(program: string, args: readonly string[], env: Environment): Promise<void> {
  await promisify(execFile)(program, args, { env });
}

async function startCentre(host: string, env: Environment): Promise<() => Promise<void>> {
  // It ends with whoever started it.
  const args = ['--pdeathsig', 'KILL', 'krb5kdc', '-n', '-r', REALM];
  const child = spawn('setpriv', args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let words = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (words += chunk.toString()));
  }
  const exited = once(child, 'exit');
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  while (!(await answers(host))) {
    if (child.exitCode !== null) throw new Error(`krb5kdc does not start: ${words}`);
    await pause(20);
  }
  return async () => {
    kill();
    await exited;
    process.off('exit', kill);
  };
}

async function answers(host: string): Promise<boolean> {
  const socket = createConnection({ host, port: PORT });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
