import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PushbroomError } from '../errors.ts';

const MARK = 'demo.pid';

/**
 * Empties the demo's data directory and holds it for this process. Only a directory that is empty or carries a demo's
 * mark is emptied, and none that a running demo holds.
 */
export async function emptyDataDirectory(
  path: string,
): Promise<AsyncDisposable & { path: string }> {
  await mkdir(path, { recursive: true });
  const entries = await readdir(path);
  if (entries.length > 0) {
    const pid = await readMark(path, entries);
    if (pid !== process.pid && isRunning(pid)) {
      throw new PushbroomError(
        'UNAVAILABLE',
        `another demo (process ${pid}) runs in ${path}: end it first, or give --data-dir`,
      );
    }
  }
  for (const entry of entries) await rm(join(path, entry), { recursive: true, force: true });
  await writeFile(join(path, MARK), `${process.pid}\n`);
  return {
    path,
    // 0 is nobody: the mark stays, since it says that this directory may be emptied.
    [Symbol.asyncDispose]: () => writeFile(join(path, MARK), '0\n'),
  };
}

async function readMark(path: string, entries: readonly string[]): Promise<number> {
  if (!entries.includes(MARK)) {
    throw new PushbroomError(
      'INVALID_PARAMETER',
      `${path} holds files that are not a demo's, so it is not emptied: give another --data-dir`,
    );
  }
  return Number(await readFile(join(path, MARK), 'utf8'));
}

function isRunning(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // It lives, but is somebody else's.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
