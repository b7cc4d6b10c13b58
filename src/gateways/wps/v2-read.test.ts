import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PushbroomError } from '../../errors.ts';
import { element } from '../../xml.ts';
import type { Xml } from '../../xml.ts';
import type { InputValue } from '../inputs.ts';
import { readKvp2, readPost2, WPS2 } from './v2-read.ts';

const root = (
  name: string,
  attributes: Readonly<Record<string, string>>,
  ...content: readonly (Xml | readonly Xml[])[]
): string =>
  element(name, { xmlns: WPS2, service: 'WPS', version: '2.0.0', ...attributes }, ...content).xml;

const execute = (...content: readonly (Xml | readonly Xml[])[]): string =>
  root(
    'Execute',
    { mode: 'auto', response: 'document' },
    element('Identifier', {}, 'p'),
    ...content,
  );

const input = (id: string, ...content: readonly Xml[]): Xml => element('Input', { id }, ...content);

/** A text that XML gives back as it was, without blanks around it. */
const text = fc
  .string({ unit: 'grapheme' })
  .map((each) => `<${each.replaceAll(/[^\u{20}-\u{D7FF}\u{E000}-\u{FFFD}]/gu, '-')}>`);

/** Values with the XML by which they are written. */
const value: fc.Arbitrary<readonly [InputValue, Xml]> = fc.oneof(
  text.map((each) => [{ kind: 'literal', text: each }, element('Data', {}, each)] as const),
  text.map(
    (each) =>
      [
        { kind: 'literal', text: each },
        element('Data', { mimeType: 'text/xml' }, element('LiteralValue', {}, each)),
      ] as const,
  ),
  fc.uint8Array({ minLength: 1 }).map((bytes) => {
    const content = Buffer.from(bytes);
    const mediaType = 'image/tiff';
    const attributes = { mimeType: mediaType, encoding: 'base64' };
    const xml = element('Data', attributes, content.toString('base64'));
    return [{ kind: 'complex', content, mediaType }, xml] as const;
  }),
  fc.tuple(fc.integer(), fc.integer(), fc.integer(), fc.integer()).map((corners) => {
    const [x0, y0, x1, y1] = corners;
    const xml = element(
      'Data',
      {},
      element(
        'BoundingBox',
        { crs: 'EPSG:4326' },
        element('LowerCorner', {}, `${x0} ${y0}`),
        element('UpperCorner', {}, `${x1} ${y1}`),
      ),
    );
    return [{ kind: 'bbox', corners, crs: 'EPSG:4326' }, xml] as const;
  }),
  fc.tuple(fc.webUrl(), fc.option(text)).map(([href, body]) => {
    const xml = element(
      'Reference',
      { href },
      ...(body === null ? [] : [element('Body', {}, body)]),
    );
    return [
      { kind: 'reference', href, ...(body !== null && { body: Buffer.from(body) }) },
      xml,
    ] as const;
  }),
);

describe('an Execute document of WPS 2.0', () => {
  it('is read as the values that it was written of, in their order', async () => {
    const inputs = fc.array(fc.tuple(text, value), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(inputs, async (given) => {
        const request = await readPost2(execute(given.map(([id, [, xml]]) => input(id, xml))));
        const expected = new Map<string, InputValue[]>();
        for (const [id, [each]] of given) expected.set(id, [...(expected.get(id) ?? []), each]);
        expect(request).toMatchObject({ operation: 'Execute', process: 'p', mode: 'auto' });
        expect(request).toHaveProperty('inputs', expected);
      }),
    );
  });

  it('says of each output how it is wanted', async () => {
    const wish = fc.record(
      {
        id: text,
        transmission: fc.constantFrom('value', 'reference'),
        mimeType: fc.constantFrom('text/xml', 'image/tiff'),
      },
      { requiredKeys: ['id'] },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(wish, { minLength: 1, maxLength: 5 }), async (wishes) => {
        const request = await readPost2(execute(wishes.map((each) => element('Output', each))));
        const outputs = wishes.map(({ mimeType, ...each }) => ({
          ...each,
          ...(mimeType !== undefined && { mediaType: mimeType }),
        }));
        expect(request).toMatchObject({ response: { form: 'document', outputs } });
      }),
    );
  });

  it('is refused in words, whatever it is made of', async () => {
    const names = fc.constantFrom(
      'Execute',
      'Input',
      'Output',
      'Data',
      'Reference',
      'Body',
      'LiteralValue',
      'BoundingBox',
      'LowerCorner',
      'Identifier',
      'JobID',
    );
    const attributes = fc.dictionary(
      fc.constantFrom('id', 'mode', 'response', 'mimeType', 'encoding', 'href', 'transmission'),
      fc.constantFrom('sync', 'raw', 'base64', 'x', ''),
    );
    const node = (inner: fc.Arbitrary<readonly Xml[]>): fc.Arbitrary<Xml> =>
      fc
        .tuple(names, attributes, fc.string(), inner)
        .map(([name, its, content, children]) => element(name, its, content, children));
    const { tree } = fc.letrec<{ tree: Xml }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        node(fc.constant([])),
        node(fc.array(tie('tree'), { maxLength: 3 })),
      ),
    }));
    await fc.assert(
      fc.asyncProperty(names, attributes, fc.array(tree), async (name, its, inner) => {
        try {
          await readPost2(root(name, its, inner));
        } catch (error) {
          expect(error).toBeInstanceOf(PushbroomError);
        }
      }),
    );
  });

  it.each([
    ['1.0.0', undefined],
    ['2.0', { operation: 'GetStatus', jobId: 'j' }],
  ])('of the namespace %s is taken for %o', async (version, request) => {
    const document = root('GetStatus', {}, element('JobID', {}, ' j '));
    const xmlns = `http://www.opengis.net/wps/${version}`;
    expect(await readPost2(document.replace(WPS2, xmlns))).toEqual(request);
  });
});

describe('a query of WPS 2.0', () => {
  it('is read in any order and case of names', () => {
    const parameters = fc.shuffledSubarray(
      [
        ['service', 'WPS'] as const,
        ['version', '2.0.0'] as const,
        ['request', 'DescribeProcess'] as const,
        ['identifier', 'a~1~b,c'] as const,
      ],
      { minLength: 4 },
    );
    const isUpper = fc.array(fc.boolean(), { minLength: 4, maxLength: 4 });
    fc.assert(
      fc.property(parameters, isUpper, (pairs, upper) => {
        const query = new URLSearchParams(
          pairs.map(([name, each], i): [string, string] => [
            upper[i] ? name.toUpperCase() : name,
            each,
          ]),
        );
        expect(readKvp2(query.toString())).toEqual({
          operation: 'DescribeProcess',
          identifiers: ['a~1~b', 'c'],
        });
      }),
    );
  });

  it('is none of it without a version from 2 on', () => {
    fc.assert(
      fc.property(fc.constantFrom('', '1.0.0', '0.4.0', 'x'), fc.string(), (version, other) => {
        const query = new URLSearchParams({ request: other, service: other, version });
        expect(readKvp2(query.toString())).toBeUndefined();
      }),
    );
  });
});
