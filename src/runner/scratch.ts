import { mkdirSync, readdirSync, unlinkSync } from 'node:fs';
import { chmod, readdir, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Makes an attempt's own directory, empty even where an earlier try of the same attempt has left something. */
export async function makeScratch(directory: string): Promise<void> {
  try {
    mkdirSync(directory);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') await removeAll(directory);
    else if (code === 'ENOENT') mkdirSync(dirname(directory), { recursive: true });
    else throw error;
    mkdirSync(directory);
  }
}

/** Removes it with all that a processor has left there; mostly that is a few files. */
export async function removeScratch(directory: string): Promise<void> {
  try {
    for (const name of readdirSync(directory)) unlinkSync(join(directory, name));
    // Others go on while this waits for the file system.
    await rmdir(directory);
  } catch {
    await removeAll(directory);
  }
}

/** Also directories that a processor has copied from its read-only bundle. */
async function removeAll(directory: string): Promise<void> {
  try {
    await rm(directory, { recursive: true, force: true });
  } catch {
    await makeWritable(directory);
    // A process that is just being killed may still add a file.
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function makeWritable(directory: string): Promise<void> {
  await chmod(directory, 0o700);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) await makeWritable(join(directory, entry.name));
  }
}
