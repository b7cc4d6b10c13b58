import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createProductionDesk } from '../fixtures/productions.ts';
import type { ProductionDesk } from '../fixtures/productions.ts';

const OFFER =
  '<p><aggregate>false</aggregate><temporalRules>TimeScan</temporalRules><variables>ndvi</variables></p>';

let desk: ProductionDesk;
beforeAll(async () => {
  desk = await createProductionDesk(
    [
      {
        id: 'indices~1.0~Indices',
        descriptor: `<outputFormats>GeoTIFF</outputFormats><parameterDescriptors><parameterDescriptor>
            <name>threshold</name><type>float</type></parameterDescriptor></parameterDescriptors>
          <jobConfig><jobParameter><name>calvalus.wps.spatioTemporalAggregation</name>
            <value><![CDATA[${OFFER}]]></value></jobParameter></jobConfig>`,
        aggregators: ['TimeScan'],
        formats: true,
      },
    ],
    [
      {
        name: 'Sentinel-2 Europe',
        productType: 'S2',
        patterns: ['/archive/S2/${yyyy}/${MM}/${dd}/.*'],
        minDate: '2015-08-01',
        maxDate: '2020-12-31',
      },
    ],
    { allowed: ['/archive'], storages: [] },
  );
});
afterAll(() => desk[Symbol.asyncDispose]());

describe('docs/requests.md', () => {
  const examples = async () => {
    const text = await readFile(join(import.meta.dirname, '../../docs/requests.md'), 'utf8');
    return Array.from(text.matchAll(/^```(xml|json|yaml)\n(.*?)^```$/gms), ([, form, example]) => ({
      name: `example.${form}`,
      example: example!,
    }));
  };
  const days = (from: string, to: string) => ({ from, to });

  test.each([
    [
      0,
      {
        process: 'indices~1.0~Indices',
        workflow: { type: 'L3' },
        parameters: { spatialResolution: '60', temporalRules: 'TimeScan' },
        periods: [days('2020-06-01', '2020-06-30')],
      },
    ],
    [1, { workflow: { type: 'L2Plus' }, periods: [days('2020-06-01', '2020-06-10')] }],
    [
      2,
      {
        productionType: 'L2Plus',
        title: 'Indices of Berlin',
        group: 'tep',
        workflow: { type: 'L2Plus', format: {} },
        parameters: { threshold: '0.2' },
        periods: [days('2020-06-03', '2020-06-03'), days('2020-06-08', '2020-06-08')],
      },
    ],
    [
      3,
      {
        productionType: 'L3',
        group: 'tep',
        retry: { maxAttempts: 2, failurePercent: 5 },
        workflow: {
          type: 'L3',
          process: { resources: { memoryMb: 4608 }, silenceLimit: 7200 },
          aggregate: { processor: 'TimeScan', partitions: 4 },
        },
        parameters: {
          threshold: '0.2',
          spatialResolution: '60',
          spatialRule: 'NEAREST',
          validPixelExpression: 'cloud < 0.5 && snow < 0.5',
        },
        periods: [
          days('2020-06-01', '2020-06-10'),
          days('2020-06-11', '2020-06-20'),
          days('2020-06-21', '2020-06-30'),
        ],
      },
    ],
  ])('example %i is accepted as it says', async (index, expected) => {
    const { name, example } = (await examples())[index]!;
    expect(await desk.request(name, example)).toMatchObject(expected);
  });

  test('has no other examples', async () => {
    expect(await examples()).toHaveLength(4);
  });
});

/** Modelled on what templates of bulk productions and stored requests have. */
const literal = (name: string, value: string) =>
  `<wps:Input><ows:Identifier>${name}</ows:Identifier><wps:Data><wps:LiteralData>${value}</wps:LiteralData></wps:Data></wps:Input>`;
const complex = (name: string, xml: string) =>
  `<wps:Input><ows:Identifier>${name}</ows:Identifier><wps:Data><wps:ComplexData>${xml}</wps:ComplexData></wps:Data></wps:Input>`;
const production = (type: string, ...inputs: readonly string[]) =>
  `<?xml version="1.0" encoding="UTF-8" standalone="yes" ?>
  <wps:Execute service="WPS" version="1.0.0" xmlns:wps="http://www.opengis.net/wps/1.0.0"
    xmlns:ows="http://www.opengis.net/ows/1.1" xmlns:xlink="http://www.w3.org/1999/xlink">
    <ows:Identifier>${type}</ows:Identifier><wps:DataInputs>${inputs.join('')}</wps:DataInputs></wps:Execute>`;
const PROCESSOR = [
  literal('processorBundleName', 'indices'),
  literal('processorBundleVersion', '1.0'),
  literal('processorName', 'Indices'),
];

describe('Execute documents of productions', () => {
  test('lists that are given in parts, and tuning of other systems', async () => {
    const job = await desk.request(
      'a.xml',
      production(
        'L2Plus',
        ...PROCESSOR,
        literal('productionName', 'Format 13E52N'),
        literal('inputPath', '/archive/${yyyy}/${MM}/${dd}/S2.*T33UUU.zip,/archive/${yyyy}/x'),
        literal('inputPath', '/archive/more/.*'),
        literal('minDate', '2020-01-01'),
        literal('maxDate', '2020-01-31'),
        literal('calvalus.output.dir', '/calvalus/home/x'),
        literal('outputFormat', 'GeoTIFF'),
        literal('calvalus.system.snap.dataio.bigtiff.compression.type', 'LZW'),
        literal('quicklooks', 'true'),
        complex('calvalus.ql.parameters', '<parameters><quicklooks/></parameters>'),
        literal('calvalus.resume', 'true'),
        literal('calvalus.hadoop.mapreduce.job.queuename', 'high'),
        literal('calvalus.hadoop.mapred.map.max.attempts', '2'),
        literal('calvalus.hadoop.mapreduce.map.java.opts', '-Xmx4096M'),
        literal('calvalus.hadoop.mapreduce.map.memory.mb', '5120'),
        literal('calvalus.hadoop.fs.permissions.umask-mode', '002'),
      ),
    );
    expect(job).toMatchObject({
      productionType: 'L2Plus',
      group: 'high',
      retry: { maxAttempts: 2 },
      workflow: { process: { resources: { memoryMb: 5120 } } },
      products: {
        patterns: [
          '/archive/${yyyy}/${MM}/${dd}/S2.*T33UUU.zip',
          '/archive/${yyyy}/x',
          '/archive/more/.*',
        ],
      },
    });
  });

  test('an aggregation in XML', async () => {
    const job = await desk.request(
      'a.xml',
      production(
        'l3',
        ...PROCESSOR,
        literal('inputDataSetName', 'Sentinel-2 Europe'),
        literal('minDate', '2020-01-01'),
        literal('maxDate', '2020-01-31'),
        literal('periodLength', '-10'),
        complex(
          'calvalus.l3.parameters',
          '<parameters><numRows>64800</numRows><maskExpr>not cloud and a &lt; b</maskExpr>' +
            '<aggregators><aggregator><type>TimeScan</type><varName>ndvi</varName></aggregator></aggregators></parameters>',
        ),
      ),
    );
    expect(job).toMatchObject({
      parameters: { spatialResolution: '300', validPixelExpression: 'not cloud and a < b' },
      periods: [
        { from: '2020-01-01', to: '2020-01-10' },
        { from: '2020-01-11', to: '2020-01-20' },
        { from: '2020-01-21', to: '2020-01-31' },
      ],
    });
  });

  test.each([
    ['RA', 'operator', 'NOT_SUPPORTED', 'Identifier'],
    ['L2', 'operator', 'MISSING_PARAMETER', 'inputPath'],
    ['L2', 'user', 'FORBIDDEN', 'Identifier'],
    ['gs:Statistics', 'user', 'NO_SUCH_PROCESS', 'Identifier'],
  ] as const)('%s of an %s is refused as %s', async (type, role, code, locator) => {
    const refusal = await desk.request('a.xml', production(type, ...PROCESSOR), role);
    expect(refusal).toMatchObject({ code, locator });
  });

  test('production types are described, but are not among the processes', async () => {
    expect(await desk.jobs.process('l3')).toMatchObject({ id: 'L3', isOpen: true });
    const ids = (await desk.jobs.processes()).map(({ id }) => id);
    expect(ids).toEqual(['indices~1.0~Indices']);
  });
});

test('whatever is sent as a request is answered, and never with an internal error', async () => {
  const name = fc.oneof(
    fc.constantFrom(
      'productionType',
      'inputPath',
      'dateList',
      'dateRanges',
      'regionWKT',
      'processorParameters',
    ),
    fc.constantFrom('calvalus.l3.parameters', 'processorBundles', 'timeout', 'minLon', '__proto__'),
    fc.string(),
  );
  const value = fc.oneof(
    fc.string(),
    fc.constantFrom('L3', 'L2', '(', '${yyyy', '<a>', ','),
    fc.jsonValue(),
  );
  const fields = fc.dictionary(name, value, { maxKeys: 8 });
  const complete = {
    productionType: 'l3',
    processorBundles: 'indices-1.0',
    processorName: 'Indices',
  };
  await fc.assert(
    fc.asyncProperty(fields, fc.constantFrom('a.json', 'a.yaml'), async (map, form) => {
      const found = await desk.request(form, JSON.stringify({ ...complete, ...map }));
      if ('code' in found) expect(found.code).not.toBe('INTERNAL');
      else expect(found.process).toBe('indices~1.0~Indices');
    }),
  );
});
