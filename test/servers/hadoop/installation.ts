/**
 * Hadoop as the tests use it: the archives that `pom.xml` names, from Maven Central, and our own launcher, compiled.
 * Both are kept between runs and shared by test files that run at the same time.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';

import { messageOf } from '../../../src/errors.ts';
import { writeClassArchive } from './class-archive.ts';

const POM = join(import.meta.dirname, 'pom.xml');
const JAVA = join(import.meta.dirname, 'java');

export interface Installation {
  /** The directory of Hadoop's archives. */
  readonly libraries: string;
  /** The archive of our own classes. */
  readonly launcher: string;
  /** Hadoop's classes as Java has them in memory: with it daemons start in half of the processor time. */
  readonly classArchive: string;
}

/** For `skipIf`: said aloud where tests are skipped; in CI, where the machine is ours, it is an error. */
export function lacksHadoop(): boolean {
  const missing = ['javac', 'mvn', 'flock'].filter(
    (program) => spawnSync(program, ['-version']).error !== undefined,
  );
  if (missing.length === 0) return false;
  const what = `Hadoop, for which ${missing.join(' and ')} would have to be installed`;
  if (process.env['CI'] === 'true') throw new Error(`CI has to have ${what}`);
  process.stderr.write(`SKIPPED: tests that need ${what}\n`);
  return true;
}

/** Downloads, compiles and prepares what is not there yet: about a minute, once. */
export async function installHadoop(): Promise<Installation> {
  const installation = installationOf(await installArchives(POM));
  if (!existsSync(installation.classArchive)) await installLocked('compile');
  return installation;
}

/**
 * Downloads what a pom asks for, if it is not there yet.
 *
 * @returns the directory with all archives
 */
export async function installArchives(pom: string): Promise<string> {
  const libraries = librariesOf(pom);
  if (!existsSync(libraries)) await installLocked('download', pom);
  return libraries;
}

/** Of several at the same time one works, and the others wait for it; a lock of the kernel's ends with its holder. */
async function installLocked(...args: readonly string[]): Promise<void> {
  await mkdir(cache(), { recursive: true });
  await execute('flock', [join(cache(), 'lock'), process.execPath, import.meta.filename, ...args]);
}

/** Kept between runs, and shared by checkouts. */
export const cache = (): string =>
  process.env['PUSHBROOM_TEST_CACHE'] ?? join(homedir(), '.cache/pushbroom-test');

/** The names hold what they were made of: another version is another directory. */
const librariesOf = (pom: string): string =>
  join(cache(), `${basename(dirname(pom))}-${hash([pom])}`, 'lib');

const sources = (): readonly string[] => readdirSync(JAVA).map((name) => join(JAVA, name));

/** Of names and contents. */
export function hash(files: readonly string[]): string {
  const sum = createHash('sha256');
  for (const file of files.toSorted()) sum.update(basename(file)).update(readFileSync(file));
  return sum.digest('hex').slice(0, 12);
}

const download = (pom: string): Promise<void> =>
  fill(librariesOf(pom), async (directory) => {
    // Maven's plug-ins write beside the pom that they are given.
    const copy = join(dirname(directory), 'pom.xml');
    await copyFile(pom, copy);
    const quiet = ['--quiet', '--batch-mode', '--no-transfer-progress'];
    const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime'];
    await execute('mvn', [...quiet, '--file', copy, ...goal, `-DoutputDirectory=${directory}`]);
  });

function installationOf(libraries: string): Installation {
  const home = join(dirname(libraries), `launcher-${hash(sources())}`);
  return {
    libraries,
    launcher: join(home, 'classes/launcher.jar'),
    classArchive: join(home, 'memory/classes.jsa'),
  };
}

async function compile(): Promise<void> {
  const installation = installationOf(librariesOf(POM));
  const { libraries, launcher, classArchive } = installation;
  await fill(dirname(launcher), async (directory) => {
    const classes = join(dirname(directory), 'compiled');
    await execute('javac', ['-d', classes, '-cp', `${libraries}/*`, ...sources()]);
    // Hadoop's archives lack the web pages; with empty directories WebHDFS and /jmx are served none the less.
    for (const pages of ['hdfs', 'datanode', 'static']) {
      await mkdir(join(classes, 'webapps', pages, 'WEB-INF'), { recursive: true });
    }
    const archive = join(directory, basename(launcher));
    await execute('jar', ['--create', '--file', archive, '-C', classes, '.']);
  });
  await fill(dirname(classArchive), (directory) =>
    writeClassArchive(installation, join(directory, basename(classArchive))),
  );
}

/** A directory that is there is whole. */
export async function fill(
  directory: string,
  make: (directory: string) => Promise<void>,
): Promise<void> {
  if (existsSync(directory)) return;
  await mkdir(dirname(directory), { recursive: true });
  const work = await mkdtemp(`${directory}.`);
  try {
    const made = join(work, 'made');
    await mkdir(made);
    await make(made);
    // Somebody else may have been faster: what he has made is as good.
    await rename(made, directory).catch((error: unknown) => {
      if (!existsSync(directory)) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

export async function execute(
  command: string,
  args: readonly string[],
  cwd?: string,
): Promise<void> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd });
  let words = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (words += chunk.toString()));
  }
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${words.trim().slice(-2000)}`);
}

if (import.meta.main) {
  const [what, pom = POM] = process.argv.slice(2);
  try {
    await (what === 'compile' ? compile() : download(pom));
  } catch (error) {
    process.stderr.write(`Hadoop cannot be installed for the tests: ${messageOf(error)}\n`);
    process.exitCode = 1;
  }
}
