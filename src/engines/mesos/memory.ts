import {
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';

import { messageOf } from '../../errors.ts';

export type FrameworkMemory = ReturnType<typeof createMemory>;

/**
 * The id that the master has given this framework: with it, the next service is the same framework and finds what runs.
 * Written at once and for certain, because nothing may be launched under a name that could be forgotten.
 */
export function createMemory(file: string) {
  return {
    /** @throws Error where the file is there but says nothing */
    read(): string | undefined {
      let text: string;
      try {
        text = readFileSync(file, 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
      const id = frameworkId(text);
      if (id !== undefined) return id;
      throw new Error(`${file} does not hold a framework's id: remove it to begin as a new one`);
    },
    write(id: string): void {
      const handle = openSync(`${file}.new`, 'w', 0o600);
      try {
        writeSync(handle, `${JSON.stringify({ frameworkId: id })}\n`);
        fsyncSync(handle);
      } finally {
        closeSync(handle);
      }
      renameSync(`${file}.new`, file);
    },
    forget: (): void => rmSync(file, { force: true }),
  };
}

function frameworkId(text: string): string | undefined {
  try {
    const { frameworkId: id } = JSON.parse(text) as { frameworkId?: unknown };
    return typeof id === 'string' && id !== '' ? id : undefined;
  } catch (error) {
    throw new Error(`the framework's id cannot be read: ${messageOf(error)}`, { cause: error });
  }
}
