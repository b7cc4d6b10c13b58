import { execFileSync } from 'node:child_process';
import { chmod, mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { createTestNode, isAlive, run } from '../../test/fixtures/bundles.ts';
import type { TestNode } from '../../test/fixtures/bundles.ts';
import { lacks } from '../../test/fixtures/requires.ts';

describe.skipIf(lacks('bubblewrap'))('with bubblewrap', () => {
  let node: TestNode;
  beforeEach(async () => {
    node = await createTestNode();
  });
  afterEach(() => node[Symbol.asyncDispose]());

  const isolated = { isolation: 'bubblewrap' } as const;

  test('an isolated processor does its work as any other', async () => {
    const script = '. ./parameters; cat "$1" > "$name"; echo "OUTPUT_PRODUCT $name"';
    const assignment = await node.assign(script, { ...isolated, parameters: { name: 'a b' } });
    expect(await run(assignment)).toMatchObject({ to: 'finished', result: { exitCode: 0 } });
    expect(await node.read('results', '1', 'a b')).toBe('a scene\n');
  });

  test('an isolated processor can write nowhere but in its own directory', async () => {
    const other = await node.assign('echo data > a; echo OUTPUT_PRODUCT a', { task: 7 });
    await run(other);
    const home = join(node.directory, 'home');
    await mkdir(home);
    await chmod(home, 0o777);
    const targets = [
      home,
      node.directory,
      dirname(node.input),
      other.directories.cache,
      join(other.directories.cache, other.bundle.hash),
      other.directories.result,
      dirname(other.directories.scratch),
      dirname(other.directories.log),
      '/tmp',
      '/var/tmp',
      '/dev/shm',
      '/etc',
    ];
    const script = `${targets.map((target) => `touch ${target}/evil && echo ${target}`).join('\n')}
    echo evil > ${node.input} && echo ${node.input}
    echo evil > ${other.directories.result}/a && echo result
    chmod -R 777 ${other.directories.cache} && echo cache
    rm -rf ${other.directories.result} && echo removed
    mount -o remount,rw / && echo mount
    touch mine && echo mine`;
    const assignment = await node.assign(script, isolated);
    expect(await run(assignment)).toMatchObject({ to: 'finished' });
    // What bubblewrap puts there instead is the processor's own and goes with it.
    const own = ['/dev/shm', 'mine'];
    const written = (await node.log(assignment, 'out')).trim().split('\n');
    expect(written.filter((line) => !own.includes(line))).toEqual([]);
    expect(written).toContain('mine');
    await expect(stat('/dev/shm/evil')).rejects.toThrow('ENOENT');
    expect(await node.read('archive', 'scene.txt')).toBe('a scene\n');
    expect(await node.read('results', '7', 'a')).toBe('data\n');
  });

  test('an isolated processor sees no process but its own', async () => {
    const assignment = await node.assign('ls -d /proc/[0-9]* | wc -l', isolated);
    await run(assignment);
    expect(Number(await node.log(assignment, 'out'))).toBeLessThan(6);
  });

  test('no process of an isolated processor outlives it, whatever group it has made for itself', async () => {
    // Ids inside are not those outside: the process is known by its argument.
    const argument = `9${process.pid}`;
    await run(await node.assign(`setsid sleep ${argument} > /dev/null 2>&1 & sleep 0.1`, isolated));
    const pids = () =>
      execFileSync('ps', ['-eo', 'pid=,args='])
        .toString()
        .split('\n')
        .filter((line) => line.endsWith(`sleep ${argument}`))
        .map((line) => Number.parseInt(line, 10));
    await vi.waitFor(() => expect(pids().filter(isAlive)).toEqual([]), { timeout: 10_000 });
  });

  test('an isolated processor is measured and limited as any other', async () => {
    const code = 'const b=Buffer.alloc(300*1024**2,1);setInterval(()=>b[0],1e6)';
    const script = `${process.execPath} -e '${code}'`;
    const end = await run(await node.assign(script, { ...isolated, limits: { memoryMb: 200 } }));
    expect(end.result.failure?.kind).toBe('memory');
    expect(end.result.usage?.peakMemoryBytes).toBeGreaterThan(200 * 1024 ** 2);
    const silent = await node.assign('sleep 1000', { ...isolated, limits: { silence: 0.3 } });
    expect((await run(silent)).result.failure?.kind).toBe('time');
  });

  test('an isolated processor that fails says why as any other', async () => {
    const end = await run(await node.assign('echo no band 7 >&2; exit 3', isolated));
    expect(end.result).toMatchObject({
      exitCode: 3,
      failure: { kind: 'processor', message: 'x-process failed with exit code 3: no band 7' },
    });
  });
});
