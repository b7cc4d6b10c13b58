import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseDescriptor } from './descriptor.ts';
import { withExecutables } from './executables.ts';

const bundle = (content: string) =>
  parseDescriptor(
    'bundle-descriptor.xml',
    `<bundleDescriptor><bundleName>b</bundleName><bundleVersion>1</bundleVersion>${content}</bundleDescriptor>`,
  );
const processor = (content: string) =>
  bundle(
    `<processorDescriptors><processorDescriptor><executableName>x</executableName>${content}</processorDescriptor></processorDescriptors>`,
  ).processors[0]!;
const parameter = (content: string) =>
  processor(
    `<parameterDescriptors><parameterDescriptor>${content}</parameterDescriptor></parameterDescriptors>`,
  ).parameters[0]!;

test('what a processor does not say has a default', () => {
  expect(processor('')).toEqual({
    executableName: 'x',
    title: 'x',
    version: '1',
    description: '',
    parameters: [],
    inputProductTypes: [],
    outputFormats: [],
    formatting: 'OPTIONAL',
    jobParameters: {},
    settings: {},
  });
});

test('elements may come in any order and unknown ones are left alone', () => {
  const found = processor(
    '<formatting>IMPLICIT</formatting><processorCategory>LEVEL2</processorCategory>',
  );
  expect(found.formatting).toBe('IMPLICIT');
});

test.each([
  ['<descriptionHtml><![CDATA[<p>Finds <b>clouds</b> &amp; shadows.</p>]]></descriptionHtml>'],
  ['<descriptionHtml>&lt;p>Finds clouds &amp;amp; shadows.&lt;/p></descriptionHtml>'],
  ['<descriptionHtml><p>Finds <b>clouds</b> &amp; shadows.</p></descriptionHtml>'],
])('the description %s is read as text', (html) => {
  expect(processor(html).description.replace(' .', '.')).toBe('Finds clouds & shadows.');
});

test('lists, sets and ranges are read', () => {
  expect(
    parameter(
      '<name>t</name><type>float</type><valueSet>0.1, 0.2</valueSet><valueRange>[0,1e3]</valueRange>',
    ),
  ).toEqual({
    name: 't',
    type: 'float',
    description: '',
    valueSet: ['0.1', '0.2'],
    valueRange: { min: 0, max: 1000 },
  });
  expect(processor('<inputProductTypes>A, B,</inputProductTypes>').inputProductTypes).toEqual([
    'A',
    'B',
  ]);
});

test('job parameters that are settings come in our units', () => {
  const parameters = Object.entries({
    'calvalus.hadoop.mapreduce.task.timeout': '1800500',
    'calvalus.hadoop.mapreduce.map.memory.mb': '7000',
    'calvalus.hadoop.mapreduce.map.failures.maxpercent': '5',
    'calvalus.hadoop.mapreduce.map.maxattempts': '2',
    'calvalus.l3.reducers': '4',
    'calvalus.output.prefix': 'scan',
    'calvalus.other': 'kept',
  }).map(
    ([name, value]) => `<jobParameter><name>${name}</name><value>${value}</value></jobParameter>`,
  );
  const found = processor(`<jobConfig>${parameters.join('')}</jobConfig>`);
  expect(found.settings).toEqual({
    silenceLimit: 1801,
    memoryMb: 7000,
    failurePercent: 5,
    maxAttempts: 2,
    partitions: 4,
    outputPrefix: 'scan',
  });
  expect(found.jobParameters['calvalus.other']).toBe('kept');
});

const config = (name: string, value: string) =>
  `<jobConfig><jobParameter><name>${name}</name><value>${value}</value></jobParameter></jobConfig>`;
const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;

test.each([
  'alpine',
  'centos:7',
  'eo/snap:9.0',
  `registry.example/eo/snap@${DIGEST}`,
  `registry.example:5000/a/b-c__d.e/f:v1.0_x@${DIGEST}`,
  `localhost:5000/x@sha512:${'0'.repeat(128)}`,
])('the image %s is read', (image) => {
  expect(processor(config('pushbroom.image', ` ${image}\n`)).settings).toEqual({ image });
});

test.each([
  '',
  'Alpine',
  'eo//snap',
  'eo/snap:',
  'eo/snap:a b',
  '/eo/snap',
  'http://registry.example/snap',
  'registry.example:port/snap',
  'snap@sha256:123',
  `snap@${DIGEST.toUpperCase()}`,
  'snap; rm -rf /',
  '$(id)',
  '-v',
  '../snap',
  'snap\nother',
  `a${'/b'.repeat(128)}`,
])('the image %j is refused', (image) => {
  expect(() => processor(config('pushbroom.image', image))).toThrow(
    /jobParameter pushbroom\.image: '.*' is not a container image like /s,
  );
});

test('an image of any length is judged at once', () => {
  for (const part of ['a-', 'a.', '-', 'a/', 'a_', '@']) {
    expect(() => processor(config('pushbroom.image', part.repeat(100_000)))).toThrow('not a');
  }
});

test('GPUs are read as a number of whole devices', () => {
  expect(processor(config('pushbroom.gpus', '2')).settings).toEqual({ gpus: 2 });
  expect(() => processor(config('pushbroom.gpus', '1.5'))).toThrow(
    "jobParameter pushbroom.gpus: '1.5' is not an integer from 0 to 64",
  );
});

test('a setting of ours that there is none of is refused, because it would be missed later', () => {
  expect(() => processor(config('pushbroom.gpu', '1'))).toThrow(
    'jobParameter pushbroom.gpu: there is no such setting; there are pushbroom.gpus, pushbroom.maxCpuHours and pushbroom.image',
  );
});

test.each([
  ['', 'bundle-descriptor.xml: it describes no processor and no aggregator'],
  [
    '<processorDescriptors><processorDescriptor/></processorDescriptors>',
    'processorDescriptor 1: executableName is missing',
  ],
  [
    '<processorDescriptors><processorDescriptor><executableName>../x</executableName></processorDescriptor></processorDescriptors>',
    "processorDescriptor 1, executableName: '../x' is not a name",
  ],
  [
    '<aggregatorDescriptors><aggregatorDescriptor><aggregator>.x</aggregator></aggregatorDescriptor></aggregatorDescriptors>',
    "aggregatorDescriptor 1, aggregator: '.x' is not a name",
  ],
  [
    `<processorDescriptors><processorDescriptor><executableName>x</executableName></processorDescriptor></processorDescriptors>
     <aggregatorDescriptors><aggregatorDescriptor><aggregator>x</aggregator></aggregatorDescriptor></aggregatorDescriptors>`,
    "'x' is described twice",
  ],
])('the bundle %s is refused', (content, reason) => {
  expect(() => bundle(content)).toThrow(expect.objectContaining({ code: 'INVALID_BUNDLE' }));
  expect(() => bundle(content)).toThrow(reason);
});

test.each([
  ['<name>1a</name>', 'parameter 1a: a name begins with a letter'],
  ['<name>a b</name>', 'parameter a b: a name begins'],
  ['<type>string</type>', 'parameter: name is missing'],
  ['<name>outputFormat</name>', "parameter outputFormat: that name is the framework's"],
  [
    '<name>t</name><valueRange>(0,1)</valueRange>',
    "parameter t, valueRange: '(0,1)' is not a closed interval",
  ],
  ['<name>t</name><valueRange>[2,1]</valueRange>', "'[2,1]' is not a closed interval"],
  ['<name>t</name><valueRange>[a,1]</valueRange>', "'[a,1]' is not a closed interval"],
])('the parameter %s is refused', (content, reason) => {
  expect(() => parameter(content)).toThrow(reason);
});

test.each([
  [
    '<formatting>MAYBE</formatting>',
    "processorDescriptor 1 (x), formatting: 'MAYBE' is none of IMPLICIT",
  ],
  [
    '<jobConfig><jobParameter><name>calvalus.hadoop.mapreduce.map.maxattempts</name><value>0</value></jobParameter></jobConfig>',
    "jobParameter calvalus.hadoop.mapreduce.map.maxattempts: '0' is not an integer from 1 to 20",
  ],
])('the processor %s is refused', (content, reason) => {
  expect(() => processor(content)).toThrow(reason);
});

test.each([
  '<bundleDescriptor/>',
  '<bundleDescriptor><bundleName>b</bundleName></bundleDescriptor>',
])('%s is refused in the words that uploads know', (text) => {
  expect(() => parseDescriptor('bundle-descriptor.xml', text)).toThrow(
    /^Bundle name and version must be given in the bundle-descriptor.xml file\.$/,
  );
});

test.each([
  ['<a', 'bundle-descriptor.xml: line 1'],
  ['<other/>', "the root element is 'other' instead of 'bundleDescriptor'"],
  [
    '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
    'document type declaration is not allowed',
  ],
])('the document %s is refused', (text, reason) => {
  expect(() => parseDescriptor('bundle-descriptor.xml', text)).toThrow(reason);
});

const packaged = (content: string) =>
  parseDescriptor(
    'descriptor.xml',
    `<utep:descriptor xmlns:utep="urn:x">${content.replaceAll(/<(\/?)/g, '<$1utep:')}</utep:descriptor>`,
  );
const PACKAGING = '<packaging><name>p</name><version>2</version></packaging>';

test('a package becomes a bundle by the rules of Urban TEP', () => {
  const found = packaged(
    `<processor><name>P</name><executable>bin/run.sh</executable><parameters/>
     <packaging><name>p</name><version>2</version><resources>
       <resource><name>memory</name><value>7000</value></resource>
       <resource><name>timelimit</name><value>3600</value></resource>
     </resources></packaging></processor>`,
  );
  expect(found).toMatchObject({ name: 'urbantep-p', version: '2', includes: [], aggregators: [] });
  expect(found.processors[0]).toMatchObject({
    executableName: 'P',
    formatting: 'IMPLICIT',
    program: 'p-2/bin/run.sh',
    settings: { memoryMb: 7000, wallTimeLimit: 3600 },
  });
});

test.each([
  ['', 'it describes no processor'],
  [
    '<processor><name>P</name><executable>x</executable></processor>',
    'processor 1 (P): packaging is missing',
  ],
  [
    `<processor><name>P</name><executable>../x</executable>${PACKAGING}</processor>`,
    "executable: '..' is not a name",
  ],
  [
    `<processor><name>P</name><executable>/x</executable>${PACKAGING}</processor>`,
    "executable: '' is not a name",
  ],
  [
    `<processor><name>P</name><executable>$(x)</executable>${PACKAGING}</processor>`,
    "'$(x)' is not a name",
  ],
  [
    `<processor><name>P</name><executable>x</executable>${PACKAGING}</processor>
     <processor><name>Q</name><executable>x</executable>${PACKAGING.replace('2', '3')}</processor>`,
    'it holds two packages',
  ],
])('the package %s is refused', (content, reason) => {
  expect(() => packaged(content)).toThrow(reason);
});

const EXAMPLES = join(import.meta.dirname, '../../../shared/domain/examples');

const read = (path: string) =>
  parseDescriptor(
    path.endsWith('bundle-descriptor.xml') ? 'bundle-descriptor.xml' : 'descriptor.xml',
    readFileSync(join(EXAMPLES, path), 'utf8'),
  );

describe.skipIf(!existsSync(EXAMPLES))(
  'real descriptors (skipped where the examples are not there)',
  () => {
    test.each([
      ['bundles/calvalus-snap-bundle-descriptor.xml', 'snap-buildin', 'BandMaths'],
      ['bundles/test1-bundle-descriptor.xml', 'bundle-test-name', 'executeMe.bat'],
      ['bundles/examples-python-1.0/bundle-descriptor.xml', 'examples-python', 'pythoncopy'],
      ['bundles/examples-r-1.0/bundle-descriptor.xml', 'examples-r', 'rcopy'],
      ['bundles/examples-shell-1.0/bundle-descriptor.xml', 'examples-shell', 'simple1'],
      ['bundles/seadas-7.0/bundle-descriptor.xml', 'seadas', 'l2gen'],
      ['wps-config/subsetting-bundle-descriptor.xml', 'urbantep-local', 'Subset'],
    ])('%s is read', (path, name, first) => {
      const found = read(path);
      expect(found.name).toBe(name);
      expect(found.processors[0]!.executableName).toBe(first);
    });

    test('a package is read as the bundle that Urban TEP generates of it, but for where the time limit goes', () => {
      const {
        settings,
        program,
        jobParameters: _,
        ...ours
      } = read('package-urbantep/descriptor.xml').processors[0]!;
      const generated = read('package-urbantep/generated/bundle-descriptor.xml');
      const { settings: theirs, jobParameters: __, ...expected } = generated.processors[0]!;
      expect(ours).toEqual(expected);
      expect(program).toBe('fmask-3.2/fmask-and-merge.sh');
      expect(settings).toEqual({ memoryMb: 7000, wallTimeLimit: 3600 });
      expect(theirs).toEqual({ memoryMb: 7000, silenceLimit: 3600 });
      expect(read('package-urbantep/icd/descriptor.xml')).toEqual(
        read('package-urbantep/descriptor.xml'),
      );
    });

    test('a shell example with a template is refused by the name of the template', () => {
      const files = new Set(['simple1-process', 'simple2-process.vm', 'simple3-process']);
      expect(() =>
        withExecutables(read('bundles/examples-shell-1.0/bundle-descriptor.xml'), files),
      ).toThrow(
        "'simple2' comes as simple2-process.vm, but Velocity templates are not supported yet",
      );
    });
  },
);

test.each([
  [['x-process'], { process: 'x-process' }],
  [
    ['x-process', 'x-prepare', 'x-finalize', 'x-format', 'y-format'],
    { process: 'x-process', prepare: 'x-prepare', finalize: 'x-finalize', format: 'x-format' },
  ],
])('of the files %j those of the processor are found', (files, executables) => {
  const found = withExecutables(bundle(ONE), new Set(files));
  expect(found.processors[0]!.executables).toEqual(executables);
});

const ONE =
  '<processorDescriptors><processorDescriptor><executableName>x</executableName></processorDescriptor></processorDescriptors>';

test.each([
  [[], "'x' has no executable: looked for x-process on the top level"],
  [['x', 'x-prepare'], 'looked for x-process'],
  [['x-graph.xml'], 'SNAP graphs are not supported yet'],
  [['x-graph.xml.vm'], 'SNAP graphs are not supported yet'],
  [['x-process', 'x-prepare.vm'], "'x' comes as x-prepare.vm, but Velocity templates"],
  [['x.py'], 'Python modules without a process script are not supported yet'],
])('of the files %j a processor can not be made', (files, reason) => {
  expect(() => withExecutables(bundle(ONE), new Set(files))).toThrow(reason);
});

test('mandatory formatting without a formatting program is refused', () => {
  const mandatory = bundle(
    ONE.replace('</executableName>', '</executableName><formatting>MANDATORY</formatting>'),
  );
  expect(() => withExecutables(mandatory, new Set(['x-process']))).toThrow(
    'the bundle has no x-format',
  );
  expect(withExecutables(mandatory, new Set(['x-process', 'x-format']))).toBeDefined();
});
