import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

import type { Installation } from './installation.ts';
import type { Kerberos } from './kerberos.ts';

/** Where a Java program of the cluster runs. */
export interface JavaPlace {
  readonly installation: Installation;
  /** Of the cluster. */
  readonly directory: string;
  /** Hadoop's. */
  readonly configuration: string;
  readonly kerberos?: Kerberos | undefined;
}

/** A process with some of Hadoop's daemons; `Launcher.java` is its other half. */
export interface DaemonProcess {
  readonly pid: number;
  /** Rejects with the launcher's words when it fails. */
  order(order: string): Promise<void>;
  /** As a power cut would. */
  kill(): Promise<void>;
  /** In an orderly way. */
  exit(): Promise<void>;
  readonly hasEnded: boolean;
  /** The last it has said. */
  lastWords(): string;
}

/** The same for all clusters, or their daemons could not share loaded classes. */
export const classPath = ({ launcher, libraries }: Installation): string =>
  [launcher, join(libraries, '*')].join(delimiter);

/** Containers inherit it: only what a daemon of a real cluster has. */
export function environment({ configuration, kerberos }: JavaPlace): Record<string, string> {
  const { PATH = '', HOME = '/', LANG = 'C.UTF-8', JAVA_HOME = javaHome(PATH) } = process.env;
  const ticket = kerberos && { KRB5CCNAME: `FILE:${kerberos.superuser.ticket}` };
  return { PATH, HOME, LANG, JAVA_HOME, HADOOP_CONF_DIR: configuration, ...ticket };
}

function javaHome(path: string): string {
  const directory = path.split(delimiter).find((each) => existsSync(join(each, 'java')));
  if (directory === undefined) throw new Error('java is not on PATH');
  return dirname(dirname(realpathSync(join(directory, 'java'))));
}

/** Few processors, short lives; and nothing outside of the cluster's directory. */
export const javaOptions = (place: JavaPlace, heapMb: number): string[] => [
  `-Xmx${heapMb}m`,
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-XX:-UsePerfData',
  `-Djava.io.tmpdir=${join(place.directory, 'tmp')}`,
  `-Dhadoop.log.dir=${join(place.directory, 'logs')}`,
  '-Djava.net.preferIPv4Stack=true',
  // It would write to the standard output.
  '-Xlog:disable',
  ...(place.kerberos ? [`-Djava.security.krb5.conf=${place.kerberos.configuration}`] : []),
];

/**
 * Starts daemons in one process.
 *
 * @param name of the log file
 * @param sharing of classes: Java's option
 */
export async function startDaemons(
  place: JavaPlace,
  name: string,
  daemons: readonly string[],
  heapMb: number,
  sharing = `-XX:SharedArchiveFile=${place.installation.classArchive}`,
): Promise<DaemonProcess> {
  const logFile = join(place.directory, 'logs', `${name}.log`);
  const log = openSync(logFile, 'a');
  const options = [...javaOptions(place, heapMb), sharing, '-cp', classPath(place.installation)];
  const args = [...options, 'Launcher', place.configuration, ...daemons];
  const child = spawn('java', args, {
    cwd: place.directory,
    env: environment(place),
    stdio: ['pipe', 'pipe', log],
  }) as ChildProcessByStdio<Writable, Readable, null>;
  closeSync(log);
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const exited = once(child, 'exit').finally(() => process.off('exit', kill));
  // That it has ended is seen where it matters.
  exited.catch(() => undefined);
  child.stdin.on('error', () => undefined);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const lastWords = () => readFileSync(logFile, 'utf8').slice(-4000);
  const answer = async (): Promise<void> => {
    const { value: line } = await lines.next();
    if (line === undefined) throw new Error(`${name} has ended: ${lastWords()}`);
    if (line !== 'started' && line !== 'done') throw new Error(`${name}: ${line}`);
  };
  await answer();
  let last = Promise.resolve();
  return {
    pid: child.pid!,
    order(order) {
      child.stdin.write(`${order}\n`);
      const answered = last.then(answer);
      last = answered.catch(() => undefined);
      return answered;
    },
    async kill() {
      kill();
      await exited;
    },
    async exit() {
      child.stdin.write('exit\n');
      await exited;
    },
    get hasEnded() {
      return child.exitCode !== null || child.signalCode !== null;
    },
    lastWords,
  };
}
