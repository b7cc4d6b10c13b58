import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { fromDataUrl, toDataUrl } from './data-url.ts';

test('what is written as a data URL is read again, whatever it is', () => {
  const mediaType = fc.constantFrom('text/xml', 'application/geo+json', 'image/tiff');
  fc.assert(
    fc.property(mediaType, fc.uint8Array(), (type, bytes) => {
      const content = Buffer.from(bytes);
      expect(fromDataUrl(toDataUrl({ mediaType: type, content }))).toEqual({
        mediaType: type,
        content,
      });
    }),
  );
});

test('parameters of a media type are left out', () => {
  const url = toDataUrl({ mediaType: 'text/xml; charset=utf-8', content: Buffer.from('a') });
  expect(url).toBe('data:text/xml;base64,YQ==');
});

test.each(['', 'a', 'data:,a', 'data:text/plain,a', 'data:text/plain;base64,?'])(
  '%j is none of ours',
  (text) => expect(fromDataUrl(text)).toBeUndefined(),
);
