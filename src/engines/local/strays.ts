import { readFileSync, readdirSync } from 'node:fs';

import type { AttemptId } from '../../core/model.ts';
import { ATTEMPT_VARIABLE, killGroup } from '../../runner/process.ts';

/**
 * Ends what attempts have left running whose runner has died. A program is known by the attempt's id in its environment
 * and never by its process id, which may be another's by now.
 */
export function killStrays(attemptIds: readonly AttemptId[]): void {
  if (attemptIds.length === 0) return;
  const wanted = new Set(attemptIds.map((id) => `${ATTEMPT_VARIABLE}=${id}`));
  for (const pid of list('/proc').filter((name) => /^\d+$/.test(name))) {
    const variables = read(`/proc/${pid}/environ`).split('\0');
    if (variables.some((variable) => wanted.has(variable))) killGroup(groupOf(pid), 'SIGKILL');
  }
}

/** Fields of `stat` follow the command's closing bracket: state, parent, process group. */
function groupOf(pid: string): number | undefined {
  const stat = read(`/proc/${pid}/stat`);
  const group = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]);
  return group > 1 ? group : undefined;
}

const list = (directory: string): readonly string[] => {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
};

/** Empty when the process is gone, or another user's. */
const read = (file: string): string => {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
};
