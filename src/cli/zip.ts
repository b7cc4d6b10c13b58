import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { PushbroomError, messageOf } from '../errors.ts';
import { DEFAULT_LIMITS, packDirectory } from '../processes/archive.ts';

/** Does something with a bundle's zip, which is made for the time being where the bundle is a directory. */
export async function asZip<T>(
  path: string,
  work: (zip: string, name: string) => Promise<T>,
): Promise<T> {
  const name = basename(resolve(path));
  if (!(await isDirectoryOf(path))) return work(path, name);
  const scratch = await mkdtemp(join(tmpdir(), 'pushbroom-'));
  try {
    const zip = join(scratch, 'bundle.zip');
    await packDirectory(path, zip, DEFAULT_LIMITS);
    return await work(zip, `${name}.zip`);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function isDirectoryOf(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    throw new PushbroomError('NOT_FOUND', `cannot read the bundle: ${messageOf(error)}`);
  }
}
