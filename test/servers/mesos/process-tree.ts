import { readFileSync, readdirSync } from 'node:fs';

interface Seen {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** Clock ticks, usually hundredths of a second. */
  readonly userTicks: number;
  readonly systemTicks: number;
  readonly rssPages: number;
}

function processes(): Seen[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      // The name in brackets may hold anything.
      const fields = stat
        .slice(stat.lastIndexOf(')') + 2)
        .split(' ')
        .map(Number);
      return [
        {
          pid: Number(name),
          parent: fields[1]!,
          group: fields[2]!,
          session: fields[3]!,
          userTicks: fields[11]!,
          systemTicks: fields[12]!,
          rssPages: fields[21]!,
        },
      ];
    } catch {
      return [];
    }
  });
}

/**
 * The process, its descendants, and whoever shares a process group or session with one of them, as Mesos's
 * `os::killtree` finds them. The root has to lead a session of its own, or its starter would be found, too.
 */
export function treeOf(root: number): readonly Seen[] {
  const all = processes();
  const found = new Map<number, Seen>();
  for (;;) {
    const before = found.size;
    const groups = new Set([...found.values()].flatMap(({ group, session }) => [group, session]));
    for (const one of all) {
      const isOurs =
        one.pid === root ||
        found.has(one.parent) ||
        groups.has(one.group) ||
        groups.has(one.session);
      if (isOurs) found.set(one.pid, one);
    }
    if (found.size === before) return [...found.values()];
  }
}

export function killTree(root: number, signal: NodeJS.Signals): void {
  for (const { pid } of treeOf(root)) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended meanwhile.
    }
  }
}

/** Whether the process group that a process led has members left. */
export function hasGroup(leader: number): boolean {
  try {
    process.kill(-leader, 0);
    return true;
  } catch {
    return false;
  }
}

/** CPU seconds and resident bytes of a tree. */
export function usageOf(root: number): { user: number; system: number; rssBytes: number } {
  const tree = treeOf(root);
  const sum = (value: (one: Seen) => number) => tree.reduce((all, one) => all + value(one), 0);
  return {
    user: sum(({ userTicks }) => userTicks) / 100,
    system: sum(({ systemTicks }) => systemTicks) / 100,
    rssBytes: sum(({ rssPages }) => rssPages) * 4096,
  };
}
