const DATA_URL = /^data:([^,;\s]{1,200});base64,([A-Za-z0-9+/]*={0,2})$/;

/** Some bytes and what they are. */
export interface TypedBytes {
  readonly mediaType: string;
  readonly content: Buffer;
}

/** As a text (RFC 2397). */
export const toDataUrl = ({ mediaType, content }: TypedBytes): string =>
  `data:${mediaType.replaceAll(/[,;\s].*$/gs, '')};base64,${content.toString('base64')}`;

/** What `toDataUrl` has written; `undefined` for anything else. */
export function fromDataUrl(text: string): TypedBytes | undefined {
  const [, mediaType, content] = DATA_URL.exec(text) ?? [];
  if (mediaType === undefined || content === undefined) return undefined;
  return { mediaType, content: Buffer.from(content, 'base64') };
}
