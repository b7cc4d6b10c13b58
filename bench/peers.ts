import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** Requirements, configurations and applications of the peers. */
export const PEERS = join(import.meta.dirname, 'peers');
const CACHE = join(import.meta.dirname, '../node_modules/.cache/pushbroom/peers');

/**
 * Programs of the Python world to measure ourselves against, installed once into an environment of their own. Where
 * packages come from is up to the machine's pip.
 *
 * @param requirements a requirements file's text; it pins everything, also what the peer itself depends on
 * @returns the directory of the environment's programs
 */
export async function venv(name: string, requirements: string): Promise<string> {
  const { stdout: version } = await run('python3', ['--version']).catch(() => {
    throw new Error('there is no python3: apt-get install python3 python3-venv');
  });
  const hash = createHash('sha256').update(`${version}\n${requirements}`).digest('hex');
  const directory = join(CACHE, `${name}-${hash.slice(0, 16)}`);
  const bin = join(directory, 'bin');
  const pinned = join(directory, 'requirements.txt');
  if (existsSync(pinned)) return bin;

  await rm(directory, { recursive: true, force: true });
  await mkdir(CACHE, { recursive: true });
  await run('python3', ['-m', 'venv', directory]).catch((error: unknown) => {
    throw new Error('python3 cannot make environments: apt-get install python3-venv', {
      cause: error,
    });
  });
  const unfinished = join(directory, 'requirements.txt.new');
  await writeFile(unfinished, requirements);
  const options = ['--no-deps', '--disable-pip-version-check', '--quiet'];
  await run(join(bin, 'pip'), ['install', ...options, '-r', unfinished]);
  // Last: an environment without it was not finished.
  await writeFile(pinned, requirements);
  return bin;
}

export interface Peer {
  readonly url: string;
  /** As an operator who is in a hurry. */
  stop(): Promise<void>;
}

/**
 * Serves a WSGI application with gunicorn, which pywps and pygeoapi both recommend, and waits until it answers.
 *
 * @param bin from `venv`
 * @param prepare makes what the application needs, now that its URL is known
 */
export async function startWsgi(options: {
  readonly bin: string;
  readonly application: string;
  readonly workers: number;
  readonly threads: number;
  prepare(url: string): Promise<Readonly<Record<string, string>>>;
}): Promise<Peer> {
  const { bin, application, workers, threads } = options;
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const env = { ...process.env, PYTHONPATH: PEERS, ...(await options.prepare(url)) };
  const bind = ['--bind', `127.0.0.1:${port}`, '--no-control-socket', '--log-level', 'error'];
  const work = ['--worker-class', 'gthread', '--workers', `${workers}`, '--threads', `${threads}`];
  const child = spawn(
    join(bin, 'gunicorn'),
    [...bind, ...work, '--keep-alive', '60', application],
    {
      env,
      // A process group of its own: what an application has forked has to go with it.
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let words = '';
  child.stderr.on('data', (chunk: Buffer) => (words += chunk.toString()));
  const exited = once(child, 'exit');
  while (!(await answers(url))) {
    if (hasEnded(child)) throw new Error(`${application} has not started: ${words}`);
    await pause(100);
  }
  const stop = async () => {
    if (!hasEnded(child)) process.kill(-child.pid!, 'SIGKILL');
    await exited;
  };
  return { url, stop };
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean =>
  exitCode !== null || signalCode !== null;

const answers = (url: string): Promise<boolean> =>
  fetch(url).then(
    () => true,
    () => false,
  );

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
