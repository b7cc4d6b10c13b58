import { createWriteStream } from 'node:fs';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import multipart from '@fastify/multipart';
import type { MultipartFile } from '@fastify/multipart';
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { PushbroomError, isDiskFull, messageOf } from '../errors.ts';
import { describeError } from '../http.ts';
import type { Caller } from '../jobs/jobs.ts';
import type { Bundles, BundleVisibility } from '../uploads/bundles.ts';
import type { UserFiles } from '../uploads/files.ts';
import { readPath } from '../uploads/paths.ts';
import type { FrontDoor } from './front-door.ts';
import { ownUploads } from './own-uploads.ts';

export interface UploadOptions {
  readonly door: FrontDoor;
  readonly uploads: { readonly bundles: Bundles; readonly files: UserFiles };
  /** Where uploads lie until they are taken in. */
  readonly tempDir: string;
  /** Bytes of an uploaded file. */
  readonly uploadLimit: number;
}

/** What users bring, and what they have brought. */
export const upload: FastifyPluginAsync<UploadOptions> = async (
  app,
  { door, uploads, tempDir, uploadLimit },
) => {
  await app.register(takeUploads, { door, uploads, tempDir, uploadLimit });
  await app.register(ownUploads, { door, uploads });
};

/**
 * `POST ?dir=...` with the multipart field `file`, answered with the file's name (specification D.9, D.10): bundles with
 * `dir=software&bundle=true`, anything else for the user's own area.
 */
const takeUploads: FastifyPluginAsync<UploadOptions> = async (app, options) => {
  app.removeAllContentTypeParsers();
  await app.register(multipart, {
    limits: { fileSize: options.uploadLimit, files: 1, fields: 20, fieldSize: 10_000 },
  });
  app.setErrorHandler((thrown, request, reply) => {
    const { status, message } = describeError(thrown, request);
    // What is left of a body that is not wanted is not waited for.
    if (!request.raw.complete) reply.header('connection', 'close');
    return reply.code(status).type('text/plain; charset=utf-8').send(message);
  });

  app.post('/', async (request, reply) => {
    const kind = readKind(request.query as Record<string, unknown>);
    await checkBody(request, options);
    const { name, sha256 } = await options.door.acting(
      request,
      { what: 'upload', target: kind.dir },
      (caller) => takeIn(request, caller, kind, options),
    );
    return sendName(reply, kind.isBundle ? 202 : 201, name, sha256);
  });
};

const sendName = (reply: FastifyReply, status: number, name: string, sha256: string) =>
  reply.code(status).header('x-sha256', sha256).type('text/plain; charset=utf-8').send(name);

interface Kind {
  readonly isBundle: boolean;
  readonly dir: string;
  readonly visibility: BundleVisibility;
}

const HOW =
  'POST bundles to upload?dir=software&bundle=true, and other files to upload?dir=<directory of yours>, e.g. region_data';

/** Other parameters of the specification, `mask`, `local` and `echo`, make no difference here. */
function readKind({ dir, bundle, visibility = 'private' }: Record<string, unknown>): Kind {
  const refuse = (locator: string, fault: string) =>
    new PushbroomError('INVALID_PARAMETER', `${fault}: ${HOW}`, { locator });
  if (typeof dir !== 'string') throw refuse('dir', "the parameter 'dir' must be given once");
  if (visibility !== 'private' && visibility !== 'public') {
    throw refuse('visibility', "the parameter 'visibility' is neither private nor public");
  }
  const isBundle = bundle === 'true';
  const [first] = readPath(dir, 'dir');
  if (isBundle !== (dir === 'software') || (first === 'software' && !isBundle)) {
    throw refuse('bundle', "'dir=software' and 'bundle=true' go together");
  }
  return { isBundle, dir, visibility };
}

/** The other parts of the form and its separators. */
const FORM_BYTES = 300_000;

/** Refuses what can not be taken before any of it is read. */
async function checkBody(request: FastifyRequest, options: UploadOptions): Promise<void> {
  if (!request.isMultipart()) {
    throw new PushbroomError('UNSUPPORTED_MEDIA_TYPE', 'send the file as multipart/form-data');
  }
  const length = Number(request.headers['content-length'] ?? 0);
  if (length > options.uploadLimit + FORM_BYTES) throw tooLarge(options.uploadLimit);
  const { bavail, bsize } = await statfs(options.tempDir);
  if (length > bavail * bsize) throw noSpace();
}

/** Takes in what is sent; resolves with the name that the client gave the file. */
async function takeIn(
  request: FastifyRequest,
  caller: Caller,
  { isBundle, dir, visibility }: Kind,
  { uploads, tempDir, uploadLimit }: UploadOptions,
): Promise<{ name: string; sha256: string }> {
  const temporary = await mkdtemp(join(tempDir, 'upload-'));
  try {
    const path = join(temporary, 'upload');
    const name = await receive(request, path, uploadLimit);
    if (isBundle) {
      const { hash } = await uploads.bundles.upload(path, name, caller, visibility);
      return { name, sha256: hash };
    }
    return { name, sha256: await uploads.files.take(path, caller, `${dir}/${name}`) };
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** Writes the field `file` to a path and returns the name that the client gave it. */
async function receive(request: FastifyRequest, path: string, limit: number): Promise<string> {
  try {
    let name: string | undefined;
    for await (const part of request.parts()) {
      if (part.type !== 'file') continue;
      if (part.fieldname !== 'file') part.file.resume();
      else name = await save(part, path);
    }
    if (name !== undefined) return name;
  } catch (error) {
    throw refusal(error, limit);
  }
  throw new PushbroomError('MISSING_PARAMETER', "the multipart field 'file' is missing", {
    locator: 'file',
  });
}

async function save({ file, filename }: MultipartFile, path: string): Promise<string> {
  await pipeline(file, createWriteStream(path, { flags: 'wx' }));
  return filename;
}

/** The parser throws plain errors for what it cannot read; only the file system's have a system call. */
function refusal(error: unknown, limit: number): unknown {
  if (!(error instanceof Error)) return error;
  if ('code' in error && error.code === 'FST_REQ_FILE_TOO_LARGE') return tooLarge(limit, error);
  if ('statusCode' in error) return error;
  if (isDiskFull(error)) return noSpace(error);
  if ('syscall' in error) return error;
  return new PushbroomError('MALFORMED_REQUEST', `the multipart body: ${messageOf(error)}`, {
    cause: error,
  });
}

const tooLarge = (limit: number, cause?: unknown): PushbroomError =>
  new PushbroomError(
    'REQUEST_TOO_LARGE',
    `the file is too large: at most ${limit} bytes are taken`,
    {
      cause,
    },
  );

const noSpace = (cause?: unknown): PushbroomError =>
  new PushbroomError('STORAGE_FULL', 'there is no space left for the upload', { cause });
