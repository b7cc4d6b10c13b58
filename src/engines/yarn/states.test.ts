import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { FAILURE_KINDS } from '../../core/model.ts';
import { endFrom, endingOf, failureOfClosed, withUsage } from './endings.ts';
import type { Ended } from './endings.ts';
import { UNKNOWN, isLocalisation, newsOf } from './states.ts';

/** As recorded from 3.5.0. */
const PHYSICAL =
  "[2026-11-23 08:00:00.000]Container [pid=1,containerID=container_1] is running 296591360B beyond the 'PHYSICAL' memory limit. Current usage: 410.9 MB of 128 MB physical memory used; 1.1 GB of 268.8 MB virtual memory used. Killing container.\nDump of the process-tree for container_1 :\n\t|- PID PPID";
const CHANGED =
  'Resource hdfs://nn:8020/cache/x.zip changed on src filesystem - expected: "2026", was: "2027"\n\tat org.apache.hadoop.yarn.util.FSDownload.verifyAndCopy(FSDownload.java:273)\n';
const DOWNLOAD =
  '[2026-11-23 09:14:19.676]Failed to download resource { { hdfs://nn:8020/cache/x/bundle.tar.gz, 1795425254380, ARCHIVE, null },pending,[(container_1795425239412_0001_01_000002)],38427261911645,DOWNLOADING} java.io.FileNotFoundException: File does not exist: hdfs://nn:8020/cache/x/bundle.tar.gz\n';
const STDERR =
  '[2026] Exception from container-launch.\nExit code: 120\n\n[2026]Container exited with a non-zero exit code 120. Error file: prelaunch.err.\nLast 4096 bytes of prelaunch.err :\nLast 4096 bytes of stderr :\npushbroom: starting\npushbroom: the assignment is not complete\n\n';

describe('the end of a container', () => {
  test.each([
    [-100, 'Container released on a *lost* node', 'lost', 'engine', /the node was lost/],
    [-100, 'Container released by application', 'lost', 'engine', /given the container up/],
    [-101, '', 'lost', 'disk', /disks/],
    [-102, 'Container preempted by scheduler', 'lost', 'capacity', /taken the container back/],
    [-103, '', 'failed', 'memory', /virtual memory/],
    [-104, PHYSICAL, 'failed', 'memory', /Current usage: 410.9 MB of 128 MB physical memory used/],
    [1, PHYSICAL, 'failed', 'memory', /used more memory than it has/],
    [-106, '', 'lost', 'engine', /ResourceManager/],
    [-107, '', 'lost', 'engine', /application is over/],
    [-108, '', 'lost', 'capacity', /make room/],
    [-109, '', 'failed', 'processor', /logs/],
    [-1, '', 'lost', 'engine', /restarted before/],
    [154, '', 'lost', 'engine', /no longer knows/],
    [-1000, CHANGED, 'lost', 'engine', /changed on src filesystem.*put there again/],
    [
      -1000,
      DOWNLOAD,
      'lost',
      'engine',
      /YARN: hdfs:..nn:8020.cache.x.bundle.tar.gz: java.io.FileNotF/,
    ],
    [-1000, 'File does not exist: /cache/x', 'lost', 'engine', /could not be brought/],
    [-1000, 'java.io.IOException: No space left on device', 'lost', 'disk', /disks of the node/],
    [-1000, 'x is not publicly accessible and as such', 'lost', 'engine', /cacheDirectory/],
    [-1000, 'BlockMissingException: Could not obtain block', 'lost', 'network', /from HDFS/],
    [-1000, '', 'lost', 'engine', /never begun/],
    [-2000, 'Invalid resource request', 'lost', 'engine', /refuses.*Invalid resource request/],
    [-2002, '', 'lost', 'engine', /not taken the start/],
    [127, '', 'lost', 'engine', /engines.yarn.node/],
    [120, STDERR, 'lost', 'engine', /exit code 120.*: pushbroom: the assignment is not complete/],
    [137, '', 'lost', 'engine', /SIGKILL/],
  ])('%i %s is %s: %s', (exitStatus, diagnostics, state, kind, message) => {
    const news = newsOf({ exitStatus, diagnostics });
    expect(news).toMatchObject({ state, result: { failure: { kind } } });
    expect(news.result?.failure?.message).toMatch(message);
  });

  test('asked for by us is no failure', () => {
    expect(
      newsOf({ exitStatus: -105, diagnostics: 'Container killed by the ApplicationMaster.' }),
    ).toEqual({ state: 'killed' });
  });

  test('has words of our own, whatever is said', () => {
    fc.assert(
      fc.property(fc.integer({ min: -3000, max: 300 }), fc.string(), (exitStatus, diagnostics) => {
        const { state, result } = newsOf({ exitStatus, diagnostics });
        if (state === 'killed') return;
        expect(FAILURE_KINDS).toContain(result?.failure?.kind);
        expect(result!.failure!.message.length).toBeLessThan(1000);
      }),
    );
  });

  test('tells by its status whether files were not as announced', () => {
    expect(isLocalisation({ exitStatus: -1000, diagnostics: CHANGED })).toBe(true);
    expect(isLocalisation({ exitStatus: 1, diagnostics: CHANGED })).toBe(false);
  });
});

describe('the end of an attempt', () => {
  const id = 'job.1.2';
  const ended = (exitStatus: number, end?: object): Ended => ({
    event: 'ended',
    app: 'job',
    request: 1,
    exitStatus,
    diagnostics: '',
    ...(end && { end: JSON.stringify({ attemptId: id, result: {}, ...end }) }),
  });
  const failure = { kind: 'time', message: 'too long' } as const;

  test('is what its runner says', () => {
    expect(endingOf(id, ended(0, { to: 'finished' }), undefined)).toMatchObject({
      state: 'finished',
    });
    expect(endingOf(id, ended(1, { to: 'failed', result: { exitCode: 7 } }), undefined)).toEqual({
      state: 'failed',
      result: { exitCode: 7 },
    });
    expect(endingOf(id, ended(137, { to: 'finished' }), { failure })).toMatchObject({
      state: 'finished',
    });
  });

  test('is ours where we have ended it, whatever the shell says of that', () => {
    for (const exitStatus of [-105, 137, 143, 1]) {
      expect(endingOf(id, ended(exitStatus, { to: 'killed' }), {}).state).toBe('killed');
      expect(endingOf(id, ended(exitStatus), {}).state).toBe('killed');
      expect(endingOf(id, ended(exitStatus, { to: 'killed' }), { failure })).toMatchObject({
        state: 'lost',
        result: { failure },
      });
    }
  });

  test('is what YARN says where that has ended it and its runner only knows that', () => {
    expect(endingOf(id, ended(-104, { to: 'killed' }), undefined)).toMatchObject({
      state: 'failed',
      result: { failure: { kind: 'memory' } },
    });
    expect(endingOf(id, ended(-105, { to: 'killed' }), undefined)).toMatchObject({
      state: 'lost',
      result: { failure: { kind: 'operator' } },
    });
  });

  test('is not what the word of another attempt says', () => {
    const others = ended(0, { attemptId: 'job.1.1', to: 'finished' });
    expect(endingOf(id, others, undefined)).toMatchObject({ state: 'lost' });
  });

  test('that nobody heard of is what its runner said, unless that is only that it was ended', () => {
    const left = { attemptId: id, isKept: false, result: {} };
    expect(endFrom({ ...left, to: 'failed' }, failure, undefined).state).toBe('failed');
    expect(endFrom({ ...left, to: 'killed' }, failure, undefined)).toMatchObject({
      state: 'lost',
      result: { failure },
    });
    expect(endFrom({ ...left, to: 'killed' }, failure, {}).state).toBe('killed');
    expect(endingOf(id, ended(UNKNOWN, { to: 'finished' }), undefined).state).toBe('finished');
  });

  test('of an application is the operator’s wish where somebody killed it', () => {
    expect(failureOfClosed('KILLED', 'by alice')).toMatchObject({ kind: 'operator' });
    expect(failureOfClosed('FAILED', 'expired').message).toMatch(/FAILED.*expired/);
  });

  test('has the container’s share beside what its runner measured', () => {
    const capability = { memoryMb: 300, vcores: 2 };
    const usage = { wallMs: 900, cpuUserMs: 5, sources: { cpu: 'children' } };
    expect(
      withUsage({ state: 'finished', result: { usage } }, 1000, capability).result?.usage,
    ).toEqual({
      ...usage,
      reservedCpuMs: 2000,
      reservedMemoryMbMs: 300_000,
      sources: { cpu: 'children', reserved: 'yarn-allocation' },
    });
    expect(withUsage({ state: 'lost' }, 1000, capability).result?.usage).toMatchObject({
      wallMs: 1000,
      sources: { wall: 'yarn-allocation' },
    });
    expect(withUsage({ state: 'lost' }, undefined, capability).result).toBeUndefined();
  });
});
