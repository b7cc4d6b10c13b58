import { open, readdir, stat } from 'node:fs/promises';
import { join, normalize } from 'node:path';

import type { Execution } from './execution.ts';
import { json, notFound } from './wire.ts';
import type { Reply } from './wire.ts';

/** The sandboxes of an agent that can be looked into. */
interface Sandboxes {
  readonly executions: ReadonlyMap<string, Execution>;
  readonly finished: readonly Execution[];
}

/** At most this much at a time (`/files/read` of a page of the agent's memory, times 16). */
const MOST_BYTES = 16 * 4096;

const refusedFile: Reply = { status: 404 };

/**
 * The real path of what lies in a sandbox, named by its own path or by the virtual one
 * `/frameworks/<id>/executors/<id>/runs/latest`; undefined for all else.
 */
function realPath({ executions, finished }: Sandboxes, path: string): string | undefined {
  const wanted = normalize(path);
  for (const { sandbox, frameworkId, id } of [...executions.values(), ...finished.toReversed()]) {
    const virtual = `/frameworks/${frameworkId}/executors/${id}/runs/latest`;
    for (const root of [sandbox, virtual]) {
      if (wanted === root || wanted.startsWith(`${root}/`)) {
        return join(sandbox, wanted.slice(root.length));
      }
    }
  }
  return undefined;
}

interface FileSeen {
  readonly path: string;
  readonly size: number;
  readonly mode: number;
  readonly nlink: number;
  readonly seconds: number;
}

async function filesIn(agent: Sandboxes, path: string): Promise<FileSeen[] | undefined> {
  const directory = realPath(agent, path);
  if (directory === undefined) return undefined;
  const names = await readdir(directory).catch(() => undefined);
  if (!names) return undefined;
  const files = names.toSorted().map(async (name) => {
    const { size, mode, nlink, mtimeMs } = await stat(join(directory, name));
    const seconds = Math.floor(mtimeMs / 1000);
    return { path: join(path, name), size, mode, nlink, seconds };
  });
  return Promise.all(files);
}

const OWNER = { uid: 'root', gid: 'root' };

export async function listFiles(agent: Sandboxes, path: string): Promise<Reply> {
  const files = await filesIn(agent, path);
  if (!files) return refusedFile;
  const infos = files.map(({ seconds, ...file }) => ({
    ...file,
    mtime: { nanoseconds: seconds * 1e9 },
    ...OWNER,
  }));
  return json({ type: 'LIST_FILES', list_files: { file_infos: infos } });
}

export async function browse(agent: Sandboxes, path: string): Promise<Reply> {
  const files = await filesIn(agent, path);
  if (!files) return notFound;
  return json(
    files.map(({ seconds, mode, ...file }) => ({
      ...file,
      mode: said(mode),
      mtime: seconds,
      ...OWNER,
    })),
  );
}

/** As `ls` says it. */
const said = (mode: number): string => {
  const bits = [...'rwxrwxrwx'].map((letter, at) => (mode & (0o400 >> at) ? letter : '-'));
  return `${(mode & 0o170000) === 0o040000 ? 'd' : '-'}${bits.join('')}`;
};

async function partOf(
  agent: Sandboxes,
  path: string,
  offset: number,
  length: number | undefined,
): Promise<{ readonly size: number; readonly data: Buffer } | undefined> {
  const file = realPath(agent, path);
  const handle = file === undefined ? undefined : await open(file).catch(() => undefined);
  if (!handle) return undefined;
  try {
    const { size } = await handle.stat();
    const wanted = Math.min(length ?? size, Math.max(size - offset, 0), MOST_BYTES);
    const buffer = Buffer.alloc(wanted);
    const { bytesRead } = await handle.read(buffer, 0, wanted, offset);
    return { size, data: buffer.subarray(0, bytesRead) };
  } finally {
    await handle.close();
  }
}

/** READ_FILE: the data in Base64, and the size of the whole file. */
export async function readFile(
  agent: Sandboxes,
  call: { readonly path: string; readonly offset: number; readonly length?: number },
): Promise<Reply> {
  const part = await partOf(agent, call.path, call.offset, call.length);
  if (!part) return refusedFile;
  const { size, data } = part;
  return json({ type: 'READ_FILE', read_file: { size, data: data.toString('base64') } });
}

/** `/files/read`: with the offset -1 only the size of the file, as `offset`. */
export async function readPart(
  agent: Sandboxes,
  path: string,
  query: URLSearchParams,
): Promise<Reply> {
  const offset = Number(query.get('offset') ?? 0);
  const length = query.get('length');
  const part = await partOf(
    agent,
    path,
    Math.max(offset, 0),
    length === null ? undefined : Number(length),
  );
  if (!part) return notFound;
  return json(
    offset < 0 ? { data: '', offset: part.size } : { data: part.data.toString(), offset },
  );
}

export async function download(agent: Sandboxes, path: string): Promise<Reply> {
  const file = realPath(agent, path);
  const handle = file === undefined ? undefined : await open(file).catch(() => undefined);
  if (!handle) return notFound;
  try {
    const body = await handle.readFile();
    const name = path.slice(path.lastIndexOf('/') + 1);
    return {
      status: 200,
      body,
      type: 'application/octet-stream',
      headers: { 'content-disposition': `attachment; filename=${name}` },
    };
  } finally {
    await handle.close();
  }
}
