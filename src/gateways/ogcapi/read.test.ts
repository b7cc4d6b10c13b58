import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PushbroomError } from '../../errors.ts';
import type { Process } from '../../jobs/jobs.ts';
import type { InputValue } from '../inputs.ts';
import { readInputs } from './read.ts';

const literal = (text: string): InputValue => ({ kind: 'literal', text });
const json = (value: unknown): InputValue => ({
  kind: 'complex',
  content: Buffer.from(JSON.stringify(value)),
  mediaType: 'application/json',
});
const box = (corners: [number, number, number, number], crs?: string): InputValue => ({
  kind: 'bbox',
  corners,
  ...(crs !== undefined && { crs }),
});

const CRS84 = 'http://www.opengis.net/def/crs/OGC/1.3/CRS84';

const input = (id: string, type: Process['inputs'][0]['type']) => {
  const text = { title: id, description: id };
  return { id, ...text, type, required: false };
};
const PROCESS: Process = {
  id: 'p',
  title: 'p',
  description: '',
  version: '1',
  inputs: [input('x', 'complex'), input('text', 'string'), input('box', 'bbox')],
  outputs: [],
};

/** What the input `x` is read as, or why it is refused. */
function outcomeOf(value: unknown): unknown {
  try {
    return readInputs({ x: value }, PROCESS).get('x');
  } catch (error) {
    return error;
  }
}

describe('the inputs of a JSON request', () => {
  it.each<[unknown, InputValue[] | undefined]>([
    ['text', [literal('text')]],
    ['', [literal('')]],
    [0.5, [literal('0.5')]],
    [-3, [literal('-3')]],
    [true, [literal('true')]],
    [{ value: 7 }, [literal('7')]],
    [['one'], [literal('one')]],
    [
      [{ value: 'one' }, 2],
      [literal('one'), literal('2')],
    ],
    [[], undefined],
    [{ bbox: [5, 47, 15.5, 55] }, [box([5, 47, 15.5, 55])]],
    [{ value: { bbox: [5, 47, 15, 55] } }, [box([5, 47, 15, 55])]],
    [{ bbox: [5, 47, 15, 55], crs: CRS84 }, [box([5, 47, 15, 55], CRS84)]],
    [{ name: 'an object' }, [json({ name: 'an object' })]],
    [{ value: { name: 'an object' } }, [json({ name: 'an object' })]],
  ])('are read: %j', (value, expected) => {
    expect(outcomeOf(value)).toEqual(expected);
  });

  it.each([
    [{ value: '<a/>', mediaType: 'text/xml' }, '<a/>', 'text/xml'],
    [{ value: '<a/>', format: { mediaType: 'text/xml' } }, '<a/>', 'text/xml'],
    [{ value: 'AAE=', encoding: 'base64', mediaType: 'image/tiff' }, '\0\u0001', 'image/tiff'],
    [{ value: 'AAE=', format: { encoding: 'base64' } }, '\0\u0001', undefined],
  ])('are read in their format: %j', (value, text, mediaType) => {
    expect(outcomeOf(value)).toEqual([
      { kind: 'complex', content: Buffer.from(text), ...(mediaType && { mediaType }) },
    ]);
  });

  it.each([
    [{ href: 'https://a.example/b' }, {}],
    [{ href: 'https://a.example/b', type: 'text/xml' }, { mediaType: 'text/xml' }],
    [
      { href: 'https://a.example/b', format: { mediaType: 'image/tiff', encoding: 'base64' } },
      { mediaType: 'image/tiff', encoding: 'base64' },
    ],
  ])('may lie elsewhere: %j', (value, more) => {
    expect(outcomeOf(value)).toEqual([{ kind: 'reference', href: 'https://a.example/b', ...more }]);
  });

  it.each([
    [null, 'must be a string'],
    [[['a']], 'must be a string'],
    [{ value: null }, 'value'],
    [{ href: 7 }, 'href'],
    [{ bbox: [1, 2, 3] }, 'four numbers'],
    [{ bbox: ['1', '2', '3', '4'] }, 'four numbers'],
    [{ bbox: [1, 2, 3, 4], crs: 4326 }, 'crs'],
  ])('are refused with the reason: %j', (value, reason) => {
    const thrown = outcomeOf(value);
    expect(thrown).toMatchObject({ code: 'INVALID_PARAMETER', locator: 'x' });
    expect(String(thrown)).toContain(`input 'x'`);
    expect(String(thrown)).toContain(reason);
  });

  it.each([
    ['text', { type: 'wrong/type' }, 'a string, and not an object'],
    ['text', { value: { a: 1 } }, 'a string, and not an object'],
    ['text', { value: ['a'] }, 'a string, and not an object'],
    ['box', { west: 5 }, 'a bounding box, and not an object'],
  ])('are no objects where %s is plain: %j', (id, value, reason) => {
    expect(() => readInputs({ [id]: value }, PROCESS)).toThrow(reason);
  });

  it('are read or refused, whatever the JSON is', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const outcome = outcomeOf(value);
        expect(
          outcome instanceof PushbroomError || outcome === undefined || Array.isArray(outcome),
        ).toBe(true);
      }),
    );
  });
});
