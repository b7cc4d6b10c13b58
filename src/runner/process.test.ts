import { describe, expect, test } from 'vitest';

import { startNatively } from './native.ts';
import { startPortably } from './portable.ts';
import type { StartProcess } from './process.ts';

const WAYS: readonly (readonly [string, StartProcess])[] = [
  ['natively', startNatively],
  ['portably', startPortably],
];

describe.each(WAYS)('a process that is started %s', (_, start) => {
  async function run(...argv: readonly string[]) {
    const said = { out: '', err: '' };
    const hear = (stream: 'out' | 'err', chunk: Buffer) => void (said[stream] += chunk.toString());
    const environment = { PATH: '/usr/bin:/bin', WORD: 'secret' };
    const { pid, ended } = await start({ argv, directory: '/', environment }, hear);
    // Signals alone do not keep Node running.
    const alive = setInterval(() => undefined, 1_000);
    const { usage: _usage, ...how } = await ended;
    clearInterval(alive);
    return { pid, how, ...said };
  }
  const shell = (script: string) => run('/bin/sh', '-c', script);

  test('gets its arguments, directory and environment, and nothing to read', async () => {
    const { out, how } = await run('/bin/sh', '-c', 'echo "$1|$PWD|$WORD|$(cat)"', 'sh', 'a b');
    expect({ out, how }).toEqual({ out: 'a b|/|secret|\n', how: { exitCode: 0 } });
  });

  test('leads a process group and a session of its own', async () => {
    const { pid, out } = await shell("cut -d ' ' -f 5,6 /proc/$$/stat");
    expect(out).toBe(`${pid} ${pid}\n`);
  });

  test('is heard on both streams, before and after it is followed', async () => {
    const { out, err } = await shell('echo a; echo b >&2; sleep 0.1; echo c; printf d >&2');
    expect({ out, err }).toEqual({ out: 'a\nc\n', err: 'b\nd' });
  });

  test('is one of many that are started at once', async () => {
    const all = await Promise.all(Array.from({ length: 400 }, () => run('/bin/true')));
    expect(all.every(({ how }) => how.exitCode === 0)).toBe(true);
  });

  test('may say more than a pipe holds', async () => {
    expect((await shell('head -c 1000000 /dev/zero')).out).toHaveLength(1_000_000);
  });

  test('tells its exit code or signal', async () => {
    expect((await shell('exit 7')).how).toEqual({ exitCode: 7 });
    expect((await shell('kill -SEGV $$')).how).toEqual({ signal: 'SIGSEGV' });
  });

  test('is not waited for by what has escaped with its streams', async () => {
    const { out } = await shell('setsid sleep 3 & echo done');
    expect(out).toBe('done\n');
  });

  test('takes signals as any program: none is blocked or, but for two of the C library, ignored', async () => {
    const { out } = await shell("sed -n 's/^Sig\\(Blk\\|Ign\\):.//p' /proc/self/status");
    const [blocked, ignored] = out
      .trim()
      .split('\n')
      .map((mask) => BigInt(`0x${mask}`));
    expect({ blocked, ignored: ignored! & 0x7fffffffn }).toEqual({ blocked: 0n, ignored: 0n });
  });

  test('fails to start with the system’s own code', async () => {
    await expect(run('/no/such/program')).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(run('/etc/passwd')).rejects.toMatchObject({ code: 'EACCES' });
  });
});
