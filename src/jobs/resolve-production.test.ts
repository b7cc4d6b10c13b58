import fc from 'fast-check';
import { expect, test } from 'vitest';
import { IMAGE, outcome, produce } from '../../test/fixtures/requests.ts';
import { PushbroomError } from '../errors.ts';

const L3_PARAMETERS = `<parameters><compositingType>MOSAICKING</compositingType>
  <planetaryGrid>org.esa.snap.binning.support.PlateCarreeGrid</planetaryGrid><numRows>972000</numRows>
  <superSampling>1</superSampling><maskExpr>! cloud
    and ! snow</maskExpr>
  <aggregators><aggregator><type>TimeScan</type><varName>ndvi</varName></aggregator>
    <aggregator><type>TimeScan</type><varName>ndbi</varName></aggregator></aggregators></parameters>`;

const PROCESSOR = {
  processorBundleName: 'timescan',
  processorBundleVersion: '1.0',
  processorName: 'Indices',
};
const BASE = { ...PROCESSOR, inputPath: 'S2/${yyyy}/${MM}/.*${yyyy}${MM}${dd}.*tif' };
const DATES = { minDate: '2020-01-01', maxDate: '2020-03-31' };
const L3 = { ...BASE, ...DATES, 'calvalus.l3.parameters': L3_PARAMETERS };

type Asked = Parameters<typeof produce>[2];
const refusal = (inputs: Record<string, string>, type = 'L2Plus', asked?: Asked) =>
  outcome(() => produce(type, inputs, asked));
const refused = (code: string, locator: string, message: string) =>
  expect.objectContaining({ code, locator, message: expect.stringContaining(message) });

test('an L3 production becomes a job with its own input, periods, aggregation and settings', () => {
  const job = produce('l3', {
    ...L3,
    productionName: 'TimeScan of Berlin',
    periodLength: '1m',
    regionName: 'berlin',
    regionWKT: 'polygon((13 52, 14 52, 14 53, 13 53, 13 52))',
    processorParameters: '<parameters><threshold>0.5</threshold></parameters>',
    'calvalus.output.format': 'NetCDF4',
    'calvalus.output.dir': '/calvalus/home/x',
    'calvalus.output.prefix': 'timescan-msi',
    'calvalus.output.postfix': '-v3',
    'calvalus.l3.reducers': '32',
    'calvalus.hadoop.mapreduce.job.queuename': 'test',
    'calvalus.hadoop.mapred.map.max.attempts': '2',
    'calvalus.hadoop.mapreduce.map.failures.maxpercent': '10',
    'calvalus.hadoop.mapreduce.map.java.opts': '-Xmx2048M',
    'mapreduce.job.priority': 'HIGH',
    'calvalus.pushbroom.image': '',
  });
  expect(job).toMatchObject({
    process: 'timescan~1.0~Indices',
    productionType: 'L3',
    title: 'TimeScan of Berlin',
    group: 'devel/test',
    priority: 150,
    retry: { maxAttempts: 2, failurePercent: 10 },
    workflow: { type: 'L3', aggregate: { processor: 'TimeScan', partitions: 32 } },
    products: {
      dataset: BASE.inputPath,
      patterns: [`/archive/${BASE.inputPath}`],
      range: { from: '2020-01-01', to: '2020-03-31' },
      regionName: 'berlin',
    },
    outputFormat: 'NetCDF4',
  });
  expect(job.periods.map(({ from }) => from)).toEqual(['2020-01-01', '2020-02-01', '2020-03-01']);
  expect(job.parameters).toEqual({
    threshold: '0.5',
    verbose: 'false',
    spatialResolution: '20',
    spatialRule: 'NEAREST',
    temporalRules: 'TimeScan',
    variables: 'ndvi,ndbi',
    validPixelExpression: '! cloud and ! snow',
    outputPrefix: 'timescan-msi',
    outputPostfix: '-v3',
    outputFormat: 'NetCDF4',
    regionWKT: 'POLYGON((13 52,14 52,14 53,13 53,13 52))',
  });
  expect(job.inputs).toHaveProperty(['calvalus.output.dir'], '/calvalus/home/x');
});

test('what the request says goes over the bundle, and that over the defaults; without periods there is one', () => {
  const job = produce('L3', L3);
  expect(job.retry).toMatchObject({ maxAttempts: 3, failurePercent: 0 });
  expect(job.workflow.process.resources.memoryMb).toBe(2000);
  expect(job.parameters).toMatchObject({ threshold: '0.2', outputPrefix: 'L3' });
  expect(job.periods).toEqual([{ from: '2020-01-01', to: '2020-03-31' }]);
  expect(job.title).toBe('Level-3 Indices 2020-01-01 to 2020-03-31');
});

test('L2 leaves products as they are, L2Plus and L2F format them where the bundle can', () => {
  const stepsOf = (type: string, more: Record<string, string> = {}) => {
    const { workflow } = produce(type, { ...BASE, processorName: 'Subset', ...more });
    return [workflow.type, workflow.format !== undefined];
  };
  expect(stepsOf('L2')).toEqual(['L2Plus', false]);
  expect(stepsOf('l2-proc')).toEqual(['L2Plus', false]);
  expect(stepsOf('L2Plus')).toEqual(['L2Plus', true]);
  expect(stepsOf('l2f')).toEqual(['L2Plus', true]);
  expect(stepsOf('L2Plus', { outputFormat: 'SEQ' })).toEqual(['L2Plus', false]);
  expect(stepsOf('L2Plus', { processorName: 'Implicit' })).toEqual(['L2Plus', false]);
});

test('single days are searched one by one, in order and once', () => {
  const dateList = '2020-03-05 2020-01-02\n2020-03-05,2020-02-01';
  const { products, periods } = produce('L2', { ...BASE, ...DATES, dateList });
  expect(periods.map(({ from, to }) => [from, to])).toEqual([
    ['2020-01-02', '2020-01-02'],
    ['2020-02-01', '2020-02-01'],
    ['2020-03-05', '2020-03-05'],
  ]);
  expect(products.range).toEqual({ from: '2020-01-02', to: '2020-03-05' });
});

test('products come from a dataset as well, and the region from corners', () => {
  const inputs = { ...PROCESSOR, inputDataSetName: 'scenes' };
  const corners = { minLon: '22', minLat: '45', maxLon: '22.5', maxLat: '45.5' };
  const { products } = produce('L2', { ...inputs, ...corners });
  expect(products).toEqual({
    dataset: 'scenes',
    productType: 'S2',
    range: { from: '2015-08-01', to: '2021-01-01' },
    regionName: 'romania',
    regionWkt: expect.stringMatching(/^POLYGON\(\(22/),
  });
});

test('a bundle may be named in one, wherever it lay', () => {
  const { processorName, inputPath } = BASE;
  const inputs = { processorName, inputPath, processorBundles: '/home/x/software/timescan-1.0' };
  expect(produce('L2', inputs).process).toBe('timescan~1.0~Indices');
});

test.each<[Record<string, string>, readonly string[]]>([
  [{ inputPath: 'a/.*' }, ['/archive/a/.*']],
  [{ inputPath: '/archive/a/b{1,2}/x,a/.*' }, ['/archive/a/b{1,2}/x', '/archive/a/.*']],
  [{ inputPath: 'a,a,/archive/b' }, ['/archive/a', '/archive/b']],
  [{ inputPath: 'hdfs://eo/data/${yyyy}/.*' }, ['hdfs://eo/data/${yyyy}/.*']],
])('the patterns of %j are searched', (inputs, patterns) => {
  expect(produce('L2', { ...BASE, ...inputs }).products.patterns).toEqual(patterns);
});

test.each<[string, string]>([
  ['/etc/passwd', 'may not be asked for; they may below /archive, hdfs://eo/data'],
  ['/archived/x', 'may not be asked for'],
  ['/.*/x', 'may not be asked for'],
  ['../etc/.*', 'has a part "." or ".."'],
  ['/archive/a/../../etc/.*', 'has a part "." or ".."'],
  [String.raw`/archive/\.\./etc`, String.raw`has the part "\.\."`],
  ['hdfs://other/data/x', 'is a URL of no configured storage'],
  ['hdfs://eo/secret/x', 'may not be asked for'],
  ['file:///archive/x', 'is a URL of no configured storage'],
  ['a/${month}/x', 'has the unknown variable ${month}'],
  ['a/(b', 'is not a regular expression'],
  [Array.from({ length: 1001 }, (_, index) => index).join(','), 'more than 1000'],
])('the input path %j is refused', (inputPath, message) => {
  expect(refusal({ ...BASE, inputPath })).toEqual(
    refused('INVALID_PARAMETER', 'inputPath', message),
  );
});

test('no pattern leads out of what is allowed', () => {
  const part = fc.constantFrom(
    'archive',
    '..',
    '.',
    'etc',
    '.*',
    '[.][.]',
    '(..)',
    '${yyyy}',
    '',
    '\\.\\.',
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 6 }), fc.boolean(), (parts, isAbsolute) => {
      const inputPath = `${isAbsolute ? '/' : ''}${parts.join('/')}x`;
      const found = refusal({ ...BASE, inputPath });
      if (found instanceof PushbroomError) return;
      for (const pattern of found.products.patterns!) expect(pattern).toMatch(/^\/+archive\//);
    }),
  );
});

test('patterns and days together are bounded', () => {
  const inputPath = Array.from({ length: 100 }, (_, index) => `${index}/.*`).join(',');
  const dates = { minDate: '2010-01-01', maxDate: '2015-12-31' };
  expect(refusal({ ...BASE, ...dates, inputPath })).toEqual(
    refused('INVALID_PARAMETER', 'inputPath', '100 patterns for 2191 days'),
  );
  expect(refusal({ ...BASE, inputPath })).not.toBeInstanceOf(PushbroomError);
});

test('relative patterns need a root', () => {
  const archive = { allowed: ['/archive'], storages: [] };
  expect(refusal(BASE, 'L2', { archive })).toEqual(
    refused('INVALID_PARAMETER', 'inputPath', 'the service has no archive.root'),
  );
  const inputPath = '/archive/x';
  expect(refusal({ ...BASE, inputPath }, 'L2', { archive })).not.toBeInstanceOf(PushbroomError);
  const nowhere = { allowed: [], storages: [] };
  expect(refusal({ ...BASE, inputPath }, 'L2', { archive: nowhere })).toEqual(
    refused('INVALID_PARAMETER', 'inputPath', 'nowhere: archive.allowed is empty'),
  );
  const remote = {
    ...archive,
    root: 'hdfs://eo/data',
    allowed: ['hdfs://eo/data'],
    storages: ['hdfs://eo'],
  };
  expect(produce('L2', BASE, { archive: remote }).products.patterns).toEqual([
    `hdfs://eo/data/${BASE.inputPath}`,
  ]);
});

test.each<[string, Record<string, string>, string, string, string]>([
  ['L2', { processorName: '' }, 'MISSING_PARAMETER', 'processorName', 'no programs of its own'],
  ['L2', { processorBundleName: '' }, 'MISSING_PARAMETER', 'processorBundleName', 'no programs'],
  ['L2', { processorBundleVersion: '' }, 'MISSING_PARAMETER', 'processorBundleVersion', 'timescan'],
  ['L2', { processorName: 'Formatting' }, 'NOT_SUPPORTED', 'processorName', 'formats'],
  ['L2', { processorName: 'Nothing' }, 'NO_SUCH_PROCESS', 'processorName', 'no process'],
  ['L2', { processorBundles: 'a-1.0' }, 'NOT_SUPPORTED', 'processorBundles', 'one bundle'],
  [
    'L2',
    { inputPath: '' },
    'MISSING_PARAMETER',
    'inputPath',
    "neither 'inputPath', 'inputTable' nor",
  ],
  [
    'L2',
    { inputDataSetName: 'scenes' },
    'INVALID_PARAMETER',
    'inputDataSetName',
    'inputPath is given',
  ],
  ['L2', { geoInventory: '/x' }, 'NOT_SUPPORTED', 'geoInventory', 'no spatial index'],
  ['L2', { inputTable: '/x' }, 'NOT_SUPPORTED', 'inputTable', 'tables of products'],
  ['L2', { outputBandList: 'a' }, 'NOT_SUPPORTED', 'outputBandList', 'might change the results'],
  ['L2', { periodLength: '5' }, 'NOT_SUPPORTED', 'periodLength', 'might change the results'],
  ['L2', { 'calvalus.input.format': 'x' }, 'NOT_SUPPORTED', 'calvalus.input.format', 'themselves'],
  [
    'L2',
    { 'calvalus.output.compression': 'gz' },
    'NOT_SUPPORTED',
    'calvalus.output.compression',
    'none',
  ],
  ['L2', { 'pushbroom.image': 'evil' }, 'NOT_SUPPORTED', 'pushbroom.image', 'not understood'],
  ['L2', { minDate: '2020-01-01' }, 'MISSING_PARAMETER', 'maxDate', 'maxDate'],
  ['L2', { minDate: '${start}' }, 'INVALID_PARAMETER', 'minDate', 'is not a day'],
  ['L2', { dateList: '2020-01-01 1st' }, 'INVALID_PARAMETER', 'dateList', "'1st' is not a day"],
  ['L2', { dateList: ',' }, 'INVALID_PARAMETER', 'dateList', 'no day'],
  ['L2', { regionName: 'a/b' }, 'INVALID_PARAMETER', 'regionName', '"/"'],
  ['L2', { regionWKT: '${polygon}' }, 'INVALID_PARAMETER', 'regionWKT', 'region'],
  ['L2', { minLon: '1' }, 'MISSING_PARAMETER', 'minLat', 'go together'],
  [
    'L2',
    { outputFormat: 'ESRI' },
    'INVALID_PARAMETER',
    'outputFormat',
    'not one of GeoTIFF, NetCDF4',
  ],
  [
    'L2',
    { outputFormat: 'GeoTIFF', 'calvalus.output.format': 'NetCDF4' },
    'INVALID_PARAMETER',
    'calvalus.output.format',
    'twice',
  ],
  [
    'L2',
    { processorParameters: 'threshold=2' },
    'INVALID_PARAMETER',
    'processorParameters',
    "'threshold': '2' is not from 0 to 1",
  ],
  [
    'L2',
    { processorParameters: 'a=2' },
    'INVALID_PARAMETER',
    'processorParameters',
    'there are threshold, mode',
  ],
  ['L2', { productionName: 'a\nb' }, 'INVALID_PARAMETER', 'productionName', 'one line'],
  [
    'L2',
    { 'calvalus.hadoop.mapreduce.job.queuename': 'tep2' },
    'INVALID_PARAMETER',
    'calvalus.hadoop.mapreduce.job.queuename',
    'no group',
  ],
  [
    'L2',
    { 'calvalus.output.postfix': '../x' },
    'INVALID_PARAMETER',
    'calvalus.output.postfix',
    'end of a file name',
  ],
  ['L3', {}, 'MISSING_PARAMETER', 'minDate', 'No time ranges'],
  ['L3', { ...DATES }, 'MISSING_PARAMETER', 'calvalus.l3.parameters', 'aggregated'],
  ['L3', { ...DATES, periodLength: '5m' }, 'INVALID_PARAMETER', 'periodLength', 'No time ranges'],
])('%s with %j is refused as %s of %s', (type, inputs, code, locator, message) => {
  expect(refusal({ ...BASE, ...inputs }, type)).toEqual(refused(code, locator, message));
});

test.each([
  ['RA', 'statistics over regions'],
  ['ta', 'statistics over regions and time'],
  ['MA', 'match-ups'],
  ['QL', 'quick-looks'],
  ['VC', 'vicarious calibration'],
  ['GeoDB', 'spatial index'],
  ['combinations', 'combinations of parameters'],
  ['MR', 'classes of Hadoop'],
  ['L3F', 'bins of an earlier production'],
  ['l3-form', 'bins of an earlier production'],
  ['Bootstrapping', 'one project'],
])('a production of the type %s is refused with what it would need', (type, message) => {
  expect(refusal({}, type)).toEqual(refused('NOT_SUPPORTED', 'Identifier', message));
});

test('the production dialect is for operators', () => {
  for (const type of ['L3', 'RA']) {
    expect(refusal(L3, type, { role: 'user' })).toEqual(
      refused('FORBIDDEN', 'Identifier', 'Only operators may'),
    );
  }
  expect(produce('L3', L3, { role: 'administrator' }).productionType).toBe('L3');
});

test('the image is the bundle’s, and the portal’s key is kept nowhere', () => {
  const job = produce('L2', { ...BASE, processorName: 'Deep', _T2ApiKey: 'secret' });
  expect(job.processor.image).toBe(IMAGE);
  expect(JSON.stringify(job)).not.toContain('secret');
});
