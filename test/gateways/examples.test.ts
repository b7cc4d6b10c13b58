import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Dataset } from '../../src/products/dataset.ts';
import { createProductionDesk } from '../fixtures/productions.ts';
import type { ProductionDesk, StandIn } from '../fixtures/productions.ts';
import { EXAMPLES, lacks } from '../fixtures/requires.ts';

const offer = (xml: string) =>
  `<jobConfig><jobParameter><name>calvalus.wps.spatioTemporalAggregation</name><value><![CDATA[${xml}]]></value></jobParameter></jobConfig>`;
const formats = (names: string) => `<outputFormats>${names}</outputFormats>`;
const parameter = (name: string) =>
  `<parameterDescriptors><parameterDescriptor><name>${name}</name><type>string</type></parameterDescriptor></parameterDescriptors>`;

const STAND_INS: readonly StandIn[] = [
  {
    id: 'urbantep-subsetting~1.0~Subset',
    descriptor:
      formats('GeoTIFF-BigTIFF,GeoTIFF,NetCDF4') +
      offer('<p><aggregate>false</aggregate><variables>band_1</variables></p>'),
    aggregators: ['AVG'],
    formats: true,
  },
  { id: 'urbantep-subsetting~1.0~timescan-format', descriptor: formats('BigGeoTiff') },
  { id: 'fub-wew~6.0~FUB.Water', descriptor: formats('NetCDF4-CF') },
  {
    id: 'beam-buildin~1.0~urban-tep-indices-meris-l1b',
    descriptor: formats('NetCDF4') + offer('<p><aggregate>true</aggregate></p>'),
    aggregators: ['AVG'],
  },
  { id: 'calvalus-landsat~1.0~fmask' },
  { id: 's2ac~1.3~Idepix.Sentinel2' },
  { id: 'examples-shell~1.0~simple1', aggregators: ['AVG'] },
  { id: 'examples-shell~1.0~complex' },
  { id: 'examples-python~1.0~pythoncopy', descriptor: parameter('prefix') },
  { id: 'examples-r~1.0~rcopy', descriptor: parameter('suffix') },
  { id: 'example-beam-graphs~0.0~bandmath' },
  { id: 'examples-beam~1.0~merge_with_input' },
  { id: 'examples-beam~1.0~merge_two_inputs' },
];

const dataset = (name: string, minDate: string, maxDate: string): Dataset => ({
  name,
  productType: 'ANY',
  patterns: ['/calvalus/eodata/x/${yyyy}/${MM}/${dd}/.*'],
  minDate,
  maxDate,
});
const DATASETS = [
  dataset('DLR GUF 75m Global 2012 (Urban TEP)', '2012-01-01', '2012-12-31'),
  dataset('DLR GUF 75m Global Tiles (Urban TEP)', '2012-01-01', '2012-12-31'),
  dataset('MERIS FSG L1B (Examples)', '2002-01-01', '2012-12-31'),
  dataset('MERIS FSG v2013 L1b 2002-2012', '2002-01-01', '2012-12-31'),
];

let desk: ProductionDesk;
beforeAll(async () => {
  desk = await createProductionDesk(STAND_INS, DATASETS, { allowed: ['/calvalus'], storages: [] });
});
afterAll(() => desk[Symbol.asyncDispose]());

const FOLDERS = [
  'wps-bc',
  'wps-sdd',
  'wps-calvalus',
  'wps-client-requests',
  'wps-it4i',
  'requests',
  'production-requests',
  'bulk',
];

/** Requests among the documents: Execute documents, and maps of parameters but those that define the command line's types. */
async function requests(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const folder of FOLDERS) {
    for (const entry of await readdir(join(EXAMPLES, folder), { recursive: true })) {
      const name = `${folder}/${entry}`;
      if (!/\.(?:xml|json|ya?ml)$/.test(name) || name.includes('/cht-types/')) continue;
      const text = await readFile(join(EXAMPLES, name), 'utf8');
      if (name.endsWith('.xml') && !/<(?:\w+:)?Execute\s/.test(text)) continue;
      found.set(name, text);
    }
  }
  return found;
}

const MERIS =
  '/calvalus/eodata/MER_RR__1P/r03/${yyyy}/${MM}/${dd}/MER_..._1.*${yyyy}${MM}${dd}.*.N1';
const OF_MERIS = { dataset: MERIS, patterns: [MERIS] };
const day = (from: string, to = from) => [{ from, to }];

/** What an accepted request comes to, as far as it says so. */
const L2_OF_MERIS = {
  productionType: 'L2',
  workflow: { type: 'L2Plus' },
  group: 'default',
  retry: { maxAttempts: 3, failurePercent: 0 },
  products: { ...OF_MERIS, range: { from: '2010-03-01', to: '2010-03-01' } },
  periods: day('2010-03-01'),
  parameters: {},
};

const refused = (code: string, locator: string, message: string) => ({
  code,
  locator,
  message: expect.stringContaining(message),
});
const notRunning = (missing: string) => refused('NOT_SUPPORTED', 'Identifier', missing);
const NO_PROCESS = refused('NO_SUCH_PROCESS', 'Identifier', 'is no process');
const BINS = notRunning('bins of an earlier production');
const COMBINATIONS = notRunning('combinations of parameters');
const NO_BUNDLE = refused('MISSING_PARAMETER', 'processorBundleName', 'no programs of its own');
const NO_INDEX = refused('NOT_SUPPORTED', 'geoInventory', 'no spatial index');

const EXPECTED: Readonly<Record<string, object>> = {
  'wps-bc/guf-subsetting-execute-request.xml': {
    process: 'urbantep-subsetting~1.0~Subset',
    title: 'GUF subset mosaic test',
    workflow: { type: 'L3', aggregate: { processor: 'AVG', partitions: 8 } },
    products: {
      dataset: 'DLR GUF 75m Global 2012 (Urban TEP)',
      regionWkt: 'POLYGON((24.75 60.10,24.75 60.6,25.25 60.6,25.25 60.10,24.75 60.10))',
    },
    periods: day('2012-01-01', '2012-12-31'),
    parameters: {
      spatialResolution: '75',
      spatialRule: 'NEAREST',
      temporalRules: 'AVG',
      outputPrefix: 'GUF_subset_mosaic_test',
      outputFormat: 'GeoTIFF-BigTIFF',
    },
  },
  'wps-calvalus/calvalus-wps-Execute-request.xml': {
    workflow: { type: 'L2Plus', format: {} },
    periods: day('2012-01-01', '2012-12-31'),
    parameters: { outputFormat: 'NetCDF4' },
  },
  'wps-client-requests/code-de-execute-request.xml': {
    process: 'fub-wew~6.0~FUB.Water',
    workflow: { type: 'L2Plus' },
    group: 'default',
    retry: { maxAttempts: 2, failurePercent: 0 },
    periods: day('2009-06-01', '2009-06-10'),
    outputFormat: 'NetCDF4-CF',
  },
  // How it is aggregated is for the bundle to say in this dialect.
  'wps-sdd/urban-tep-wps-sample-request.xml': {
    workflow: { type: 'L3', aggregate: { processor: 'AVG' } },
    group: 'high',
    retry: { maxAttempts: 2 },
    periods: day('2009-06-01', '2009-06-03'),
    parameters: { outputPrefix: 'TEP_seasonality_test', outputFormat: 'NetCDF4' },
  },
  'wps-sdd/seasonality-test.xml': refused('MISSING_PARAMETER', 'processorName', 'no programs'),
  'wps-it4i/temporal-statistics-execute-request.xml': NO_PROCESS,
  'requests/shell/00_simple.xml': { ...L2_OF_MERIS, process: 'examples-shell~1.0~simple1' },
  'requests/shell/01_simple-l3.xml': {
    productionType: 'L3',
    process: 'examples-shell~1.0~simple1',
    workflow: { type: 'L3', aggregate: { processor: 'AVG', partitions: 8 } },
    products: OF_MERIS,
    periods: day('2010-03-01'),
    parameters: {
      spatialResolution: '19440',
      spatialRule: 'BINNING',
      temporalRules: 'AVG',
      variables: 'radiance_13',
      validPixelExpression: 'not l1_flags.INVALID',
      outputPrefix: 'L3',
    },
  },
  'requests/shell/02_complex.xml': {
    ...L2_OF_MERIS,
    process: 'examples-shell~1.0~complex',
    products: OF_MERIS,
    periods: day('2010-03-01', '2010-03-04'),
  },
  'requests/python/pythoncopy.xml': { ...L2_OF_MERIS, parameters: { prefix: 'copy_of_' } },
  'requests/r/rcopy.xml': { ...L2_OF_MERIS, parameters: { suffix: '_copy' } },
  'requests/beam-graphs/00_bandmath.xml': {
    ...L2_OF_MERIS,
    process: 'example-beam-graphs~0.0~bandmath',
  },
  'requests/beam-graphs/01_merge_with_input.xml': L2_OF_MERIS,
  'requests/beam-graphs/02_merge_two_inputs.xml': L2_OF_MERIS,
  'requests/level2/00_l2_bandmath.xml': refused(
    'NOT_SUPPORTED',
    'calvalus.l3.parameters',
    'might change the results',
  ),
  'requests/level2/00_l2_bandmath_geoDB.xml': NO_INDEX,
  'requests/level2/00_l2_subset.xml': NO_INDEX,
  'requests/level2/11_l2f_bandmath-DIMAP.xml': refused(
    'NOT_SUPPORTED',
    'calvalus.output.regex',
    'results keep the names',
  ),
  'requests/level2/12_l2f_bandmath-NetCDF4.xml': NO_BUNDLE,
  'requests/level3/00_l3_daily-plus-format.xml': NO_BUNDLE,
  'requests/level3/01_l3multiregion_daily-multiregion-format.xml': BINS,
  'requests/level3/02_cell_ndvi-selection.xml': BINS,
  'requests/level3/03_l3f_ndvi-format.xml': BINS,
  'requests/level3/04_cell_ndvi-selection-plus-format.xml': BINS,
  'requests/level3/05_celll3_weekly-from-daily.xml': BINS,
  'requests/level3/06_l3_daily-region-with-reducer-format.xml': NO_BUNDLE,
  'requests/level3/07_l3_ndvi-with-multiple-bundles.xml': refused(
    'NOT_SUPPORTED',
    'processorBundles',
    'a job runs with one bundle',
  ),
  'requests/analysis/00_cities.xml': notRunning('match-ups'),
  'requests/analysis/01_ra_meris.xml': notRunning('statistics over regions'),
  'requests/geoDB_scan.xml': notRunning('spatial index'),
  'requests/geoDB_update.xml': notRunning('spatial index'),
  'requests/combinations/combinations_job.xml': COMBINATIONS,
  'requests/combinations/combinations_job_and_task.xml': COMBINATIONS,
  'requests/combinations/modtran-complete.xml': COMBINATIONS,
  'production-requests/processing-request.json': COMBINATIONS,
  'production-requests/processing-request-with-xml-parameters.json': COMBINATIONS,
  'production-requests/ma-request.yaml': notRunning('match-ups'),
  // Their inputs have a Reference within Data, which is no WPS 1.0.0.
  'production-requests/ma-request.xml': refused('NOT_SUPPORTED', 'Identifier', ''),
  'production-requests/beam-l2-sample-request.xml': NO_PROCESS,
  'production-requests/beam_l2_and_l3-request.xml': refused(
    'INVALID_PARAMETER',
    'calvalus.l3.parameters',
    'more than one root',
  ),
  'production-requests/l2gen-request.xml': NO_PROCESS,
  'bulk/templates/msi-format-template.xml': refused(
    'INVALID_PARAMETER',
    'inputPath',
    'has the unknown variable ${input}',
  ),
  'bulk/templates/msi-idepix-template.xml': refused(
    'NOT_SUPPORTED',
    'calvalus.input.format',
    'processors open their products themselves',
  ),
  'bulk/templates/msi-timescan-template.xml': NO_INDEX,
};

describe.skipIf(lacks('the shared examples'))('requests of real centres', () => {
  test('all are known here', async () => {
    expect([...(await requests()).keys()].toSorted()).toEqual(Object.keys(EXPECTED).toSorted());
  });

  test.each(Object.entries(EXPECTED))('%s comes to what is expected', async (name, expected) => {
    const text = (await requests()).get(name)!;
    expect(await desk.request(name, text)).toMatchObject(expected);
  });

  test('of ordinary users, those in the production dialect are forbidden', async () => {
    const all = await requests();
    for (const [name, expected] of Object.entries(EXPECTED)) {
      if (!('productionType' in expected)) continue;
      expect(await desk.request(name, all.get(name)!, 'user')).toMatchObject({ code: 'FORBIDDEN' });
    }
  });

  test('of ordinary users, what is for operators in a request for a process counts for nothing', async () => {
    const name = 'wps-sdd/urban-tep-wps-sample-request.xml';
    const job = await desk.request(name, (await requests()).get(name)!, 'user');
    expect(job).toMatchObject({ group: 'default', retry: { maxAttempts: 3 } });
  });

  test('a template of bulk production is accepted when it is filled in', async () => {
    const template = (await requests()).get('bulk/templates/msi-format-template.xml')!;
    const filled = template
      .replaceAll('${input}', '/calvalus/home/tep/timescan')
      .replaceAll('${output}', '/calvalus/home/tep/out');
    expect(await desk.request('format.xml', filled)).toMatchObject({
      productionType: 'L2Plus',
      process: 'urbantep-subsetting~1.0~timescan-format',
      group: 'high',
      retry: { maxAttempts: 2 },
      workflow: { process: { resources: { memoryMb: 5120 }, silenceLimit: 7200 } },
      products: {
        patterns: ['/calvalus/home/tep/timescan-L3-output/timescan-msi-${region}.*.nc'],
      },
      outputFormat: 'BigGeoTiff',
    });
  });
});
