import { readFileSync } from 'node:fs';

import type { Usage } from '../core/model.ts';

/** USER_HZ, the unit of times in /proc; 100 on every Linux that Node runs on (proc(5)). */
const MS_PER_TICK = 10;
/** Memory and I/O are looked at after so many milliseconds, then ever less often. */
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

function descendants(pid: number): number[] {
  const children = read(`/proc/${pid}/task/${pid}/children`).trim();
  return [
    pid,
    ...(children === '' ? [] : children.split(' ').flatMap((child) => descendants(Number(child)))),
  ];
}

const kilobytes = (status: string, key: string): number =>
  1024 * Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);

const bytes = (io: string, key: string): number =>
  Number(new RegExp(`^${key}: (\\d+)`, 'm').exec(io)?.[1] ?? 0);

/**
 * Measures an attempt from outside, without cgroups: CPU as what this process's children add up to, which is exact as
 * long as the runner has one attempt at a time; memory and I/O by looking into /proc while it runs, which misses what
 * happens between two looks.
 */
export function createMeasure() {
  const begun = performance.now();
  const before = childrenCpu();
  const io = new Map<number, { read: number; written: number }>();
  let peak = 0;

  /** Looks at a process and its descendants. Returns their resident memory in bytes. */
  function look(pid: number): number {
    let resident = 0;
    let highest = 0;
    for (const each of descendants(pid)) {
      const status = read(`/proc/${each}/status`);
      resident += kilobytes(status, 'VmRSS');
      highest = Math.max(highest, kilobytes(status, 'VmHWM'));
      const counts = read(`/proc/${each}/io`);
      if (counts !== UNREADABLE) {
        io.set(each, { read: bytes(counts, 'rchar'), written: bytes(counts, 'wchar') });
      }
    }
    peak = Math.max(peak, resident, highest);
    return resident;
  }

  function usage(): Usage {
    const after = childrenCpu();
    const sources: Record<string, string> = { wall: 'monotonic-clock' };
    const figures: { -readonly [K in keyof Usage]: Usage[K] } = {
      wallMs: Math.round(performance.now() - begun),
      sources,
    };
    if (before && after) {
      figures.cpuUserMs = after.user - before.user;
      figures.cpuSystemMs = after.system - before.system;
      sources['cpu'] = 'proc-stat-children';
    }
    if (peak > 0) {
      figures.peakMemoryBytes = peak;
      sources['memory'] = 'proc-status-poll';
    }
    if (io.size > 0) {
      figures.readBytes = io.values().reduce((sum, count) => sum + count.read, 0);
      figures.writtenBytes = io.values().reduce((sum, count) => sum + count.written, 0);
      sources['io'] = 'proc-io-poll';
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
