import { chmodSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Makes an attempt's own directory, empty even where an earlier try of the same attempt has left something. */
export function makeScratch(directory: string): void {
  try {
    mkdirSync(directory);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') removeScratch(directory);
    else if (code === 'ENOENT') mkdirSync(dirname(directory), { recursive: true });
    else throw error;
    mkdirSync(directory);
  }
}

/**
 * Removes it with all that a processor has left there, also directories that it has copied from its read-only bundle.
 */
export function removeScratch(directory: string): void {
  try {
    rmSync(directory, { recursive: true, force: true });
  } catch {
    makeWritable(directory);
    // A process that is just being killed may still add a file.
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

function makeWritable(directory: string): void {
  chmodSync(directory, 0o700);
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) makeWritable(join(directory, entry.name));
  }
}
