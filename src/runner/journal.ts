import { closeSync, existsSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

import { decode } from './messages.ts';
import type { FromRunner } from './messages.ts';

/** Thousands of ends, of which a service needs the last few. */
const ROTATE_AT = 4 * 1024 ** 2;

/** A journal's files, oldest first. */
export const journalFiles = (path: string) => [`${path}.1`, path] as const;

/**
 * The ends of a runner's attempts, for a service that was not there to hear of them. It outlives every process; it is
 * not forced to the disk, because nothing of an attempt outlives the machine.
 */
export function createJournal(path: string) {
  const open = () => openSync(path, 'a', 0o600);
  let file = open();
  let size = 0;
  return {
    /** @param line ends with a line end */
    write(line: string): void {
      if (size > ROTATE_AT) {
        closeSync(file);
        renameSync(path, journalFiles(path)[0]);
        file = open();
        size = 0;
      }
      writeFileSync(file, line);
      size += line.length;
    },
  };
}

/** All that a journal still holds, oldest first. */
export const readJournal = (path: string): FromRunner[] =>
  journalFiles(path)
    .filter((file) => existsSync(file))
    .flatMap((file) => decode<FromRunner>(readFileSync(file, 'utf8')));
