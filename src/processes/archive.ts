import { createWriteStream } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import yauzl from 'yauzl';
import yazl from 'yazl';
import { PushbroomError, isDiskFull, messageOf } from '../errors.ts';
import { type DescriptorFile, DESCRIPTORS } from './descriptor.ts';

export interface ArchiveLimits {
  /** Bytes of the archive itself. */
  readonly compressedBytes: number;
  /** Bytes of all files in it, those of archives inside it included. */
  readonly expandedBytes: number;
  /** Files and directories, those of archives inside it included. */
  readonly entries: number;
  /** UTF-8 bytes of one path. */
  readonly pathLength: number;
}

export const DEFAULT_LIMITS: ArchiveLimits = {
  compressedBytes: 2 * 1024 ** 3,
  expandedBytes: 8 * 1024 ** 3,
  entries: 100_000,
  pathLength: 512,
};

const DESCRIPTOR_BYTES = 1024 * 1024;

const refuse = (message: string): never => {
  throw new PushbroomError('INVALID_BUNDLE', message);
};

/** What an archive, and those inside it, may still use of the limits. */
export interface Allowance {
  /** @throws INVALID_BUNDLE if this is one entry, or are bytes, too many */
  take(bytes: number): void;
}

export function createAllowance(limits: ArchiveLimits): Allowance {
  let entries = 0;
  let total = 0;
  return {
    take(bytes) {
      if (++entries > limits.entries) {
        refuse(`The bundle has more than ${limits.entries} files and directories.`);
      }
      total += bytes;
      if (!(total <= limits.expandedBytes)) {
        refuse(`The bundle's files have more than ${limits.expandedBytes} bytes when unpacked.`);
      }
    },
  };
}

export type CheckPath = (path: string, kind: 'file' | 'directory') => void;

/** Refuses paths that lead out of a directory, and those that two entries of one archive claim. */
export function createPathCheck(pathLength: number): CheckPath {
  const kinds = new Map<string, 'file' | 'directory'>();
  return (path, kind) => {
    const shown = JSON.stringify(path.length > 200 ? `${path.slice(0, 200)}...` : path);
    const fault = pathFault(path, pathLength);
    if (fault) refuse(`The bundle has an entry ${shown}, which ${fault}.`);
    for (let end = path.indexOf('/'); end > 0; end = path.indexOf('/', end + 1)) {
      const parent = path.slice(0, end);
      if (kinds.get(parent) === 'file') refuse(`The bundle has an entry ${shown} below a file.`);
      kinds.set(parent, 'directory');
    }
    const known = kinds.get(path);
    if (known && (known === 'file' || kind === 'file')) refuse(`The bundle has ${shown} twice.`);
    kinds.set(path, kind);
  };
}

function pathFault(path: string, pathLength: number): string | undefined {
  if (Buffer.byteLength(path) > pathLength) return `is longer than ${pathLength} bytes`;
  if (/\p{Cc}/u.test(path)) return 'has control characters';
  if (path.includes('\\')) return 'has a backslash';
  if (path.startsWith('/')) return 'is absolute';
  if (/^[A-Za-z]:/.test(path)) return 'begins with a drive letter';
  const parts = path.split('/');
  if (parts.includes('..')) return 'climbs out with ..';
  if (parts.includes('') || parts.includes('.')) return 'is not a plain path';
  return undefined;
}

export interface ZipEntry {
  /** Without the slash at the end that directories have in a zip. */
  readonly path: string;
  readonly directory: boolean;
  readonly executable: boolean;
  /** As the central directory says; reading fails where the content has more or fewer bytes. */
  readonly size: number;
  readonly crc32: number;
  open(): Promise<Readable>;
}

/**
 * Visits the entries of a zip file one after the other, each checked before it is visited.
 *
 * @throws INVALID_BUNDLE for what is no zip file, and for an entry that is refused
 */
export async function readZip(
  file: string,
  limits: ArchiveLimits,
  allowance: Allowance,
  visit: (entry: ZipEntry) => Promise<void>,
): Promise<void> {
  const checkPath = createPathCheck(limits.pathLength);
  let zip: yauzl.ZipFile | undefined;
  try {
    zip = await yauzl.openPromise(file, { autoClose: false, decodeStrings: false });
    for await (const entry of zip.eachEntry()) {
      const opened = toZipEntry(zip, entry);
      allowance.take(opened.size);
      checkPath(opened.path, opened.directory ? 'directory' : 'file');
      await visit(opened);
    }
  } catch (error) {
    throw asBundleError(error);
  } finally {
    zip?.close();
  }
}

const FILE_TYPE = 0o170_000;
const FILE_TYPES = new Map([
  [0, 'unknown'],
  [0o100_000, 'file'],
  [0o040_000, 'directory'],
]);

function toZipEntry(zip: yauzl.ZipFile, entry: yauzl.Entry): ZipEntry {
  const name = yauzl.getFileNameLowLevel(
    entry.generalPurposeBitFlag,
    entry.fileNameRaw,
    entry.extraFields,
    true,
  );
  const mode = entry.externalFileAttributes >>> 16;
  if (!FILE_TYPES.has(mode & FILE_TYPE)) {
    refuse(`The bundle has an entry ${JSON.stringify(name)}, which is a link or a special file.`);
  }
  if (!entry.canDecodeFileData()) {
    refuse(`The bundle has an entry ${JSON.stringify(name)}, which is encrypted or not deflated.`);
  }
  return {
    path: name.replace(/\/$/, ''),
    directory: name.endsWith('/'),
    executable: (mode & 0o111) !== 0,
    size: entry.uncompressedSize,
    crc32: entry.crc32,
    open: () => zip.openReadStreamPromise(entry),
  };
}

/** What went wrong with an archive: its content's fault, unless the system says otherwise. */
export function asBundleError(error: unknown): unknown {
  if (error instanceof PushbroomError) return error;
  if (isDiskFull(error)) {
    return new PushbroomError('STORAGE_FULL', 'There is no space left to unpack the bundle.', {
      cause: error,
    });
  }
  if (error instanceof Error && 'syscall' in error) return error;
  return new PushbroomError('INVALID_BUNDLE', `The bundle can not be read: ${messageOf(error)}.`, {
    cause: error,
  });
}

export interface DescriptorText {
  readonly file: DescriptorFile;
  readonly text: string;
}

/**
 * Looks at an archive without unpacking it: reads its directory, checks all names and sizes that it states, and
 * returns its descriptor, which has to be on its top level (specification D.4).
 *
 * @throws INVALID_BUNDLE
 */
export async function inspectArchive(file: string, limits: ArchiveLimits): Promise<DescriptorText> {
  const { size } = await stat(file);
  if (size > limits.compressedBytes) refuse(tooLarge(size, limits));
  const descriptors = new Map<string, string>();
  let below: string | undefined;
  await readZip(file, limits, createAllowance(limits), async (entry) => {
    const name = entry.path.split('/').at(-1)!;
    if (entry.directory || !DESCRIPTORS.includes(name as DescriptorFile)) return;
    if (entry.path !== name) {
      below ??= entry.path;
      return;
    }
    if (entry.size > DESCRIPTOR_BYTES) refuse(`${name} has more than ${DESCRIPTOR_BYTES} bytes.`);
    descriptors.set(name, await text(await entry.open()));
  });
  const found = DESCRIPTORS.find((name) => descriptors.has(name));
  if (found) return { file: found, text: descriptors.get(found)! };
  const hint = below ? ` It has ${below}: pack what is in that directory, not the directory.` : '';
  return refuse(`Zip file does not contain a bundle-descriptor.xml file.${hint}`);
}

export const tooLarge = (size: number, limits: ArchiveLimits): string =>
  `The bundle has ${size} bytes, more than the ${limits.compressedBytes} that are allowed.`;

/**
 * Packs a directory into a zip file. The same content makes the same bytes, whenever, wherever and by whom it is
 * packed: entries are sorted, times fixed, modes reduced to executable or not, and nothing is compressed, since
 * releases of zlib differ. Empty directories are left out; links to files inside the directory become those files.
 *
 * @throws INVALID_BUNDLE for links that lead out, special files, and what is beyond the limits
 */
export async function packDirectory(
  directory: string,
  target: string,
  limits: ArchiveLimits,
): Promise<void> {
  const allowance = createAllowance(limits);
  const checkPath = createPathCheck(limits.pathLength);
  const files = await listFiles(directory);
  for (const { path, size } of files) {
    allowance.take(size);
    checkPath(path, 'file');
  }
  // A zip's times have no zone: these local parts are the same bytes everywhere.
  const mtime = new Date(1980, 0, 1);
  const zip = new yazl.ZipFile();
  const failed = new Promise<never>((_, reject) => zip.on('error', reject));
  for (const { path, executable } of files) {
    const mode = executable ? 0o100_755 : 0o100_644;
    const options = { mtime, mode, compress: false, forceDosTimestamp: true };
    zip.addFile(join(directory, path), path, options);
  }
  zip.end();
  const written = pipeline(zip.outputStream, createWriteStream(target, { flags: 'wx' }));
  await Promise.race([written, failed]).catch((error: unknown) => {
    throw asBundleError(error);
  });
}

interface FoundFile {
  readonly path: string;
  readonly executable: boolean;
  readonly size: number;
}

async function listFiles(root: string): Promise<readonly FoundFile[]> {
  const home = await realpath(root);
  const paths: string[] = [];
  for (const entry of await readdir(home, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) continue;
    const path = relative(home, join(entry.parentPath, entry.name));
    if (entry.isSymbolicLink()) await checkLink(home, path);
    else if (!entry.isFile()) refuse(`${path} is neither a file nor a directory.`);
    paths.push(path);
  }
  const files: FoundFile[] = [];
  for (const path of paths.toSorted()) {
    const { mode, size } = await stat(join(home, path));
    files.push({ path, executable: (mode & 0o111) !== 0, size });
  }
  return files;
}

async function checkLink(home: string, path: string): Promise<void> {
  const target = await realpath(join(home, path)).catch(() => undefined);
  if (target === undefined) return refuse(`${path} is a link to nowhere.`);
  if (!target.startsWith(home + sep)) refuse(`${path} is a link that leads out of the bundle.`);
  if (!(await stat(target)).isFile()) refuse(`${path} is a link to a directory: copy it instead.`);
}
