import { existsSync } from 'node:fs';
import { Socket, createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

import { runAttempt } from './attempt.ts';
import { runnerFiles } from './files.ts';
import { createJournal } from './journal.ts';
import { encode, listen } from './messages.ts';
import type { FromRunner, ToRunner, Work } from './messages.ts';

/**
 * The runner of the local engine: makes attempts, as many at a time as it is given. It outlives its service: attempts
 * go on to their ends, which are kept in its journal, and the next service finds it by its socket. When nobody talks
 * to it and nothing runs, it ends.
 *
 * Its directory is the one it is started in; its only argument is its name there. The connection to the service that
 * has started it is descriptor 3.
 */
const [, , name = ''] = process.argv;
const files = runnerFiles(name);
const journal = createJournal(files.journal);
const attempts = new Map<string, Work & { readonly abort: AbortController }>();
/** Attempts until their directories are removed, too. */
const unfinished = new Set<Promise<unknown>>();
let service: Socket | undefined;
let isEnding = false;

const ABANDONED_LOOK_MS = 1_000;
/** Longer than programs are given to end when they are asked to. */
const END_MS = 4_000;

function serve(connection: Socket): void {
  service?.destroy();
  service = connection;
  const running = Array.from(attempts.values(), ({ assignment: { attemptId }, resources }) => ({
    attemptId,
    resources,
  }));
  connection.write(encode({ type: 'hello', running }));
  listen<ToRunner>(connection, hear);
  connection.on('error', () => undefined);
  connection.once('close', () => {
    if (service !== connection) return;
    service = undefined;
    endIfDone();
  });
}

function hear(message: ToRunner): void {
  if (isEnding) return undefined;
  if (message.type === 'end') return end();
  if (message.type === 'kill') return attempts.get(message.attemptId)?.abort.abort();
  for (const work of message.work) if (!attempts.has(work.assignment.attemptId)) run(work);
  return undefined;
}

function run(work: Work): void {
  const { attemptId } = work.assignment;
  const abort = new AbortController();
  attempts.set(attemptId, { ...work, abort });
  const made = runAttempt({
    assignment: work.assignment,
    signal: abort.signal,
    onEnd: (result) => {
      if (isEnding) return;
      attempts.delete(attemptId);
      tell({ type: 'ended', attemptId, end: result });
    },
  });
  unfinished.add(made);
  void made.then(() => {
    unfinished.delete(made);
    endIfDone();
  });
}

function tell(message: FromRunner): void {
  const line = encode(message);
  try {
    journal.write(line);
  } catch {
    // A full disk: where nobody listens either, the attempt is lost.
  }
  service?.write(line);
}

/** Ends with everything that was started: who asks for it counts what runs as lost. */
function end(): void {
  isEnding = true;
  for (const { abort } of attempts.values()) abort.abort();
  void Promise.race([Promise.all(unfinished), pause(END_MS)]).then(() => process.exit(0));
}

function endIfDone(): void {
  if (!service && unfinished.size === 0) end();
}

// Where the data directory has been removed, no service will ever come.
setInterval(() => {
  if (!service && !existsSync(files.socket)) end();
}, ABANDONED_LOOK_MS).unref();

process.on('SIGINT', end);
process.on('SIGTERM', end);
createServer(serve).listen(files.socket, () => serve(new Socket({ fd: 3 })));
