import type { Format, Process, ProcessInput, ProcessOutput } from '../../jobs/jobs.ts';
import { element, xmlDocument } from '../../xml.ts';
import type { Xml } from '../../xml.ts';
import { BOX_CRS } from '../inputs.ts';
import type { ServiceContact, ServiceInfo } from '../service-info.ts';
import { createPieces } from './pieces.ts';
import { rootAttributes } from './write.ts';

/** OGC 05-007r7, 8.3; specification B.3. */
export function writeCapabilities(
  service: ServiceInfo,
  processes: readonly Process[],
  serviceUrl: string,
): string {
  const get = element('ows:Get', { 'xlink:href': `${serviceUrl}?` });
  const post = element('ows:Post', { 'xlink:href': serviceUrl });
  return xmlDocument(
    element(
      'wps:Capabilities',
      {
        service: 'WPS',
        'xml:lang': 'en',
        version: '1.0.0',
        ...rootAttributes('wpsGetCapabilities'),
      },
      identification(service, '1.0.0'),
      provider(service.provider),
      element(
        'ows:OperationsMetadata',
        {},
        // One verb each, as portals have always been told, although the other one works as well (specification B.3).
        operation('GetCapabilities', get),
        operation('DescribeProcess', get),
        operation('Execute', post),
        operation('GetStatus', get),
      ),
      element('wps:ProcessOfferings', {}, processes.map(offering)),
      element(
        'wps:Languages',
        {},
        element('wps:Default', {}, element('ows:Language', {}, 'EN')),
        element('wps:Supported', {}, element('ows:Language', {}, 'EN')),
      ),
    ),
  );
}

const offering = ({ id, title, description, version }: Process): Xml =>
  element(
    'wps:Process',
    { 'wps:processVersion': version },
    element('ows:Identifier', {}, id),
    element('ows:Title', {}, title),
    element('ows:Abstract', {}, description),
  );

export const identification = (service: ServiceInfo, ...versions: readonly string[]): Xml =>
  element(
    'ows:ServiceIdentification',
    {},
    element('ows:Title', {}, service.title),
    element('ows:Abstract', {}, service.abstract),
    element('ows:ServiceType', {}, 'WPS'),
    versions.map((version) => element('ows:ServiceTypeVersion', {}, version)),
  );

export const operation = (name: string, ...verbs: readonly Xml[]): Xml =>
  element('ows:Operation', { name }, element('ows:DCP', {}, element('ows:HTTP', {}, verbs)));

/** An element for a text that the configuration may leave out. */
export const optional = (name: string, text: string | undefined): Xml | undefined =>
  text === undefined ? undefined : element(name, {}, text);

export const provider = ({ name, site, contact = {} }: ServiceInfo['provider']): Xml =>
  element(
    'ows:ServiceProvider',
    {},
    element('ows:ProviderName', {}, name),
    site === undefined ? undefined : element('ows:ProviderSite', { 'xlink:href': site }),
    element(
      'ows:ServiceContact',
      {},
      optional('ows:IndividualName', contact.individualName),
      optional('ows:PositionName', contact.positionName),
      contactInfo(contact, site),
      optional('ows:Role', contact.role),
    ),
  );

const contactInfo = (contact: ServiceContact, site: string | undefined): Xml =>
  element(
    'ows:ContactInfo',
    {},
    element(
      'ows:Phone',
      {},
      optional('ows:Voice', contact.phone),
      optional('ows:Facsimile', contact.facsimile),
    ),
    element(
      'ows:Address',
      {},
      optional('ows:DeliveryPoint', contact.address?.deliveryPoint),
      optional('ows:City', contact.address?.city),
      optional('ows:AdministrativeArea', contact.address?.administrativeArea),
      optional('ows:PostalCode', contact.address?.postalCode),
      optional('ows:Country', contact.address?.country),
      optional('ows:ElectronicMailAddress', contact.address?.email),
    ),
    site === undefined ? undefined : element('ows:OnlineResource', { 'xlink:href': site }),
    optional('ows:HoursOfService', contact.hoursOfService),
    optional('ows:ContactInstructions', contact.instructions),
  );

/** OGC 05-007r7, 9.3; specification B.5. */
export async function writeDescriptions(processes: readonly Process[]): Promise<string> {
  return xmlDocument(
    element(
      'wps:ProcessDescriptions',
      {
        service: 'WPS',
        version: '1.0.0',
        'xml:lang': 'en',
        ...rootAttributes('wpsDescribeProcess'),
      },
      await descriptions(processes),
    ),
  );
}

const description = (process: Process): Xml =>
  element(
    'ProcessDescription',
    { storeSupported: 'true', statusSupported: 'true', 'wps:processVersion': process.version },
    element('ows:Identifier', {}, process.id),
    element('ows:Title', {}, process.id),
    element('ows:Abstract', {}, process.description),
    process.inputs.length > 0 ? element('DataInputs', {}, process.inputs.map(input)) : undefined,
    element('ProcessOutputs', {}, outputs(process)),
  );

const descriptions = createPieces(description);

const input = (described: ProcessInput): Xml =>
  element(
    'Input',
    // Never 1: clients are used to leave out what Execute may then demand (specification B.5).
    { minOccurs: 0, maxOccurs: described.maxOccurs ?? 1 },
    element('ows:Identifier', {}, described.id),
    element('ows:Title', {}, described.title),
    element('ows:Abstract', {}, described.description),
    inputData(described),
  );

function inputData(described: ProcessInput): Xml {
  if (described.type === 'complex') {
    return element('ComplexData', {}, formatElements(described.formats ?? []));
  }
  if (described.type === 'bbox') return element('BoundingBoxData', {}, ...BOX_CRS_ELEMENTS);
  return element(
    'LiteralData',
    {},
    element('ows:DataType', {}, DATA_TYPES[described.type]),
    allowedValues(described),
    optional('DefaultValue', described.defaultValue),
  );
}

const DATA_TYPES: Readonly<Record<Exclude<ProcessInput['type'], 'complex' | 'bbox'>, string>> = {
  string: 'string',
  date: 'string',
  wkt: 'string',
  boolean: 'boolean',
  integer: 'int',
  number: 'float',
};

const BOX_CRS_ELEMENTS: readonly Xml[] = [
  element('Default', {}, element('CRS', {}, BOX_CRS[0])),
  element(
    'Supported',
    {},
    BOX_CRS.map((crs) => element('CRS', {}, crs)),
  ),
];

/** The first is the default. */
const formatElements = (formats: readonly Format[]): Xml[] => {
  const elements = formats.map(({ mediaType, encoding }) =>
    element('Format', {}, element('MimeType', {}, mediaType), optional('Encoding', encoding)),
  );
  return [element('Default', {}, elements[0]), element('Supported', {}, elements)];
};

export function allowedValues({
  allowed = [],
  range,
}: Pick<ProcessInput, 'allowed' | 'range'>): Xml {
  const values = [...new Set(allowed)].map((value) => element('ows:Value', {}, value));
  if (range) {
    values.push(
      element(
        'ows:Range',
        {},
        element('ows:MinimumValue', {}, range.min),
        element('ows:MaximumValue', {}, range.max),
      ),
    );
  }
  return values.length === 0 ? element('ows:AnyValue') : element('ows:AllowedValues', {}, values);
}

/** What the processes of bundles leave is described as one output, as portals know it (specification B.5). */
const outputs = (process: Process): Xml | Xml[] =>
  process.outputs.some(({ id }) => id === 'production_result')
    ? PRODUCTION_RESULTS
    : process.outputs.map(output);

function output({ id, title, description: text, type, formats = [] }: ProcessOutput): Xml {
  return element(
    'Output',
    {},
    element('ows:Identifier', {}, id),
    element('ows:Title', {}, title),
    element('ows:Abstract', {}, text),
    type === 'complex'
      ? element('ComplexOutput', {}, formatElements(formats))
      : type === 'bbox'
        ? element('BoundingBoxOutput', {}, ...BOX_CRS_ELEMENTS)
        : element('LiteralOutput', {}, element('ows:DataType', {}, DATA_TYPES[type])),
  );
}

const PRODUCTION_RESULTS = element(
  'Output',
  {},
  element('ows:Identifier', {}, 'productionResults'),
  element('ows:Title', {}, 'URL to the production result(s)'),
  element('ComplexOutput', {}, formatElements([{ mediaType: 'application/octet-stream' }])),
);
