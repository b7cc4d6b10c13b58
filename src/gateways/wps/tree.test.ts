import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { element, parseXml } from '../../xml.ts';
import type { Xml } from '../../xml.ts';
import { hasMixedContent, writeTree } from './tree.ts';

describe('an element that is written again', () => {
  it('keeps namespaces without the prefixes they came with', () => {
    const source = '<c:p xmlns:c="urn:c"><c:n a="1">x</c:n><plain/></c:p>';
    expect(writeTree(parseXml(source)).xml).toBe(
      '<p xmlns="urn:c"><n a="1">x</n><plain xmlns=""/></p>',
    );
  });

  it('needs no declaration for the namespace that is in effect', () => {
    expect(writeTree(parseXml('<c:p xmlns:c="urn:c"/>'), 'urn:c').xml).toBe('<p/>');
  });

  it('reads the same as the one it came from', () => {
    const { tree } = fc.letrec<{ tree: Xml }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        fc
          .tuple(fc.constantFrom('a', 'b:b'), fc.string({ unit: 'grapheme' }))
          .map(([name, text]) => element(name, { 'xmlns:b': 'urn:b', t: text }, text)),
        fc
          .tuple(fc.constantFrom('c', 'b:d'), fc.array(tie('tree'), { maxLength: 3 }))
          .map(([name, inner]) => element(name, { 'xmlns:b': 'urn:b' }, inner)),
      ),
    }));
    fc.assert(
      fc.property(tree, ({ xml }) => {
        const parsed = parseXml(xml);
        expect(parseXml(writeTree(parsed).xml)).toEqual(parsed);
      }),
    );
  });

  it('is found to mix text and elements at any depth', () => {
    expect(hasMixedContent(parseXml('<a><b>x</b> \n <b/></a>'))).toBe(false);
    expect(hasMixedContent(parseXml('<a>x</a>'))).toBe(false);
    expect(hasMixedContent(parseXml('<a>x<b/></a>'))).toBe(true);
    expect(hasMixedContent(parseXml('<a><b><c/>x</b></a>'))).toBe(true);
  });
});
