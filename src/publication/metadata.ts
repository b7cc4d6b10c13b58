import { parseRegion } from '../core/region.ts';
import type { Job, JobResult, Millis } from '../core/model.ts';
import { stagingPath } from '../jobs/jobs.ts';
import { element, xmlDocument } from '../xml.ts';
import type { Xml } from '../xml.ts';

/** Who publishes results, and where they are found. */
export interface Publisher {
  /** The processing centre. */
  readonly centre: string;
  readonly platform: string;
  /** Public base URL without a slash at the end. */
  readonly baseUrl: () => string;
}

export interface MetadataInput {
  readonly job: Job;
  /** Without the metadata document itself. */
  readonly results: readonly JobResult[];
  readonly publisher: Publisher;
  readonly finishedAt: Millis;
}

const NAMESPACES = {
  xmlns: 'http://www.w3.org/2005/Atom',
  'xmlns:dc': 'http://purl.org/dc/elements/1.1/',
  'xmlns:georss': 'http://www.georss.org/georss',
  'xmlns:grs10': 'http://www.georss.org/georss/10',
  'xmlns:gml31': 'http://www.opengis.net/gml',
  'xmlns:owc': 'http://www.opengis.net/owc/1.0',
  'xmlns:gml': 'http://www.opengis.net/gml/3.2',
  'xmlns:eop': 'http://www.opengis.net/eop/2.0',
  'xmlns:opt': 'http://www.opengis.net/opt/2.0',
  'xmlns:ows': 'http://www.opengis.net/ows/2.0',
  'xmlns:om': 'http://www.opengis.net/om/2.0',
  'xmlns:xlink': 'http://www.w3.org/1999/xlink',
};

const PNG_OFFERING = 'http://www.opengis.net/spec/owc-atom/1.0/req/png';

/**
 * The result metadata of a job: an Atom feed with OWS Context and EO O&M, as the portal's catalogue reads it
 * (specification F.3), with the `dc:identifier` that the reference lacks.
 */
export function metadataDocument(input: MetadataInput): string {
  const { job, publisher, results, finishedAt } = input;
  const directory = `${publisher.baseUrl()}${stagingPath(job.user, job.id)}`;
  const finished = new Date(finishedAt).toISOString();
  const href = (path: string) => directory + encodeURIComponent(path);
  const products = results.filter(({ role }) => role === 'product');
  const quicklooks = results.filter(({ role }) => role === 'quicklook');
  const footprint = footprintOf(job);
  const entry = element(
    'entry',
    {},
    element('id', {}, `${job.title}/${job.user}/${job.id}`),
    element('title', { type: 'text' }, job.title),
    element('author', {}, element('name', {}, publisher.centre)),
    element('dc:identifier', {}, job.id),
    element('dc:publisher', {}, publisher.platform),
    element('published', {}, finished),
    element('updated', {}, finished),
    element('link', { href: directory, rel: 'alternate', type: 'text/html' }),
    ...products.map(({ path, type, size }) =>
      element('link', { href: href(path), title: path, rel: 'enclosure', type, length: size }),
    ),
    footprint?.where,
    job.products.range && element('dc:date', {}, periodText(job)),
    footprint?.box,
    ...quicklooks.map(({ path, type }) =>
      element(
        'owc:offering',
        { code: PNG_OFFERING },
        element('owc:content', { href: href(path), type }),
      ),
    ),
    earthObservation(input, href, footprint?.ring),
  );
  return xmlDocument(
    element(
      'feed',
      NAMESPACES,
      element('title', { type: 'text' }, `${publisher.platform} catalogue entry`),
      element('id', {}, directory),
      element('updated', {}, finished),
      element('generator', {}, `${publisher.platform} ${publisher.centre} Processing Center`),
      entry,
    ),
  );
}

/** Days in UTC; the reference writes the server's own time zone (specification B.6.2). */
const begin = (job: Job) => `${job.products.range!.from}T00:00:00.000Z`;
const end = (job: Job) => `${job.products.range!.to}T23:59:59.000Z`;
const periodText = (job: Job): string => `${begin(job)}/${end(job)}`;

/** The region in GML's and GeoRSS's order, latitude first: its ring if it is one simple polygon, otherwise its box. */
function footprintOf({ products: { regionWkt } }: Job) {
  if (regionWkt === undefined) return undefined;
  const { wkt, box } = parseRegion(regionWkt);
  const [west, south, east, north] = box;
  const points = ringOf(wkt) ?? [
    [south, west],
    [north, west],
    [north, east],
    [south, east],
    [south, west],
  ];
  const ring = { count: points.length, text: points.map((point) => point.join(' ')).join(' ') };
  const where = element(
    'grs10:where',
    {},
    element(
      'gml31:Polygon',
      {},
      element(
        'gml31:exterior',
        {},
        element('gml31:LinearRing', {}, element('gml31:posList', { srsDimension: 2 }, ring.text)),
      ),
    ),
  );
  const corners = [south, west, north, east].map((degrees) => degrees.toFixed(5)).join(' ');
  return { ring, where, box: element('georss:box', {}, corners) };
}

/** Latitude and longitude of each point of a polygon without holes, of WKT as the core prints it. */
const ringOf = (wkt: string): number[][] | undefined =>
  /^POLYGON\(\(([^()]*)\)\)$/
    .exec(wkt)?.[1]!
    .split(',')
    .map((point) => point.split(' ').map(Number).toReversed());

type Ring = NonNullable<ReturnType<typeof footprintOf>>['ring'];

function earthObservation(
  { job, results, publisher, finishedAt }: MetadataInput,
  href: (path: string) => string,
  ring: Ring | undefined,
): Xml {
  const finished = new Date(finishedAt).toISOString();
  const time = (name: string, ...content: Xml[]) => element(`om:${name}`, {}, ...content);
  return element(
    'opt:EarthObservation',
    { 'gml:id': 'eo' },
    job.products.range &&
      time(
        'phenomenonTime',
        element(
          'gml:TimePeriod',
          { 'gml:id': 'phenomenon-time' },
          element('gml:beginPosition', {}, begin(job)),
          element('gml:endPosition', {}, end(job)),
        ),
      ),
    time(
      'resultTime',
      element(
        'gml:TimeInstant',
        { 'gml:id': 'result-time' },
        element('gml:timePosition', {}, finished),
      ),
    ),
    element('om:procedure'),
    element('om:observedProperty', { nilReason: 'inapplicable' }),
    ring === undefined ? undefined : featureOfInterest(ring),
    element(
      'om:result',
      {},
      element(
        'opt:EarthObservationResult',
        { 'gml:id': 'result' },
        ...results.filter(({ role }) => role === 'product').map((result) => product(result, href)),
      ),
    ),
    metaData(job, publisher, finished),
  );
}

const featureOfInterest = ({ count, text }: Ring): Xml =>
  element(
    'om:featureOfInterest',
    {},
    element(
      'eop:Footprint',
      { 'gml:id': 'footprint' },
      element(
        'eop:multiExtentOf',
        {},
        element(
          'gml:MultiSurface',
          { 'gml:id': 'extent' },
          element(
            'gml:surfaceMembers',
            {},
            element(
              'gml:Polygon',
              { 'gml:id': 'polygon' },
              element(
                'gml:exterior',
                {},
                element(
                  'gml:LinearRing',
                  {},
                  element('gml:posList', { count, srsDimension: 2 }, text),
                ),
              ),
            ),
          ),
        ),
      ),
    ),
  );

const product = ({ path, type, size }: JobResult, href: (path: string) => string): Xml =>
  element(
    'eop:product',
    {},
    element(
      'eop:ProductInformation',
      {},
      element(
        'eop:fileName',
        {},
        element(
          'ows:ServiceReference',
          { 'xlink:type': 'simple', 'xlink:href': href(path), 'xlink:title': path },
          element('ows:Identifier', {}, 'result_data'),
          element('ows:Format', {}, type),
          element('ows:RequestMessage'),
        ),
      ),
      element('eop:size', { uom: 'Bytes' }, size),
    ),
  );

const metaData = (job: Job, publisher: Publisher, finished: string): Xml =>
  element(
    'eop:metaDataProperty',
    {},
    element(
      'eop:EarthObservationMetaData',
      {},
      element('eop:identifier', {}, job.id),
      element('eop:parentIdentifier', {}, `${job.processor.processor} of ${job.products.dataset}`),
      element('eop:acquisitionType', {}, 'NOMINAL'),
      element('eop:productType', {}, job.processor.processor),
      element('eop:status', {}, 'ACQUIRED'),
      element(
        'eop:processing',
        {},
        element(
          'eop:ProcessingInformation',
          {},
          element('eop:method', {}, `${job.processor.processor} Processing`),
          job.outputFormat && element('eop:nativeProductFormat', {}, job.outputFormat),
          element('eop:processingCenter', {}, publisher.centre),
          element('eop:processingDate', {}, finished),
          element('eop:processingLevel', {}, job.workflow.type === 'L3' ? '3' : '2'),
          element('eop:processorName', {}, job.process),
          element('eop:processorVersion', {}, job.processor.version),
        ),
      ),
    ),
  );
