import { closeSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { getSystemErrorName, promisify } from 'node:util';

import koffi from 'koffi';

import { createPipe } from './pipe.ts';
import { StartError, killGroup } from './process.ts';
import type { Command, ProcessEnd, ProcessUsage, StartProcess, Started } from './process.ts';

// What of posix_spawn(3) and wait(2) is the same with every C library of Linux.
const SETSIGDEF = 0x04;
const SETSIGMASK = 0x08;
const SETSID = 0x80;
const P_PID = 1;
const WNOHANG = 1;
const WEXITED = 4;
const WNOWAIT = 0x0100_0000;
/** A process that runs longer is listened to as it speaks. */
const FOLLOW_AFTER_MS = 20;
/** More than any of the library's structures take. */
const STRUCTURE_BYTES = 1024;

koffi.struct('Rusage', {
  userS: 'long',
  userUs: 'long',
  systemS: 'long',
  systemUs: 'long',
  maxKb: 'long',
  others: koffi.array('long', 13),
});
interface Rusage {
  readonly userS: number;
  readonly userUs: number;
  readonly systemS: number;
  readonly systemUs: number;
  readonly maxKb: number;
}

// This program's own C library, whichever it is.
const c = koffi.load(null);
const spawn = promisify(
  c.func(
    'int posix_spawnp(_Out_ int *pid, const char *file, void *actions, void *attributes, const char **argv, const char **environment)',
  ).async,
) as (...args: unknown[]) => Promise<number>;
const actionsInit = c.func('int posix_spawn_file_actions_init(void *actions)');
const actionsDestroy = c.func('int posix_spawn_file_actions_destroy(void *actions)');
const addChdir = c.func(
  'int posix_spawn_file_actions_addchdir_np(void *actions, const char *path)',
);
const addDup2 = c.func('int posix_spawn_file_actions_adddup2(void *actions, int fd, int as)');
const addOpen = c.func(
  'int posix_spawn_file_actions_addopen(void *actions, int fd, const char *path, int flags, uint mode)',
);
const waitid = c.func('int waitid(int idtype, int id, void *info, int options)');
const wait4 = c.func('int wait4(int pid, _Out_ int *status, int options, _Out_ Rusage *usage)');

/** All signals as they are for a new program: Node ignores some and may block others. */
const attributes = makeAttributes();
function makeAttributes(): Buffer {
  const made = Buffer.alloc(STRUCTURE_BYTES);
  const signals = Buffer.alloc(STRUCTURE_BYTES);
  c.func('int posix_spawnattr_init(void *attributes)')(made);
  c.func('int posix_spawnattr_setflags(void *attributes, short flags)')(
    made,
    SETSID | SETSIGDEF | SETSIGMASK,
  );
  c.func('int sigemptyset(void *set)')(signals);
  c.func('int posix_spawnattr_setsigmask(void *attributes, void *set)')(made, signals);
  c.func('int sigfillset(void *set)')(signals);
  c.func('int posix_spawnattr_setsigdefault(void *attributes, void *set)')(made, signals);
  return made;
}

/** Calls on threads at one time: the library refuses more than some hundred, and there are not as many threads. */
const CALLS = 32;
let calls = 0;
const waiting: (() => void)[] = [];

/** Makes a call on a thread when there is room for it. */
async function inTurn<T>(call: () => Promise<T>): Promise<T> {
  if (calls >= CALLS) await new Promise<void>((resolve) => waiting.push(resolve));
  calls += 1;
  try {
    return await call();
  } finally {
    calls -= 1;
    waiting.shift()?.();
  }
}

/** What is to be done when a process has ended, which is still there to be asked then. */
const running = new Map<number, () => void>();
const info = Buffer.alloc(STRUCTURE_BYTES);

// Each process is asked for by itself: others of this program are not ours to wait for.
function lookForEnds(): void {
  for (const [pid, onEnd] of running) {
    info.writeInt32LE(0, 0);
    waitid(P_PID, pid, info, WEXITED | WNOHANG | WNOWAIT);
    if (info.readInt32LE(0) === 0) continue;
    running.delete(pid);
    onEnd();
  }
}
process.on('SIGCHLD', lookForEnds);

/** Starts a process by posix_spawn, which takes the same time however large this program is. */
export const startNatively: StartProcess = async (command, hear): Promise<Started> => {
  const out = createPipe((chunk) => hear('out', chunk));
  const err = createPipe((chunk) => hear('err', chunk));
  const endPipes = () => {
    out.end();
    err.end();
  };
  let pid: number;
  try {
    pid = await spawnWith(command, out.writeEnd, err.writeEnd);
  } catch (error) {
    endPipes();
    throw error;
  } finally {
    closeSync(out.writeEnd);
    closeSync(err.writeEnd);
  }
  const following = setTimeout(() => {
    out.follow();
    err.follow();
  }, FOLLOW_AFTER_MS);
  const ended = new Promise<ProcessEnd>((resolve) => {
    running.set(pid, () => {
      // What it left running in the background ends with it.
      killGroup(pid, 'SIGKILL');
      clearTimeout(following);
      endPipes();
      resolve(reap(pid));
    });
  });
  // It may have ended before its start was known here; whoever has started it is told that first.
  setImmediate(lookForEnds);
  return { pid, ended };
};

/**
 * In a thread of its own, because it waits until the program has begun.
 *
 * @throws StartError
 */
async function spawnWith(command: Command, out: number, err: number): Promise<number> {
  const { argv, directory, environment } = command;
  const pid = [0];
  const actions = Buffer.alloc(STRUCTURE_BYTES);
  actionsInit(actions);
  addChdir(actions, directory);
  addOpen(actions, 0, '/dev/null', 0, 0);
  addDup2(actions, out, 1);
  addDup2(actions, err, 2);
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  const start = (args: readonly string[]): Promise<number> =>
    inTurn(() => spawn(pid, args[0], actions, attributes, [...args, null], [...variables, null]));
  let failed = await start(argv);
  // A script without a first line that names its interpreter is the shell's, as execvp(3) has it.
  if (failed === constants.errno.ENOEXEC) failed = await start(['/bin/sh', ...argv]);
  actionsDestroy(actions);
  if (failed === 0) return pid[0]!;
  const code = getSystemErrorName(-failed);
  throw new StartError(code, `${code}: spawn ${argv[0]}`);
}

/** Takes a process that has ended away; after this, another may get its id. */
function reap(pid: number): ProcessEnd {
  const io = ioOf(pid);
  const status = [0];
  const used = [{}] as unknown as [Rusage];
  wait4(pid, status, 0, used);
  const signal = status[0]! & 0x7f;
  const usage = { ...io, ...usageOf(used[0]) };
  return signal === 0
    ? { exitCode: status[0]! >> 8, usage }
    : { signal: SIGNALS.get(signal) ?? `signal ${signal}`, usage };
}

const SIGNALS = new Map(
  Object.entries(constants.signals).map(([name, number]) => [number, name] as const),
);

/** Bytes that a process and all that it has waited for have read and written, terminals and pipes too. */
function ioOf(pid: number): ProcessUsage {
  try {
    const counts = readFileSync(`/proc/${pid}/io`, 'latin1');
    const [, read, written] = /^rchar: (\d+)\nwchar: (\d+)/.exec(counts)!;
    return { readBytes: Number(read), writtenBytes: Number(written) };
  } catch {
    return {};
  }
}

function usageOf(used: Rusage): ProcessUsage {
  // Until it has its own memory, a new process counts that of this program as its own.
  const isOwn = used.maxKb > process.resourceUsage().maxRSS;
  return {
    cpuUserMs: used.userS * 1000 + used.userUs / 1000,
    cpuSystemMs: used.systemS * 1000 + used.systemUs / 1000,
    cpuSource: 'rusage',
    ...(isOwn && { peakMemoryBytes: used.maxKb * 1024 }),
  };
}
