import type { JobState } from '../../core/model.ts';
import type { PushbroomError } from '../../errors.ts';
import type { JobStatus } from '../../jobs/jobs.ts';
import { element, xmlDocument } from '../../xml.ts';
import type { Xml } from '../../xml.ts';
import { exceptionCodeOf } from './v2-errors.ts';
import { WPS2 } from './v2-read.ts';
import type { Value } from './v2-values.ts';

const OWS = 'http://www.opengis.net/ows/2.0';
const SCHEMAS = 'http://schemas.opengis.net';

/** The namespaces that every document declares, and where the schema of its root is. */
export const ROOT: Readonly<Record<string, string>> = {
  'xsi:schemaLocation': `${WPS2} ${SCHEMAS}/wps/2.0/wps.xsd`,
  'xmlns:ows': OWS,
  'xmlns:wps': WPS2,
  'xmlns:xsi': 'http://www.w3.org/2001/XMLSchema-instance',
  'xmlns:xlink': 'http://www.w3.org/1999/xlink',
};

const STATES: Readonly<Record<JobState, string>> = {
  accepted: 'Accepted',
  running: 'Running',
  successful: 'Succeeded',
  failed: 'Failed',
  dismissed: 'Dismissed',
};

/** OGC 14-065r2, 9.5. When a job ends or its results go is not known, so nothing is said of that. */
export const writeStatusInfo = ({ job, state, percent }: JobStatus): string =>
  xmlDocument(
    element(
      'wps:StatusInfo',
      ROOT,
      element('wps:JobID', {}, job.id),
      element('wps:Status', {}, STATES[state]),
      element('wps:PercentCompleted', {}, Math.floor(percent)),
    ),
  );

/** OGC 14-065r2, 9.6. An output with several files is there several times. */
export const writeResult = (jobId: string | undefined, outputs: readonly Value[]): string =>
  xmlDocument(
    element(
      'wps:Result',
      ROOT,
      jobId === undefined ? undefined : element('wps:JobID', {}, jobId),
      outputs.map((output) => element('wps:Output', { id: output.id }, content(output))),
    ),
  );

/** A single value as a document of its own. */
export const writeRaw = (value: Extract<Value, { kind: 'literal' | 'bbox' }>): string =>
  xmlDocument(value.kind === 'literal' ? literal(value.text, ROOT) : box(value, ROOT));

function content(value: Value): Xml {
  switch (value.kind) {
    case 'reference':
      return element('wps:Reference', { 'xlink:href': value.href, mimeType: value.mediaType });
    case 'literal':
      return element('wps:Data', { mimeType: 'text/xml' }, literal(value.text));
    case 'bbox':
      return element('wps:Data', { mimeType: 'text/xml' }, box(value));
    case 'xml':
      return element('wps:Data', { mimeType: value.mediaType }, { xml: value.xml });
    case 'text':
      return element('wps:Data', { mimeType: value.mediaType }, value.text);
    case 'binary': {
      const { mediaType: mimeType, base64 } = value;
      return element('wps:Data', { mimeType, encoding: 'base64' }, base64);
    }
  }
}

const literal = (text: string, root: Readonly<Record<string, string>> = {}): Xml =>
  element('wps:LiteralValue', root, text);

const box = (
  { corners: [x0, y0, x1, y1], crs }: Extract<Value, { kind: 'bbox' }>,
  root: Readonly<Record<string, string>> = {},
): Xml =>
  element(
    'ows:BoundingBox',
    { ...root, crs, dimensions: 2 },
    element('ows:LowerCorner', {}, `${x0} ${y0}`),
    element('ows:UpperCorner', {}, `${x1} ${y1}`),
  );

/** OGC 06-121r9, 8. */
export const writeException2 = (error: PushbroomError): string =>
  xmlDocument(
    element(
      'ows:ExceptionReport',
      {
        version: '2.0.0',
        'xml:lang': 'en',
        'xsi:schemaLocation': `${OWS} ${SCHEMAS}/ows/2.0/owsExceptionReport.xsd`,
        'xmlns:ows': OWS,
        'xmlns:xsi': ROOT['xmlns:xsi'],
      },
      element(
        'ows:Exception',
        { exceptionCode: exceptionCodeOf(error), locator: error.locator },
        element('ows:ExceptionText', {}, error.message),
      ),
    ),
  );
