/**
 * Everything that has to hold: the static checks, each counted as one test, then vitest. Closes with a line
 * `N passed, N failed`. With arguments only vitest runs, with these: `npm test -- src/core`.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const CHECKS = [
  ['tsc'],
  ['oxlint', '--type-aware'],
  ['oxfmt', '--check'],
  ['knip'],
] as const satisfies readonly (readonly string[])[];

export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** What is used of vitest's JSON report. */
export interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

/**
 * Counts a run of vitest.
 *
 * @param report absent if vitest did not live to write it
 * @param exitCode not 0 without a failed test: an error outside of all tests
 */
export function tallyOf(report: Report | undefined, exitCode: number | null): Tally {
  if (!report) return { passed: 0, failed: 1, skipped: 0 };
  const unloaded = report.testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  );
  const failed = report.numFailedTests + unloaded.length;
  const nothingRan = report.numPassedTests + failed === 0;
  return {
    passed: report.numPassedTests,
    failed: failed === 0 && (exitCode !== 0 || nothingRan) ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

export const summary = ({ passed, failed, skipped }: Tally): string =>
  `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;

const binary = (name: string): string => join(ROOT, 'node_modules', '.bin', name);

function check([name, ...args]: readonly [string, ...string[]]): boolean {
  const command = [name, ...args].join(' ');
  const run = spawnSync(binary(name), args, { cwd: ROOT, encoding: 'utf8' });
  const ok = run.status === 0;
  console.log(`${ok ? '✓' : '✗'} ${command}`);
  if (!ok) console.log(run.error?.message ?? run.stdout + run.stderr);
  return ok;
}

function vitest(args: readonly string[]): Tally {
  const directory = mkdtempSync(join(tmpdir(), 'pushbroom-test-'));
  const file = join(directory, 'report.json');
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
    const run = spawnSync(binary('vitest'), ['run', ...reporters, ...args], {
      cwd: ROOT,
      stdio: 'inherit',
    });
    return tallyOf(read(file), run.status);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function read(file: string): Report | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

if (import.meta.main) {
  const args = process.argv.slice(2);
  const checks = args.length > 0 ? [] : CHECKS.map(check);
  const tests = vitest(args);
  const tally = {
    ...tests,
    passed: tests.passed + checks.filter((ok) => ok).length,
    failed: tests.failed + checks.filter((ok) => !ok).length,
  };
  console.log(summary(tally));
  process.exitCode = tally.failed > 0 ? 1 : 0;
}
