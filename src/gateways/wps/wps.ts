import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import { PushbroomError } from '../../errors.ts';
import { wps1 } from './v1.ts';
import type { WpsOptions } from './v1.ts';
import { answer2, sendException2 } from './v2.ts';
import { readKvp2, readPost2 } from './v2-read.ts';
import type { Wps2Request } from './v2-read.ts';

/**
 * Both versions of WPS at the prefix where it is registered. What names 2.0, by its version or by its namespace, is
 * answered so; all else is 1.0.0, since clients of that need not name a version.
 */
export const wps: FastifyPluginAsync<WpsOptions> = async (app, options) => {
  const { door, service, exceptionStatus } = options;
  app.addHook('preHandler', async (request, reply) => {
    try {
      const asked = await readRequest(request);
      return asked && (await answer2(options, asked, request, reply));
    } catch (thrown) {
      return sendException2(thrown, request, reply);
    }
  });
  // Not the options as they are: they hold the prefix, which is in effect already.
  await app.register(wps1, { door, service, exceptionStatus });
};

/** @returns `undefined` for a request that is not of 2.0; throws what the readers throw */
async function readRequest({
  method,
  url,
  body,
}: FastifyRequest): Promise<Wps2Request | undefined> {
  const query = url.replace(/^[^?]*\??/, '');
  if (method !== 'POST') return readKvp2(query);
  if (typeof body === 'string' && body !== '') return readPost2(body);
  if (!readKvp2(query)) return undefined;
  throw new PushbroomError(
    'MALFORMED_REQUEST',
    'The body is empty: POST a document of WPS 2.0, or send these parameters by GET.',
  );
}
