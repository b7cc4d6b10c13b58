import { messageOf, PushbroomError } from '../errors.ts';
import { child, children, childText, parseXml, type XmlElement } from '../xml.ts';
import {
  MEMORY_BOUNDS,
  readBounded,
  readSettings,
  type Settings,
  WALL_TIME_BOUNDS,
} from './settings.ts';

/** File names of the two kinds of descriptors; the first that a bundle has is read. */
export const DESCRIPTORS = ['bundle-descriptor.xml', 'descriptor.xml'] as const;
export type DescriptorFile = (typeof DESCRIPTORS)[number];

export interface ParameterDescriptor {
  readonly name: string;
  /** As the bundle writes it: `string`, `boolean`, `int`, `float`, `variable`, ... */
  readonly type: string;
  readonly description: string;
  readonly defaultValue?: string;
  readonly valueSet?: readonly string[];
  /** Both inclusive. */
  readonly valueRange?: { readonly min: number; readonly max: number };
}

export interface ProcessorDescriptor {
  readonly executableName: string;
  readonly title: string;
  readonly version: string;
  /** Text, without markup. */
  readonly description: string;
  readonly parameters: readonly ParameterDescriptor[];
  /** XML or `key=value` lines, for a processor that does not describe its parameters. */
  readonly defaultParameters?: string;
  /** None stands for any. */
  readonly inputProductTypes: readonly string[];
  readonly outputProductType?: string;
  readonly outputFormats: readonly string[];
  readonly formatting: 'IMPLICIT' | 'OPTIONAL' | 'MANDATORY';
  readonly jobParameters: Readonly<Record<string, string>>;
  readonly settings: Settings;
  /** Urban TEP packages: the program inside the bundle that the processor is. */
  readonly program?: string;
}

export interface AggregatorDescriptor {
  readonly name: string;
  readonly description: string;
  readonly parameters: readonly ParameterDescriptor[];
}

/** What a bundle says about itself, whichever of the two descriptors it has. */
export interface BundleDescriptor {
  readonly name: string;
  readonly version: string;
  readonly includes: readonly string[];
  readonly processors: readonly ProcessorDescriptor[];
  readonly aggregators: readonly AggregatorDescriptor[];
}

/** Keys of the parameters file that are the framework's: no processor may describe or set a parameter of that name. */
export const RESERVED_PARAMETERS: ReadonlySet<string> = new Set([
  'productionName',
  'productionType',
  'inputDataSetName',
  'inputDatasetName',
  'inputDataSet',
  'minDate',
  'maxDate',
  'periodLength',
  'compositingPeriodLength',
  'quotation',
  'regionWKT',
  'regionWkt',
  'regionBB',
  'processorParameters',
  'outputFormat',
  'outputPrefix',
  'outputPostfix',
  'outputName',
  'spatioTemporalAggregationParameters',
  'spatialResolution',
  'spatialRule',
  'temporalRules',
  'variables',
  'validPixelExpression',
  'partition',
  'partitions',
]);

/** How a process is called outside (specification B.4). */
export const processId = (bundle: { name: string; version: string }, processor: string): string =>
  `${bundle.name}~${bundle.version}~${processor}`;

/** Bundle, version, processor and aggregator names are parts of paths, URLs and process identifiers. */
const NAME = /^(?!\.)[A-Za-z0-9._+-]{1,100}$/;
/** The parameters file can be sourced by a shell, which wants no more than this. */
export const PARAMETER_NAME = /^[A-Za-z_][A-Za-z0-9_.-]*$/;

const invalid = (place: string, message: string): never => {
  throw new PushbroomError('INVALID_BUNDLE', `${place}: ${message}`);
};

/**
 * Reads `bundle-descriptor.xml` (specification D.5) or the `descriptor.xml` of an Urban TEP package (D.2).
 *
 * @throws INVALID_BUNDLE naming the element
 */
export function parseDescriptor(file: DescriptorFile, text: string): BundleDescriptor {
  let root: XmlElement;
  try {
    root = parseXml(text.replace(/^\ufeff/, ''));
  } catch (error) {
    return invalid(file, messageOf(error));
  }
  const expected = file === 'descriptor.xml' ? 'descriptor' : 'bundleDescriptor';
  if (root.name !== expected) {
    invalid(file, `the root element is '${root.name}' instead of '${expected}'`);
  }
  const bundle = file === 'descriptor.xml' ? readPackage(root, file) : readBundle(root, file);
  const names = [
    ...bundle.processors.map((p) => p.executableName),
    ...bundle.aggregators.map((a) => a.name),
  ];
  if (names.length === 0) invalid(file, 'it describes no processor and no aggregator');
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) invalid(file, `'${twice}' is described twice`);
  return bundle;
}

function readBundle(root: XmlElement, file: string): BundleDescriptor {
  const name = childText(root, 'bundleName');
  const version = childText(root, 'bundleVersion');
  if (!name || !version) {
    throw new PushbroomError(
      'INVALID_BUNDLE',
      'Bundle name and version must be given in the bundle-descriptor.xml file.',
    );
  }
  checkName(name, `${file}, bundleName`);
  checkName(version, `${file}, bundleVersion`);
  return {
    name,
    version,
    includes: children(root, 'includeBundle').map((include) => include.text.trim()),
    processors: nested(root, 'processorDescriptors', 'processorDescriptor').map((element, index) =>
      readProcessor(element, `${file}, processorDescriptor ${index + 1}`, version),
    ),
    aggregators: nested(root, 'aggregatorDescriptors', 'aggregatorDescriptor').map(
      (element, index) => {
        const place = `${file}, aggregatorDescriptor ${index + 1}`;
        return {
          name: checkName(required(element, 'aggregator', place), `${place}, aggregator`),
          description: plainText(childText(element, 'descriptionHtml')),
          parameters: readParameters(element, place),
        };
      },
    ),
  };
}

function readProcessor(element: XmlElement, place: string, version: string): ProcessorDescriptor {
  const name = checkName(required(element, 'executableName', place), `${place}, executableName`);
  const within = `${place} (${name})`;
  const jobParameters = nested(element, 'jobConfig', 'jobParameter').map(
    (parameter) =>
      [
        required(parameter, 'name', `${within}, jobParameter`),
        childText(parameter, 'value') ?? '',
      ] as const,
  );
  return {
    executableName: name,
    title: childText(element, 'processorName') ?? name,
    version: childText(element, 'processorVersion') ?? version,
    description: plainText(childText(element, 'descriptionHtml')),
    parameters: readParameters(element, within),
    ...optional('defaultParameters', childText(element, 'defaultParameters')),
    inputProductTypes: list(childText(element, 'inputProductTypes')),
    ...optional('outputProductType', childText(element, 'outputProductType')),
    outputFormats: list(childText(element, 'outputFormats')),
    formatting: readFormatting(childText(element, 'formatting'), within),
    jobParameters: Object.fromEntries(jobParameters),
    settings: readSettings(jobParameters, (parameter, message) =>
      invalid(`${within}, jobParameter ${parameter}`, message),
    ),
  };
}

function readFormatting(
  text: string | undefined,
  place: string,
): ProcessorDescriptor['formatting'] {
  const value = text ?? 'OPTIONAL';
  if (value === 'IMPLICIT' || value === 'OPTIONAL' || value === 'MANDATORY') return value;
  return invalid(`${place}, formatting`, `'${value}' is none of IMPLICIT, OPTIONAL, MANDATORY`);
}

function readParameters(element: XmlElement, place: string): readonly ParameterDescriptor[] {
  const parameters = nested(element, 'parameterDescriptors', 'parameterDescriptor').map(
    (parameter) => readParameter(parameter, place, 'defaultValue'),
  );
  return withoutDuplicates(parameters, place);
}

function readParameter(
  element: XmlElement,
  owner: string,
  defaultElement: string,
): ParameterDescriptor {
  const name = required(element, 'name', `${owner}, parameter`);
  const place = `${owner}, parameter ${name}`;
  if (!PARAMETER_NAME.test(name)) {
    invalid(place, 'a name begins with a letter and has letters, digits and _ . - only');
  }
  if (RESERVED_PARAMETERS.has(name)) invalid(place, "that name is the framework's: choose another");
  const valueSet = list(childText(element, 'valueSet'));
  const range = childText(element, 'valueRange');
  return {
    name,
    type: childText(element, 'type') ?? 'string',
    description: plainText(childText(element, 'description')),
    ...optional('defaultValue', childText(element, defaultElement)),
    ...(valueSet.length > 0 && { valueSet }),
    ...(range !== undefined && { valueRange: readRange(range, `${place}, valueRange`) }),
  };
}

function readRange(text: string, place: string): { min: number; max: number } {
  const [min, max] = /^\[([^,\]]+),([^,\]]+)\]$/.exec(text)?.slice(1).map(Number) ?? [];
  if (min === undefined || max === undefined || !(min <= max)) {
    return invalid(place, `'${text}' is not a closed interval like [0,1]`);
  }
  return { min, max };
}

/** The rules by which Urban TEP's own tools make a bundle of a package (specification D.4). */
function readPackage(root: XmlElement, file: string): BundleDescriptor {
  const packaged = children(root, 'processor').map((element, index) =>
    readPackagedProcessor(element, `${file}, processor ${index + 1}`),
  );
  const [first, ...others] = packaged;
  if (!first) return invalid(file, 'it describes no processor');
  for (const other of others) {
    if (other.packageName !== first.packageName || other.version !== first.version) {
      invalid(
        file,
        `it holds two packages, ${first.packageName} and ${other.packageName}: deploy each by itself`,
      );
    }
  }
  return {
    name: `urbantep-${first.packageName}`,
    version: first.version,
    includes: [],
    processors: packaged.map(({ processor }) => processor),
    aggregators: [],
  };
}

function readPackagedProcessor(
  element: XmlElement,
  place: string,
): { packageName: string; version: string; processor: ProcessorDescriptor } {
  const name = checkName(required(element, 'name', place), `${place}, name`);
  const within = `${place} (${name})`;
  const packaging = child(element, 'packaging') ?? invalid(within, 'packaging is missing');
  const packageName = checkName(
    required(packaging, 'name', `${within}, packaging`),
    `${within}, packaging/name`,
  );
  const version = checkName(
    required(packaging, 'version', `${within}, packaging`),
    `${within}, packaging/version`,
  );
  const executable = required(element, 'executable', within)
    .split('/')
    .map((part) => checkName(part, `${within}, executable`))
    .join('/');
  const parameters = nested(element, 'parameters', 'parameter').map((parameter) =>
    readParameter(parameter, within, 'default'),
  );
  const processor: ProcessorDescriptor = {
    executableName: name,
    title: childText(element, 'title') ?? name,
    version,
    description: plainText(childText(element, 'description')),
    parameters: withoutDuplicates(parameters, within),
    inputProductTypes: list(childText(element, 'inputTypes')),
    ...optional('outputProductType', childText(element, 'outputType')),
    outputFormats: ['NetCDF', 'GeoTIFF', 'BEAM-DIMAP'],
    formatting: 'IMPLICIT',
    jobParameters: {},
    settings: readResources(packaging, within),
    program: `${packageName}-${version}/${executable}`,
  };
  return { packageName, version, processor };
}

function readResources(packaging: XmlElement, place: string): Settings {
  const bounds = { memory: MEMORY_BOUNDS, timelimit: WALL_TIME_BOUNDS };
  const settings: [string, number][] = [];
  for (const resource of nested(packaging, 'resources', 'resource')) {
    const name = required(resource, 'name', `${place}, resource`);
    if (name !== 'memory' && name !== 'timelimit') continue;
    try {
      const value = required(resource, 'value', `${place}, resource ${name}`);
      settings.push([bounds[name].key, readBounded(value, bounds[name])]);
    } catch (error) {
      if (error instanceof PushbroomError) throw error;
      invalid(`${place}, resource ${name}`, messageOf(error));
    }
  }
  return Object.fromEntries(settings);
}

const nested = (element: XmlElement, group: string, name: string): readonly XmlElement[] =>
  children(element, group).flatMap((parent) => children(parent, name));

const required = (element: XmlElement, name: string, place: string): string =>
  childText(element, name) ?? invalid(place, `${name} is missing`);

const list = (text = ''): readonly string[] =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

const optional = <K extends string>(key: K, value: string | undefined): { [P in K]?: string } =>
  (value === undefined ? {} : { [key]: value }) as { [P in K]?: string };

function checkName(name: string, place: string): string {
  if (NAME.test(name)) return name;
  return invalid(
    place,
    `'${name}' is not a name: letters, digits and . _ + - only, no dot in front`,
  );
}

function withoutDuplicates(
  parameters: readonly ParameterDescriptor[],
  place: string,
): readonly ParameterDescriptor[] {
  const names = new Set<string>();
  for (const { name } of parameters) {
    if (names.has(name)) invalid(`${place}, parameter ${name}`, 'it is described twice');
    names.add(name);
  }
  return parameters;
}

/** Descriptions are HTML, escaped or in CDATA, or text with elements in between; forms show text. */
const plainText = (html = ''): string =>
  html
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')
    .replaceAll(/\s+/g, ' ')
    .trim();
