import { spawn } from 'node:child_process';

import { accountForChild } from './children.ts';
import { StartError, killGroup } from './process.ts';
import type { ProcessEnd, StartProcess } from './process.ts';

/** How long output may still arrive after a program's end: its own children can hold the pipe open for ever. */
const DRAIN_MS = 500;

/** Starts a process by Node's own means. */
export const startPortably: StartProcess = async ({ argv, directory, environment }, hear) => {
  const [file, ...args] = argv;
  const child = spawn(file!, args, {
    cwd: directory,
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const { pid } = child;
  if (pid === undefined) {
    const error = await new Promise<NodeJS.ErrnoException>((resolve) =>
      child.once('error', resolve),
    );
    throw new StartError(error.code ?? '', error.message);
  }
  const usageOf = accountForChild();
  child.stdout.on('data', (chunk: Buffer) => hear('out', chunk));
  child.stderr.on('data', (chunk: Buffer) => hear('err', chunk));
  // Without a listener, a failed `kill` would throw.
  child.on('error', () => undefined);
  const ended = new Promise<ProcessEnd>((resolve) => {
    child.once('exit', (exitCode, signal) => {
      const usage = usageOf();
      // What it left running in the background ends with it.
      killGroup(pid, 'SIGKILL');
      const drained = setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, DRAIN_MS);
      child.once('close', () => {
        clearTimeout(drained);
        resolve({
          ...(exitCode !== null && { exitCode }),
          ...(signal !== null && { signal }),
          usage,
        });
      });
    });
  });
  return { pid, ended };
};
