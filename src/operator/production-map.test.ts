import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PushbroomError } from '../errors.ts';
import { parseXml } from '../xml.ts';
import { readProductionMap } from './production-map.ts';

const inputsOf = (map: Record<string, unknown>) =>
  readProductionMap({ productionType: 'l2-proc', ...map }).inputs;

test('friendly names become production parameters', () => {
  const map = {
    productionName: 'ditches 2022',
    inputPath: ['a/.*', 'b/.*'],
    dateRanges: '[2002-04-05:2002-04-09]',
    regionGeometry: 'POLYGON((0 0,1 0,1 1,0 0))',
    period: '5',
    outputDir: '/calvalus/home/x',
    outputUmask: '002',
    queue: 'test',
    attempts: 1,
    failurePercent: '5',
    timeout: '7200',
    processingMemory: '8192',
    aggregationMemory: 1024,
    maxReducers: '8',
    calvalusBundle: 'calvalus-2.26',
    'snap.tileCache': '1024',
    'mapreduce.job.priority': 'HIGH',
    outputFormat: null,
  };
  expect(readProductionMap({ productionType: 'l3-agg', ...map })).toEqual({
    process: 'l3-agg',
    inputs: {
      productionName: 'ditches 2022',
      inputPath: 'a/.*,b/.*',
      minDate: '2002-04-05',
      maxDate: '2002-04-09',
      regionWKT: 'POLYGON((0 0,1 0,1 1,0 0))',
      periodLength: '5',
      'calvalus.output.dir': '/calvalus/home/x',
      'calvalus.hadoop.fs.permissions.umask-mode': '002',
      'calvalus.hadoop.mapreduce.job.queuename': 'test',
      'calvalus.hadoop.mapreduce.map.maxattempts': '1',
      'calvalus.hadoop.mapreduce.map.failures.maxpercent': '5',
      'calvalus.hadoop.mapreduce.task.timeout': '7200000',
      'calvalus.hadoop.mapreduce.map.memory.mb': '8704',
      'calvalus.hadoop.mapreduce.reduce.memory.mb': '1536',
      'calvalus.l3.reducers': '8',
      'calvalus.calvalus.bundle': 'calvalus-2.26',
      'calvalus.system.snap.jai.tileCacheSize': '1024',
      'calvalus.hadoop.mapreduce.job.priority': 'HIGH',
    },
  });
});

test('ranges of days become a range or a list', () => {
  const days = '[2002-04-05:2002-04-05], [2002-04-07:2002-04-07]';
  expect(inputsOf({ dateRanges: days })).toEqual({ dateList: '2002-04-05 2002-04-07' });
  expect(inputsOf({ dateRanges: '[null:null]' })).toEqual({});
  expect(inputsOf({ maxReducers: 0 })).toEqual({});
});

test('maps become XML, with what is in them escaped', () => {
  const variable = [
    { name: 'YEARS', values: '2022' },
    { name: 'EXPR', values: 'a < b && </values>' },
  ];
  const { 'calvalus.combinations.config': config } = inputsOf({
    combinations: { parameters: { variables: { variable }, formatName: 'x_%s' } },
  });
  expect(config).toBe(
    '<parameters><variables><variable><name>YEARS</name><values>2022</values></variable>' +
      '<variable><name>EXPR</name><values>a &lt; b &amp;&amp; &lt;/values&gt;</values></variable></variables>' +
      '<formatName>x_%s</formatName></parameters>',
  );
  expect(inputsOf({ processorParameters: { threshold: 0.5, mode: 'fast' } })).toEqual({
    processorParameters: '<parameters><threshold>0.5</threshold><mode>fast</mode></parameters>',
  });
});

test('whatever is in a map, its XML can be read and says the same', () => {
  const text = fc.string({ unit: 'grapheme' }).map((each) => each.replaceAll(/[^ -~äöü€]/gu, ''));
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom('a', 'b.c', 'd-e'), text, { minKeys: 1 }), (map) => {
      const { processorParameters } = inputsOf({ processorParameters: map });
      const { children } = parseXml(processorParameters!);
      expect(children.map(({ name, text: content }) => [name, content])).toEqual(
        Object.entries(map),
      );
    }),
  );
});

const deep = (levels: number): object => (levels === 0 ? {} : { a: deep(levels - 1), b: 1 });

test.each<[Record<string, unknown>, string, string]>([
  [{ productionType: ' ' }, 'productionType', "no 'productionType'"],
  [{ queue: 'a', 'mapreduce.job.queuename': 'b' }, 'mapreduce.job.queuename', 'given twice'],
  [{ timeout: '10 min' }, 'timeout', "'10 min' is not a whole number"],
  [{ processingMemory: '1.5' }, 'processingMemory', 'whole number'],
  [{ dateRanges: '2002-04-05' }, 'dateRanges', 'is not a range like'],
  [{ dateRanges: '[2002-04-05:2002-04-06],[2002-05-05:2002-05-06]' }, 'dateRanges', 'several'],
  [{ processorParameters: { 'a b': 1, c: 2 } }, 'processorParameters', 'name of an XML element'],
  [{ inputPath: [['a']] }, 'inputPath', 'a list may hold texts'],
  [{ processorParameters: deep(40) }, 'processorParameters', 'deeper than 32'],
])('%j is refused', (map, locator, message) => {
  let thrown: unknown;
  try {
    inputsOf(map);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(PushbroomError);
  expect(thrown).toMatchObject({ locator, message: expect.stringContaining(message) });
});
