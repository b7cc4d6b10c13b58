import { rmSync } from 'node:fs';
import { dirname } from 'node:path';

import { messageOf } from '../errors.ts';
import {
  AGENT_EXIT,
  ASSIGNMENT_FILE_VARIABLE,
  ASSIGNMENT_VARIABLE,
  readAssignment,
} from './hand-over.ts';
import { attemptInSandbox } from './sandbox.ts';

/**
 * The runner on an agent of a cluster: makes the one attempt that its environment assigns to it, in the directory that
 * it is started in, and ends with it. Nothing of the environment reaches the attempt's programs.
 */
const sandbox = process.cwd();
const isAssigned = ASSIGNMENT_VARIABLE in process.env || ASSIGNMENT_FILE_VARIABLE in process.env;
const abort = new AbortController();

const say = (line: string): void => {
  process.stderr.write(`pushbroom: ${line.replaceAll('\n', ' ')}\n`);
};

/** Linux lets the file of a running program go; in a sandbox it was fetched for this attempt alone. */
function removeIfFetched(file: string | undefined): void {
  if (isAssigned && file !== undefined && dirname(file) === sandbox) rmSync(file, { force: true });
}

function fail(error: unknown): never {
  say(messageOf(error));
  removeIfFetched(process.execPath);
  process.exit(AGENT_EXIT.trouble);
}

process.on('uncaughtException', fail);
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => abort.abort());

removeIfFetched(process.argv[1]);

/** @returns exit code */
async function main(): Promise<number> {
  const assignment = readAssignment(process.env);
  const { to, result } = await attemptInSandbox({ assignment, sandbox, signal: abort.signal, say });
  if (to === 'finished') return AGENT_EXIT.finished;
  say(`${assignment.attemptId} ${to}${result.failure ? `: ${result.failure.message}` : ''}`);
  return AGENT_EXIT.failed;
}
main().then((code) => process.exit(code), fail);
