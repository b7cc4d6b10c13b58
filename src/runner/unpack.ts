import { chmod, mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PushbroomError } from '../errors.ts';
import { hashFile } from '../hash.ts';
import { DEFAULT_LIMITS } from '../processes/archive.ts';
import { extractBundle } from '../processes/extract.ts';

/**
 * Unpacks a bundle once for all attempts of a node: to `<cacheDirectory>/<hash>/`, which appears complete or not at
 * all, however many processes do it at once. Once it is there this is one `stat`.
 *
 * In the directory, every processor and aggregator is `<name>-process`, and where it has them `<name>-prepare`,
 * `<name>-finalize` and `<name>-format`; archives of the bundle are unpacked beside themselves. All files are read-only.
 *
 * @param archive the bundle's zip file, opened only where it is not unpacked yet
 * @param hash SHA-256 of the archive, lower-case hexadecimal
 * @returns absolute path of the directory
 * @throws INVALID_BUNDLE where the archive is not the one that was deployed, STORAGE_FULL
 */
export async function unpackBundle(
  archive: string,
  hash: string,
  cacheDirectory: string,
): Promise<string> {
  const target = join(cacheDirectory, hash);
  if (await exists(target)) return target;
  await mkdir(cacheDirectory, { recursive: true });
  const found = await hashFile(archive);
  if (found !== hash) {
    throw new PushbroomError(
      'INVALID_BUNDLE',
      `${archive} is not the bundle that was deployed: its SHA-256 is ${found} instead of ${hash}.`,
    );
  }
  const work = await mkdtemp(join(cacheDirectory, '.unpacking-'));
  try {
    await extractBundle(archive, work, DEFAULT_LIMITS);
    await chmod(work, 0o755);
    await rename(work, target);
  } catch (error) {
    await rm(work, { recursive: true, force: true });
    // Another process was faster: a directory with files in it is never renamed over.
    if (!(await exists(target))) throw error;
  }
  return target;
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
