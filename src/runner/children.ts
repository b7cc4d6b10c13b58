import { readFileSync, readdirSync } from 'node:fs';

import type { ProcessUsage } from './process.ts';

/** Of the kernel's clock as it counts for programs, the same on all machines (USER_HZ, proc_pid_stat(5)). */
const TICK_MS = 10;

/** What the kernel has counted of the children that this program has waited for, and of all that they have. */
interface Counted {
  readonly user: number;
  readonly system: number;
  readonly read: number;
  readonly written: number;
}

/** Programs that are being accounted for. What they use is one figure, so it is nobody's when there are several. */
const running = new Set<{ isAlone: boolean }>();

/**
 * Accounts for one child that has just been started, without a system call that Node does not have: by what all
 * children together have used before and after its end.
 *
 * @returns to be called once right after its end; what it used is not known where another has run beside it
 */
export function accountForChild(): () => ProcessUsage {
  const mine = { isAlone: running.size === 0 };
  for (const other of running) other.isAlone = false;
  running.add(mine);
  const before = countChildren();
  return () => {
    running.delete(mine);
    const after = countChildren();
    if (!mine.isAlone || !before || !after) return {};
    return {
      cpuUserMs: after.user - before.user,
      cpuSystemMs: after.system - before.system,
      cpuSource: 'proc-stat-children',
      readBytes: Math.max(0, after.read - before.read),
      writtenBytes: Math.max(0, after.written - before.written),
    };
  };
}

function countChildren(): Counted | undefined {
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1');
    const [user, system] = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .slice(13, 15)
      .map((ticks) => TICK_MS * Number(ticks));
    // The process's own counts hold those of its children, its threads' do not.
    const all = io('/proc/self/io');
    const own = readdirSync('/proc/self/task').map((thread) => io(`/proc/self/task/${thread}/io`));
    const sum = (part: 'read' | 'written') =>
      own.reduce((rest, thread) => rest - thread[part], all[part]);
    return { user: user!, system: system!, read: sum('read'), written: sum('written') };
  } catch {
    return undefined;
  }
}

function io(path: string): { readonly read: number; readonly written: number } {
  const [, read, written] = /^rchar: (\d+)\nwchar: (\d+)/.exec(readFileSync(path, 'latin1'))!;
  return { read: Number(read), written: Number(written) };
}
