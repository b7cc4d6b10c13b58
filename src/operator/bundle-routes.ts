import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import multipart from '@fastify/multipart';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { PushbroomError, isDiskFull, messageOf } from '../errors.ts';
import type { Caller } from '../jobs/jobs.ts';
import type { OperatorOptions } from './options.ts';
import { ApiError, Bundle, BundleChange, BundlePath, BundleQuery, pageOf } from './schemas.ts';
import { bundleView } from './views.ts';

const DEFAULT_UPLOAD_LIMIT = 1024 * 1024 * 1024;
const failures = { '4xx': ApiError, '5xx': ApiError };

/** Bundles: list, deploy, vet, withdraw, remove. */
export async function addBundleRoutes(
  app: FastifyInstance,
  options: OperatorOptions,
  callerOf: (request: FastifyRequest) => Caller,
): Promise<void> {
  const fileSize = options.uploadLimit ?? DEFAULT_UPLOAD_LIMIT;
  await app.register(multipart, { limits: { fileSize, files: 1, fields: 10, parts: 11 } });
  const api = app.withTypeProvider<TypeBoxTypeProvider>();

  addStandingRoutes(app, options, callerOf);

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
        const name = await receive(request, path);
        const bundle = await options.bundles.upload(path, name, callerOf(request), 'public');
        reply.code(201);
        return bundleView(bundle);
      } finally {
        await rm(path, { force: true });
      }
    },
  );
}

/** What becomes of the bundles that are there. */
function addStandingRoutes(
  app: FastifyInstance,
  { registry, bundles }: OperatorOptions,
  callerOf: (request: FastifyRequest) => Caller,
): void {
  const api = app.withTypeProvider<TypeBoxTypeProvider>();
  const tags = ['processors'];

  api.get(
    '/api/processors',
    { schema: { tags, querystring: BundleQuery, response: { 200: pageOf(Bundle), ...failures } } },
    async ({ query }) => ({
      items: registry
        .bundles()
        .map(bundleView)
        .filter(({ state }) => query.state === undefined || query.state === state)
        .filter(({ owner }) => query.owner === undefined || query.owner === owner),
    }),
  );
  api.patch(
    '/api/processors/:bundle',
    {
      schema: {
        tags,
        description: 'Vets, deploys or withdraws a bundle, or says for whom it is there.',
        params: BundlePath,
        body: BundleChange,
        response: { 200: Bundle, ...failures },
      },
    },
    async (request) => {
      const { params, body } = request;
      return bundleView(await bundles.change(callerOf(request), params.bundle, body));
    },
  );
  api.delete(
    '/api/processors/:bundle',
    {
      schema: {
        tags,
        description: 'Removes a bundle that is not deployed and that no job needs.',
        params: BundlePath,
        response: { 200: Bundle, ...failures },
      },
    },
    async (request) => {
      const caller = callerOf(request);
      const bundle = bundles.find(caller, request.params.bundle);
      await bundles.remove(caller, request.params.bundle);
      return bundleView(bundle);
    },
  );
}

/** Writes the part `file` of a form to a path; returns the name that the client gave it. */
async function receive(request: FastifyRequest, path: string): Promise<string> {
  const part = await request.file().catch(brokenOff);
  if (part?.fieldname !== 'file') {
    throw new PushbroomError('MISSING_PARAMETER', 'There is no part "file" with the zip', {
      locator: 'file',
    });
  }
  await pipeline(part.file, createWriteStream(path)).catch(brokenOff);
  if (part.file.truncated) throw new PushbroomError('REQUEST_TOO_LARGE', 'The bundle is too large');
  return part.filename;
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
