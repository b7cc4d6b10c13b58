import { rmSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

import { messageOf } from '../errors.ts';
import { AGENT_EXIT, LOG_DIRECTORY_VARIABLE, isAssigned, readAssignment } from './hand-over.ts';
import { attemptInSandbox } from './sandbox.ts';

/**
 * The runner on an agent of a cluster: makes the one attempt that its environment assigns to it, in the directory that
 * it is started in, and ends with it. Nothing of the environment reaches the attempt's programs.
 */
const sandbox = process.cwd();
const { [LOG_DIRECTORY_VARIABLE]: logDirectory } = process.env;
const abort = new AbortController();

const say = (line: string): void => {
  process.stderr.write(`pushbroom: ${line.replaceAll('\n', ' ')}\n`);
};

/** Linux lets the file of a running program go; in the sandbox of an agent it was fetched for this attempt alone. */
function removeIfFetched(file: string | undefined): void {
  if (logDirectory !== undefined || !isAssigned(process.env)) return;
  if (file !== undefined && dirname(file) === sandbox) rmSync(file, { force: true });
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
  const assignment = await readAssignment(process.env);
  const { to, result } = await attemptInSandbox({
    assignment,
    sandbox,
    ...(logDirectory !== undefined && { logDirectory: resolve(logDirectory) }),
    signal: abort.signal,
    say,
  });
  if (to === 'finished') return AGENT_EXIT.finished;
  say(`${assignment.attemptId} ${to}${result.failure ? `: ${result.failure.message}` : ''}`);
  return AGENT_EXIT.failed;
}
// What is waited for, such as the next try of a storage, need not keep a program alive by itself.
setInterval(() => undefined, 2 ** 30);
main().then((code) => process.exit(code), fail);
