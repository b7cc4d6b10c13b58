import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';

import { stringify } from 'yaml';

const MAIN = join(import.meta.dirname, '../../bin/main.mjs');

export interface Pushbroom {
  readonly publicUrl: string;
  readonly internalUrl: string;
  readonly pid: number;
  /** Ends it as an operator would; resolves with the exit code. */
  stop(): Promise<number | null>;
  /** As a power cut would. */
  kill(): Promise<void>;
}

/** Starts the real service in a process of its own, on free ports of 127.0.0.1. */
export async function startPushbroom(
  directory: string,
  config: Readonly<Record<string, unknown>>,
): Promise<Pushbroom> {
  const file = join(directory, 'pushbroom.yaml');
  const listen = { host: '127.0.0.1', port: 0 };
  await writeFile(
    file,
    stringify({
      dataDir: './data',
      public: listen,
      internal: listen,
      log: { level: 'warn' },
      ...config,
    }),
  );
  const child = spawn(process.execPath, [MAIN, 'serve', '--config', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  let words = '';
  child.stderr.on('data', (chunk: Buffer) => (words += chunk.toString()));
  const urls = readUrls(child.stdout);
  const died = exited.then(([code]) => {
    throw new Error(`the server ended with code ${code}: ${words.trim()}`);
  });
  died.catch(() => undefined);
  const { publicUrl, internalUrl } = await Promise.race([urls, died]);
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    return (await exited)[0];
  };
  return {
    publicUrl,
    internalUrl,
    pid: child.pid!,
    stop: () => end('SIGTERM'),
    kill: async () => void (await end('SIGKILL')),
  };
}

async function readUrls(stdout: NodeJS.ReadableStream) {
  const urls: Record<string, string> = {};
  for await (const line of createInterface({ input: stdout })) {
    const match = /^(public|internal)\s+(http\S+)/.exec(line);
    if (match) urls[match[1]!] = match[2]!;
    if (urls['public'] && urls['internal']) {
      stdout.resume();
      return { publicUrl: urls['public'], internalUrl: urls['internal'] };
    }
  }
  // It has ended without a word here; its exit code and stderr tell more.
  return new Promise<never>(() => undefined);
}

/** A directory for one test file, removed after it. */
export async function temporaryDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'pushbroom-e2e-'));
  // A runner may still be clearing up behind itself.
  const options = { recursive: true, force: true, maxRetries: 10 };
  return { path, [Symbol.asyncDispose]: () => rm(path, options) };
}

/** What the operator REST API says of a job; only what the tests look at. */
export interface JobSeen {
  readonly id: string;
  readonly state: string;
  readonly message?: string;
  readonly attempts: number;
  readonly steps: Readonly<Record<string, { total: number; finished: number; failed: number }>>;
}

/** Asks until the answer is good; the test's own timeout ends the waiting. */
export async function until<T>(ask: () => Promise<T>, isGood: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (isGood(answer)) return answer;
    await pause(50);
  }
}

const ENDED = new Set(['successful', 'failed', 'dismissed']);
export const isEnded = ({ state }: JobSeen): boolean => ENDED.has(state);

/** Talks to a running service by the operator REST API. */
export function operator(url: string) {
  const get = async <T>(path: string): Promise<T> => {
    const response = await fetch(url + path);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  };
  return {
    get,
    async submit(process: string, inputs: Readonly<Record<string, string>>): Promise<string> {
      const response = await fetch(`${url}/api/jobs`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ process, inputs }),
      });
      const body = (await response.json()) as { id: string; message: string };
      if (!response.ok) throw new Error(body.message);
      return body.id;
    },
    job: (id: string) => get<JobSeen>(`/api/jobs/${id}`),
    ended: (id: string) => until(() => get<JobSeen>(`/api/jobs/${id}`), isEnded),
    results: async (id: string) =>
      (
        await get<{ items: { path: string; href: string; sha256: string }[] }>(
          `/api/jobs/${id}/results`,
        )
      ).items,
  };
}
