import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createCheck } from './check.ts';

let home: string;
let file: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'check-'));
  // A name that a shell would stumble over.
  file = join(home, "a $(touch nope) 'b.zip");
  await writeFile(file, 'content');
});
afterAll(() => rm(home, { recursive: true }));

async function look(command: readonly string[], seconds = 10) {
  const warnings: string[] = [];
  const check = createCheck({ command, seconds, warn: (message) => warnings.push(message) });
  try {
    await check(file, 'b.zip');
    return { warnings };
  } catch (error) {
    return { error: error as Error, warnings };
  }
}

const script = async (text: string): Promise<string> => {
  const path = join(home, `${Math.random()}.sh`);
  await writeFile(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return path;
};

test('without a program everything is accepted', async () => {
  expect(await look([])).toEqual({ warnings: [] });
});

test('exit code 0 accepts; the path is the last argument, whatever it has in it', async () => {
  expect(await look([await script('[ "$1" = -q ] && grep -q content "$2"'), '-q'])).toEqual({
    warnings: [],
  });
});

test('any other refuses with the first line, and without our path', async () => {
  const { error, warnings } = await look([
    await script(String.raw`printf '%s: \033Eicar FOUND\nmore\n' "$1"; exit 1`),
  ]);
  expect(error).toMatchObject({
    code: 'INVALID_PARAMETER',
    message: 'the file was refused: b.zip:  Eicar FOUND',
    locator: 'file',
  });
  expect(warnings).toEqual([]);
});

test('a program that says nothing refuses, too', async () => {
  expect((await look([await script('exit 3')])).error?.message).toBe('the file was refused');
});

test.each([
  ['is not there', async () => '/nope/scanner'],
  ['is killed', async () => script('kill -9 $$')],
  ['takes too long', async () => script('exec sleep 100')],
  ['says too much', async () => script('head -c 3000000 /dev/zero')],
])('a program that %s accepts nothing', async (_, program) => {
  const { error, warnings } = await look([await program()], 1);
  expect(error).toMatchObject({ code: 'UNAVAILABLE' });
  expect(error?.message).not.toContain(home);
  expect(warnings).toHaveLength(1);
});
