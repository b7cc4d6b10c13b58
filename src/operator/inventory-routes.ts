import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import multipart from '@fastify/multipart';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { PushbroomError, isDiskFull, messageOf } from '../errors.ts';
import type { OperatorOptions } from './options.ts';
import { ApiError, Bundle, Dataset, Health, pageOf } from './schemas.ts';
import { bundleView } from './views.ts';

const DEFAULT_UPLOAD_LIMIT = 1024 * 1024 * 1024;
const failures = { '4xx': ApiError, '5xx': ApiError };

/** What there is to work with: health, datasets. */
export function addInventoryRoutes(app: FastifyInstance, options: OperatorOptions): void {
  const api = app.withTypeProvider<TypeBoxTypeProvider>();
  const started = performance.now();

  api.get('/health', { schema: { tags: ['server'], response: { 200: Health } } }, async () => ({
    version: options.version,
    uptime: Math.round(performance.now() - started) / 1000,
    state: options.state(),
  }));
  api.get(
    '/api/datasets',
    { schema: { tags: ['inventory'], response: { 200: pageOf(Dataset), ...failures } } },
    async () => ({
      items: options.datasets.map(({ patterns, roots, bands, ...dataset }) => ({
        ...dataset,
        patterns: [...patterns],
        ...(roots && {
          roots: roots.map(({ engines, ...root }) => ({
            ...root,
            ...(engines && { engines: [...engines] }),
          })),
        }),
        ...(bands && { bands: [...bands] }),
      })),
    }),
  );
}

/** Bundles: list and deploy. */
export async function addProcessorRoutes(
  app: FastifyInstance,
  options: OperatorOptions,
): Promise<void> {
  const fileSize = options.uploadLimit ?? DEFAULT_UPLOAD_LIMIT;
  await app.register(multipart, { limits: { fileSize, files: 1, fields: 10, parts: 11 } });
  const api = app.withTypeProvider<TypeBoxTypeProvider>();

  api.get(
    '/api/processors',
    { schema: { tags: ['processors'], response: { 200: pageOf(Bundle), ...failures } } },
    async () => ({ items: options.registry.bundles().map(bundleView) }),
  );

  api.post(
    '/api/processors',
    {
      schema: {
        tags: ['processors'],
        description: 'Deploys a bundle: `multipart/form-data` with the zip as `file`.',
        consumes: ['multipart/form-data'],
        response: { 201: Bundle, ...failures },
      },
    },
    async (request, reply) => {
      if (!request.isMultipart()) {
        throw new PushbroomError(
          'UNSUPPORTED_MEDIA_TYPE',
          'Send the bundle as multipart/form-data, the zip in the part "file"',
        );
      }
      await mkdir(options.uploadDirectory, { recursive: true });
      const path = join(options.uploadDirectory, `${randomUUID()}.zip`);
      try {
        await receive(request, path);
        const bundle = await options.registry.deploy(path, 'operator');
        reply.code(201);
        return bundleView(bundle);
      } finally {
        await rm(path, { force: true });
      }
    },
  );
}

/** Writes the part `file` of a form to a path. */
async function receive(request: FastifyRequest, path: string): Promise<void> {
  const part = await request.file().catch(brokenOff);
  if (part?.fieldname !== 'file') {
    throw new PushbroomError('MISSING_PARAMETER', 'There is no part "file" with the zip', {
      locator: 'file',
    });
  }
  await pipeline(part.file, createWriteStream(path)).catch(brokenOff);
  if (part.file.truncated) throw new PushbroomError('REQUEST_TOO_LARGE', 'The bundle is too large');
}

/** What the form's parser throws has no code of its own; the disk's and the framework's errors have one. */
function brokenOff(error: unknown): never {
  if (!(error instanceof Error) || !('code' in error)) {
    throw new PushbroomError('MALFORMED_REQUEST', `The upload is no form: ${messageOf(error)}`);
  }
  if (isDiskFull(error)) {
    throw new PushbroomError('STORAGE_FULL', 'There is no space left for the bundle');
  }
  throw error;
}
