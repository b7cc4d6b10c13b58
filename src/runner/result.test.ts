import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { createTestNode, run } from '../../test/fixtures/bundles.ts';
import type { TestNode } from '../../test/fixtures/bundles.ts';
import { commitOutputs } from './result.ts';

let node: TestNode;
beforeEach(async () => {
  node = await createTestNode();
});
afterEach(() => node[Symbol.asyncDispose]());

const outputsOf = async (script: string) =>
  (await run(await node.assign(script))).result.outputs?.map(({ path }) => path);

const failureOf = async (script: string) => (await run(await node.assign(script))).result.failure;

describe('an output is taken', () => {
  test.each([
    ['by a relative path', 'echo OUTPUT_PRODUCT ./sub/../a.tif; mkdir sub'],
    ['by an absolute path', 'echo OUTPUT_PRODUCT "$PWD/a.tif"'],
    ['from a sub-directory', 'mkdir sub; mv a.tif sub; echo OUTPUT_PRODUCT sub/a.tif'],
    ['through a link inside', 'mv a.tif b; ln -s b a.tif; echo OUTPUT_PRODUCT a.tif'],
  ])('%s', async (_, script) => {
    expect(await outputsOf(`echo data > a.tif; ${script}`)).toEqual(['a.tif']);
    expect(await node.read('results', '1', 'a.tif')).toBe('data\n');
    const { mode } = await stat(join(node.directory, 'results', '1', 'a.tif'));
    expect(mode & 0o777, 'and can no longer be written by accident').toBe(0o444);
  });

  test('with its symbolic name, size and, if it is wanted, checksum', async () => {
    const script = 'printf abc > "a b.tif"; echo CALVALUS_NAMED_OUTPUT_PRODUCT ndvi "a b.tif"';
    const end = await run(await node.assign(script, { checksum: true }));
    const sha256 = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    expect(end.result.outputs).toEqual([{ path: 'a b.tif', name: 'ndvi', size: 3, sha256 }]);
  });
});

describe('an output is refused', () => {
  test.each([
    ['that is not there', 'echo OUTPUT_PRODUCT a.tif', 'is not there'],
    [
      'outside by an absolute path',
      'echo "OUTPUT_PRODUCT $(realpath ../../archive/scene.txt)"',
      'outside its working',
    ],
    ['outside by dots', 'echo OUTPUT_PRODUCT ../../archive/scene.txt', 'outside its working'],
    [
      'outside by a link',
      'ln -s ../../archive/scene.txt a; echo OUTPUT_PRODUCT a',
      'outside its working',
    ],
    [
      'beyond a linked directory',
      'ln -s ../../archive a; echo OUTPUT_PRODUCT a/scene.txt',
      'outside its',
    ],
    ['that is the input', 'echo OUTPUT_PRODUCT "$1"', 'outside its working directory'],
    ['that is the directory itself', 'echo OUTPUT_PRODUCT .', 'outside its working directory'],
    ['that is a directory', 'mkdir a; echo OUTPUT_PRODUCT a', 'not a regular file'],
    ['that is a pipe', 'mkfifo a; echo OUTPUT_PRODUCT a', 'not a regular file'],
    ['of a hidden name', 'touch .a; echo OUTPUT_PRODUCT .a', 'begin with a dot'],
    [
      'of an unprintable name',
      String.raw`f=$(printf 'a\001'); touch "$f"; echo OUTPUT_PRODUCT "$f"`,
      'control characters',
    ],
    [
      'of a name that another has',
      'mkdir b; touch a b/a; echo OUTPUT_PRODUCT a; echo OUTPUT_PRODUCT b/a',
      "two outputs of the name 'a'",
    ],
    [
      'that is announced twice',
      'touch a; echo OUTPUT_PRODUCT a; echo OUTPUT_PRODUCT ./a',
      "two outputs of the name 'a'",
    ],
  ])('%s', async (_, script, message) => {
    expect(await failureOf(script)).toEqual({
      kind: 'processor',
      message: expect.stringMatching(/^x-process announced /),
    });
    expect((await failureOf(script))!.message).toContain(message);
    expect(await node.list('results')).toEqual([]);
    expect(await node.list('scratch')).toEqual([]);
  });

  test('that the processor tries to smuggle in through the place where outputs are collected', async () => {
    const script = `rm -rf .collected; ln -s ${node.directory}/archive .collected
      touch a; echo OUTPUT_PRODUCT a`;
    expect(await outputsOf(script)).toEqual(['a']);
    expect(await node.list('archive')).toEqual(['scene.txt']);
  });
});

test('an output that is a second name of the input leaves the input as it is', async () => {
  const script = `ln ${node.input} a; echo OUTPUT_PRODUCT a`;
  expect(await outputsOf(script)).toEqual(['a']);
  expect((await stat(node.input)).mode & 0o777).toBe(0o644);
});

test('of two attempts of one task at the same time one commits, and both report its outputs', async () => {
  // Both wait for each other, so that neither finds what the other has committed.
  const meet = (mine: string, theirs: string) =>
    `echo ${mine} > out; touch ${node.directory}/${mine}
     until [ -e ${node.directory}/${theirs} ]; do :; done; echo OUTPUT_PRODUCT out`;
  const [one, three] = await Promise.all([
    run(await node.assign(meet('one', 'three'), { task: 1, checksum: true })),
    run(await node.assign(meet('three', 'one'), { task: 1, checksum: true })),
  ]);
  expect([one.to, three.to]).toEqual(['finished', 'finished']);
  expect(one.result.outputs).toEqual(three.result.outputs);
  const size = (await stat(join(node.directory, 'results', '1', 'out'))).size;
  expect(one.result.outputs).toMatchObject([{ path: 'out', size }]);
  expect(await node.list('results')).toEqual(['1']);
});

test('an attempt after a commit finds it and runs nothing', async () => {
  const first = await run(await node.assign('echo data > a; echo OUTPUT_PRODUCT a', { task: 1 }));
  const again = await run(await node.assign('exit 1', { task: 1 }));
  expect(again).toMatchObject({ to: 'finished', result: { outputs: first.result.outputs } });
});

test('a commit does not replace what was committed before, however late it comes', async () => {
  await run(await node.assign('echo data > a; echo OUTPUT_PRODUCT a', { task: 1 }));
  const winner = join(node.directory, 'results', '1');
  const late = join(node.directory, 'late');
  await mkdir(late);
  await writeFile(join(late, 'b'), 'late');
  const outputs = await commitOutputs(late, winner, [{ path: 'b', size: 4 }]);
  expect(outputs).toEqual([{ path: 'a', size: 5 }]);
  expect(await node.list('results', '1')).toEqual(['.manifest.json', 'a']);
});
