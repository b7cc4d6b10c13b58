import { mkdir, open, readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import type { Millis } from '../core/model.ts';
import { PushbroomError } from '../errors.ts';
import { hashFile } from '../hash.ts';
import type { Caller } from '../jobs/jobs.ts';
import { readPath } from './paths.ts';
import type { Check } from './check.ts';
import type { Room } from './room.ts';

export interface UserFile {
  /** Relative to the user's area, with slashes. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  readonly modifiedAt: Millis;
}

export interface FileQuery {
  /** Only what is in or below that directory. */
  readonly dir?: string;
  readonly limit: number;
  /** `next` of the page before. */
  readonly after?: string;
}

/** What users keep here to work with: regions, points, masks (specification D.10). */
export interface UserFiles {
  /**
   * Moves a file into a user's area; one of the same path is replaced.
   *
   * @returns its SHA-256, lower-case hexadecimal
   * @throws INVALID_PARAMETER, CONFLICT, LIMIT_REACHED, what `Check` throws
   */
  take(from: string, caller: Caller, path: string): Promise<string>;
  /** In order of their paths. @throws INVALID_PARAMETER */
  list(
    user: string,
    query: FileQuery,
  ): Promise<{ readonly items: readonly UserFile[]; readonly next?: string }>;
  /** Where a file lies. @throws INVALID_PARAMETER, NOT_FOUND */
  locate(user: string, path: string): Promise<string>;
  /** @throws INVALID_PARAMETER, NOT_FOUND */
  remove(user: string, path: string): Promise<void>;
}

/** @param directory holds `<user>/<path>` */
export function createUserFiles(directory: string, room: Room, check: Check): UserFiles {
  const areaOf = (user: string): string => join(directory, areaName(user));

  async function locate(user: string, path: string): Promise<string> {
    const file = join(areaOf(user), ...readPath(path, 'file'));
    const found = await stat(file).catch(unlessGone);
    if (found?.isFile()) return file;
    throw new PushbroomError('NOT_FOUND', `you have no file '${path}'`);
  }

  return {
    take: async (from, caller, path) => {
      const file = join(areaOf(caller.user), ...readPath(path, 'file'));
      await check(from, path);
      await synced(from);
      const { size } = await stat(from);
      const hash = await hashFile(from);
      const before = await stat(file).catch(unlessGone);
      await room.taking(caller, size - (before?.size ?? 0), before ? 0 : 1, async () => {
        await put(from, file).catch(unlessInTheWay(path));
      });
      return hash;
    },
    async list(user, { dir, limit, after }) {
      const area = areaOf(user);
      const names = dir === undefined ? [] : readPath(dir, 'dir');
      const all = await filesBelow(join(area, ...names), area);
      const rest = after === undefined ? all : all.filter(({ path }) => path > after);
      const items = rest.slice(0, limit);
      return { items, ...(rest.length > limit && { next: items.at(-1)!.path }) };
    },
    locate,
    remove: (user, path) =>
      room.inTurn(async () => {
        const file = await locate(user, path);
        await rm(file);
        await pruneUpTo(areaOf(user), dirname(file));
      }),
  };
}

/** What the files of a user take. */
export async function usedByFiles(directory: string, user: string) {
  const area = join(directory, areaName(user));
  const files = await filesBelow(area, area);
  return { bytes: files.reduce((sum, { size }) => sum + size, 0), files: files.length };
}

/** Names come from whoever logs them in, and become directories here. */
function areaName(user: string): string {
  if (/^(?![.])[A-Za-z0-9._@-]{1,200}$/.test(user)) return user;
  throw new PushbroomError('FORBIDDEN', 'a user of this name can not keep files here');
}

async function put(from: string, file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await rename(from, file);
  await synced(dirname(file));
}

async function synced(path: string): Promise<void> {
  await using handle = await open(path, 'r');
  await handle.sync();
}

async function filesBelow(directory: string, area: string): Promise<UserFile[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(
    unlessGone,
  );
  const files = await Promise.all(
    (entries ?? [])
      .filter((entry) => entry.isFile())
      .map(async ({ parentPath, name }) => {
        const path = join(parentPath, name);
        const found = await stat(path).catch(unlessGone);
        return found && { path: relative(area, path), size: found.size, modifiedAt: found.mtimeMs };
      }),
  );
  return files.filter((file) => file !== undefined).toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

async function pruneUpTo(area: string, directory: string): Promise<void> {
  for (let each = directory; each !== area; each = dirname(each)) {
    try {
      await rmdir(each);
    } catch {
      // It holds something else.
      return;
    }
  }
}

const codeOf = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : undefined;

function unlessGone(error: unknown): undefined {
  const code = codeOf(error);
  if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
}

/** A file where a directory would have to be, or the other way round. */
const IN_THE_WAY = new Set<unknown>(['EEXIST', 'ENOTDIR', 'EISDIR', 'ENOTEMPTY']);

const unlessInTheWay =
  (path: string) =>
  (error: unknown): never => {
    if (!IN_THE_WAY.has(codeOf(error))) throw error;
    const message = `'${path}' can not be written: a file or directory of yours is in the way`;
    throw new PushbroomError('CONFLICT', message, { cause: error });
  };
