import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { messageOf } from '../../src/errors.ts';

const SCRIPTS = join(import.meta.dirname, 'python');
const REQUIREMENTS = join(SCRIPTS, 'requirements.txt');
const run = promisify(execFile);

export interface PythonClients {
  /** Runs one of the scripts beside this file. Rejects with what it said where it fails. */
  script(name: string, ...args: readonly string[]): Promise<string>;
  /** Runs a program that one of the packages has brought. */
  program(name: string, args: readonly string[]): Promise<string>;
}

/**
 * Python with the clients that `requirements.txt` names, kept between runs. Where they cannot be had this is said aloud;
 * in CI, where the machine is ours, it is an error.
 */
export async function findPythonClients(): Promise<PythonClients | undefined> {
  const home = join(cache(), `python-${hashOf(REQUIREMENTS)}`);
  const bin = join(home, 'bin');
  try {
    await install(home);
  } catch (error) {
    const what = `clients in Python, which cannot be installed: ${messageOf(error).slice(-500)}`;
    if (process.env['CI'] === 'true') throw new Error(`CI has to have ${what}`, { cause: error });
    process.stderr.write(`SKIPPED: tests that need ${what}\n`);
    return undefined;
  }
  const start = async (program: string, args: readonly string[]) => {
    try {
      const { stdout } = await run(join(bin, program), args, { cwd: home, maxBuffer: 1e8 });
      return stdout;
    } catch (error) {
      const { stdout, stderr } = error as { readonly stdout?: string; readonly stderr?: string };
      throw new Error(`${program}: ${stdout ?? ''}${stderr ?? ''}`.slice(-5000), { cause: error });
    }
  };
  return {
    script: (name, ...args) => start('python', [join(SCRIPTS, name), ...args]),
    program: start,
  };
}

/** The marker is written last: without it, an installation was interrupted. */
async function install(home: string): Promise<void> {
  const marker = join(home, 'complete');
  if (existsSync(marker)) return;
  if (spawnSync('python3', ['-c', 'import ensurepip, venv']).status !== 0) {
    throw new Error('python3 with venv and pip is not here');
  }
  await rm(home, { recursive: true, force: true });
  await mkdir(home, { recursive: true });
  await run('python3', ['-m', 'venv', home]);
  const options = ['--quiet', '--disable-pip-version-check', '--no-input', '--retries', '1'];
  await run(join(home, 'bin/pip'), ['install', ...options, '--requirement', REQUIREMENTS]);
  await writeFile(marker, '');
}

const cache = (): string =>
  process.env['PUSHBROOM_TEST_CACHE'] ?? join(homedir(), '.cache/pushbroom-test');

const hashOf = (file: string): string =>
  createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 12);
