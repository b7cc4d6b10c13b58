import { spawn } from 'node:child_process';

/** Ends when nobody can tell it anything any more, and the group that it was told of last with it. */
const SCRIPT =
  'while read -r group; do last=$group; done; [ -z "$last" ] || kill -s KILL -- "-$last"';

/**
 * Ends the program of a runner that is killed itself, for engines that kill no more than the process group that they have
 * started, as YARN does: programs have groups of their own. A process that has made a group of its own lives on.
 */
export function createGuard() {
  const guard = spawn('/bin/sh', ['-c', SCRIPT], {
    cwd: '/',
    env: {},
    // In a session of its own, so that it outlives the runner.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Without it, everything goes as well.
  guard.on('error', () => undefined);
  guard.stdin.on('error', () => undefined);
  guard.unref();
  return {
    watch: (group: number) => void guard.stdin.write(`${group}\n`),
    /** Another process may get its id. */
    release: () => void guard.stdin.write('\n'),
  };
}
