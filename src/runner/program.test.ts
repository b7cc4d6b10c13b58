import { readFile, stat, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { createTestNode, isAlive, run } from '../../test/fixtures/bundles.ts';
import type { TestNode } from '../../test/fixtures/bundles.ts';

let node: TestNode;
beforeEach(async () => {
  node = await createTestNode();
});
afterEach(() => node[Symbol.asyncDispose]());

/** A script that writes down the ids of its processes, for the test to see whether they are gone. */
const withPids = (script: string) => `note() { echo "$1" >> ${node.directory}/pids; }
  note $$
  ${script}`;

const expectAllDead = async () => {
  const pids = (await node.read('pids')).trim().split('\n').map(Number);
  // They have been killed, but the system may still be busy with taking them away.
  await vi.waitFor(() => expect(pids.filter(isAlive)).toEqual([]), { timeout: 10_000 });
  return pids.length;
};

/** Aborts when the script has made a file `ready`. */
async function runUntilReady(script: string) {
  const stop = new AbortController();
  const assignment = await node.assign(withPids(script));
  const end = run(assignment, { signal: stop.signal });
  await vi.waitFor(() => stat(`${node.directory}/ready`), { timeout: 10_000 });
  stop.abort();
  return end;
}

describe('a program is ended with all that it has started', () => {
  test('when it says nothing for too long', async () => {
    const script = withPids('sleep 1000 & note $!; wait');
    const end = await run(await node.assign(script, { limits: { silence: 0.3 } }));
    expect(end).toMatchObject({
      to: 'failed',
      result: {
        signal: 'SIGTERM',
        failure: {
          kind: 'time',
          message: 'x-process said nothing for 0.3 s and was taken to hang',
        },
      },
    });
    expect(await expectAllDead()).toBe(2);
  });

  test('when it talks on beyond the wall time', async () => {
    const script = withPids('while :; do echo still here; sleep 0.05; done');
    const end = await run(await node.assign(script, { limits: { wallTime: 0.5, silence: 0.4 } }));
    expect(end.result.failure).toEqual({
      kind: 'time',
      message: 'x-process took longer than its limit of 0.5 s',
    });
    await expectAllDead();
  });

  test('when its programs together take too long', async () => {
    const scripts = {
      prepare: 'sleep 0.4',
      process: 'sleep 0.4; touch a; echo OUTPUT_PRODUCT a',
      finalize: 'sleep 1000',
    };
    const end = await run(await node.assign(scripts, { limits: { wallTime: 1 } }));
    expect(end.result.failure?.message).toContain('took longer than its limit of 1 s');
  });

  test('when it floods its output, of which no more than two logs are kept', async () => {
    const outputBytes = 40 * 1024 ** 2;
    const before = process.memoryUsage().rss;
    const assignment = await node.assign(withPids('yes OUTPUT_PRODUCT a'), {
      limits: { outputBytes },
    });
    const end = await run(assignment);
    expect(end.result.failure).toEqual({
      kind: 'processor',
      message: `x-process wrote more than ${outputBytes} bytes to stdout and stderr`,
    });
    await expectAllDead();
    const { log } = assignment.directories;
    expect((await stat(`${log}.out`)).size).toBeLessThanOrEqual(8 * 1024 ** 2);
    expect(await node.list('logs')).toEqual(['1.1.out', '1.1.out.1']);
    expect(process.memoryUsage().rss - before).toBeLessThan(1024 ** 3);
  });

  test('when one line without an end floods its output', async () => {
    const limits = { outputBytes: 20 * 1024 ** 2 };
    const before = process.memoryUsage().rss;
    const end = await run(await node.assign("tr '\\0' x < /dev/zero", { limits }));
    expect(end.result.failure?.kind).toBe('processor');
    expect(process.memoryUsage().rss - before).toBeLessThan(256 * 1024 ** 2);
  });

  test('when its processes together use too much memory', async () => {
    const hungry = `${process.execPath} -e 'const b=Buffer.alloc(150*1024**2,1);setInterval(()=>b[0],1e6)'`;
    const script = withPids(`${hungry} & note $!; ${hungry} & note $!; wait`);
    const end = await run(await node.assign(script, { limits: { memoryMb: 300 } }));
    expect(end.result).toMatchObject({ signal: 'SIGKILL', failure: { kind: 'memory' } });
    expect(end.result.failure?.message).toMatch(
      /^x-process used \d+ MB of memory, more than its 300 MB$/,
    );
    expect(await expectAllDead()).toBe(3);
  });

  test('when it is aborted in the middle', async () => {
    const end = await runUntilReady(`sleep 1000 & note $!; touch ${node.directory}/ready; wait`);
    expect(end).toEqual({
      to: 'killed',
      result: expect.objectContaining({ usage: expect.any(Object) }),
    });
    expect(await expectAllDead()).toBe(2);
    expect(await node.list('scratch')).toEqual([]);
    expect(await node.list('results')).toEqual([]);
  });

  test('even when it does not listen', async () => {
    const end = await runUntilReady(
      `trap '' TERM; touch ${node.directory}/ready; while :; do sleep 1; done`,
    );
    expect(end).toMatchObject({ to: 'killed' });
    await expectAllDead();
  });

  test('and is asked first, so that it can tidy up', async () => {
    const script = `trap 'touch ${node.directory}/tidy; exit 0' TERM
      touch ${node.directory}/ready; while :; do sleep 0.1; done`;
    expect(await runUntilReady(script)).toMatchObject({ to: 'killed' });
    expect(await node.list()).toContain('tidy');
  });
});

test('what runs on in the background after a program has ended is ended', async () => {
  const script = `sleep 1000 & note $!
    (trap '' TERM HUP; exec sleep 1001 > /dev/null 2>&1) & note $!
    touch a; echo OUTPUT_PRODUCT a`;
  const end = await run(await node.assign(withPids(script)));
  expect(end).toMatchObject({ to: 'finished', result: { outputs: [{ path: 'a' }] } });
  expect(await expectAllDead()).toBe(3);
});

test('what is said last, without a line end, is heard and kept', async () => {
  const assignment = await node.assign('touch a; printf "OUTPUT_PRODUCT a"');
  expect((await run(assignment)).result.outputs).toHaveLength(1);
  expect(await node.log(assignment, 'out')).toBe('OUTPUT_PRODUCT a');
});

test('the logs can be read while the program runs', async () => {
  const assignment = await node.assign(`echo begun; echo why >&2
    until [ -e ${node.directory}/go ]; do sleep 0.05; done; echo done`);
  const end = run(assignment);
  await vi.waitFor(async () => expect(await node.log(assignment, 'err')).toBe('why\n'));
  await vi.waitFor(async () => expect(await node.log(assignment, 'out')).toBe('begun\n'));
  await writeFile(`${node.directory}/go`, '');
  await end;
  expect(await readFile(`${assignment.directories.log}.out`, 'utf8')).toBe('begun\ndone\n');
});

test('last words of many bytes a character are whole, however they are cut', async () => {
  const script = String.raw`printf 'Bl\303' >&2; sleep 0.1; printf '\244tter fehlen\n' >&2; exit 1`;
  const end = await run(await node.assign(script));
  expect(end.result.failure?.message).toBe('x-process failed with exit code 1: Blätter fehlen');
});
