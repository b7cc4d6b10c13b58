import type { Process, ProcessInput } from '../../jobs/jobs.ts';
import { element, xmlDocument } from '../../xml.ts';
import type { Xml } from '../../xml.ts';
import type { ServiceContact, ServiceInfo } from '../service-info.ts';
import { rootAttributes } from './write.ts';

/** OGC 05-007r7, 8.3; specification B.3. */
export function writeCapabilities(
  service: ServiceInfo,
  processes: readonly Process[],
  serviceUrl: string,
): string {
  return xmlDocument(
    element(
      'wps:Capabilities',
      {
        service: 'WPS',
        'xml:lang': 'en',
        version: '1.0.0',
        ...rootAttributes('wpsGetCapabilities'),
      },
      element(
        'ows:ServiceIdentification',
        {},
        element('ows:Title', {}, service.title),
        element('ows:Abstract', {}, service.abstract),
        element('ows:ServiceType', {}, 'WPS'),
        element('ows:ServiceTypeVersion', {}, '1.0.0'),
      ),
      provider(service.provider),
      element(
        'ows:OperationsMetadata',
        {},
        operation('GetCapabilities', 'ows:Get', `${serviceUrl}?`),
        operation('DescribeProcess', 'ows:Get', `${serviceUrl}?`),
        operation('Execute', 'ows:Post', serviceUrl),
        operation('GetStatus', 'ows:Get', `${serviceUrl}?`),
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

const operation = (name: string, verb: 'ows:Get' | 'ows:Post', href: string): Xml =>
  element(
    'ows:Operation',
    { name },
    element('ows:DCP', {}, element('ows:HTTP', {}, element(verb, { 'xlink:href': href }))),
  );

/** An element for a text that the configuration may leave out. */
const optional = (name: string, text: string | undefined): Xml | undefined =>
  text === undefined ? undefined : element(name, {}, text);

const provider = ({ name, site, contact = {} }: ServiceInfo['provider']): Xml =>
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
export function writeDescriptions(processes: readonly Process[]): string {
  return xmlDocument(
    element(
      'wps:ProcessDescriptions',
      {
        service: 'WPS',
        version: '1.0.0',
        'xml:lang': 'en',
        ...rootAttributes('wpsDescribeProcess'),
      },
      processes.map(description),
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
    element('ProcessOutputs', {}, PRODUCTION_RESULTS),
  );

const input = (described: ProcessInput): Xml =>
  element(
    'Input',
    // Never 1: clients are used to leave out what Execute may then demand (specification B.5).
    { minOccurs: 0, maxOccurs: 1 },
    element('ows:Identifier', {}, described.id),
    element('ows:Title', {}, described.title),
    element('ows:Abstract', {}, described.description),
    element(
      'LiteralData',
      {},
      element('ows:DataType', {}, DATA_TYPES[described.type]),
      allowedValues(described),
      optional('DefaultValue', described.defaultValue),
    ),
  );

const DATA_TYPES: Readonly<Record<ProcessInput['type'], string>> = {
  bbox: 'string',
  complex: 'string',
  string: 'string',
  date: 'string',
  wkt: 'string',
  boolean: 'boolean',
  integer: 'int',
  number: 'float',
};

function allowedValues({ allowed = [], range }: ProcessInput): Xml {
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

const FORMAT = element('Format', {}, element('MimeType', {}, 'application/octet-stream'));

const PRODUCTION_RESULTS = element(
  'Output',
  {},
  element('ows:Identifier', {}, 'productionResults'),
  element('ows:Title', {}, 'URL to the production result(s)'),
  element('ComplexOutput', {}, element('Default', {}, FORMAT), element('Supported', {}, FORMAT)),
);
