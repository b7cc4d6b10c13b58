import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyPluginAsync } from 'fastify';
import { Type } from 'typebox';
import { type DeployedBundle, processesOf } from '../uploads/bundles.ts';
import { sendFile } from './send-file.ts';
import type { UploadOptions } from './upload.ts';

const BundlePath = Type.Object({
  bundle: Type.String({ description: '`name~version`' }),
});
const BundleChange = Type.Object(
  {
    state: Type.Optional(Type.Enum(['uploaded', 'vetted', 'deployed', 'withdrawn'])),
    visibility: Type.Optional(Type.Enum(['private', 'public'])),
  },
  { additionalProperties: false, minProperties: 1 },
);
const FileQuery = Type.Object({
  dir: Type.Optional(Type.String()),
  limit: Type.Integer({ minimum: 1, maximum: 1000, default: 200 }),
  after: Type.Optional(Type.String()),
});
const FilePath = Type.Object({ '*': Type.String() });

/** A user's own bundles and files: to look at, to change, to remove. Operators see the bundles of all. */
export const ownUploads: FastifyPluginAsync<Pick<UploadOptions, 'door' | 'uploads'>> = async (
  app,
  { door, uploads },
) => {
  const { bundles, files } = uploads;
  const api = app.withTypeProvider<TypeBoxTypeProvider>();

  api.get('/bundles', async (request) => ({
    items: bundles.of(door.uploader(request)).map(bundleView),
  }));
  api.get('/bundles/:bundle', { schema: { params: BundlePath } }, async (request) =>
    bundleView(bundles.find(door.uploader(request), request.params.bundle)),
  );
  api.patch(
    '/bundles/:bundle',
    { schema: { params: BundlePath, body: BundleChange } },
    async (request) => {
      const { bundle } = request.params;
      const target = `${bundle} ${Object.values(request.body).join(' ')}`;
      const changed = await door.acting(request, { what: 'change bundle', target }, (caller) =>
        bundles.change(caller, bundle, request.body),
      );
      return bundleView(changed);
    },
  );
  api.delete('/bundles/:bundle', { schema: { params: BundlePath } }, async (request, reply) => {
    const target = request.params.bundle;
    await door.acting(request, { what: 'remove bundle', target }, (caller) =>
      bundles.remove(caller, target),
    );
    return reply.code(204).send();
  });

  api.get('/files', { schema: { querystring: FileQuery } }, async (request) => {
    const { user } = door.uploader(request);
    const { items, ...page } = await files.list(user, request.query);
    return {
      ...page,
      items: items.map(({ modifiedAt, ...file }) => ({ ...file, modified: iso(modifiedAt) })),
    };
  });
  api.get('/files/*', { schema: { params: FilePath } }, async (request, reply) => {
    const { user } = door.uploader(request);
    return sendFile(request, reply, await files.locate(user, request.params['*']));
  });
  api.delete('/files/*', { schema: { params: FilePath } }, async (request, reply) => {
    const target = request.params['*'];
    await door.acting(request, { what: 'remove file', target }, ({ user }) =>
      files.remove(user, target),
    );
    return reply.code(204).send();
  });
};

const iso = (time: number): string => new Date(time).toISOString();

const bundleView = (bundle: DeployedBundle) => ({
  name: bundle.name,
  version: bundle.version,
  state: bundle.state,
  visibility: bundle.visibility,
  size: bundle.size,
  sha256: bundle.hash,
  uploaded: iso(bundle.deployedAt),
  processes: processesOf(bundle),
  history: bundle.history.map(({ at, ...step }) => ({ at: iso(at), ...step })),
});
