import { readFileSync, readdirSync } from 'node:fs';

import type { Usage } from '../core/model.ts';

/** USER_HZ, the unit of times in /proc; 100 on every Linux that Node runs on (proc(5)). */
const MS_PER_TICK = 10;
/** Memory is looked at after so many milliseconds, then ever less often. */
const FIRST_LOOK = 20;
const LONGEST_PAUSE = 250;

const UNREADABLE = '';
const read = (path: string): string => {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return UNREADABLE;
  }
};

const list = (directory: string): string[] => {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
};

/** CPU time of children of this process that have ended and been waited for, with their own children. */
function childrenCpu(): { user: number; system: number } | undefined {
  const stat = read('/proc/self/stat');
  // Fields follow the command's closing bracket: 3 is the state, 16 and 17 are cutime and cstime.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const user = Number(fields[13]);
  const system = Number(fields[14]);
  return stat === UNREADABLE || Number.isNaN(user + system)
    ? undefined
    : { user: user * MS_PER_TICK, system: system * MS_PER_TICK };
}

/** A process and all below it. What its father has not outlived belongs to init and is not found. */
function descendants(pid: number): number[] {
  const tasks = list(`/proc/${pid}/task`);
  const children = tasks.flatMap((task) =>
    read(`/proc/${pid}/task/${task}/children`)
      .split(' ')
      .filter((child) => child !== '')
      .map(Number),
  );
  return [pid, ...children.flatMap(descendants)];
}

const kilobytes = (status: string, key: string): number =>
  1024 * Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);

/**
 * Bytes that children of this process which have ended and been waited for have read and written, with their own
 * children: what the process counts altogether without what its own threads count.
 */
function childrenIo(): { read: number; written: number } | undefined {
  const total = ioCounts('/proc/self/io');
  const own = list('/proc/self/task').map((task) => ioCounts(`/proc/self/task/${task}/io`));
  return own.reduce(
    (rest, counts) =>
      rest && counts && { read: rest.read - counts.read, written: rest.written - counts.written },
    total,
  );
}

function ioCounts(path: string): { read: number; written: number } | undefined {
  const [, rchar, wchar] = /^rchar: (\d+)\nwchar: (\d+)/.exec(read(path)) ?? [];
  return rchar === undefined ? undefined : { read: Number(rchar), written: Number(wchar) };
}

/**
 * Measures an attempt from outside, without cgroups. CPU and I/O are what this process's children add up to, which is
 * exact as long as the runner has one attempt at a time, and the processor waits for its own children. Memory comes
 * from looking into /proc while it runs, which misses what happens between two looks.
 */
export function createMeasure() {
  const begun = performance.now();
  const cpuBefore = childrenCpu();
  const ioBefore = childrenIo();
  let peak = 0;

  /** Looks at a process and its descendants. Returns their resident memory in bytes. */
  function look(pid: number): number {
    let resident = 0;
    let highest = 0;
    for (const each of descendants(pid)) {
      const status = read(`/proc/${each}/status`);
      resident += kilobytes(status, 'VmRSS');
      highest = Math.max(highest, kilobytes(status, 'VmHWM'));
    }
    peak = Math.max(peak, resident, highest);
    return resident;
  }

  function usage(): Usage {
    const cpu = childrenCpu();
    const io = childrenIo();
    const sources: Record<string, string> = { wall: 'monotonic-clock' };
    const figures: { -readonly [K in keyof Usage]: Usage[K] } = {
      wallMs: Math.round(performance.now() - begun),
      sources,
    };
    if (cpuBefore && cpu) {
      figures.cpuUserMs = cpu.user - cpuBefore.user;
      figures.cpuSystemMs = cpu.system - cpuBefore.system;
      sources['cpu'] = 'proc-stat-children';
    }
    if (peak > 0) {
      figures.peakMemoryBytes = peak;
      sources['memory'] = 'proc-status-poll';
    }
    if (ioBefore && io) {
      figures.readBytes = io.read - ioBefore.read;
      figures.writtenBytes = io.written - ioBefore.written;
      sources['io'] = 'proc-io-children';
    }
    return figures;
  }

  return { look, usage };
}

/** Calls back with growing pauses until the returned function is called. */
export function watch(callback: () => void): () => void {
  let pause = FIRST_LOOK;
  let timer: NodeJS.Timeout;
  const next = () => {
    timer = setTimeout(() => {
      callback();
      pause = Math.min(pause * 2, LONGEST_PAUSE);
      next();
    }, pause);
  };
  next();
  return () => clearTimeout(timer);
}
