import { describe, expect, it } from 'vitest';
import { decodeXml } from './charset.ts';

const umlauts = (declared: string) => `<?xml version="1.0"${declared}?><a>Straße</a>`;

describe('the encoding of an XML body', () => {
  it('is UTF-8 where nothing is said', () => {
    expect(decodeXml(Buffer.from(umlauts('')), 'text/xml')).toBe(umlauts(''));
    expect(decodeXml(Buffer.from(umlauts('')))).toBe(umlauts(''));
  });

  it('is what the XML declaration says', () => {
    const text = umlauts(' encoding="ISO-8859-1"');
    expect(decodeXml(Buffer.from(text, 'latin1'), 'application/xml')).toBe(text);
  });

  it('is what the media type says, before the XML declaration', () => {
    const text = umlauts(' encoding="ISO-8859-1"');
    expect(decodeXml(Buffer.from(text), 'application/xml; charset="UTF-8"')).toBe(text);
  });

  it('is what the byte order mark says, before all else', () => {
    const text = umlauts(' encoding="ISO-8859-1"');
    const utf16 = Buffer.from(`\ufeff${text}`, 'utf16le');
    expect(decodeXml(utf16, 'application/xml; charset=utf-8')).toBe(text);
    expect(decodeXml(Buffer.from(utf16).swap16(), 'application/xml')).toBe(text);
    expect(decodeXml(Buffer.from(`\ufeff${text}`), 'application/xml')).toBe(text);
  });

  it('is refused when the bytes do not fit or nobody knows it', () => {
    const latin = Buffer.from(umlauts(''), 'latin1');
    expect(() => decodeXml(latin, 'text/xml')).toThrow('the body is not text in utf-8');
    expect(() => decodeXml(latin, 'text/xml; charset=klingon')).toThrow('klingon');
  });

  it.each(['application/xml', 'TEXT/XML', 'application/soap+xml; charset=utf-8', ''])(
    'does not matter for %j, which is XML',
    (type) => expect(decodeXml(Buffer.from('<a/>'), type)).toBe('<a/>'),
  );

  it.each(['application/json', 'text/plain', 'application/xmlx', 'nonsense'])(
    'does not help %j, which is not XML',
    (type) => expect(() => decodeXml(Buffer.from('<a/>'), type)).toThrow(/send XML/),
  );
});
