import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { summary, tallyOf } from '../../scripts/test.ts';
import type { Report } from '../../scripts/test.ts';

const ROOT = join(import.meta.dirname, '../..');

const report = (change: Partial<Report>): Report => ({
  numPassedTests: 3,
  numFailedTests: 0,
  numPendingTests: 0,
  numTodoTests: 0,
  testResults: [{ status: 'passed', assertionResults: [{ status: 'passed' }] }],
  ...change,
});

describe('the closing line of the tests', () => {
  test('counts what passed, failed and was skipped', () => {
    const failed = { status: 'failed', assertionResults: [{ status: 'failed' }] };
    const run = report({
      numFailedTests: 1,
      numPendingTests: 1,
      numTodoTests: 1,
      testResults: [failed],
    });
    expect(summary(tallyOf(run, 1))).toBe('3 passed, 1 failed, 2 skipped');
    expect(summary(tallyOf(report({}), 0))).toBe('3 passed, 0 failed');
  });

  test('counts a file that could not be loaded as a failure', () => {
    const run = report({ testResults: [{ status: 'failed', assertionResults: [] }] });
    expect(tallyOf(run, 1).failed).toBe(1);
  });

  test('counts an error outside of all tests as a failure', () => {
    expect(tallyOf(report({}), 1).failed).toBe(1);
  });

  test('does not take nothing for success', () => {
    expect(tallyOf(report({ numPassedTests: 0, testResults: [] }), 0).failed).toBe(1);
    expect(tallyOf(undefined, null).failed).toBe(1);
  });
});

describe('in a checkout', () => {
  let checkout: string;
  beforeEach(() => {
    checkout = mkdtempSync(join(tmpdir(), 'pushbroom checkout-'));
    for (const directory of ['scripts', 'bin', 'src', 'node_modules/.bin']) {
      mkdirSync(join(checkout, directory), { recursive: true });
    }
    cpSync(join(ROOT, 'scripts/install.mjs'), join(checkout, 'scripts/install.mjs'));
    cpSync(join(ROOT, 'bin'), join(checkout, 'bin'), { recursive: true });
    writeFileSync(join(checkout, 'package-lock.json'), '{}');
  });
  afterEach(() => rmSync(checkout, { recursive: true }));

  /** An npm that says how it was called and ends as told. */
  const install = (exitCode: number) => {
    const npm = join(checkout, 'npm');
    writeFileSync(npm, `#!/bin/sh\necho "called $*" >&2\nexit ${exitCode}\n`, { mode: 0o755 });
    return spawnSync(process.execPath, [join(checkout, 'scripts/install.mjs')], {
      encoding: 'utf8',
      env: { PATH: `${checkout}:${process.env['PATH']}` },
    });
  };
  const installedAt = (seconds: number) => {
    const mark = join(checkout, 'node_modules/.package-lock.json');
    writeFileSync(mark, '{}');
    utimesSync(mark, seconds, seconds);
    utimesSync(join(checkout, 'package-lock.json'), 1000, 1000);
  };

  test('what is installed is left alone, without a word', () => {
    installedAt(1001);
    expect(install(1)).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });

  test.each(['nothing', 'something older'])('npm ci runs where %s is installed', (what) => {
    if (what !== 'nothing') installedAt(999);
    const { status, stderr } = install(0);
    expect([status, stderr]).toEqual([0, expect.stringContaining('called ci ')]);
  });

  test('a failed installation says so and fails', () => {
    const { status, stderr } = install(7);
    expect([status, stderr]).toEqual([1, expect.stringContaining('npm ci failed (exit code 7)')]);
  });

  test('bin/pushbroom runs the sources with the Node beside them, through links and from anywhere', () => {
    symlinkSync(process.execPath, join(checkout, 'node_modules/.bin/node'));
    writeFileSync(
      join(checkout, 'src/main.ts'),
      'console.log("sources", process.argv.slice(2) as string[]);',
    );
    symlinkSync('bin/pushbroom', join(checkout, 'one'));
    symlinkSync(join(checkout, 'one'), join(checkout, 'two'));
    const run = spawnSync(join(checkout, 'two'), ['a b', '--c'], { cwd: '/', encoding: 'utf8' });
    expect(run).toMatchObject({ status: 0, stdout: "sources [ 'a b', '--c' ]\n", stderr: '' });
  });

  test('bin/pushbroom runs what was built where there are no sources', () => {
    symlinkSync(process.execPath, join(checkout, 'node_modules/.bin/node'));
    mkdirSync(join(checkout, 'dist'));
    writeFileSync(join(checkout, 'dist/main.js'), 'console.log("built");');
    const run = spawnSync(join(checkout, 'bin/pushbroom'), { encoding: 'utf8' });
    expect(run).toMatchObject({ status: 0, stdout: 'built\n' });
  });

  test('bin/pushbroom says what to do before anything is installed', () => {
    rmSync(join(checkout, 'node_modules'), { recursive: true });
    writeFileSync(join(checkout, 'src/main.ts'), '');
    const run = spawnSync(join(checkout, 'bin/pushbroom'), { encoding: 'utf8' });
    expect([run.status, run.stderr]).toEqual([1, expect.stringContaining("run 'npm ci'")]);
  });
});
