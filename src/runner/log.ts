import { closeSync, openSync, renameSync, writeSync } from 'node:fs';

/** A log file grows to this size; then it becomes `<name>.1`, in place of an older one. */
const ROTATE_AT = 8 * 1024 * 1024;

/** An attempt's stdout or stderr on disk, made when there is something to write. */
export function createLog(path: string) {
  let file: number | undefined;
  let size = 0;

  function rotate(): void {
    closeSync(file!);
    renameSync(path, `${path}.1`);
    file = undefined;
    size = 0;
  }

  return {
    /** Written at once, so that it can be read while the attempt runs. */
    write(chunk: Buffer): void {
      if (size > 0 && size + chunk.length > ROTATE_AT) rotate();
      file ??= openSync(path, 'w', 0o640);
      writeSync(file, chunk);
      size += chunk.length;
    },
    close(): void {
      if (file !== undefined) closeSync(file);
    },
  };
}
