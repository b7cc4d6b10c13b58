import { join } from 'node:path';
import { EventEmitter } from 'node:events';
import { runCli } from '../../src/cli/cli.ts';
import type { CliDeps } from '../../src/cli/deps.ts';

const ROOT = join(import.meta.dirname, '../..');

export interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one command line as in a pipe. Signals go through `signals`. */
export async function run(argv: readonly string[], change: Partial<CliDeps> = {}): Promise<Run> {
  const written = { stdout: '', stderr: '' };
  const code = await runCli(argv, {
    stdout: { write: (text: string) => (written.stdout += text) },
    stderr: { write: (text: string) => (written.stderr += text) },
    readPassword: async () => {
      throw new Error('no password was expected to be asked for');
    },
    env: {},
    version: '1.2.3',
    root: ROOT,
    serve: async () => {
      throw new Error('no server was expected to start');
    },
    buildBundles: async () => [],
    signals: new EventEmitter(),
    exit: () => {},
    ...change,
  });
  return { code, ...written };
}
