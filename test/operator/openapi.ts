import { Ajv2020 } from 'ajv/dist/2020.js';
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';

interface Operation {
  readonly responses: Record<string, { content?: Record<string, { schema: object }> }>;
}
export interface OpenApi {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, Operation>>;
}

/** Calls the API and checks that the answer is what its OpenAPI document promises. */
export async function callAsPromised(
  app: FastifyInstance,
  options: InjectOptions & { url: string },
): Promise<LightMyRequestResponse> {
  const response = await app.inject(options);
  const { paths } = (await app.inject('/api/openapi.json')).json<OpenApi>();
  const path = options.url.replace(/\?.*/, '');
  const template = Object.keys(paths)
    // A path without variables wins.
    .toSorted((a, b) => a.split('{').length - b.split('{').length)
    .find((candidate) => new RegExp(`^${candidate.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path));
  const operation = template && paths[template]?.[(options.method ?? 'GET').toLowerCase()];
  if (!operation) throw new Error(`${path} is not in the OpenAPI document`);
  const promised = operation.responses[response.statusCode] ?? operation.responses['4XX'];
  const schema = promised?.content?.['application/json']?.schema;
  if (response.headers['content-type']?.startsWith('application/json')) {
    if (!schema) throw new Error(`no schema for ${response.statusCode} of ${template}`);
    const ajv = new Ajv2020({ validateFormats: false });
    if (!ajv.validate(schema, response.json())) throw new Error(ajv.errorsText());
  }
  return response;
}
