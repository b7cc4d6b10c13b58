import { randomUUID } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import type { AttemptId, Resources } from '../../core/model.ts';
import type { AttemptEnd } from '../../runner/attempt.ts';
import { runnerFiles, runnerOf } from '../../runner/files.ts';
import { journalFiles, readJournal } from '../../runner/journal.ts';
import type { FromRunner, Work } from '../../runner/messages.ts';
import { findRunner, startRunner } from './connection.ts';
import type { Connection } from './connection.ts';

/** What a runner leaves is kept until everything that it has told is stored for certain. */
const KEEP_FILES_MS = 60_000;

export interface PoolOptions {
  /** Where runners are found again by the next service; one service at a time uses it. */
  readonly directory: string;
  /** A runner that has had no work for so many milliseconds ends, so that an idle service is small. */
  readonly idleMs: number;
  /** Directory where Node keeps the runner's code, ready to be loaded; without it each runner makes it again. */
  readonly codeCache?: string;
}

export interface PoolListener {
  /** An attempt of an earlier service runs. */
  found(attemptId: AttemptId, resources: Resources): void;
  ended(attemptId: AttemptId, end: AttemptEnd): void;
  /** Their runner has died under them. */
  lost(attemptIds: readonly AttemptId[]): void;
  /** It has ended some time ago, perhaps while no service was there. */
  remembered(attemptId: AttemptId, end: AttemptEnd): void;
}

interface Runner {
  readonly name: string;
  readonly connection: Connection;
  readonly attempts: Set<AttemptId>;
  /** Without work it ends after so many milliseconds. */
  readonly idleMs: number;
  idle?: NodeJS.Timeout;
}

/**
 * Runners of this machine: one of this service, started when it is needed, and those of earlier services, which are
 * perhaps of an earlier version and end when their attempts have.
 */
export class Pool {
  readonly #options: PoolOptions;
  readonly #listener: PoolListener;
  readonly #runners = new Map<string, Runner>();
  #current: Runner | undefined;
  #isLeaving = false;

  constructor(options: PoolOptions, listener: PoolListener) {
    this.#options = options;
    this.#listener = listener;
    mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  }

  /** Finds the runners of earlier services; those that have died tell their attempts' ends by what they have left. */
  async adopt(): Promise<void> {
    this.#isLeaving = false;
    const { directory } = this.#options;
    const names = new Set(readdirSync(directory).flatMap((file) => runnerOf(file) ?? []));
    const handle = openSync(directory, 'r');
    try {
      await Promise.all(Array.from(names, (name) => this.#adoptOne(name, handle)));
    } finally {
      closeSync(handle);
    }
  }

  run(work: readonly Work[]): void {
    this.#current ??= this.#start();
    const { connection, attempts, idle } = this.#current;
    clearTimeout(idle);
    for (const { assignment } of work) attempts.add(assignment.attemptId);
    connection.send({ type: 'run', work });
  }

  kill(attemptId: AttemptId): void {
    for (const { attempts, connection } of this.#runners.values()) {
      if (attempts.has(attemptId)) connection.send({ type: 'kill', attemptId });
    }
  }

  /** Lets all attempts go on without a service; runners that have none end. */
  async leave(): Promise<void> {
    this.#isLeaving = true;
    await Promise.all(Array.from(this.#runners.values(), ({ connection }) => connection.leave()));
  }

  /** Ends all runners with everything they have started. */
  async close(): Promise<void> {
    await Promise.all(Array.from(this.#runners.values(), ({ connection }) => connection.end()));
  }

  #start(): Runner {
    const { directory, codeCache, idleMs } = this.#options;
    const name = randomUUID().slice(0, 8);
    return this.#attach(name, startRunner(directory, name, codeCache), idleMs);
  }

  async #adoptOne(name: string, handle: number): Promise<void> {
    const { connection } = this.#attach(name, findRunner(handle, name), 0);
    await connection.ready;
    // After its hello: what ends from now on is told by itself.
    for (const message of readJournal(join(this.#options.directory, runnerFiles(name).journal))) {
      if (message.type === 'ended') this.#listener.remembered(message.attemptId, message.end);
    }
  }

  #attach(name: string, connection: Connection, idleMs: number): Runner {
    const runner: Runner = { name, connection, attempts: new Set(), idleMs };
    this.#runners.set(name, runner);
    connection.onMessage((message) => this.#hear(runner, message));
    void connection.gone.then(() => this.#gone(runner));
    return runner;
  }

  #hear(runner: Runner, message: FromRunner): void {
    if (message.type === 'ended') {
      runner.attempts.delete(message.attemptId);
      this.#listener.ended(message.attemptId, message.end);
    } else {
      for (const { attemptId, resources } of message.running) {
        runner.attempts.add(attemptId);
        this.#listener.found(attemptId, resources);
      }
    }
    if (runner.attempts.size > 0) return;
    clearTimeout(runner.idle);
    runner.idle = setTimeout(() => {
      if (runner === this.#current) this.#current = undefined;
      void runner.connection.end();
    }, runner.idleMs).unref();
  }

  #gone(runner: Runner): void {
    this.#runners.delete(runner.name);
    clearTimeout(runner.idle);
    if (runner === this.#current) this.#current = undefined;
    if (this.#isLeaving) return;
    if (runner.attempts.size > 0) this.#listener.lost([...runner.attempts]);
    const { socket, journal } = runnerFiles(runner.name);
    setTimeout(() => {
      for (const file of [socket, ...journalFiles(journal)]) {
        rmSync(join(this.#options.directory, file), { force: true });
      }
    }, KEEP_FILES_MS).unref();
  }
}
