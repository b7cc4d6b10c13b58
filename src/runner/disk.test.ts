import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { createTestNode, run } from '../../test/fixtures/bundles.ts';
import type { TestNode } from '../../test/fixtures/bundles.ts';
import { lacks } from '../../test/fixtures/requires.ts';
import type { Assignment } from './assignment.ts';

const MB = 1024 ** 2;
let node: TestNode;
let small: string;
let unmount = () => undefined as void;

async function assign(
  script: string,
  where: readonly (keyof Assignment['directories'])[],
): Promise<Assignment> {
  const parameters = { a: '1' };
  const { directories, ...assignment } = await node.assign(script, { parameters });
  const moved = where.map((name) => [name, join(small, name, assignment.attemptId)]);
  return { ...assignment, directories: { ...directories, ...Object.fromEntries(moved) } };
}

/** Leaves so many bytes on the small file system. */
function fill(left: number): void {
  const { bavail, bsize } = statfsSync(small);
  writeFileSync(join(small, 'ballast'), Buffer.alloc(bavail * bsize - left));
}

/** Gives them back. */
const empty = () => writeFileSync(join(small, 'ballast'), '');

const expectNextWorks = async (where: readonly (keyof Assignment['directories'])[]) => {
  empty();
  const script = 'echo fine; echo data > a; echo OUTPUT_PRODUCT a';
  expect(await run(await assign(script, where))).toMatchObject({ to: 'finished' });
};

describe.skipIf(lacks('mounting as root'))('on a disk that is full', () => {
  /** A node whose scratch, results, logs and cache lie on a file system of 4 MB. */
  beforeEach(async () => {
    node = await createTestNode();
    small = await mkdtemp(join(tmpdir(), 'small-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'pushbroom-test', small]);
    unmount = () => void execFileSync('umount', ['--lazy', small]);
    empty();
  });
  afterEach(async () => {
    unmount();
    unmount = () => undefined;
    await rm(small, { recursive: true, force: true });
    await node[Symbol.asyncDispose]();
  });

  test('a disk that is full before an attempt begins fails it so, and the next one works', async () => {
    mkdirSync(join(small, 'scratch'));
    fill(0);
    const where = ['scratch', 'result'] as const;
    const end = await run(await assign('exit 0', where));
    expect(end.result.failure).toMatchObject({
      kind: 'disk',
      message: expect.stringContaining("no space is left on the node's disk"),
    });
    await expectNextWorks(where);
  });

  test('a processor that fills the disk is told by its own words, and its files are gone', async () => {
    const where = ['scratch', 'result'] as const;
    const end = await run(await assign('head -c 8000000 /dev/zero > a || exit 1', where));
    expect(end.result.failure).toMatchObject({
      kind: 'disk',
      message: expect.stringContaining('No space left on device'),
    });
    const { bavail, bsize } = statfsSync(small);
    expect(bavail * bsize).toBeGreaterThan(3.5 * MB);
    await expectNextWorks(where);
  });

  test('a full disk for the logs ends the attempt and says why', async () => {
    const assignment = await assign('head -c 6000000 /dev/zero; sleep 1000', ['log']);
    const end = await run(assignment);
    expect(end.result.failure).toMatchObject({
      kind: 'disk',
      message: expect.stringContaining('x-process was ended because its log cannot be written'),
    });
    rmSync(`${assignment.directories.log}.out`);
    await expectNextWorks(['log']);
  });

  test('a full disk for the outputs fails the attempt and commits nothing', async () => {
    const where = ['scratch', 'result'] as const;
    const script = `echo data > a; dd if=/dev/zero of=b bs=64k 2> /dev/null
    echo OUTPUT_PRODUCT a; echo OUTPUT_PRODUCT b`;
    const assignment = await assign(script, where);
    const end = await run(assignment);
    expect(end.result.failure?.kind).toBe('disk');
    await expectNextWorks(where);
  });

  test('a full disk for unpacked bundles fails the attempt, not the deployment', async () => {
    mkdirSync(join(small, 'cache'));
    fill(0);
    expect((await run(await assign('exit 0', ['cache']))).result.failure).toMatchObject({
      kind: 'disk',
      message: expect.stringContaining('bundle test-1.0: no space is left'),
    });
    await expectNextWorks(['cache']);
  });
});
