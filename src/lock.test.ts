import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { lock } from './lock.ts';

let directory: string;
let path: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lock-'));
  path = join(directory, 'lock');
});
afterEach(() => rm(directory, { recursive: true }));

test('a second one is refused and told who has it, until it is released', () => {
  const release = lock(path, 'process 1, started today');
  expect(() => lock(path, 'another')).toThrow(
    'the data directory is in use by process 1, started today',
  );
  release();
  lock(path, 'process 2')();
});

test('it goes with a process that is killed', async () => {
  const program = join(directory, 'holder.mjs');
  await writeFile(
    program,
    `import { lock } from ${JSON.stringify(join(import.meta.dirname, 'lock.ts'))};
     lock(${JSON.stringify(path)}, 'the child'); process.send('locked'); setInterval(() => {}, 1e6);`,
  );
  const child = fork(program, { execArgv: [] });
  await once(child, 'message');
  expect(() => lock(path, 'we')).toThrow('in use by the child');
  child.kill('SIGKILL');
  await once(child, 'exit');
  lock(path, 'we')();
});
