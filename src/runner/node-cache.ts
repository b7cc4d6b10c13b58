import {
  accessSync,
  chmodSync,
  constants,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  renameSync,
  unlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

import { messageOf } from '../errors.ts';

/**
 * Makes the directory that all attempts of one user on a node share. What lies there is run, so nobody else may have
 * put it there, and it is often asked for in a directory in which anybody can make one.
 *
 * @returns why it cannot be used
 */
export function claimCache(directory: string): string | undefined {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const stat = lstatSync(directory);
    if (!stat.isDirectory()) return 'it is not a directory';
    if (stat.uid !== process.getuid?.()) return 'it belongs to somebody else';
    if ((stat.mode & 0o077) !== 0) return 'others have access to it: its mode has to be 0700';
    accessSync(directory, constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** Where a Node of this one's version is kept. */
export const keptNode = (cache: string): string =>
  join(cache, `node-${process.version}-${process.arch}`, 'node');

/**
 * Takes the Node that was fetched into a sandbox for this runner away from there: a sandbox stays for long, and this
 * is by far the largest file in it. Processors still find it, in the node's cache.
 *
 * @param sandbox real path
 */
export function keepNode(sandbox: string, cache: string): void {
  const fetched = process.execPath;
  if (dirname(fetched) !== sandbox) return;
  const kept = keptNode(cache);
  if (existsSync(kept)) unlinkSync(fetched);
  else move(fetched, kept);
  process.execPath = kept;
}

function move(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    const part = `${to}.${process.pid}`;
    copyFileSync(from, part);
    chmodSync(part, 0o755);
    renameSync(part, to);
    unlinkSync(from);
  }
}
