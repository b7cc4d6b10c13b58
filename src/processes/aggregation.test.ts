import { expect, test } from 'vitest';
import { readAggregation } from './aggregation.ts';
import { parseDescriptor } from './descriptor.ts';

const processor = (offer?: string) =>
  parseDescriptor(
    'bundle-descriptor.xml',
    `<bundleDescriptor><bundleName>b</bundleName><bundleVersion>1</bundleVersion><processorDescriptors>
     <processorDescriptor><executableName>x</executableName><jobConfig>${
       offer === undefined
         ? ''
         : `<jobParameter><name>calvalus.wps.spatioTemporalAggregation</name><value><![CDATA[${offer}]]></value></jobParameter>`
     }</jobConfig></processorDescriptor></processorDescriptors></bundleDescriptor>`,
  ).processors[0]!;

const xml = (aggregate: boolean, more = '') => `<p><aggregate>${aggregate}</aggregate>${more}</p>`;
const read = (offer: string | undefined, requested?: string) =>
  readAggregation(processor(offer), requested);

test('of a processor that does not offer it nothing is aggregated', () => {
  expect(read(undefined, 'true')).toBeUndefined();
});

test.each([
  [xml(true), undefined, true],
  [xml(true), '  ', true],
  [xml(false), undefined, false],
  ['', undefined, false],
  ['<p/>', undefined, false],
  [xml(true), 'false', false],
  [xml(false), 'true', true],
  [xml(false), '75', true],
  [xml(false), xml(true), true],
  [xml(true), xml(false), false],
  [xml(true), '<p><spatialResolution>10</spatialResolution></p>', true],
  [xml(false), '<p><spatialResolution>10</spatialResolution></p>', false],
])('offered %j and requested %j aggregates: %s', (offer, requested, expected) => {
  expect(read(offer, requested) !== undefined).toBe(expected);
});

test("what neither bundle nor request says comes from the schema's defaults", () => {
  expect(read('', 'true')).toEqual({
    spatialResolution: 60,
    spatialRule: 'NEAREST',
    temporalRules: 'AVG',
    aggregators: ['AVG'],
    validPixelExpression: 'true',
  });
});

test('the request wins over the bundle, element by element', () => {
  const offer = xml(true, '<temporalRules>MIN_MAX</temporalRules><variables>a,b</variables>');
  expect(read(offer, '<q:p xmlns:q="urn:x"><q:variables>c</q:variables></q:p>')).toMatchObject({
    aggregators: ['MIN_MAX'],
    variables: 'c',
  });
  expect(read(offer, '20')).toMatchObject({ spatialResolution: 20, variables: 'a,b' });
});

test('aggregators are named without what is in parentheses', () => {
  const rules = 'PERCENTILE(10), PERCENTILE(90),ON_MAX_SET(a,b) , AVG';
  const found = read(xml(true, `<temporalRules>${rules}</temporalRules>`));
  expect(found).toMatchObject({
    temporalRules: rules,
    aggregators: ['PERCENTILE', 'ON_MAX_SET', 'AVG'],
  });
});

test.each([
  ['maybe', "'maybe' is neither true, false, a resolution in metres nor XML"],
  ['-5', "'-5' is neither"],
  ['0', "spatialResolution is '0'"],
  ['99999999', "spatialResolution is '99999999'"],
  ['<p>', 'line 1'],
  ['<p><aggregate>yes</aggregate></p>', "aggregate is 'yes' instead of true or false"],
  [
    '<p><spatialRule>BEST</spatialRule></p>',
    'unknown spatialRule BEST. NEAREST or BINNING expected.',
  ],
  ['<p><temporalRules>a b</temporalRules></p>', "temporalRules 'a b' can not be read"],
  ['<p><periods>1</periods></p>', 'it has periods, known are aggregate'],
])('the request %j is refused', (requested, reason) => {
  expect(() => read(xml(true), requested)).toThrow(reason);
});
