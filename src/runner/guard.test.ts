import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { isAlive } from '../../test/fixtures/bundles.ts';
import { ATTEMPT_VARIABLE, killGroup } from './process.ts';

/** A program of an attempt, in a group of its own. */
const start = (attemptId: string) =>
  spawn('/bin/sh', ['-c', 'sleep 1000; :'], {
    env: { [ATTEMPT_VARIABLE]: attemptId },
    detached: true,
    stdio: 'ignore',
  });

let attemptId: string;
let program: ReturnType<typeof start>;
let other: ReturnType<typeof start>;
beforeEach(() => {
  attemptId = `${randomUUID()}.1.1`;
  program = start(attemptId);
  // Its id begins in the same way.
  other = start(`${attemptId}0`);
});
afterEach(() => {
  for (const { pid } of [program, other]) killGroup(pid, 'SIGKILL');
});

/** A runner that says so when it is ready, and waits. */
const startRunner = (script: string) =>
  spawn(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `import { createGuard } from '${import.meta.dirname}/guard.ts';
      const guard = createGuard('${attemptId}');
      ${script}
      console.log('ready');
      setInterval(() => {}, 1000);`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );

test('what runs for an attempt ends when its runner is killed, and nothing else', async () => {
  const runner = startRunner('');
  await once(runner.stdout, 'data');
  expect(isAlive(program.pid!)).toBe(true);
  runner.kill('SIGKILL');
  await vi.waitFor(() => expect(isAlive(program.pid!)).toBe(false), { timeout: 20_000 });
  expect(isAlive(other.pid!)).toBe(true);
});

test('a guard goes when it is no longer wanted, and ends nothing', async () => {
  const runner = startRunner('guard.release();');
  await once(runner.stdout, 'data');
  const children = () => readFileSync(`/proc/${runner.pid}/task/${runner.pid}/children`, 'utf8');
  await vi.waitFor(() => expect(children()).toBe(''), { timeout: 20_000 });
  expect(isAlive(program.pid!)).toBe(true);
  runner.kill('SIGKILL');
});
