import { existsSync, statSync, watch } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { createTestNode, run } from '../../test/fixtures/bundles.ts';
import type { TestNode } from '../../test/fixtures/bundles.ts';

let node: TestNode;
beforeEach(async () => {
  node = await createTestNode();
});
afterEach(() => node[Symbol.asyncDispose]());

test('a processor is called with its input and a parameters file in a directory of its own', async () => {
  const assignment = await node.assign(
    `[ "$#" = 2 ] && [ "$PWD" = "$HOME" ] && [ "$PWD" = "$TMPDIR" ] && cat "$1" > out.txt && . "./$2"
     echo "$*" "$title" $(ls) "$PUSHBROOM_ATTEMPT" >> out.txt
     echo OUTPUT_PRODUCT out.txt`,
    { parameters: { title: "it's" } },
  );
  expect(await run(assignment)).toEqual({
    to: 'finished',
    result: {
      startedAt: expect.any(Number),
      exitCode: 0,
      outputs: [{ path: 'out.txt', size: expect.any(Number) }],
      usage: expect.any(Object),
    },
  });
  expect(await node.read('results/1/out.txt')).toBe(
    `a scene\nscene.txt parameters it's out.txt parameters scene.txt ${assignment.attemptId}\n`,
  );
  expect(await node.list('scratch'), 'nothing is left behind').toEqual([]);
});

test('an exit of 0 without an output is a success that leaves nothing', async () => {
  const end = await run(await node.assign('echo nothing to see'));
  expect(end).toMatchObject({ to: 'finished', result: { outputs: [] } });
  expect(await node.list('results')).toEqual([]);
});

test('a failure tells the exit code and the last words', async () => {
  const script = `echo fine; echo 'first' >&2; echo 'cannot read band 7' >&2; echo '  ' >&2; exit 3`;
  expect(await run(await node.assign(script))).toMatchObject({
    to: 'failed',
    result: {
      exitCode: 3,
      failure: {
        kind: 'processor',
        message: 'x-process failed with exit code 3: cannot read band 7',
      },
    },
  });
});

test('a failure without words is told by its exit code', async () => {
  const end = await run(await node.assign('exit 1'));
  expect(end.result.failure?.message).toBe('x-process failed with exit code 1');
});

test('a program that is ended by a signal says so', async () => {
  expect(await run(await node.assign('kill -SEGV $$'))).toMatchObject({
    to: 'failed',
    result: {
      signal: 'SIGSEGV',
      failure: { kind: 'processor', message: 'x-process was ended by SIGSEGV' },
    },
  });
});

test('an interpreter that is not there is the reason, not a file that is', async () => {
  const end = await run(await node.assign('#!/no/such/interpreter\n'));
  expect(end.result.failure).toEqual({
    kind: 'processor',
    message:
      'x-process could not be started: the node has no interpreter as its first line names it',
  });
});

test('a program that cannot be executed says so', async () => {
  const assignment = await node.assign('exit 0');
  const { executables } = assignment;
  // Only what is named as a program is made executable when the bundle is unpacked.
  const end = await run({
    ...assignment,
    executables: { ...executables, main: '../../archive/scene.txt' },
  });
  expect(end.result.failure).toMatchObject({
    kind: 'processor',
    message: expect.stringContaining('could not be started: it is not executable'),
  });
});

test('prepare sees the input itself and may fetch another', async () => {
  const assignment = await node.assign({
    prepare: 'cp "$1" local.txt; echo more >> local.txt; echo CALVALUS_INPUT_PRODUCT local.txt',
    process: 'cp "$1" out.txt; echo "$1" >> out.txt; echo OUTPUT_PRODUCT out.txt',
  });
  expect(await run(assignment)).toMatchObject({ to: 'finished' });
  expect(await node.read('results/1/out.txt')).toBe('a scene\nmore\nlocal.txt\n');
});

test('what prepare fetches need not be there before', async () => {
  const prepare = 'echo "from $1" > local.txt; echo CALVALUS_INPUT_PRODUCT local.txt';
  const input = 'https://archive.example/scene.zip';
  const process = 'cat "$1"; exit 1';
  const assignment = await node.assign({ prepare, process }, { input });
  expect((await run(assignment)).result.exitCode).toBe(1);
  expect(await node.log(assignment, 'out')).toContain(`from ${input}`);
});

test('after prepare says skip, nothing else is called', async () => {
  const assignment = await node.assign({
    prepare: 'echo CALVALUS_SKIP_PROCESSING yes',
    process: 'exit 1',
  });
  expect(await run(assignment)).toMatchObject({ to: 'finished', result: { outputs: [] } });
});

test('finalize says by what it leaves which outputs are taken', async () => {
  const assignment = await node.assign(
    {
      process: 'touch a b; echo OUTPUT_PRODUCT a; echo CALVALUS_NAMED_OUTPUT_PRODUCT second b',
      finalize: '[ "$1 $2" = "a b" ] && cat "$1" "$2" > "$3/a+b"; echo more > "$3/c"',
    },
    { checksum: true },
  );
  expect((await run(assignment)).result.outputs).toEqual([
    { path: 'a+b', size: 0, sha256: expect.stringMatching(/^e3b0c442/) },
    { path: 'c', size: 5, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
  ]);
  expect(await node.list('results', '1')).toEqual(['.manifest.json', 'a+b', 'c']);
});

test('a failure in prepare or finalize names it', async () => {
  const broken = await run(await node.assign({ prepare: 'exit 4', process: 'exit 0' }));
  expect(broken.result.failure?.message).toBe('x-prepare failed with exit code 4');
  const process = 'touch a; echo OUTPUT_PRODUCT a';
  const last = await run(await node.assign({ process, finalize: 'exit 5' }));
  expect(last.result.failure?.message).toBe('x-finalize failed with exit code 5');
  expect(await node.list('results')).toEqual([]);
});

test('an input that is called like the parameters file does not hide it', async () => {
  const input = join(node.directory, 'archive', 'parameters');
  await writeFile(input, 'a=input\n');
  const script = '. "./$2"; echo "$a"; cat "$1"';
  const assignment = await node.assign(script, { input, parameters: { a: 'parameter' } });
  expect(await run(assignment)).toMatchObject({ to: 'finished' });
  expect(await node.log(assignment, 'out')).toBe('parameter\na=input\n');
});

test.each(['missing.txt', 'dangling'])(
  "an input that cannot be read is the input's failure: %s",
  async (name) => {
    await symlink('nowhere', join(node.directory, 'archive', 'dangling'));
    const input = join(node.directory, 'archive', name);
    const end = await run(await node.assign('exit 0', { input }));
    expect(end.result.failure).toMatchObject({
      kind: 'input',
      message: expect.stringContaining(`the input ${input} cannot be used: ENOENT`),
    });
  },
);

test('a bundle that is gone fails the deployment, and by name', async () => {
  const assignment = await node.assign('exit 0');
  await rm(assignment.bundle.archive);
  expect((await run(assignment)).result.failure).toMatchObject({
    kind: 'engine',
    message: expect.stringContaining('bundle test-1.0: ENOENT'),
  });
});

test('a container is not made here', async () => {
  const groups: number[] = [];
  const assignment = await node.assign('exit 0', { image: 'registry.example/snap:9' });
  const end = await run(assignment, { onSpawn: (group) => groups.push(group) });
  expect(end.result.failure).toEqual({
    kind: 'processor',
    message:
      'the bundle wants to run in the container image registry.example/snap:9, which the local engine cannot do: give it an engine that can',
  });
  expect(groups).toEqual([]);
});

test('outputs are brought together where that is wanted', async () => {
  const collected = join(node.directory, 'elsewhere', 'collected');
  const before = { directories: { collected } };
  const script = 'touch a; echo OUTPUT_PRODUCT a';
  expect(await run(await node.assign(script, before))).toMatchObject({ to: 'finished' });
  expect(await node.list('results', '1')).toEqual(['.manifest.json', 'a']);
  const failed = await node.assign(`${script}; echo OUTPUT_PRODUCT b`, before);
  expect(await run(failed)).toMatchObject({ to: 'failed' });
  expect(await node.list('elsewhere'), 'nothing is left behind').toEqual([]);
});

const OTHER_FILE_SYSTEM = '/dev/shm';
const hasOther =
  existsSync(OTHER_FILE_SYSTEM) && statSync(OTHER_FILE_SYSTEM).dev !== statSync(tmpdir()).dev;

test.runIf(hasOther)('the copying of outputs to another file system ends at an abort', async () => {
  const elsewhere = await mkdtemp(join(OTHER_FILE_SYSTEM, 'collected-'));
  const stop = new AbortController();
  const assignment = await node.assign('truncate -s 256M a; echo OUTPUT_PRODUCT a', {
    directories: { collected: join(elsewhere, 'collected'), result: join(elsewhere, 'result') },
  });
  // It is told of the directory before anything is copied into it.
  const watcher = watch(elsewhere, () => stop.abort());
  try {
    const end = await run(assignment, { signal: stop.signal });
    expect(end).toEqual({
      to: 'killed',
      result: expect.not.objectContaining({ failure: expect.anything() }),
    });
    expect(await readdir(elsewhere)).toEqual([]);
  } finally {
    watcher.close();
    await rm(elsewhere, { recursive: true });
  }
});

test('what an earlier try of the same attempt has left is not seen', async () => {
  const assignment = await node.assign('[ "$(ls | wc -l)" = 2 ]');
  await mkdir(join(assignment.directories.scratch, 'old'), { recursive: true });
  expect(await run(assignment)).toMatchObject({ to: 'finished' });
});

test('directories that a processor has made read-only are removed', async () => {
  await run(await node.assign('mkdir -p a/b; touch a/b/c; chmod 500 a/b a'));
  expect(await node.list('scratch')).toEqual([]);
});

test('an attempt that is aborted before it begins starts nothing', async () => {
  const groups: number[] = [];
  const end = await run(await node.assign('exit 0'), {
    signal: AbortSignal.abort(),
    onSpawn: (group) => groups.push(group),
  });
  expect(end).toMatchObject({ to: 'killed' });
  expect(groups).toEqual([]);
});

test('an abort is heard from the moment that a program is there', async () => {
  const stop = new AbortController();
  const assignment = await node.assign('sleep 1000');
  const end = await run(assignment, { signal: stop.signal, onSpawn: () => stop.abort() });
  expect(end).toMatchObject({ to: 'killed' });
});

test("a script in Node's language runs with the runner's own Node", async () => {
  const script = '#!/usr/bin/env node\nconsole.log(process.execPath, process.env.PATH)\n';
  const assignment = await node.assign(script);
  expect(await run(assignment)).toMatchObject({ to: 'finished' });
  const [execPath, path] = (await node.log(assignment, 'out')).trim().split(' ');
  expect(execPath).toBe(process.execPath);
  expect(path).toBe(`${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`);
});

test("nothing of the service's environment reaches a processor", async () => {
  process.env['PUSHBROOM_TEST_SECRET'] = 'hunter2';
  const assignment = await node.assign('env');
  await run(assignment).finally(() => delete process.env['PUSHBROOM_TEST_SECRET']);
  const names = (await node.log(assignment, 'out')).match(/^\w+(?==)/gm)!.toSorted();
  // PWD is the shell's own.
  expect(names).toEqual(['HOME', 'LANG', 'PATH', 'PUSHBROOM_ATTEMPT', 'PWD', 'TMPDIR']);
});

test('both streams are kept, also of an attempt that fails', async () => {
  const assignment = await node.assign('echo out; echo err >&2; exit 1');
  await run(assignment);
  expect(await node.log(assignment, 'out')).toBe('out\n');
  expect(await node.log(assignment, 'err')).toBe('err\n');
});
