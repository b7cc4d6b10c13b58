import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';

import { createTestNode, isAlive } from '../../test/fixtures/bundles.ts';
import type { TestNode } from '../../test/fixtures/bundles.ts';
import { createTestContainer, pack } from '../../test/fixtures/container.ts';
import type { TestContainer } from '../../test/fixtures/container.ts';
import { killGroup } from './process.ts';
import { buildRunner } from './program-file.ts';

let programs: string;
let runner: string;
beforeAll(async () => {
  programs = await mkdtemp(join(tmpdir(), 'runner-'));
  runner = join(programs, 'agent.cjs');
  await buildRunner(runner);
});
afterAll(() => rm(programs, { recursive: true }));

let node: TestNode;
let container: TestContainer;
beforeEach(async () => {
  node = await createTestNode();
  await mkdir(join(node.directory, 'results'));
  container = await createTestContainer(node, runner);
});
afterEach(async () => {
  const pid = await node.read('pid').catch(() => undefined);
  if (pid !== undefined) killGroup(Number(pid), 'SIGKILL');
  await container[Symbol.asyncDispose]();
  await node[Symbol.asyncDispose]();
});

test('an attempt leaves what it says and its end where the cluster keeps them, and nothing else', async () => {
  const assignment = await container.assign(
    'echo out; echo err >&2; cat "$1" > a; echo OUTPUT_PRODUCT a',
  );
  expect(await container.run(assignment)).toEqual({ code: 0, words: '' });
  expect(await container.end()).toEqual({
    attemptId: assignment.attemptId,
    to: 'finished',
    isKept: false,
    result: {
      startedAt: expect.any(Number),
      exitCode: 0,
      outputs: [{ path: 'a', size: 8 }],
      usage: expect.any(Object),
    },
  });
  expect(await container.list('logs')).toEqual(['attempt.end.json', 'attempt.err', 'attempt.out']);
  expect(await container.log('err')).toBe('err\n');
  expect(await container.list('work')).toEqual(['bundle']);
  expect(await node.list('cache')).toEqual([]);
  expect(await node.list('logs')).toEqual([]);
});

test('what an attempt says can be read while it runs', async () => {
  const assignment = await container.assign(
    `echo begun; until [ -e ${node.directory}/go ]; do sleep 0.05; done`,
  );
  const { ended } = container.start(pack(assignment));
  await vi.waitFor(async () => expect(await container.log('out')).toBe('begun\n'), {
    timeout: 20_000,
  });
  await writeFile(join(node.directory, 'go'), '');
  expect(await ended).toMatchObject({ code: 0 });
});

test('an attempt that fails says so in its end, by its exit code and in a line', async () => {
  const assignment = await container.assign('echo bad band >&2; exit 3');
  const message = 'x-process failed with exit code 3: bad band';
  expect(await container.run(assignment)).toEqual({
    code: 1,
    words: `pushbroom: ${assignment.attemptId} failed: ${message}\n`,
  });
  expect(await container.end()).toMatchObject({ to: 'failed', result: { failure: { message } } });
});

test('an assignment too large for the environment comes in a file of the container', async () => {
  const assignment = await container.assign('wc -c < parameters > out; echo OUTPUT_PRODUCT out', {
    parameters: { large: 'x'.repeat(300_000) },
  });
  await writeFile(join(container.work, 'assignment.json'), JSON.stringify(assignment));
  const { ended } = container.start({ PUSHBROOM_ASSIGNMENT_FILE: 'assignment.json' });
  expect(await ended).toEqual({ code: 0, words: '' });
});

test('nothing of what the cluster has brought is removed: it is for others, too', async () => {
  await symlink(runner, join(container.work, 'runner.cjs'));
  const assignment = await container.assign('exit 0');
  expect(await container.start(pack(assignment), 'runner.cjs').ended).toMatchObject({ code: 0 });
  expect(await container.list('work')).toEqual(['bundle', 'runner.cjs']);
});

describe('what is wrong is said in a line, and is not the attempt’s fault', () => {
  test.each([
    [{}, /^pushbroom: there is no assignment: .+_GZIP.+\n$/],
    [{ PUSHBROOM_ASSIGNMENT_GZIP: 'H4sI' }, /_GZIP cannot be unpacked: .+\n$/],
    [{ PUSHBROOM_ASSIGNMENT_GZIP: 'not base64!' }, /_GZIP cannot be unpacked: .+\n$/],
    [{ PUSHBROOM_ASSIGNMENT_GZIP: bomb() }, /_GZIP cannot be unpacked: .+\n$/],
    [
      { PUSHBROOM_ASSIGNMENT_GZIP: gzipSync('{"a').toString('base64') },
      /^pushbroom: the assignment in PUSHBROOM_ASSIGNMENT_GZIP is not JSON: .+\n$/,
    ],
    [
      { PUSHBROOM_ASSIGNMENT_FILE: 'gone.json' },
      /^pushbroom: the assignment cannot be read: ENOENT.+'gone.json'\n$/,
    ],
  ])('%#', async (environment, words) => {
    expect(await container.start(environment).ended).toEqual({
      code: 120,
      words: expect.stringMatching(words),
    });
    expect(await container.list('logs')).toEqual([]);
  });

  /** Small, and far larger than any assignment. */
  function bomb(): string {
    return gzipSync(Buffer.alloc(65 * 1024 ** 2))
      .toString('base64')
      .slice(0, 100_000);
  }

  test('an end that cannot be told', async () => {
    const assignment = await container.assign('exit 0');
    await mkdir(join(container.logs, 'attempt.end.json'));
    const { code, words } = await container.run(assignment);
    expect(code).toBe(120);
    expect(words).toMatch(/^pushbroom: the end of the attempt \(finished\) cannot be told: .+\n$/);
  });

  test('a bundle that the cluster has not brought', async () => {
    const assignment = await container.assign('exit 0');
    await rm(join(container.work, 'bundle'));
    expect(await container.run(assignment)).toMatchObject({ code: 1 });
    expect((await container.end()).result.failure).toMatchObject({ kind: 'engine' });
  });
});

describe('an attempt that is to end', () => {
  const stubborn = () => `trap '' TERM; echo $$ > ${node.directory}/pid; echo waiting
    touch ${node.directory}/ready; while :; do sleep 1; done`;
  const untilReady = () => vi.waitFor(() => node.read('ready'), { timeout: 20_000 });
  const programEnds = async () => {
    const pid = Number(await node.read('pid'));
    await vi.waitFor(() => expect(isAlive(pid)).toBe(false), { timeout: 20_000 });
  };

  test('does so without asking its programs: nobody waits for them', async () => {
    const asked = join(node.directory, 'asked');
    const script = stubborn().replace("trap ''", `trap 'touch ${asked}'`);
    const { pid, ended } = container.start(pack(await container.assign(script)));
    await untilReady();
    process.kill(pid, 'SIGTERM');
    expect(await ended).toMatchObject({ code: 1 });
    expect(existsSync(asked)).toBe(false);
    expect(await container.end()).toMatchObject({ to: 'killed', result: { usage: {} } });
    await programEnds();
    expect(await container.list('work')).toEqual(['bundle']);
  });

  test('has said so already when it is killed before it could', async () => {
    const { pid, ended } = container.start(pack(await container.assign(stubborn())));
    await untilReady();
    // The first thing that it does is the last that it can.
    process.kill(pid, 'SIGTERM');
    await vi.waitFor(async () => expect(await container.end()).toMatchObject({ to: 'killed' }), {
      interval: 1,
      timeout: 20_000,
    });
    process.kill(pid, 'SIGKILL');
    await ended;
    expect(await container.end()).toMatchObject({ to: 'killed' });
    await programEnds();
  });

  test('takes its programs with it when it is killed at once', async () => {
    const { pid, ended } = container.start(pack(await container.assign(stubborn())));
    await untilReady();
    process.kill(pid, 'SIGKILL');
    expect(await ended).toMatchObject({ code: null });
    await programEnds();
    expect(await container.list('logs')).toEqual(['attempt.out']);
  });
});
