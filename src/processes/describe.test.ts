import { expect, test } from 'vitest';
import type { Dataset } from '../products/dataset.ts';
import { describe } from './describe.ts';
import { parseDescriptor } from './descriptor.ts';

const AGGREGATION = `<jobConfig><jobParameter><name>calvalus.wps.spatioTemporalAggregation</name>
  <value> &lt;p>&lt;aggregate>true&lt;/aggregate>&lt;/p> </value></jobParameter></jobConfig>`;

const dataset = (name: string, productType: string): Dataset => ({
  name,
  productType,
  patterns: [],
});
const DATASETS = [
  dataset('one', 'A'),
  dataset('two', 'B'),
  dataset('one', 'A'),
  dataset('three', 'A'),
];

function describeProcessor(content: string, datasets: readonly Dataset[] = DATASETS) {
  const bundle = parseDescriptor(
    'bundle-descriptor.xml',
    `<bundleDescriptor><bundleName>b</bundleName><bundleVersion>1</bundleVersion><processorDescriptors>
     <processorDescriptor><executableName>x</executableName><processorName>The X</processorName>
     <processorVersion>7</processorVersion>${content}</processorDescriptor></processorDescriptors></bundleDescriptor>`,
  );
  return describe(bundle, bundle.processors[0]!, datasets);
}
const ids = (content: string) => describeProcessor(content).inputs.map((input) => input.id);
const input = (content: string, id: string, datasets?: readonly Dataset[]) =>
  describeProcessor(content, datasets).inputs.find((candidate) => candidate.id === id);

const PARAMETERS = `<parameterDescriptors>
  <parameterDescriptor><name>threshold</name><type>float</type><description>how sure</description>
    <defaultValue>0.2</defaultValue><valueRange>[0,1]</valueRange></parameterDescriptor>
  <parameterDescriptor><name>mode</name><type>string</type><valueSet>fast,slow</valueSet></parameterDescriptor>
  <parameterDescriptor><name>verbose</name><type>boolean</type></parameterDescriptor>
  </parameterDescriptors>`;

test('a process has its identifier, title and version', () => {
  expect(describeProcessor('')).toMatchObject({ id: 'b~1~x', title: 'The X', version: '7' });
});

test('inputs come in the order of the specification', () => {
  expect(ids('')).toEqual([
    'quotation',
    'productionName',
    'inputDataSetName',
    'minDate',
    'maxDate',
    'regionWKT',
    'outputFormat',
  ]);
  expect(ids(PARAMETERS + AGGREGATION)).toEqual([
    'quotation',
    'productionName',
    'inputDataSetName',
    'minDate',
    'maxDate',
    'periodLength',
    'compositingPeriodLength',
    'regionWKT',
    'threshold',
    'mode',
    'verbose',
    'spatioTemporalAggregationParameters',
    'outputFormat',
  ]);
});

test('the datasets that a processor reads are offered, each once', () => {
  const types = '<inputProductTypes>A</inputProductTypes>';
  expect(input(types, 'inputDataSetName')).toMatchObject({
    allowed: ['one', 'three'],
    required: true,
  });
  expect(input('<inputProductTypes>*</inputProductTypes>', 'inputDataSetName')!.allowed).toEqual([
    'one',
    'two',
    'three',
  ]);
  expect(input('', 'inputDataSetName')!.allowed).toEqual(['one', 'two', 'three']);
  expect(input(types, 'inputDataSetName', []), 'any value where there is none').not.toHaveProperty(
    'allowed',
  );
});

test('parameters bring their types, values and defaults', () => {
  expect(input(PARAMETERS, 'threshold')).toEqual({
    id: 'threshold',
    title: 'threshold',
    description: 'how sure',
    type: 'number',
    range: { min: 0, max: 1 },
    defaultValue: '0.2',
    required: false,
  });
  expect(input(PARAMETERS, 'mode')).toMatchObject({ type: 'string', allowed: ['fast', 'slow'] });
  expect(input(PARAMETERS, 'verbose')).toMatchObject({ type: 'boolean', defaultValue: 'false' });
});

test('parameters that are not described are one input with the defaults', () => {
  const content = '<defaultParameters>a=1</defaultParameters>';
  expect(input(content, 'processorParameters')).toMatchObject({
    type: 'string',
    defaultValue: 'a=1',
  });
  expect(ids(content + PARAMETERS)).not.toContain('processorParameters');
});

test('the first output format is the default', () => {
  const content = '<outputFormats>GeoTIFF,NetCDF4,GeoTIFF</outputFormats>';
  expect(input(content, 'outputFormat')).toMatchObject({
    allowed: ['GeoTIFF', 'NetCDF4'],
    defaultValue: 'GeoTIFF',
  });
  expect(input('', 'outputFormat')).not.toHaveProperty('allowed');
});

test('the defaults of the aggregation are shown', () => {
  expect(input(AGGREGATION, 'spatioTemporalAggregationParameters')).toMatchObject({
    defaultValue: '<p><aggregate>true</aggregate></p>',
  });
});
