import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { PushbroomError, messageOf } from '../../errors.ts';

const HERE = import.meta.dirname;
/** In the package, where it is built, and in a checkout. */
const BUILT = join(HERE, '../../yarn-am');
const SOURCES = join(HERE, '../../../yarn-am');
const BUILDS = join(SOURCES, 'target');
const JAR = 'pushbroom-yarn-am.jar';
const QUIET = ['--quiet', '--batch-mode', '--no-transfer-progress'];

/** How Java is told to run the application-master program. */
export interface AmProgram {
  /** Holds its jar and Hadoop's, and nothing else. */
  readonly directory: string;
  /** To be preceded by the directory of Hadoop's configuration. */
  readonly classPath: string;
  readonly mainClass: string;
  /** For a process that begins fast, stays small, and dies where it has no memory left: it is started again then. */
  readonly javaOptions: readonly string[];
}

/**
 * The application-master program. It is built with the package; from a checkout, it is built by Maven when it is asked
 * for and not there yet: about half a minute once, for Hadoop's client is fetched, then some seconds for each change.
 *
 * @throws PushbroomError INTERNAL with what is missing
 */
export async function amProgram(): Promise<AmProgram> {
  if (existsSync(join(BUILT, JAR))) return describe(BUILT);
  const output = join(BUILDS, await hashOf(SOURCES));
  if (!existsSync(output)) {
    await mkdir(BUILDS, { recursive: true });
    // Of several at the same time one works, and the others wait for it; a lock of the kernel's ends with its holder.
    const lock = join(BUILDS, 'lock');
    await execute('flock', [lock, process.execPath, import.meta.filename, output]);
  }
  return describe(output);
}

const describe = (directory: string): AmProgram => ({
  directory,
  classPath: join(directory, '*'),
  mainClass: 'org.pushbroom.yarn.Main',
  javaOptions: [
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    '-Xmx256m',
    '-XX:+ExitOnOutOfMemoryError',
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=error',
  ],
});

/** Builds the program from its sources. The directory appears whole; one that is there is replaced. */
export async function buildAmProgram(output: string): Promise<void> {
  await mkdir(dirname(output), { recursive: true });
  const work = await mkdtemp(`${output}.`);
  try {
    for (const name of ['pom.xml', 'src'])
      await cp(join(SOURCES, name), join(work, name), { recursive: true });
    await execute('mvn', [...QUIET, '--file', join(work, 'pom.xml'), 'package']);
    const libraries = join(work, 'target/lib');
    await rename(join(work, 'target', JAR), join(libraries, JAR));
    await rm(output, { recursive: true, force: true });
    await rename(libraries, output);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Another source is another program. */
async function hashOf(sources: string): Promise<string> {
  const listed = await readdir(join(sources, 'src'), { recursive: true, withFileTypes: true });
  const files = listed.filter((entry) => entry.isFile());
  const paths = files.map((file) => join(file.parentPath, file.name)).toSorted();
  const sum = createHash('sha256');
  for (const path of [join(sources, 'pom.xml'), ...paths]) sum.update(await readFile(path));
  return sum.digest('hex').slice(0, 12);
}

async function execute(command: string, args: readonly string[]): Promise<void> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let words = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (words += chunk.toString()));
  }
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    if (code === 0) return;
  } catch (error) {
    words = `${command} cannot be started: ${messageOf(error)}`;
  }
  const remedy =
    'To build it, a Java development kit (11 or newer), Maven (mvn) and flock have to be on the PATH.';
  const what = 'The application-master program for YARN is not built';
  throw new PushbroomError('INTERNAL', `${what}: ${words.trim().slice(-2000)}\n${remedy}`);
}

if (import.meta.main) {
  const output = process.argv[2]!;
  try {
    if (!existsSync(output)) await buildAmProgram(output);
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    process.exitCode = 1;
  }
}
