import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import {
  child,
  childText,
  children,
  element,
  escapeXml,
  parseXml,
  parseXmlInTurns,
  xmlDocument,
} from './xml.ts';

describe('parseXml', () => {
  test('resolves namespaces whatever the prefix and keeps the order of children', () => {
    const root = parseXml(
      '<a:r xmlns:a="urn:x" k="1"><b xmlns="urn:y">one</b><a:c/> two <b>three</b></a:r>',
    );
    expect(root).toMatchObject({ namespace: 'urn:x', name: 'r', attributes: { k: '1' } });
    expect(root.children.map(({ namespace, name }) => [namespace, name])).toEqual([
      ['urn:y', 'b'],
      ['urn:x', 'c'],
      ['', 'b'],
    ]);
    expect(root.text).toBe('one two three');
    expect(root.ownText).toBe(' two ');
    expect(childText(root, 'b')).toBe('one');
    expect(childText(root, 'c')).toBeUndefined();
    expect(children(root, 'b')).toHaveLength(2);
    expect(child(root, 'none')).toBeUndefined();
  });

  test.for([
    ['<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', /document type declaration is not allowed/],
    ['<a>&x;</a>', /line 1.*entity/i],
    ['<a><b></a>', /line 1/],
    ['', /no element|line 1/],
    ['<p:a/>', /prefix|namespace/i],
    ['<a/><b/>', /line 1/],
  ] as const)('refuses %s with the place', ([document, message]) => {
    expect(() => parseXml(document)).toThrow(message);
  });

  test('has limits on size, depth and number of elements', () => {
    const limits = { size: 100, depth: 3, elements: 5 };
    expect(() => parseXml(`<a>${' '.repeat(100)}</a>`, limits)).toThrow(
      'longer than 100 characters',
    );
    expect(() => parseXml('<a><a><a><a/></a></a></a>', limits)).toThrow('deeper than 3');
    expect(() => parseXml(`<a>${'<b/>'.repeat(5)}</a>`, limits)).toThrow('more than 5 elements');
    expect(parseXml('<a><a><a/></a></a>', limits).name).toBe('a');
  });
});

describe('parseXmlInTurns', () => {
  test('reads what parseXml reads, wherever a turn ends', async () => {
    for (const shift of [0, 1, 2, 3]) {
      const document = `<a>${'x'.repeat(shift)}${'<b c="é">😀&amp;\r\n</b>'.repeat(10_000)}</a>`;
      expect(await parseXmlInTurns(document)).toEqual(parseXml(document));
    }
  });

  test('lets others in between', async () => {
    const document = `<a>${'<b/>'.repeat(90_000)}</a>`;
    let turns = 0;
    let isDone = false;
    const count = () => {
      turns += 1;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    await parseXmlInTurns(document);
    isDone = true;
    expect(turns).toBeGreaterThanOrEqual(5);
  });

  test('refuses what parseXml refuses, with the place', async () => {
    const long = `<a>${'<b/>\n'.repeat(50_000)}`;
    await expect(parseXmlInTurns(`${long}</c>`)).rejects.toThrow(/line 50001/);
    await expect(parseXmlInTurns(`${long}<!DOCTYPE x></a>`)).rejects.toThrow();
    await expect(parseXmlInTurns('<a>'.repeat(100))).rejects.toThrow(/nested deeper/);
  });
});

describe('element', () => {
  test('leaves out what is undefined and nests what is XML', () => {
    const { xml } = element('a', { b: 1, c: undefined }, 'x', undefined, [element('d'), 2]);
    expect(xml).toBe('<a b="1">x<d/>2</a>');
  });

  test('writes any text so that it is read back, but for what XML cannot carry', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 50 }), (text) => {
        const read = parseXml(xmlDocument(element('a', { k: text }, text)));
        // Line ends and, in attributes, white space are normalised (XML 1.0, sections 2.11 and 3.3.3).
        const written = text.replaceAll(
          /[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu,
          '\ufffd',
        );
        expect(read.text).toBe(written.replaceAll(/\r\n?/g, '\n'));
        expect(read.attributes['k']).toBe(
          written.replaceAll(/\r\n?/g, '\n').replaceAll(/[\t\n]/g, ' '),
        );
      }),
    );
  });

  test('escapes half a surrogate pair and control characters', () => {
    expect(escapeXml('a\u0000b\ud800c\u001bd')).toBe('a\ufffdb\ufffdc\ufffdd');
    expect(escapeXml('😀 <&>')).toBe('😀 &lt;&amp;&gt;');
  });
});
