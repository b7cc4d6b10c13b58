import { createReadStream, createWriteStream, existsSync, readFileSync } from 'node:fs';
import { chmod, lstat, mkdir, realpath, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, resolve, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';

import type { OutputFile } from '../core/model.ts';

/** Lies beside the outputs in a task's result directory; no product may have its name. */
export const MANIFEST = '.manifest.json';

/** Such a name could not be listed one a line. */
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f]/;

/** An output that cannot be taken, in words for the author of the processor. */
export class OutputError extends Error {}

/**
 * Checks an announced output: a regular file inside the working directory, whatever way the path is written.
 *
 * @returns its real path
 */
export async function checkOutput(directory: string, announced: string): Promise<string> {
  const path = isAbsolute(announced) ? announced : resolve(directory, announced);
  const name = basename(path);
  const real = await realpath(path).catch(() => {
    throw new OutputError(`announced the output '${announced}', which is not there`);
  });
  if (!real.startsWith((await realpath(directory)) + sep)) {
    throw new OutputError(
      `announced the output '${announced}', which lies outside its working directory`,
    );
  }
  const stat = await lstat(real);
  if (!stat.isFile()) {
    throw new OutputError(
      `announced the output '${announced}', which is not a regular file: pack directories`,
    );
  }
  if (name.startsWith('.')) {
    throw new OutputError(
      `announced the output '${announced}': names that begin with a dot are not products`,
    );
  }
  if (CONTROL.test(name)) {
    throw new OutputError(
      `announced the output ${JSON.stringify(announced)}: its name has control characters`,
    );
  }
  return real;
}

/** The outputs of the attempt that has won the task, if there is one. */
export function committedOutputs(result: string): OutputFile[] | undefined {
  const manifest = join(result, MANIFEST);
  return existsSync(manifest)
    ? (JSON.parse(readFileSync(manifest, 'utf8')) as OutputFile[])
    : undefined;
}

/**
 * Moves outputs to the task's result directory by one atomic rename. Where another attempt was first, its outputs
 * stand and are returned: rename(2) never replaces a directory that is not empty.
 *
 * @param collected a directory on the result's file system that holds the outputs already
 * @param flush whether it is on the disk for certain when this resolves, because what is said of it is
 */
export async function commitOutputs(
  collected: string,
  result: string,
  outputs: readonly OutputFile[],
  { flush = false }: { readonly flush?: boolean } = {},
): Promise<readonly OutputFile[]> {
  await writeFile(join(collected, MANIFEST), JSON.stringify(outputs), { flush });
  await mkdir(dirname(result), { recursive: true });
  try {
    await rename(collected, result);
    return outputs;
  } catch (error) {
    const winner = committedOutputs(result);
    if (!winner) throw error;
    return winner;
  }
}

/**
 * Brings the announced files together under their own names and describes them. They become read-only, so that no
 * later attempt of the same account changes them by accident; nothing but isolation keeps one that means to.
 */
export async function collectOutputs(options: {
  readonly directory: string;
  readonly into: string;
  readonly announced: readonly { readonly path: string; readonly name?: string }[];
  readonly checksum: boolean;
  /** Ends the copying of what has to be copied. */
  readonly signal: AbortSignal;
}): Promise<OutputFile[]> {
  const outputs = new Map<string, OutputFile>();
  await rm(options.into, { recursive: true, force: true });
  await mkdir(options.into, { recursive: true });
  for (const { path, name } of options.announced) {
    const file = basename(path);
    if (outputs.has(file)) throw new OutputError(`announced two outputs of the name '${file}'`);
    const source = await checkOutput(options.directory, path);
    const target = join(options.into, file);
    // Where it lies before it is moved, it is near, and read already by those who have just written it.
    const sha256 = options.checksum ? await hashOf(source) : undefined;
    await move(source, target, options.signal);
    const { size, nlink } = await lstat(target);
    // Where it has another name, it may be the input.
    if (nlink === 1) await chmod(target, 0o444);
    outputs.set(file, {
      path: file,
      ...(name !== undefined && { name }),
      size,
      ...(sha256 !== undefined && { sha256 }),
    });
  }
  return [...outputs.values()];
}

/** What makes hashes takes longer to load than most attempts without them take for everything else. */
const hashOf = async (file: string): Promise<string> => {
  const { hashFile } = await import('../hash.ts');
  return hashFile(file);
};

const COPY_BYTES = 1024 ** 2;

/** To another file system it is copied; it is on the disk there for certain, because nobody could copy it again. */
async function move(source: string, target: string, signal: AbortSignal): Promise<void> {
  try {
    await rename(source, target);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    const from = createReadStream(source, { highWaterMark: COPY_BYTES });
    await pipeline(from, createWriteStream(target, { flags: 'wx', flush: true }), { signal });
    await unlink(source);
  }
}
