import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PushbroomError } from '../../errors.ts';
import { readInputs } from './read.ts';

/** The texts, or why there are none. */
function outcomeOf(inputs: Record<string, unknown>): unknown {
  try {
    return readInputs(inputs);
  } catch (error) {
    return error;
  }
}

describe('the inputs of a JSON request', () => {
  it.each([
    ['text', 'text'],
    ['', ''],
    [0.5, '0.5'],
    [-3, '-3'],
    [true, 'true'],
    [{ value: 'text', mediaType: 'text/plain' }, 'text'],
    [{ value: 7 }, '7'],
    [['one'], 'one'],
    [[{ value: 'one' }], 'one'],
    [{ bbox: [5, 47, 15.5, 55] }, '5,47,15.5,55'],
    [{ value: { bbox: [5, 47, 15, 55] } }, '5,47,15,55'],
    [{ bbox: [5, 47, 15, 55], crs: 'http://www.opengis.net/def/crs/OGC/1.3/CRS84' }, '5,47,15,55'],
    [{ bbox: [47, 5, 55, 15], crs: 'http://www.opengis.net/def/crs/EPSG/0/4326' }, '5,47,15,55'],
  ])('become texts: %j', (value, text) => {
    expect(readInputs({ x: value })).toEqual({ x: text });
  });

  it.each([
    [null, 'one string'],
    [[], 'one string'],
    [['a', 'b'], 'one string'],
    [[['a']], 'one string'],
    [{ type: 'wrong/type' }, 'one string'],
    [{ value: null }, 'value'],
    [{ value: ['a', 'b'] }, 'value'],
    [{ href: 'http://169.254.169.254/' }, 'by reference'],
    [{ bbox: [1, 2, 3] }, 'four numbers'],
    [{ bbox: ['1', '2', '3', '4'] }, 'four numbers'],
    [{ bbox: [1, 2, 3, 91] }, 'degrees'],
    [{ bbox: [1, 2, 3, 4], crs: 'EPSG:3857' }, 'crs'],
  ])('are refused with the reason: %j', (value, reason) => {
    const thrown = outcomeOf({ x: value });
    expect(thrown).toMatchObject({ code: 'INVALID_PARAMETER', locator: 'x' });
    expect(String(thrown)).toContain(`input 'x'`);
    expect(String(thrown)).toContain(reason);
  });

  it('are texts or refused, whatever the JSON is', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (inputs) => {
        const outcome = outcomeOf(inputs);
        const texts = Object.values(outcome as Record<string, unknown>);
        const refused = outcome instanceof PushbroomError;
        expect(refused || texts.every((text) => typeof text === 'string')).toBe(true);
      }),
    );
  });
});
