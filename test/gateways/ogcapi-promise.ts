import { Ajv } from 'ajv';
import type { ValidateFunction } from 'ajv';
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';
import type { OpenApi } from '../operator/openapi.ts';

const API = '/ogcapi';

/**
 * From now on, a JSON answer of OGC API that is not what the OpenAPI document promises is an error.
 *
 * @param login headers by which the document is to be had
 */
export function holdToPromises(app: FastifyInstance, login: Record<string, string>): void {
  const inject = app.inject.bind(app) as (
    options: InjectOptions | string,
  ) => Promise<LightMyRequestResponse>;
  const ajv = new Ajv({ strict: false, validateFormats: false });
  const compiled = new Map<object, ValidateFunction>();
  let document: Promise<OpenApi> | undefined;
  const check = async (options: InjectOptions, response: LightMyRequestResponse) => {
    const { url = '', method = 'GET' } = options;
    const path = (typeof url === 'string' ? url : (url.pathname ?? ''))
      .replace(/\?.*$/s, '')
      .replace(/\/$/, '');
    const isJson = String(response.headers['content-type']).startsWith('application/json');
    if (!isJson || !path.startsWith(API) || path === `${API}/api`) return;
    document ??= inject({ url: `${API}/api`, headers: login }).then((answer) =>
      answer.json<OpenApi>(),
    );
    const schema = promised(await document, path, method, response.statusCode);
    if (!schema) return;
    const validate = compiled.get(schema) ?? ajv.compile(schema);
    compiled.set(schema, validate);
    if (validate(response.json())) return;
    throw new Error(
      `${method} ${path} answers ${response.statusCode} with ${response.body.slice(0, 500)}: ${ajv.errorsText(validate.errors)}`,
    );
  };
  const held = async (options: InjectOptions | string) => {
    const response = await inject(options);
    await check(typeof options === 'string' ? { url: options } : options, response);
    return response;
  };
  app.inject = held as FastifyInstance['inject'];
}

/** Nothing for a path that is none of the API's. */
function promised(
  { paths }: OpenApi,
  path: string,
  method: string,
  status: number,
): object | undefined {
  const template = Object.keys(paths).find((each) =>
    new RegExp(`^${each.replaceAll('.', String.raw`\.`).replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(
      path,
    ),
  );
  const operation = template && paths[template]?.[method.toLowerCase()];
  if (!operation) return undefined;
  const answer = operation.responses[status] ?? operation.responses[`${String(status)[0]}XX`];
  const schema = answer?.content?.['application/json']?.schema;
  if (!schema) throw new Error(`${method} ${template} promises no JSON with ${status}`);
  return schema;
}
