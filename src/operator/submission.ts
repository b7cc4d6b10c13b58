import type { FastifyInstance, FastifyRequest } from 'fastify';
import { messageOf, PushbroomError } from '../errors.ts';
import { parseYaml } from '../yaml.ts';
import type { OperatorOptions } from './options.ts';
import { type MappedRequest, type ProductionMap, readProductionMap } from './production-map.ts';

const XML = ['application/xml', 'text/xml'];
const YAML = ['application/yaml', 'application/x-yaml', 'text/yaml', 'text/x-yaml'];

/** Lets requests for jobs come as XML and YAML, too. */
export function addSubmissionTypes(app: FastifyInstance): void {
  app.addContentTypeParser([...XML, ...YAML], { parseAs: 'string' }, (_request, body, done) =>
    done(null, body),
  );
}

/**
 * Brings the body of a request for a job into the form of the API, `{ process, inputs }`, whichever it came in: this one,
 * a map of production parameters as JSON or YAML, or a WPS Execute. On whose behalf the job runs can be said in the
 * address where the form has no place for it.
 *
 * @throws MALFORMED_REQUEST; what reading the forms throws
 */
export const readSubmission =
  (readExecute: OperatorOptions['readExecute']) =>
  async (request: FastifyRequest): Promise<void> => {
    const { body, headers, query } = request;
    const onBehalf = isMap(query) ? query : {};
    const is = (types: readonly string[]) =>
      types.some((type) => headers['content-type']?.toLowerCase().startsWith(type));
    if (typeof body === 'string') {
      if (!is(XML) && !is(YAML)) {
        const known = [...XML, ...YAML, 'application/json'].join(', ');
        throw new PushbroomError('UNSUPPORTED_MEDIA_TYPE', `A request for a job is ${known}.`);
      }
      request.body = { ...onBehalf, ...(is(XML) ? await readExecute(body) : readYamlMap(body)) };
    } else if (isMap(body)) {
      const isProduction = 'productionType' in body && !('process' in body);
      request.body = { ...onBehalf, ...(isProduction ? readProductionMap(body) : body) };
    }
  };

const isMap = (value: unknown): value is ProductionMap =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function readYamlMap(text: string): MappedRequest {
  let content: unknown;
  try {
    ({ content } = parseYaml(text, 'failsafe'));
  } catch (cause) {
    throw new PushbroomError('MALFORMED_REQUEST', `The request is not YAML: ${messageOf(cause)}`, {
      cause,
    });
  }
  if (isMap(content)) return readProductionMap(content);
  throw new PushbroomError('MALFORMED_REQUEST', 'The request is not a map of parameters.');
}
