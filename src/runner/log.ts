import { closeSync, mkdirSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** A log file grows to this size; then it becomes `<name>.1`, in place of an older one. */
export const ROTATE_AT = 8 * 1024 * 1024;

/** An attempt's stdout or stderr on disk, made when there is something to write. */
export function createLog(path: string) {
  let file: number | undefined;
  let size = 0;

  function rotate(): void {
    closeSync(file!);
    file = undefined;
    size = 0;
    renameSync(path, `${path}.1`);
  }

  return {
    /** Written at once, so that it can be read while the attempt runs. Throws when the disk is full. */
    write(chunk: Buffer): void {
      if (size > 0 && size + chunk.length > ROTATE_AT) rotate();
      if (file === undefined) {
        mkdirSync(dirname(path), { recursive: true });
        file = openSync(path, 'w', 0o640);
      }
      // Unlike `writeSync`, not content with a part.
      writeFileSync(file, chunk);
      size += chunk.length;
    },
    close(): void {
      if (file !== undefined) closeSync(file);
      file = undefined;
    },
  };
}

export type Log = ReturnType<typeof createLog>;
