import { execFile } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { runnerProgram } from './program-file.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'runner-'));
});
afterEach(() => rm(directory, { recursive: true }));

test('the runner on agents is one file that needs nothing but Node', async () => {
  const { path } = await runnerProgram(join(directory, 'new'));
  expect(await readdir(join(directory, 'new'))).toEqual(['runner.cjs']);
  const program = await readFile(path, 'utf8');
  const needed = Array.from(program.matchAll(/require\(\\?"([^"\\]+)\\?"\)/g), ([, name]) => name!);
  expect(needed.length).toBeGreaterThan(10);
  expect(needed.filter((name) => !isBuiltin(name))).toEqual([]);
  const started = promisify(execFile)(process.execPath, [path], { cwd: directory, env: {} });
  await expect(started).rejects.toMatchObject({ code: 120 });
});

test('who asks for it again while it is used gets it whole', async () => {
  const all = await Promise.all(Array.from({ length: 3 }, () => runnerProgram(directory)));
  const [{ path }] = all as [{ path: string }];
  expect(all).toEqual([{ path }, { path }, { path }]);
  const before = await readFile(path);
  await runnerProgram(directory);
  expect(await readFile(path)).toEqual(before);
  expect(await readdir(directory)).toEqual(['runner.cjs']);
});
