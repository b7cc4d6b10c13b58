import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, sep } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { notFound, pathOf } from '../http.ts';
import type { FrontDoor } from './front-door.ts';
import { sendPage } from './page.ts';

export interface StagingOptions {
  readonly door: FrontDoor;
  /** Holds `<user>/<jobId>/<file>`. */
  readonly stagingDir: string;
}

/** How a file is refused. */
interface SendError {
  readonly statusCode: number;
  readonly headers: Record<string, string>;
}

/**
 * The results of jobs, read only (specification F.1): files with ranges and validators, and a listing of a job's own
 * directories. What is above a job cannot be listed.
 */
export const staging: FastifyPluginAsync<StagingOptions> = async (app, { door, stagingDir }) => {
  await app.register(fastifyStatic, { root: stagingDir, serve: false, contentType: false });

  app.setErrorHandler((thrown: SendError, _request, reply) => {
    // The catalogue has no entry for it, and a client that asks for ranges needs no words.
    if (thrown.statusCode === 416) return reply.code(416).headers(thrown.headers).send();
    throw thrown;
  });

  const serve = async (request: FastifyRequest, reply: FastifyReply) => {
    const { user, job, '*': rest = '' } = request.params as Record<string, string>;
    const jobDir = await inside(stagingDir, [user!, job!]);
    const path = jobDir && (await inside(jobDir, rest.split('/').filter(Boolean)));
    if (path === undefined) return notFound(request);
    const found = await stat(path);
    if (found.isFile() && path !== jobDir) return sendFile(reply, path);
    if (!found.isDirectory()) return notFound(request);
    return sendListing(reply, `Results of ${job}`, path, door.baseUrl(request) + pathOf(request));
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

// Nothing that a browser would run: products come from users' programs and share this server's origin.
const MEDIA_TYPES: Readonly<Record<string, string>> = {
  '.csv': 'text/csv; charset=utf-8',
  '.gz': 'application/gzip',
  '.jpg': 'image/jpeg',
  '.json': 'application/json',
  '.log': 'text/plain; charset=utf-8',
  '.nc': 'application/x-netcdf',
  '.png': 'image/png',
  '.tif': 'image/tiff',
  '.tiff': 'image/tiff',
  '.txt': 'text/plain; charset=utf-8',
  '.zip': 'application/zip',
};

function mediaTypeOf(name: string): string {
  if (name.endsWith('-metadata')) return 'application/atom+xml';
  if (name === 'SHA256SUMS') return 'text/plain; charset=utf-8';
  return MEDIA_TYPES[extname(name).toLowerCase()] ?? 'application/octet-stream';
}

const sendFile = (reply: FastifyReply, path: string): FastifyReply =>
  reply
    .headers({
      'content-type': mediaTypeOf(basename(path)),
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; sandbox",
      'cache-control': 'private, no-cache',
    })
    .sendFile(basename(path), dirname(path), { cacheControl: false });

const MAX_LISTED = 10_000;

async function sendListing(
  reply: FastifyReply,
  title: string,
  dir: string,
  url: string,
): Promise<FastifyReply> {
  const entries = (await readdir(dir, { withFileTypes: true }))
    .filter(({ name }) => isVisibleName(name))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const links = entries.slice(0, MAX_LISTED).map((entry) => {
    const slash = entry.isDirectory() ? '/' : '';
    return { href: `${url}/${encodeURIComponent(entry.name)}${slash}`, text: entry.name + slash };
  });
  const count = `${entries.length} ${entries.length === 1 ? 'entry' : 'entries'}`;
  const shown = entries.length > MAX_LISTED ? `, of which the first ${MAX_LISTED} are listed` : '';
  return sendPage(reply, title, `${count}${shown}.`, links);
}
