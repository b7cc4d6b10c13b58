import { basename, dirname } from 'node:path';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CHECKSUMS, mediaType } from '../publication/media-type.ts';
import { UNTRUSTED } from './outputs.ts';

/** Types that a browser would run are not among them. */
function typeOf(name: string): string {
  const type = name === CHECKSUMS ? 'text/plain' : mediaType(name);
  return type.startsWith('text/') ? `${type}; charset=utf-8` : type;
}

/**
 * A file of a user or of his job, with ranges and validators; the library also says how it refuses a range.
 *
 * @param path that is known to be there
 */
export async function sendFile(
  request: FastifyRequest,
  reply: FastifyReply,
  path: string,
): Promise<FastifyReply> {
  // Loaded with the first download: its table of media types takes a tenth of a start.
  const { default: send } = await import('@fastify/send');
  const name = encodeURIComponent(basename(path));
  const options = { root: dirname(path), cacheControl: false, contentType: false };
  const file = await send(request.raw, name, options);
  return reply
    .code(file.statusCode)
    .headers({
      ...file.headers,
      'content-type': typeOf(basename(path)),
      ...UNTRUSTED,
      'cache-control': 'private, no-cache',
    })
    .send(file.statusCode === 416 ? '' : file.stream);
}
