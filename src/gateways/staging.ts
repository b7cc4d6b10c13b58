import { readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { notFound, pathOf } from '../http.ts';
import type { FrontDoor } from './front-door.ts';
import { sendPage } from './page.ts';
import { sendFile } from './send-file.ts';

export interface StagingOptions {
  readonly door: FrontDoor;
  /** Holds `<user>/<jobId>/<file>`. */
  readonly stagingDir: string;
}

/**
 * The results of jobs, read only (specification F.1): files with ranges and validators, and a listing of a job's own
 * directories. What is above a job cannot be listed.
 */
export const staging: FastifyPluginAsync<StagingOptions> = async (app, { door, stagingDir }) => {
  const serve = async (request: FastifyRequest, reply: FastifyReply) => {
    const { user, job, '*': rest = '' } = request.params as Record<string, string>;
    // As if it were not there: who may not read it is not told that it is.
    if (!door.mayRead(request, user!)) return notFound(request);
    const jobDir = await inside(stagingDir, [user!, job!]);
    const path = jobDir && (await inside(jobDir, rest.split('/').filter(Boolean)));
    if (path === undefined) return notFound(request);
    const found = await stat(path);
    if (found.isFile() && path !== jobDir) return sendFile(request, reply, path);
    if (!found.isDirectory()) return notFound(request);
    return sendListing(reply, `Results of ${job}`, path, {
      url: door.baseUrl(request) + pathOf(request),
      query: door.shareQuery(request),
    });
  };
  app.get('/:user/:job', serve);
  app.get('/:user/:job/*', serve);
};

/**
 * The real path of what is named below a directory; `undefined` if it is not there, is hidden, or is not below it once
 * every symbolic link is followed.
 */
async function inside(dir: string, names: readonly string[]): Promise<string | undefined> {
  if (!names.every(isVisibleName)) return undefined;
  try {
    const [root, path] = await Promise.all([realpath(dir), realpath(join(dir, ...names))]);
    return path === root || path.startsWith(root + sep) ? path : undefined;
  } catch (error) {
    if (isNotThere(error)) return undefined;
    throw error;
  }
}

const isVisibleName = (name: string): boolean =>
  !name.startsWith('.') && !/[/\\\0]/.test(name) && name.length <= 255;

const NOT_THERE = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG']);

const isNotThere = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && NOT_THERE.has(String(error.code));

const MAX_LISTED = 10_000;

async function sendListing(
  reply: FastifyReply,
  title: string,
  dir: string,
  { url, query }: { readonly url: string; readonly query: string },
): Promise<FastifyReply> {
  const entries = (await readdir(dir, { withFileTypes: true }))
    .filter(({ name }) => isVisibleName(name))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const links = entries.slice(0, MAX_LISTED).map((entry) => {
    const slash = entry.isDirectory() ? '/' : '';
    const href = `${url}/${encodeURIComponent(entry.name)}${slash}${query}`;
    return { href, text: entry.name + slash };
  });
  const count = `${entries.length} ${entries.length === 1 ? 'entry' : 'entries'}`;
  const shown = entries.length > MAX_LISTED ? `, of which the first ${MAX_LISTED} are listed` : '';
  return sendPage(reply, title, `${count}${shown}.`, links);
}
