import { createReadStream, createWriteStream } from 'node:fs';
import { chmod, mkdir, readdir, readlink, realpath, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, posix, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip, crc32 } from 'node:zlib';
import { list as listTar, type ReadEntry, extract as extractTar } from 'tar';
import { PushbroomError } from '../errors.ts';
import {
  type Allowance,
  type ArchiveLimits,
  asBundleError,
  createAllowance,
  createPathCheck,
  type DescriptorText,
  inspectArchive,
  readZip,
  type ZipEntry,
} from './archive.ts';
import { parseDescriptor } from './descriptor.ts';
import { isExecutable } from './executables.ts';

const INNER_ARCHIVE = /^(.+?)\.(tar\.gz|tgz|tar|zip)$/;

export interface ExtractedBundle {
  readonly descriptor: DescriptorText;
  /** Names of the files on the top level. */
  readonly files: ReadonlySet<string>;
}

const refuse = (message: string): never => {
  throw new PushbroomError('INVALID_BUNDLE', message);
};

/**
 * Unpacks a bundle's archive into an empty directory. Archives on its top level are unpacked beside themselves under
 * their base name (specification D.6: `simple.tar.gz` to `simple/`), the programs of an Urban TEP package get a
 * `<processor>-process` that starts them, and all files are made read-only.
 *
 * @throws INVALID_BUNDLE for a content that is refused, STORAGE_FULL; the directory is then to be thrown away
 */
export async function extractBundle(
  archive: string,
  directory: string,
  limits: ArchiveLimits,
): Promise<ExtractedBundle> {
  const descriptor = await inspectArchive(archive, limits);
  const allowance = createAllowance(limits);
  await extractZip(archive, directory, limits, allowance);
  for (const name of (await readdir(directory)).toSorted()) {
    const base = INNER_ARCHIVE.exec(name)?.[1];
    if (base === undefined || !(await stat(join(directory, name))).isFile()) continue;
    await extractInner(directory, name, base, limits, allowance);
  }
  await writeLaunchers(directory, descriptor);
  await seal(directory);
  const entries = await readdir(directory, { withFileTypes: true });
  return {
    descriptor,
    files: new Set(entries.filter((entry) => entry.isFile()).map((entry) => entry.name)),
  };
}

async function extractZip(
  archive: string,
  directory: string,
  limits: ArchiveLimits,
  allowance: Allowance,
): Promise<void> {
  await readZip(archive, limits, allowance, async (entry) => {
    const target = join(directory, entry.path);
    if (entry.directory) {
      await mkdir(target, { recursive: true });
      return;
    }
    await mkdir(dirname(target), { recursive: true });
    const mode = entry.executable ? 0o755 : 0o644;
    const file = createWriteStream(target, { flags: 'wx', mode });
    await pipeline(
      await entry.open(),
      (chunks: AsyncIterable<Buffer>) => verify(chunks, entry),
      file,
    );
  });
}

async function* verify(chunks: AsyncIterable<Buffer>, entry: ZipEntry): AsyncGenerator<Buffer> {
  let sum = 0;
  for await (const chunk of chunks) {
    sum = crc32(chunk, sum);
    yield chunk;
  }
  if (sum !== entry.crc32) refuse(`The bundle's entry ${JSON.stringify(entry.path)} is damaged.`);
}

async function extractInner(
  directory: string,
  name: string,
  base: string,
  limits: ArchiveLimits,
  allowance: Allowance,
): Promise<void> {
  const archive = join(directory, name);
  const target = join(directory, base);
  try {
    await mkdir(target);
  } catch {
    refuse(`${name} would be unpacked to ${base}, which the bundle has already.`);
  }
  try {
    if (name.endsWith('.zip')) {
      await extractZip(archive, target, limits, allowance);
    } else {
      await checkTar(archive, limits, allowance);
      await extractTar({ file: archive, cwd: target, strict: true, preserveOwner: false });
    }
  } catch (error) {
    const known = asBundleError(error);
    if (!(known instanceof PushbroomError)) throw known;
    throw new PushbroomError(known.code, `${name}: ${known.message}`, { cause: known });
  }
}

/** Reads all headers of a tar archive before anything of it is written. */
async function checkTar(
  archive: string,
  limits: ArchiveLimits,
  allowance: Allowance,
): Promise<void> {
  const checkPath = createPathCheck(limits.pathLength);
  const parser = listTar({
    strict: true,
    onReadEntry: (entry) => checkTarEntry(entry, checkPath, allowance),
  });
  let read = 0;
  const check = async (chunks: AsyncIterable<Buffer>) => {
    for await (const chunk of chunks) {
      read += chunk.length;
      if (read > limits.expandedBytes) refuse(`It has more than ${limits.expandedBytes} bytes.`);
      parser.write(chunk);
    }
    parser.end();
  };
  const source = createReadStream(archive);
  if (archive.endsWith('.tar')) await pipeline(source, check);
  else await pipeline(source, createGunzip(), check);
}

function checkTarEntry(
  entry: ReadEntry,
  checkPath: ReturnType<typeof createPathCheck>,
  allowance: Allowance,
): void {
  const path = entry.path.replace(/^(\.\/)+/, '').replace(/\/$/, '');
  allowance.take(entry.size);
  if (entry.type === 'Directory') {
    if (path !== '' && path !== '.') checkPath(path, 'directory');
    return;
  }
  checkPath(path, 'file');
  if (entry.type === 'Link') {
    refuse(`${JSON.stringify(path)} is a hard link: pack with tar --hard-dereference.`);
  }
  if (entry.type === 'SymbolicLink') checkTarget(path, entry.linkpath ?? '');
  else if (entry.type !== 'File' && entry.type !== 'OldFile' && entry.type !== 'ContiguousFile') {
    refuse(`${JSON.stringify(path)} is neither a file nor a directory.`);
  }
}

function checkTarget(path: string, target: string): void {
  const reached = posix.join(posix.dirname(path), target);
  if (isAbsolute(target) || reached === '..' || reached.startsWith('../')) {
    refuse(`${JSON.stringify(path)} is a link that leads out of the bundle.`);
  }
}

/** Urban TEP calls the program by its own name inside the package; the runner knows `<processor>-process` only. */
async function writeLaunchers(directory: string, { file, text }: DescriptorText): Promise<void> {
  for (const { executableName, program } of parseDescriptor(file, text).processors) {
    if (program === undefined) continue;
    const target = join(directory, program);
    const found = await stat(target).catch(() => undefined);
    if (!found?.isFile()) {
      refuse(`'${executableName}' has no executable: looked for ${program} in the package.`);
    }
    await chmod(target, 0o755);
    await writeFile(
      join(directory, `${executableName}-process`),
      `#!/bin/sh\nexec "$(dirname "$0")/${program}" "$@"\n`,
    );
  }
}

/** Makes files read-only and the programs executable; links must not lead out, whatever path they take. */
async function seal(directory: string): Promise<void> {
  const home = await realpath(directory);
  for (const entry of await readdir(home, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isSymbolicLink()) {
      const target = await realpath(path).catch(() => undefined);
      if (isAbsolute(await readlink(path)) || !target?.startsWith(home + sep)) {
        refuse(`${entry.name} is a link that leads out of the bundle, or to nowhere.`);
      }
    } else if (entry.isFile()) {
      const called = entry.parentPath === home && isExecutable(basename(path));
      const { mode } = await stat(path);
      await chmod(path, called || (mode & 0o111) !== 0 ? 0o555 : 0o444);
    }
  }
}
