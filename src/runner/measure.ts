import { readFileSync, readdirSync } from 'node:fs';

import type { Usage } from '../core/model.ts';
import type { ProcessUsage } from './process.ts';

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
 * Measures an attempt from outside, without cgroups. CPU, I/O and the memory of its largest process are what the kernel
 * has counted when a program ends, exact as long as the processor waits for its own children. Memory of all processes
 * together comes from looking into /proc while they run, which misses what happens between two looks.
 */
export function createMeasure() {
  const begun = performance.now();
  const programs: ProcessUsage[] = [];
  let peak = 0;
  const storage = { read: 0, written: 0 };

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

  /** Absent unless it is known of each program. */
  function sum(part: Exclude<keyof ProcessUsage, 'cpuSource'>): number | undefined {
    const parts = programs.map((program) => program[part]);
    if (parts.length === 0 || parts.includes(undefined)) return undefined;
    return Math.round(parts.reduce<number>((total, each) => total + each!, 0));
  }

  function usage(): Usage {
    const figures = {
      cpuUserMs: sum('cpuUserMs'),
      cpuSystemMs: sum('cpuSystemMs'),
      readBytes: sum('readBytes'),
      writtenBytes: sum('writtenBytes'),
    };
    const largest = Math.max(0, ...programs.map(({ peakMemoryBytes = 0 }) => peakMemoryBytes));
    const cpu = programs[0]?.cpuSource;
    return {
      wallMs: Math.round(performance.now() - begun),
      ...defined(figures),
      ...(storage.read > 0 && { storageReadBytes: storage.read }),
      ...(storage.written > 0 && { storageWrittenBytes: storage.written }),
      ...((peak > 0 || largest > 0) && { peakMemoryBytes: Math.max(peak, largest) }),
      sources: {
        wall: 'monotonic-clock',
        ...(figures.cpuUserMs !== undefined && cpu !== undefined && { cpu }),
        ...((peak > 0 || largest > 0) && {
          memory: largest > peak ? 'rusage' : 'proc-status-poll',
        }),
        ...(figures.readBytes !== undefined && { io: 'proc-io' }),
        ...(storage.read + storage.written > 0 && { storage: 'runner' }),
      },
    };
  }

  return {
    look,
    ended: (program: ProcessUsage) => void programs.push(program),
    /** So many bytes more from a storage: beside what programs read, who read what was brought once more. */
    fetched: (bytes: number) => void (storage.read += bytes),
    /** So many bytes more to a storage. */
    stored: (bytes: number) => void (storage.written += bytes),
    usage,
  };
}

export type Measure = ReturnType<typeof createMeasure>;

type Defined<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };
const defined = <T extends object>(figures: T): Defined<T> =>
  Object.fromEntries(
    Object.entries(figures).filter(([, figure]) => figure !== undefined),
  ) as Defined<T>;

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
