import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { execute, IMAGE, outcome, POLICY, refusal } from '../../test/fixtures/requests.ts';
import { DEFAULT_POLICY, jobGroups } from '../core/policy.ts';
import { PushbroomError } from '../errors.ts';

const refused = (code: string, locator: string, message: string) => ({
  code,
  locator,
  message: expect.stringContaining(message),
});
const STAP = 'spatioTemporalAggregationParameters';

test('a request that names a dataset and nothing else gets everything from bundle, dataset and defaults', () => {
  const range = { from: '2015-08-01', to: '2021-01-01' };
  expect(execute({}, 'Indices', { reference: 'ref-1' })).toEqual({
    id: '20260102030405_L3_ab',
    process: 'timescan~1.0~Indices',
    title: 'Level-3 Indices 2015-08-01 to 2021-01-01 (romania)',
    user: 'anna',
    group: 'default',
    priority: 100,
    acceptedAt: 5,
    processor: {
      bundle: 'timescan',
      version: '1.0',
      processor: 'Indices',
      bundleHash: 'a'.repeat(64),
    },
    workflow: {
      type: 'L3',
      process: { resources: { cpus: 1, memoryMb: 2000 }, wallTimeLimit: 3600, silenceLimit: 600 },
      aggregate: {
        resources: { cpus: 1, memoryMb: 2000 },
        wallTimeLimit: 3600,
        silenceLimit: 600,
        processor: 'TimeScan',
        partitions: 8,
      },
      format: { resources: { cpus: 1, memoryMb: 2000 }, wallTimeLimit: 3600, silenceLimit: 600 },
    },
    retry: {
      maxAttempts: 3,
      maxLosses: 10,
      delay: 5,
      maxDelay: 300,
      maxMemoryMb: 8000,
      failurePercent: 0,
    },
    products: { dataset: 'scenes', productType: 'S2', range, regionName: 'romania' },
    periods: [range],
    parameters: {
      threshold: '0.2',
      verbose: 'false',
      outputFormat: 'GeoTIFF',
      outputPrefix: 'L3',
      spatialResolution: '20',
      spatialRule: 'NEAREST',
      temporalRules: 'TimeScan',
      variables: 'ndvi,ndbi',
      validPixelExpression: 'true',
    },
    outputFormat: 'GeoTIFF',
    inputs: { inputDataSetName: 'scenes' },
    reference: 'ref-1',
  });
});

test('without aggregation every product is processed by itself', () => {
  const found = execute({ [STAP]: 'false', minDate: '2020-01-01', maxDate: '2020-01-31' });
  expect(found.id).toBe('20260102030405_L2Plus_ab');
  expect(found.workflow).not.toHaveProperty('aggregate');
  expect(found.workflow, 'Indices has no formatting program').not.toHaveProperty('format');
  expect(found.periods).toEqual([{ from: '2020-01-01', to: '2020-01-31' }]);
  expect(Object.keys(found.parameters)).toEqual(['threshold', 'verbose', 'outputFormat']);
  expect(found.title).toBe('Level-2 Indices 2020-01-01 to 2020-01-31 (romania)');
});

test('results of a product are formatted where the processor can and does not do it itself', () => {
  expect(execute({}, 'Subset').workflow).toHaveProperty('format');
  expect(execute({}, 'Implicit').workflow).not.toHaveProperty('format');
});

test('an aggregator that does not format makes one partition by default', () => {
  const { workflow } = execute({ [STAP]: '<p><temporalRules>AVG</temporalRules></p>' });
  expect(workflow.aggregate).toMatchObject({ processor: 'AVG', partitions: 1 });
  expect(workflow).not.toHaveProperty('format');
});

test('aliases stand for the names that are served', () => {
  const { products } = execute({
    inputDataSetName: 'scenes',
    inputDatasetName: 'scenes',
    regionBB: '22,45,23,46',
  });
  expect(products).toMatchObject({
    dataset: 'scenes',
    productType: 'S2',
    regionWkt:
      'POLYGON((22.00000 45.00000,22.00000 46.00000,23.00000 46.00000,23.00000 45.00000,22.00000 45.00000))',
  });
  expect(refusal({ inputDataSet: 'timeless' })).toEqual(
    refused('INVALID_PARAMETER', 'inputDataSet', 'given twice with different values'),
  );
});

test.each([
  ['colour', 'red'],
  ['constructor', 'x'],
  ['__proto__x', 'x'],
  ['threshold ', '1'],
])('the unknown input %j is refused with those that there are', (name, value) => {
  expect(refusal({ [name]: value })).toEqual(
    refused(
      'INVALID_PARAMETER',
      name,
      `has no input '${name}'; it has quotation, productionName, inputDataSetName, `,
    ),
  );
});

test('inputs of portals and of Calvalus that mean nothing here are accepted', () => {
  const found = execute({
    productionType: 'L2Plus',
    'calvalus.system.snap.dataio': 'true',
    'calvalus.output.dir': '/x',
    _T2ApiKey: 'secret',
  });
  expect(found.workflow.type).toBe('L3');
  expect(found.inputs).toHaveProperty('productionType');
  expect(JSON.stringify(found), 'the key is not kept').not.toContain('secret');
});

test.each(['inputDataSetName', 'minDate', 'productionName', 'threshold', 'regionWkt'])(
  'a blank %s is missing',
  (name) => {
    expect(refusal({ [name]: ' ' })).toEqual(refused('MISSING_PARAMETER', name, name));
  },
);

test.each([
  ['threshold', '1.5', "'1.5' is not from 0 to 1"],
  ['threshold', 'NaN', "'NaN' is not a number"],
  ['threshold', '0x1', "'0x1' is not a number"],
  ['mode', 'Fast', "'Fast' is not one of fast, slow"],
  ['looks', '1.0', "'1.0' is not an integer"],
  ['verbose', 'yes', "'yes' is neither true nor false"],
  ['outputFormat', 'JPEG', "'JPEG' is not one of GeoTIFF, NetCDF4"],
  ['productionName', 'a\nb', 'the value is not one line of text'],
  ['minDate', '2019-02-29', "'2019-02-29' is not a day"],
  ['minDate', '2019-2-1', "'2019-2-1' is not a day"],
  ['maxDate', '2012-01-01', "'scenes' begins on 2015-08-01, after 2012-01-01"],
  ['minDate', '2022-01-01', "'scenes' ends on 2021-01-01, before 2022-01-01"],
  ['periodLength', '0', 'period must be greater than 0, is 0'],
  ['periodLength', '2.5', 'can not parse periodText: 2.5'],
  ['periodLength', '50y', 'No time ranges specified.'],
  ['compositingPeriodLength', '50y', 'No time ranges specified.'],
  ['regionWKT', 'POLYGON((1 2', 'the region has'],
  ['regionWkt', 'POLYGON((1 2', 'the region has'],
  [
    'regionWKT',
    '0,0,1,1',
    "does not touch the dataset 'scenes', which lies within longitudes 22 to 23",
  ],
  [STAP, 'sometimes', 'neither true, false, a resolution in metres nor XML'],
  [
    STAP,
    '<p><temporalRules>MEDIAN</temporalRules></p>',
    "the aggregator 'MEDIAN'; the bundle has TimeScan, AVG",
  ],
  [STAP, '<p><temporalRules>TimeScan,AVG</temporalRules></p>', 'names 2 aggregators; only one'],
  ['calvalus.hadoop.mapreduce.map.maxattempts', '100', "'100' is not an integer from 1 to 20"],
  [
    'calvalus.hadoop.mapreduce.map.failures.maxpercent',
    '-1',
    "'-1' is not an integer from 0 to 100",
  ],
  ['calvalus.l3.reducers', '1e3', "'1e3' is not an integer from 1 to 1000"],
  ['calvalus.output.prefix', '../x', "'../x' is not the beginning of a file name"],
])('%s with the value %j is refused', (name, value, message) => {
  const locator = name === 'regionWkt' ? 'regionWKT' : name;
  expect(refusal({ [name]: value })).toEqual(refused('INVALID_PARAMETER', locator, message));
});

test('a range that ends before it begins is refused', () => {
  expect(refusal({ minDate: '2020-01-02', maxDate: '2020-01-01' })).toEqual(
    refused('INVALID_PARAMETER', 'minDate', 'the range from 2020-01-02 to 2020-01-01 is empty'),
  );
});

test('a range of centuries is refused', () => {
  const inputs = { inputDataSetName: 'timeless', minDate: '0001-01-01', maxDate: '9999-12-31' };
  expect(refusal(inputs)).toEqual(
    refused('INVALID_PARAMETER', 'minDate', 'longer than a hundred years'),
  );
});

test('a dataset without dates needs them for an aggregation only', () => {
  expect(refusal({ inputDataSetName: 'timeless' })).toEqual(
    refused('MISSING_PARAMETER', 'minDate', 'No time ranges specified.'),
  );
  expect(refusal({ inputDataSetName: 'timeless', minDate: '2020-01-01' })).toEqual(
    refused('MISSING_PARAMETER', 'maxDate', "The input 'maxDate' is missing"),
  );
  const { periods, products } = execute({ inputDataSetName: 'timeless', [STAP]: 'false' });
  expect(periods).toEqual([]);
  expect(products).toEqual({ dataset: 'timeless', productType: 'S3' });
});

test('a dataset is found by its name and the types that the processor reads', () => {
  expect(refusal({ inputDataSetName: 'nothing' })).toEqual(
    refused(
      'NO_SUCH_DATASET',
      'inputDataSetName',
      "no dataset 'nothing'. Datasets for it: scenes, timeless.",
    ),
  );
  expect(refusal({ inputDataSetName: 'radar' })).toEqual(
    refused(
      'NO_SUCH_DATASET',
      'inputDataSetName',
      "'radar' has products of type S1, Indices reads S2, S3.",
    ),
  );
  expect(execute({ inputDataSetName: 'radar' }, 'Subset').products.dataset).toBe('radar');
});

test('period lengths cut the range', () => {
  const dates = { minDate: '2020-01-01', maxDate: '2020-03-31' };
  expect(execute({ ...dates, periodLength: '1m' }).periods.map(({ from }) => from)).toEqual([
    '2020-01-01',
    '2020-02-01',
    '2020-03-01',
  ]);
  expect(
    execute({ ...dates, periodLength: '1m', compositingPeriodLength: '5' }).periods[1],
  ).toEqual({
    from: '2020-02-01',
    to: '2020-02-05',
  });
  expect(execute({ ...dates, compositingPeriodLength: '5' }).periods).toEqual([
    { from: '2020-01-01', to: '2020-01-05' },
  ]);
});

test('the request wins over the bundle, the bundle over the defaults', () => {
  const { retry, workflow } = execute({
    'calvalus.hadoop.mapreduce.map.maxattempts': '1',
    'calvalus.hadoop.mapreduce.map.failures.maxpercent': '20',
    'calvalus.hadoop.mapreduce.task.timeout': '43200000',
    'calvalus.hadoop.mapreduce.map.memory.mb': '4096',
    'calvalus.hadoop.mapreduce.reduce.memory.mb': '6656',
    'calvalus.l3.reducers': '32',
  });
  expect(retry).toMatchObject({ maxAttempts: 1, failurePercent: 20 });
  // Twelve hours of silence would be no use to a task of one hour.
  expect(workflow.process).toMatchObject({ silenceLimit: 43_200, wallTimeLimit: 43_200 });
  expect(workflow.process.resources.memoryMb).toBe(4096);
  expect(workflow.aggregate).toMatchObject({ partitions: 32, resources: { memoryMb: 6656 } });
});

test('a processor that asks for GPUs and an image gets them: the GPUs in its own step, the image in all', () => {
  const { workflow, processor } = execute({}, 'Deep');
  expect(processor.image).toBe(IMAGE);
  expect(workflow.process.resources).toEqual({ cpus: 1, memoryMb: 1000, gpus: 2 });
  const without = { cpus: 1, memoryMb: 1000 };
  expect(workflow.aggregate!.resources).toEqual(without);
  expect(workflow.format!.resources).toEqual(without);
  const single = execute({ [STAP]: 'false' }, 'Deep').workflow;
  expect(single.process.resources.gpus).toBe(2);
  expect(single.format!.resources).toEqual(without);
});

test('a request says how many GPUs, and none is none', () => {
  const asked = (gpus: string) => execute({ 'pushbroom.gpus': gpus }, 'Deep').workflow.process;
  expect(asked('1').resources.gpus).toBe(1);
  expect(asked('0').resources).toEqual({ cpus: 1, memoryMb: 1000 });
  expect(execute({ 'pushbroom.gpus': '64' }).workflow.process.resources.gpus).toBe(64);
  expect(execute({}).workflow.process.resources).not.toHaveProperty('gpus');
});

test.each(['65', '-1', '0.5', 'all', '1e1'])('%s GPUs are refused', (value) => {
  expect(refusal({ 'pushbroom.gpus': value })).toEqual(
    refused('INVALID_PARAMETER', 'pushbroom.gpus', `'${value}' is not an integer from 0 to 64`),
  );
});

test('no request has a say in which image runs', () => {
  for (const name of ['pushbroom.image', 'pushbroom.gpu']) {
    expect(refusal({ [name]: 'evil:latest' }, 'Deep')).toEqual(
      refused('INVALID_PARAMETER', name, `has no input '${name}'`),
    );
  }
  const asked = { 'calvalus.pushbroom.image': 'evil:latest' };
  expect(execute(asked, 'Deep').processor.image).toBe(IMAGE);
  expect(execute(asked).processor).not.toHaveProperty('image');
});

const QUEUE = 'calvalus.hadoop.mapreduce.job.queuename';

test.each([
  ['anna', {}, 'default'],
  ['bert', {}, 'project/tep'],
  ['bert', { [QUEUE]: 'default' }, 'default'],
  ['bert', { [QUEUE]: 'project/default' }, 'project/default'],
  ['anna', { [QUEUE]: ' test ' }, 'devel/test'],
  ['anna', { [QUEUE]: 'devel/other' }, 'devel/other'],
])('a job of %s with %j runs in %s', (user, inputs, group) => {
  expect(execute(inputs, 'Indices', { user }).group).toBe(group);
});

test.each([
  [
    'high',
    "there is no group 'high' for jobs; there are default, project/tep, project/default, project/other, devel/test, devel/other",
  ],
  ['project', "there is no group 'project' for jobs"],
  ['ect/tep', "there is no group 'ect/tep' for jobs"],
  ['other', "'other' could be any of project/other, devel/other"],
])('the queue %s is refused', (name, message) => {
  expect(refusal({ [QUEUE]: name })).toEqual(refused('INVALID_PARAMETER', QUEUE, message));
});

test('where there are no groups, the name of a queue means nothing', () => {
  const asked = { policy: DEFAULT_POLICY };
  expect(execute({ [QUEUE]: 'high' }, 'Indices', asked).group).toBe('default');
});

test.each([
  ['mapreduce.job.priority', 'VERY_LOW', 0],
  ['mapreduce.job.priority', 'LOW', 50],
  ['calvalus.hadoop.mapreduce.job.priority', 'NORMAL', 100],
  ['calvalus.hadoop.mapreduce.job.priority', 'HIGH', 150],
  ['mapreduce.job.priority', 'VERY_HIGH', 200],
  ['mapreduce.job.priority', '17', 17],
])('%s %s is the priority %d', (name, value, priority) => {
  expect(execute({ [name]: value }).priority).toBe(priority);
});

test.each(['URGENT', '201', '-1', 'high', 'constructor'])('the priority %s is refused', (value) => {
  expect(refusal({ 'mapreduce.job.priority': value })).toEqual(
    refused(
      'INVALID_PARAMETER',
      'mapreduce.job.priority',
      `'${value}' is not an integer from 0 to 200 and not one of VERY_LOW, LOW, NORMAL, HIGH, VERY_HIGH`,
    ),
  );
});

test('retries may use what the service allows, but never less than the first attempt', () => {
  const memory = { 'calvalus.hadoop.mapreduce.reduce.memory.mb': '6656' };
  expect(execute(memory).retry.maxMemoryMb).toBe(4 * 6656);
  const limited = (maxMemoryMb: number) =>
    execute(memory, 'Indices', { defaults: { maxMemoryMb } }).retry.maxMemoryMb;
  expect(limited(10_000)).toBe(10_000);
  expect(limited(3000)).toBe(6656);
});

test.each([
  [{ productionName: 'GUF subset / 2012' }, 'GUF_subset_2012'],
  [{ productionName: '../../x' }, '_.._x'],
  [{ productionName: '...' }, 'L3'],
  [{ productionName: 'a', 'calvalus.output.prefix': 'b' }, 'b'],
])('results of %j begin with %s', (inputs, prefix) => {
  const found = execute(inputs);
  expect(found.title).toBe(inputs.productionName);
  expect(found.parameters.outputPrefix).toBe(prefix);
});

test('parameters that are not described are given as text and replace the defaults', () => {
  expect(execute({}, 'Implicit').parameters).toEqual({ a: '1' });
  expect(execute({ processorParameters: '<p><b>2</b></p>' }, 'Implicit').parameters).toEqual({
    b: '2',
  });
  expect(refusal({ processorParameters: 'outputFormat=x' }, 'Implicit')).toEqual(
    refused(
      'INVALID_PARAMETER',
      'processorParameters',
      "the parameter outputFormat is the framework's",
    ),
  );
});

test('whatever is asked for, it is a job with parameters of one line each or a clear refusal', () => {
  const names = fc.constantFrom(
    'productionName',
    'inputDataSetName',
    'minDate',
    'maxDate',
    'periodLength',
    'regionWKT',
    'threshold',
    'mode',
    'looks',
    'verbose',
    STAP,
    'outputFormat',
    'calvalus.l3.reducers',
    'calvalus.output.prefix',
    'pushbroom.gpus',
    QUEUE,
    'mapreduce.job.priority',
  );
  const values = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      'true',
      '1',
      '7',
      '2019-01-01',
      '1w',
      '22,45,23,46',
      'scenes',
      'a\nb=c',
      '<p/>',
      '0.5',
      'fast',
      'tep',
      'test',
    ),
  );
  const sound = fc.property(fc.dictionary(names, values, { maxKeys: 4 }), (inputs) => {
    const found = outcome(() => execute(inputs));
    if (found instanceof PushbroomError) return true;
    const oneLine = Object.values(found.parameters).every((value) => !/[\n\r]/.test(value));
    const isLeaf = jobGroups(POLICY).includes(found.group);
    return oneLine && isLeaf && found.periods.length > 0;
  });
  expect(fc.check(sound, { numRuns: 500 })).toMatchObject({ failed: false });
});
