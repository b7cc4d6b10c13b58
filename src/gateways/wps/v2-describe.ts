import type { Format, Process, ProcessInput, ProcessOutput } from '../../jobs/jobs.ts';
import { element, xmlDocument } from '../../xml.ts';
import type { Xml } from '../../xml.ts';
import { BOX_CRS } from '../inputs.ts';
import type { ServiceInfo } from '../service-info.ts';
import { allowedValues, identification, operation, optional, provider } from './describe.ts';
import { createPieces } from './pieces.ts';
import { LITERAL_FORMATS } from './v2-values.ts';
import { ROOT } from './v2-write.ts';

/** Execute goes by POST alone. */
const BY_GET = ['GetCapabilities', 'DescribeProcess', 'GetStatus', 'GetResult', 'Dismiss'];

/** OGC 14-065r2, 9.2. */
export function writeCapabilities2(
  service: ServiceInfo,
  processes: readonly Process[],
  serviceUrl: string,
): string {
  const get = element('ows:Get', { 'xlink:href': `${serviceUrl}?` });
  const post = element('ows:Post', { 'xlink:href': serviceUrl });
  return xmlDocument(
    element(
      'wps:Capabilities',
      { service: 'WPS', version: '2.0.0', ...ROOT },
      identification(service, '2.0.0', '1.0.0'),
      provider(service.provider),
      element(
        'ows:OperationsMetadata',
        {},
        BY_GET.map((name) => operation(name, get, post)),
        operation('Execute', post),
      ),
      element('wps:Contents', {}, processes.map(summary)),
    ),
  );
}

/** Every process runs either way, and whatever it makes can be had as a value, if it is not too large, or by URL. */
const properties = ({ version }: Process): Record<string, string | undefined> => ({
  processVersion: threeNumbers(version),
  jobControlOptions: 'sync-execute async-execute dismiss',
  outputTransmission: 'value reference',
});

/** The only form of a version that the schema allows (ows:VersionType); other versions are told by the identifier alone. */
const threeNumbers = (version: string): string | undefined =>
  /^\d+(\.\d{1,2}){0,2}$/.test(version)
    ? [...version.split('.'), '0', '0'].slice(0, 3).join('.')
    : undefined;

const summary = (process: Process): Xml =>
  element('wps:ProcessSummary', properties(process), description(process));

const description = ({
  id,
  title,
  description: abstract,
}: Pick<Process, 'id' | 'title' | 'description'>): Xml[] => [
  element('ows:Title', {}, title),
  element('ows:Abstract', {}, abstract),
  element('ows:Identifier', {}, id),
];

/** OGC 14-065r2, 9.3. */
export const writeOfferings = async (processes: readonly Process[]): Promise<string> =>
  xmlDocument(element('wps:ProcessOfferings', ROOT, await offerings(processes)));

const offering = (process: Process): Xml =>
  element(
    'wps:ProcessOffering',
    properties(process),
    element(
      'wps:Process',
      {},
      description(process),
      process.inputs.map(input),
      process.outputs.map((output) => element('wps:Output', {}, description(output), data(output))),
    ),
  );

const offerings = createPieces(offering);

const input = (described: ProcessInput): Xml =>
  element(
    'wps:Input',
    { minOccurs: described.required ? 1 : 0, maxOccurs: described.maxOccurs ?? 1 },
    description(described),
    data(described),
  );

function data(described: ProcessInput | ProcessOutput): Xml {
  if (described.type === 'complex') {
    return element('wps:ComplexData', {}, (described.formats ?? ANY_FORMAT).map(format));
  }
  const formats = LITERAL_FORMATS.map((mediaType, index) => format({ mediaType }, index));
  if (described.type === 'bbox') {
    return element('wps:BoundingBoxData', {}, formats, BOX_CRS.map(supportedCrs));
  }
  return element('wps:LiteralData', {}, formats, domain(described));
}

const ANY_FORMAT: readonly Format[] = [
  { mediaType: 'application/octet-stream', encoding: 'base64' },
];

/** The first one is the default. */
const isDefault = (index: number): 'true' | undefined => (index === 0 ? 'true' : undefined);

const format = ({ mediaType, encoding, schema }: Format, index: number): Xml =>
  element('wps:Format', { mimeType: mediaType, encoding, schema, default: isDefault(index) });

const supportedCrs = (crs: string, index: number): Xml =>
  element('wps:SupportedCRS', { default: isDefault(index) }, crs);

function domain(described: Pick<ProcessInput, 'type' | 'allowed' | 'range' | 'defaultValue'>): Xml {
  const type = DATA_TYPES[described.type];
  return element(
    'LiteralDataDomain',
    { default: 'true' },
    allowedValues(described),
    element('ows:DataType', { 'ows:reference': `http://www.w3.org/2001/XMLSchema#${type}` }, type),
    optional('ows:DefaultValue', described.defaultValue),
  );
}

/** Of XML Schema; the test suite of the OGC looks for `string` as it is. */
const DATA_TYPES: Readonly<Record<ProcessInput['type'], string>> = {
  bbox: 'string',
  complex: 'string',
  string: 'string',
  wkt: 'string',
  date: 'date',
  boolean: 'boolean',
  integer: 'integer',
  number: 'double',
};
