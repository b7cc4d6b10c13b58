import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { fromDataUrl } from '../data-url.ts';
import { PushbroomError } from '../errors.ts';
import type { Process, ProcessInput } from '../jobs/jobs.ts';
import { inputTexts } from './inputs.ts';
import type { InputValue } from './inputs.ts';

const input = (type: ProcessInput['type'], more: Partial<ProcessInput> = {}): ProcessInput => ({
  id: type,
  title: type,
  description: '',
  type,
  required: false,
  ...more,
});

const PROCESS: Process = {
  id: 'p',
  title: '',
  description: '',
  version: '1',
  inputs: [
    input('string'),
    input('wkt'),
    input('bbox'),
    input('complex', { formats: [{ mediaType: 'text/xml' }, { mediaType: 'application/json' }] }),
    input('string', { id: 'list', maxOccurs: 3 }),
  ],
  outputs: [],
};

const literal = (text: string): InputValue => ({ kind: 'literal', text });
const complex = (text: string, mediaType?: string): InputValue => ({
  kind: 'complex',
  content: Buffer.from(text),
  ...(mediaType !== undefined && { mediaType }),
});
const bbox = (crs?: string): InputValue => ({
  kind: 'bbox',
  corners: [5, 47, 15.5, 55],
  ...(crs !== undefined && { crs }),
});

const noFetch = () => Promise.reject(new Error('nothing is fetched'));
const textsOf = (id: string, values: readonly InputValue[], process = PROCESS, fetch = noFetch) =>
  inputTexts(process, new Map([[id, values]]), fetch);

const EPSG = 'http://www.opengis.net/def/crs/EPSG/0/4326';
const CRS84 = 'http://www.opengis.net/def/crs/OGC/1.3/CRS84';
const POLYGON = {
  type: 'Polygon',
  coordinates: [
    [
      [0, 1],
      [2, 1],
      [2, 3],
      [0, 1],
    ],
  ],
} as const;

describe('the inputs of a request become texts:', () => {
  it.each([
    ['string', literal('a'), 'a'],
    ['string', complex('<a/>'), '<a/>'],
    ['unknown', literal('a'), 'a'],
    ['unknown', bbox(), '5,47,15.5,55'],
    ['wkt', literal('POLYGON((0 1,2 1,2 3,0 1))'), 'POLYGON((0 1,2 1,2 3,0 1))'],
    ['wkt', bbox(), '5,47,15.5,55'],
    ['wkt', bbox('EPSG:4326'), '5,47,15.5,55'],
    ['wkt', bbox(EPSG), '47,5,55,15.5'],
    ['wkt', complex(JSON.stringify(POLYGON)), 'POLYGON((0 1,2 1,2 3,0 1))'],
    [
      'wkt',
      complex(JSON.stringify({ type: 'Feature', geometry: POLYGON }), 'application/geo+json'),
      'POLYGON((0 1,2 1,2 3,0 1))',
    ],
    [
      'wkt',
      complex(JSON.stringify({ type: 'GeometryCollection', geometries: [POLYGON, POLYGON] })),
      'MULTIPOLYGON(((0 1,2 1,2 3,0 1)),((0 1,2 1,2 3,0 1)))',
    ],
    ['bbox', bbox(), `5,47,15.5,55,${CRS84}`],
    ['bbox', bbox(EPSG), `5,47,15.5,55,${EPSG}`],
    ['bbox', literal('5,47, 15.5,55'), `5,47,15.5,55,${CRS84}`],
    [
      'bbox',
      literal('5,47,15.5,55,urn:ogc:def:crs:EPSG::4326,2'),
      '5,47,15.5,55,urn:ogc:def:crs:EPSG::4326',
    ],
  ])('%s %j', async (id, value, text) => {
    expect(await textsOf(id, [value])).toEqual({ [id]: text });
  });

  it('complex data are of a format that the process knows, the first where none is said', async () => {
    const of = async (value: InputValue) => {
      const { complex: text } = await textsOf('complex', [value]);
      const { mediaType, content } = fromDataUrl(text!)!;
      return [mediaType, content.toString()];
    };
    expect(await of(literal('<ä/>'))).toEqual(['text/xml', '<ä/>']);
    expect(await of(complex('<ä/>', 'application/xml; charset=UTF-8'))).toEqual([
      'text/xml',
      '<ä/>',
    ]);
    expect(await of(complex('{}', 'application/json'))).toEqual(['application/json', '{}']);
  });

  it('several values are a list where the process takes several', async () => {
    const two = [literal('a'), literal('b,c')];
    expect(await textsOf('list', two)).toEqual({ list: '["a","b,c"]' });
    expect(await textsOf('list', [literal('a')])).toEqual({ list: '["a"]' });
    expect(await textsOf('list', [])).toEqual({});
    expect(await textsOf('string', two, { ...PROCESS, isOpen: true })).toEqual({ string: 'a,b,c' });
  });

  it('a reference in a production is a value itself', async () => {
    const reference: InputValue = { kind: 'reference', href: 'hdfs://a/x' };
    const open = { ...PROCESS, isOpen: true } as const;
    expect(await textsOf('inputPath', [reference], open)).toEqual({ inputPath: 'hdfs://a/x' });
  });

  it('what is given by reference is fetched', async () => {
    const reference: InputValue = { kind: 'reference', href: 'https://a.example/x' };
    const fetched = () =>
      Promise.resolve({ content: Buffer.from('{}'), mediaType: 'application/json' });
    const { complex: text } = await textsOf('complex', [reference], PROCESS, fetched as never);
    expect(fromDataUrl(text!)).toEqual({
      mediaType: 'application/json',
      content: Buffer.from('{}'),
    });
  });

  it.each([
    ['string', [literal('a'), literal('b')], 'more than once'],
    ['string', [], 'empty list'],
    ['string', [complex('{}', 'application/json')], 'one string'],
    ['string', [{ kind: 'complex', content: Buffer.from([0xff]) } as const], 'UTF-8'],
    ['list', [literal('a'), literal('b'), literal('c'), literal('d')], '4 times'],
    ['complex', [complex('x', 'image/png')], 'image/png'],
    ['complex', [bbox()], 'bounding box'],
    ['wkt', [bbox('EPSG:3857')], 'EPSG:3857'],
    ['bbox', [literal('1,2,3')], 'x0,y0'],
    ['bbox', [literal('1,2,3,91')], 'degrees'],
    ['wkt', [{ kind: 'bbox', corners: [0, 0, Number.NaN, 1] } as const], 'degrees'],
    ['wkt', [complex('{"type":"Point"}')], 'Point'],
    ['wkt', [complex('{"type":"Polygon"}')], 'list'],
    ['wkt', [complex('{')], 'GeoJSON'],
  ])('%s %j is refused', async (id, values, reason) => {
    const refused = await textsOf(id, values).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'INVALID_PARAMETER', locator: id });
    expect(String(refused)).toContain(reason);
  });

  it('whatever the GeoJSON is, it is taken or refused', async () => {
    const type = fc.constantFrom(
      'Polygon',
      'MultiPolygon',
      'Feature',
      'FeatureCollection',
      'GeometryCollection',
    );
    const { json } = fc.letrec((tie) => ({
      json: fc.record({
        type,
        coordinates: fc.jsonValue(),
        geometry: fc.oneof({ maxDepth: 12 }, fc.jsonValue(), tie('json')),
        geometries: fc.oneof({ maxDepth: 12 }, fc.jsonValue(), fc.array(tie('json'))),
      }),
    }));
    await fc.assert(
      fc.asyncProperty(json, async (value) => {
        const outcome = await textsOf('wkt', [complex(JSON.stringify(value))]).catch(
          (error: unknown) => error,
        );
        const isText = typeof (outcome as Record<string, unknown>)['wkt'] === 'string';
        expect(isText || outcome instanceof PushbroomError).toBe(true);
      }),
    );
  });
});
