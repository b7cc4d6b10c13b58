import { PushbroomError } from '../../errors.ts';
import { essenceOf } from '../../publication/media-type.ts';

const XML_TYPE = /^(?:application|text)\/(?:[\w.+-]+\+)?xml$/;

/**
 * The text of an XML body in whatever encoding it says it has: a byte order mark, then the media type, then the XML
 * declaration (RFC 7303, 3.2). A body without a media type is taken for XML.
 *
 * @throws UNSUPPORTED_MEDIA_TYPE, MALFORMED_REQUEST
 */
export function decodeXml(body: Buffer, contentType = ''): string {
  const mediaType = essenceOf(contentType);
  if (mediaType !== '' && !XML_TYPE.test(mediaType)) {
    throw new PushbroomError(
      'UNSUPPORTED_MEDIA_TYPE',
      `the body is of type '${mediaType}': send XML as application/xml`,
    );
  }
  const charset = markOf(body) ?? declaredIn(contentType, body) ?? 'utf-8';
  try {
    return new TextDecoder(charset, { fatal: true }).decode(body);
  } catch (error) {
    throw new PushbroomError('MALFORMED_REQUEST', `the body is not text in ${charset}`, {
      cause: error,
    });
  }
}

function markOf(body: Buffer): string | undefined {
  const mark = body.subarray(0, 2).toString('hex');
  if (mark === 'fffe') return 'utf-16le';
  if (mark === 'feff') return 'utf-16be';
  return body.subarray(0, 3).toString('hex') === 'efbbbf' ? 'utf-8' : undefined;
}

function declaredIn(contentType: string, body: Buffer): string | undefined {
  const declaration = body.subarray(0, 200).toString('latin1');
  return (
    /charset\s*=\s*"?([\w.:-]+)/i.exec(contentType)?.[1] ??
    /^\s*<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]+)["']/.exec(declaration)?.[1]
  );
}
