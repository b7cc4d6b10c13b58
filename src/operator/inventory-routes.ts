import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import type { OperatorOptions } from './options.ts';
import { ApiError, Dataset, Health, pageOf } from './schemas.ts';

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
