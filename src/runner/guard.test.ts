import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { isAlive } from '../../test/fixtures/bundles.ts';
import { killGroup } from './process.ts';

/** A program in a group of its own, as a runner's are. */
const start = () => spawn('/bin/sh', ['-c', 'sleep 1000; :'], { detached: true, stdio: 'ignore' });

let program: ReturnType<typeof start>;
let other: ReturnType<typeof start>;
beforeEach(() => {
  program = start();
  other = start();
});
afterEach(() => {
  for (const { pid } of [program, other]) killGroup(pid, 'SIGKILL');
});

/** A runner that says so when its guard knows what it was told, and waits. */
const runner = (script: string) =>
  spawn(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `import { createGuard } from '${import.meta.dirname}/guard.ts';
      const guard = createGuard();
      ${script}
      setTimeout(() => console.log('told'), 0);
      setInterval(() => {}, 1000);`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );

test('a program ends, with its group, when its runner is killed', async () => {
  const killed = runner(`guard.watch(${program.pid});`);
  await once(killed.stdout, 'data');
  expect(isAlive(program.pid!)).toBe(true);
  killed.kill('SIGKILL');
  await vi.waitFor(() => expect(isAlive(program.pid!)).toBe(false), { timeout: 20_000 });
});

test('nobody else ends who may have got the id of a program that has ended', async () => {
  const killed = runner(
    `guard.watch(${program.pid}); guard.release(); guard.watch(${other.pid}); guard.release();
     guard.watch(${other.pid});`,
  );
  await once(killed.stdout, 'data');
  killed.kill('SIGKILL');
  await vi.waitFor(() => expect(isAlive(other.pid!)).toBe(false), { timeout: 20_000 });
  expect(isAlive(program.pid!)).toBe(true);
});
