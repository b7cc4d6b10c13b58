import { spawn } from 'node:child_process';

import { ATTEMPT_VARIABLE } from './process.ts';

/**
 * Waits for a word or, where the runner has died, for the end of its input. Then whatever has the attempt's variable in
 * its environment is killed, a few times, because a program may just be being started.
 */
const SCRIPT = `read -r word && exit
for try in 1 2 3; do
  for file in $(grep -lzxF "$1" /proc/[0-9]*/environ 2>/dev/null); do
    pid=\${file#/proc/}
    kill -s KILL "\${pid%/environ}"
  done
  sleep 1
done`;

/**
 * Ends the programs of an attempt whose runner is killed itself, for engines that kill no more than the process group
 * that they have started, as YARN does: programs have groups of their own.
 */
export function createGuard(attemptId: string) {
  const guard = spawn('/bin/sh', ['-c', SCRIPT, 'guard', `${ATTEMPT_VARIABLE}=${attemptId}`], {
    cwd: '/',
    env: { PATH: '/usr/bin:/bin' },
    // In a session of its own, so that it outlives the runner.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Without it, everything else goes on.
  guard.on('error', () => undefined);
  guard.stdin.on('error', () => undefined);
  guard.unref();
  return {
    /** Nothing of the attempt runs any more. */
    release: () => void guard.stdin.write('\n'),
  };
}
