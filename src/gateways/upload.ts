import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import multipart from '@fastify/multipart';
import type { MultipartFile } from '@fastify/multipart';
import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import { PushbroomError, isDiskFull, messageOf } from '../errors.ts';
import { describeError } from '../http.ts';
import type { FrontDoor } from './front-door.ts';

/**
 * Takes a bundle's archive into service. The file at `path` is gone when the promise has settled.
 *
 * @param by the user who brings it
 */
export type Deploy = (path: string, by: string) => Promise<{ name: string; version: string }>;

export interface UploadOptions {
  readonly door: FrontDoor;
  readonly deploy: Deploy;
  /** Where uploads lie until they are deployed. */
  readonly tempDir: string;
  /** Bytes of an uploaded file. */
  readonly uploadLimit: number;
}

/**
 * `POST ?dir=software&bundle=true` with the multipart field `file`, answered with the file's name (specification D.9).
 */
export const upload: FastifyPluginAsync<UploadOptions> = async (app, options) => {
  app.removeAllContentTypeParsers();
  await app.register(multipart, {
    limits: { fileSize: options.uploadLimit, files: 1, fields: 20, fieldSize: 10_000 },
  });
  app.setErrorHandler((thrown, request, reply) => {
    const { status, message } = describeError(thrown, request);
    return reply.code(status).type('text/plain; charset=utf-8').send(message);
  });

  app.post('/', async (request, reply) => {
    checkKind(request.query as Record<string, unknown>);
    if (!request.isMultipart()) {
      throw new PushbroomError('UNSUPPORTED_MEDIA_TYPE', 'send the file as multipart/form-data');
    }
    const name = await options.door.uploading(request, ({ user }) =>
      deployUpload(request, user, options),
    );
    return reply.code(202).type('text/plain; charset=utf-8').send(name);
  });
};

/** Resolves with the name that the client gave the file. */
async function deployUpload(
  request: FastifyRequest,
  user: string,
  options: UploadOptions,
): Promise<string> {
  const dir = await mkdtemp(join(options.tempDir, 'upload-'));
  try {
    const path = join(dir, 'bundle.zip');
    const name = await receive(request, path);
    await options.deploy(path, user);
    return name;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function checkKind({ dir, bundle }: Record<string, unknown>): void {
  if (dir === 'software' && bundle === 'true') return;
  throw new PushbroomError(
    'INVALID_PARAMETER',
    'only processor bundles can be uploaded, by POST to upload?dir=software&bundle=true',
  );
}

/** Writes the field `file` to a path and returns the name that the client gave it. */
async function receive(request: FastifyRequest, path: string): Promise<string> {
  try {
    let name: string | undefined;
    for await (const part of request.parts()) {
      if (part.type !== 'file') continue;
      if (part.fieldname !== 'file') part.file.resume();
      else name = await save(part, path);
    }
    if (name !== undefined) return name;
  } catch (error) {
    throw refusal(error);
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
function refusal(error: unknown): unknown {
  if (!(error instanceof Error) || 'statusCode' in error) return error;
  if (isDiskFull(error)) {
    return new PushbroomError('STORAGE_FULL', 'there is no space left for the upload', {
      cause: error,
    });
  }
  if ('syscall' in error) return error;
  return new PushbroomError('MALFORMED_REQUEST', `the multipart body: ${messageOf(error)}`, {
    cause: error,
  });
}
