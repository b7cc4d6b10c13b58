import { spawn } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import {
  chmod,
  chown,
  copyFile,
  link,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  realpath,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';

import { createTestNode, isAlive } from '../../test/fixtures/bundles.ts';
import type { TestNode } from '../../test/fixtures/bundles.ts';
import type { Assignment } from './assignment.ts';
import type { AttemptEnd } from './attempt.ts';
import { ROTATE_AT } from './log.ts';
import { buildRunner } from './program-file.ts';

const MB = 1024 ** 2;
const OTHER_FILE_SYSTEM = '/dev/shm';
const hasOther =
  existsSync(OTHER_FILE_SYSTEM) && statSync(OTHER_FILE_SYSTEM).dev !== statSync(tmpdir()).dev;

let programs: string;
let runner: string;
beforeAll(async () => {
  programs = await mkdtemp(join(tmpdir(), 'runner-'));
  runner = join(programs, 'agent.cjs');
  await buildRunner(runner);
});
afterAll(() => rm(programs, { recursive: true }));

/** What lies on the shared file system. */
let shared: TestNode;
/** The agent's own disk. */
let agent: string;
let sandbox: string;
beforeEach(async () => {
  shared = await createTestNode();
  agent = await realpath(await mkdtemp(join(tmpdir(), 'agent-')));
  sandbox = join(agent, 'sandbox');
  await mkdir(sandbox);
  await mkdir(join(shared.directory, 'results'));
});
afterEach(async () => {
  await shared[Symbol.asyncDispose]();
  await rm(agent, { recursive: true, force: true });
});

/** As an engine hands it over. */
function onAgent(assignment: Assignment): Assignment {
  const { directories } = assignment;
  return {
    ...assignment,
    directories: {
      ...directories,
      cache: join(agent, 'cache'),
      scratch: './scratch',
      collected: directories.scratch,
    },
  };
}

const assign = async (...what: Parameters<TestNode['assign']>) =>
  onAgent(await shared.assign(...what));

/** Starts a runner as an engine does, with words of the engine's own in its environment. */
function start(
  environment: Readonly<Record<string, string>>,
  [node, file]: readonly [string, string] = [process.execPath, runner],
) {
  const child = spawn(node, [file], {
    cwd: sandbox,
    env: { PATH: '/usr/bin:/bin', MESOS_SANDBOX: sandbox, LIBPROCESS_IP: '0', ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let words = '';
  child.stderr.on('data', (chunk: Buffer) => (words += chunk.toString()));
  const ended = new Promise<{ code: number | null; words: string }>((resolve) => {
    child.once('close', (code) => resolve({ code, words }));
  });
  return { pid: child.pid!, ended };
}

const handOver = (assignment: Assignment) => ({ PUSHBROOM_ASSIGNMENT: JSON.stringify(assignment) });

const run = (assignment: Assignment) => start(handOver(assignment)).ended;

const endOf = async ({ directories }: Assignment) =>
  JSON.parse(await readFile(`${directories.log}.end.json`, 'utf8')) as AttemptEnd & {
    attemptId: string;
  };

const TWO_OUTPUTS = 'cat "$1" > a; echo b > b; echo OUTPUT_PRODUCT a; echo OUTPUT_PRODUCT b';

test('an attempt that finishes leaves its outputs, its logs and its end, and an empty sandbox', async () => {
  const assignment = await assign(`${TWO_OUTPUTS}; echo words >&2`, { checksum: true });
  expect(await run(assignment)).toEqual({ code: 0, words: '' });
  const sha256 = expect.stringMatching(/^[0-9a-f]{64}$/);
  expect(await endOf(assignment)).toEqual({
    attemptId: assignment.attemptId,
    to: 'finished',
    isKept: true,
    result: {
      startedAt: expect.any(Number),
      exitCode: 0,
      outputs: [
        { path: 'a', size: 8, sha256 },
        { path: 'b', size: 2, sha256 },
      ],
      usage: expect.any(Object),
    },
  });
  expect(await shared.read('results', '1', 'a')).toBe('a scene\n');
  expect(await shared.log(assignment, 'err')).toBe('words\n');
  expect(await shared.list('logs')).toEqual(['1.1.end.json', '1.1.err', '1.1.out']);
  expect(await shared.list('scratch')).toEqual([]);
  expect((await readdir(sandbox)).toSorted()).toEqual(['attempt.err', 'attempt.out']);
});

test('an attempt that fails says so in its end, by its exit code and in a line', async () => {
  const assignment = await assign('touch a; echo OUTPUT_PRODUCT a; echo bad band >&2; exit 3');
  const message = 'x-process failed with exit code 3: bad band';
  expect(await run(assignment)).toEqual({
    code: 1,
    words: `pushbroom: ${assignment.attemptId} failed: ${message}\n`,
  });
  expect(await endOf(assignment)).toMatchObject({
    to: 'failed',
    result: { exitCode: 3, failure: { kind: 'processor', message } },
  });
  expect(await shared.list('results')).toEqual([]);
  expect(await shared.list('scratch')).toEqual([]);
});

test('an attempt beyond its wall time is ended and says so', async () => {
  const assignment = await assign('while :; do echo x; sleep 0.1; done', {
    limits: { wallTime: 0.4 },
  });
  expect(await run(assignment)).toMatchObject({ code: 1 });
  expect((await endOf(assignment)).result.failure).toMatchObject({ kind: 'time' });
});

test('a container is the engine’s work', async () => {
  const assignment = await assign(TWO_OUTPUTS, { image: 'registry.example/snap:9' });
  expect(await run(assignment)).toMatchObject({ code: 0 });
});

test('a second attempt at what is committed finds it and runs nothing', async () => {
  const first = await assign(TWO_OUTPUTS, { task: 7 });
  expect(await run(first)).toMatchObject({ code: 0 });
  const second = await assign('exit 1', { task: 7 });
  expect(await run(second)).toMatchObject({ code: 0 });
  const { to, result } = await endOf(second);
  expect({ to, outputs: result.outputs }).toEqual({
    to: 'finished',
    outputs: (await endOf(first)).result.outputs,
  });
});

describe('an attempt that is to end', () => {
  const stubborn = () => `note() { echo "$1" >> ${shared.directory}/pids; }
    trap '' TERM; note $$
    (trap '' TERM; while :; do sleep 1; done) & note $!
    echo waiting; touch ${shared.directory}/ready; while :; do sleep 1; done`;
  const untilReady = () =>
    vi.waitFor(() => stat(join(shared.directory, 'ready')), { timeout: 20_000 });

  test.each(['SIGTERM', 'SIGINT'] as const)('by %s ends with all its processes', async (signal) => {
    const assignment = await assign(stubborn());
    const { pid, ended } = start(handOver(assignment));
    await untilReady();
    process.kill(pid, signal);
    expect(await ended).toMatchObject({ code: 1 });
    expect(await endOf(assignment)).toMatchObject({ to: 'killed' });
    expect(await shared.log(assignment, 'out')).toBe('waiting\n');
    const pids = (await shared.read('pids')).trim().split('\n').map(Number);
    expect(pids).toHaveLength(2);
    await vi.waitFor(() => expect(pids.filter(isAlive)).toEqual([]), { timeout: 10_000 });
    expect(await shared.list('scratch')).toEqual([]);
    expect((await readdir(sandbox)).toSorted()).toEqual(['attempt.out']);
  });

  test('is killed, not failed, though its programs were ended with its runner', async () => {
    const script = `echo $$ > ${shared.directory}/pid; touch ${shared.directory}/ready; exec sleep 1000`;
    const assignment = await assign(script);
    const { pid, ended } = start(handOver(assignment));
    await untilReady();
    // As Mesos does: everything is stopped, told and continued, the eldest first.
    const tree = [pid, Number(await shared.read('pid'))];
    for (const signal of ['SIGSTOP', 'SIGTERM', 'SIGCONT'] as const) {
      for (const each of tree) process.kill(each, signal);
    }
    expect(await ended).toMatchObject({ code: 1 });
    expect(await endOf(assignment)).toMatchObject({ to: 'killed' });
  });
});

test('an assignment too large for the environment comes in a file', async () => {
  const assignment = await assign('wc -c < parameters > out; echo OUTPUT_PRODUCT out', {
    parameters: { large: 'x'.repeat(300_000) },
  });
  const file = join(shared.directory, 'assignment.json');
  await writeFile(file, JSON.stringify(assignment));
  expect(await start({ PUSHBROOM_ASSIGNMENT_FILE: file }).ended).toMatchObject({ code: 0 });
  expect(Number(await shared.read('results', '1', 'out'))).toBeGreaterThan(300_000);
});

describe('what is wrong with an agent is said in a line, and is not the attempt’s fault', () => {
  test.each([
    [{}, /^pushbroom: there is no assignment: neither PUSHBROOM_ASSIGNMENT nor .+\n$/],
    [
      { PUSHBROOM_ASSIGNMENT: '{"a' },
      /^pushbroom: the assignment in PUSHBROOM_ASSIGNMENT is not JSON: .+\n$/,
    ],
    [{ PUSHBROOM_ASSIGNMENT: 'null' }, /^pushbroom: the assignment in .+ is not complete\n$/],
    [{ PUSHBROOM_ASSIGNMENT: '{"attemptId":"a"}' }, /is not complete\n$/],
    [
      { PUSHBROOM_ASSIGNMENT_FILE: '/no/file' },
      /^pushbroom: .+ENOENT.+: is the shared file system mounted on this agent\?\n$/,
    ],
  ])('%j', async (environment, words) => {
    expect(await start(environment).ended).toEqual({
      code: 120,
      words: expect.stringMatching(words),
    });
  });

  test('a shared file system that is not there', async () => {
    const assignment = await assign(TWO_OUTPUTS);
    await rm(join(shared.directory, 'results'), { recursive: true });
    const { code, words } = await run(assignment);
    expect(code).toBe(120);
    expect(words).toBe(
      `pushbroom: the shared file system is not mounted on this agent: there is no ${shared.directory}/results\n`,
    );
    expect(await shared.list('results')).toEqual([]);
    expect(await shared.list('logs')).toEqual([]);
  });

  test('an end that cannot be told, even where the outputs are committed', async () => {
    const assignment = await assign(TWO_OUTPUTS);
    await writeFile(join(shared.directory, 'logs'), 'in the way');
    const { code, words } = await run(assignment);
    expect(code).toBe(120);
    expect(words).toMatch(/^pushbroom: the end of the attempt \(finished\) cannot be told: .+\n$/);
    expect(await shared.list('results', '1')).toContain('a');
    expect(await shared.list('scratch')).toEqual([]);
  });
});

test('logs are as they were in the sandbox, what they were before they began anew as well', async () => {
  const script = `head -c ${1.5 * ROTATE_AT} /dev/zero | tr '\\0' x; echo; echo the end`;
  const assignment = await assign(script);
  expect(await run(assignment)).toMatchObject({ code: 0 });
  const [before, last] = await Promise.all(
    [`${assignment.directories.log}.out.1`, `${assignment.directories.log}.out`].map((path) =>
      readFile(path, 'utf8'),
    ),
  );
  expect(before!.length).toBeLessThanOrEqual(ROTATE_AT);
  expect(before!.length + last!.length).toBe(1.5 * ROTATE_AT + '\nthe end\n'.length);
  expect(last!.endsWith('x\nthe end\n')).toBe(true);
  expect(await readFile(join(sandbox, 'attempt.out'), 'utf8')).toBe(last);
});

test('a log that cannot be copied does not make a failure', async () => {
  const assignment = await assign('echo words');
  await mkdir(`${assignment.directories.log}.out`, { recursive: true });
  const { code, words } = await run(assignment);
  expect(code).toBe(0);
  expect(words).toMatch(/^pushbroom: the log cannot be kept: .+\n$/);
});

test("nothing of the agent's environment reaches a processor", async () => {
  const assignment = await assign('env');
  expect(await run(assignment)).toMatchObject({ code: 0 });
  const names = (await shared.log(assignment, 'out')).match(/^\w+(?==)/gm)!.toSorted();
  expect(names).toEqual(['HOME', 'LANG', 'PATH', 'PUSHBROOM_ATTEMPT', 'PWD', 'TMPDIR']);
});

describe('the cache of bundles', () => {
  const refused = async (cache: string, why: string) => {
    const { directories, ...rest } = await assign(TWO_OUTPUTS);
    const { code, words } = await run({ ...rest, directories: { ...directories, cache } });
    expect(code).toBe(0);
    expect(words).toMatch(
      new RegExp(`^pushbroom: the cache ${cache} cannot be used, the sandbox is used .*${why}`),
    );
    expect((await readdir(sandbox)).toSorted()).toEqual(['attempt.out']);
  };

  test('is made for this user alone, and used again', async () => {
    const cache = join(agent, 'cache');
    const first = await assign(TWO_OUTPUTS);
    expect(await run(first)).toMatchObject({ code: 0 });
    expect((await stat(cache)).mode & 0o777).toBe(0o700);
    expect(await readdir(cache)).toEqual([first.bundle.hash]);
    await rm(first.bundle.archive);
    expect(
      await run({
        ...first,
        directories: { ...first.directories, result: join(shared.directory, 'results', 'again') },
      }),
    ).toEqual({ code: 0, words: '' });
  });

  test('to which others have access is not trusted', async () => {
    const cache = join(agent, 'others');
    await mkdir(cache);
    await chmod(cache, 0o770);
    await refused(cache, 'its mode has to be 0700');
    expect(await readdir(cache)).toEqual([]);
  });

  test('that is no directory is not used', async () => {
    const cache = join(agent, 'file');
    await writeFile(cache, '');
    await refused(cache, 'EEXIST');
  });

  test.runIf(process.getuid?.() === 0)('of somebody else is not trusted', async () => {
    const cache = join(agent, 'theirs');
    await mkdir(cache, { mode: 0o700 });
    await chown(cache, 65_534, 65_534);
    await refused(cache, 'it belongs to somebody else');
  });
});

describe('what was fetched for the attempt', () => {
  /** As a fetcher puts them there. */
  async function fetched(assignment: Assignment): Promise<Assignment> {
    const node = join(sandbox, 'node');
    await link(process.execPath, node).catch(() => copyFile(process.execPath, node));
    await copyFile(runner, join(sandbox, 'runner.cjs'));
    await copyFile(assignment.bundle.archive, join(sandbox, 'bundle.zip'));
    await mkdir(join(sandbox, 'input'));
    await copyFile(shared.input, join(sandbox, 'input', 'fetched.txt'));
    const bundle = { ...assignment.bundle, archive: './bundle.zip' };
    return { ...assignment, bundle, input: './input/fetched.txt' };
  }
  const start2 = (assignment: Assignment) =>
    start(handOver(assignment), ['./node', 'runner.cjs']).ended;
  const SCRIPT = `#!/usr/bin/env node
    require('fs').writeFileSync('where', process.execPath + ' ' + process.argv[2]);
    console.log('OUTPUT_PRODUCT where');`;
  const kept = (cache: string) => join(cache, `node-${process.version}-${process.arch}`, 'node');

  test('is gone after it, and a processor finds its Node in the cache, the next one too', async () => {
    const cache = join(agent, 'cache');
    for (const task of [1, 2]) {
      const assignment = await fetched(await assign(SCRIPT, { task }));
      expect(await start2(assignment)).toEqual({ code: 0, words: '' });
      const where = await shared.read('results', String(task), 'where');
      expect(where).toBe(`${kept(cache)} fetched.txt`);
      expect(await readdir(sandbox)).toEqual(['attempt.out']);
      await rm(sandbox, { recursive: true });
      await mkdir(sandbox);
    }
  });

  test('is gone, though there was no attempt', async () => {
    const assignment = await fetched(await assign(SCRIPT));
    await rm(join(shared.directory, 'results'), { recursive: true });
    expect(await start2(assignment)).toMatchObject({ code: 120 });
    expect(await readdir(sandbox)).not.toContain('node');
  });

  test('serves in the sandbox where the cache cannot', async () => {
    const { directories, ...rest } = await fetched(await assign(SCRIPT));
    const assignment = { ...rest, directories: { ...directories, cache: './cache' } };
    expect(await start2(assignment)).toEqual({ code: 0, words: '' });
    expect(await shared.read('results', '1', 'where')).toContain(kept(join(sandbox, 'cache')));
    expect(await readdir(sandbox)).not.toContain('cache');
  });

  test.runIf(hasOther)('is taken to a cache on another file system', async () => {
    const cache = await mkdtemp(join(OTHER_FILE_SYSTEM, 'cache-'));
    try {
      const { directories, ...rest } = await fetched(await assign(SCRIPT));
      const assignment = { ...rest, directories: { ...directories, cache } };
      expect(await start2(assignment)).toEqual({ code: 0, words: '' });
      expect(await shared.read('results', '1', 'where')).toContain(kept(cache));
      expect(await readdir(dirname(kept(cache)))).toEqual(['node']);
    } finally {
      await rm(cache, { recursive: true });
    }
  });
});

describe.runIf(hasOther)('with its results on another file system', () => {
  beforeEach(async () => {
    await shared[Symbol.asyncDispose]();
    shared = await createTestNode(await mkdtemp(join(OTHER_FILE_SYSTEM, 'shared-')));
    await mkdir(join(shared.directory, 'results'));
  });

  test('outputs are copied there and appear at once', async () => {
    const script = `head -c ${3 * MB} /dev/urandom > a; sha256sum < a | cut -c -64; echo OUTPUT_PRODUCT a`;
    const assignment = await assign(script, { checksum: true });
    expect(await run(assignment)).toEqual({ code: 0, words: '' });
    const [sha256] = (await shared.log(assignment, 'out')).split('\n');
    const outputs = [{ path: 'a', size: 3 * MB, sha256 }];
    expect((await endOf(assignment)).result.outputs).toEqual(outputs);
    const copied = await stat(join(shared.directory, 'results', '1', 'a'));
    expect(copied).toMatchObject({ size: 3 * MB });
    expect(copied.mode & 0o777).toBe(0o444);
    expect(await shared.list('scratch')).toEqual([]);
    expect(await readdir(sandbox)).toEqual(['attempt.out']);
  });

  test('a file is one output, as where it need not be copied', async () => {
    const script = 'touch a; ln -s a b; echo OUTPUT_PRODUCT a; echo OUTPUT_PRODUCT b';
    const assignment = await assign(script);
    expect(await run(assignment)).toMatchObject({ code: 1 });
    const { message } = (await endOf(assignment)).result.failure!;
    expect(message).toContain("announced the output 'b', which is not there");
  });
});

test('usage is measured without native code', async () => {
  const hungry = 'const b=Buffer.alloc(100*1024**2,1);setTimeout(()=>b[0],500)';
  const assignment = await assign(`exec ${process.execPath} -e '${hungry}'`);
  await run(assignment);
  const { usage } = (await endOf(assignment)).result;
  expect(usage!.peakMemoryBytes).toBeGreaterThan(100 * MB);
  expect(usage!.peakMemoryBytes).toBeLessThan(400 * MB);
  expect(usage!.cpuUserMs! + usage!.cpuSystemMs!).toBeGreaterThan(0);
  expect(usage!.sources).toEqual({
    wall: 'monotonic-clock',
    cpu: 'proc-stat-children',
    memory: 'proc-status-poll',
    io: 'proc-io',
  });
});
