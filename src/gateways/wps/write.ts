import { isJobEnded } from '../../core/lifecycle.ts';
import type { Job, Millis } from '../../core/model.ts';
import type { PushbroomError } from '../../errors.ts';
import type { JobStatus } from '../../jobs/jobs.ts';
import { element, xmlDocument } from '../../xml.ts';
import type { Xml } from '../../xml.ts';
import type { Quotation } from '../quotation.ts';
import type { OutputValue } from './values.ts';

export const WPS = 'http://www.opengis.net/wps/1.0.0';
const OWS = 'http://www.opengis.net/ows/1.1';
const SCHEMAS = 'http://schemas.opengis.net';

/** The namespaces that every document declares, and where the schema of its root is. */
export const rootAttributes = (
  schema: 'wpsGetCapabilities' | 'wpsDescribeProcess' | 'wpsExecute' | 'owsExceptionReport',
): Record<string, string> => ({
  'xsi:schemaLocation':
    schema === 'owsExceptionReport'
      ? `${OWS} ${SCHEMAS}/ows/1.1.0/${schema}.xsd`
      : `${WPS} ${SCHEMAS}/wps/1.0.0/${schema}_response.xsd`,
  'xmlns:ows': OWS,
  'xmlns:wps': WPS,
  'xmlns:xsi': 'http://www.w3.org/2001/XMLSchema-instance',
  'xmlns:xlink': 'http://www.w3.org/1999/xlink',
});

export interface ExecuteResponse {
  readonly status: JobStatus;
  /** URL of the service as this request reached it. */
  readonly serviceUrl: string;
  /** Of a job that has succeeded. */
  readonly outputs?: readonly OutputValue[];
  /** Only in the answer to Execute, never in that to GetStatus (specification B.7). */
  readonly statusLocation?: string;
}

/** What a request would cost: nothing has run, but portals want it told as a success (specification B.7, B.9). */
export function writeQuotation(
  { output: described, content, mediaType, quote }: Quotation,
  serviceUrl: string,
): string {
  return writeDocument({
    serviceUrl,
    job: quote.job,
    time: quote.at,
    status: element('wps:ProcessSucceeded', {}, 'The request has been quoted successfully.'),
    outputs: [{ ...described, kind: 'text', text: content, mediaType, dataType: '' }],
  });
}

/** The first answer to an asynchronous Execute. */
export const writeAccepted = (response: ExecuteResponse): string => {
  const { job } = response.status;
  const text =
    job.response?.lineage !== undefined
      ? 'The status of the process can be found in the URL.'
      : `In order to check the status, use GetStatus with JobId '${job.id}'.`;
  return writeResponse(
    response,
    job.acceptedAt,
    element('wps:ProcessAccepted', {}, `The request has been accepted. ${text}`),
  );
};

/** How far a job has come; the final document is also its result document (specification B.7). */
export function writeStatus(response: ExecuteResponse): string {
  const { state, endedAt, updatedAt } = response.status;
  const time = isJobEnded(state) ? (endedAt ?? updatedAt) : updatedAt;
  return writeResponse(response, time, statusElement(response.status));
}

function writeResponse(response: ExecuteResponse, time: number, status: Xml): string {
  const { job, state } = response.status;
  const isLineageDue = state === 'accepted' || state === 'successful';
  const lineage = isLineageDue ? job.response?.lineage : undefined;
  return writeDocument({ ...response, job, time, status, lineage });
}

type Document = Pick<ExecuteResponse, 'serviceUrl' | 'statusLocation' | 'outputs'> & {
  readonly job: Job;
  readonly time: Millis;
  readonly status: Xml;
  readonly lineage?: string | undefined;
};

function writeDocument(document: Document): string {
  const { job, time, status, lineage, outputs = [] } = document;
  const root = element(
    'wps:ExecuteResponse',
    {
      serviceInstance: `${document.serviceUrl}?`,
      statusLocation: document.statusLocation,
      service: 'WPS',
      version: '1.0.0',
      'xml:lang': 'en',
      ...rootAttributes('wpsExecute'),
    },
    element(
      'wps:Process',
      { 'wps:processVersion': job.processor.version },
      element('ows:Identifier', {}, job.process),
      element('ows:Title', {}, job.process),
    ),
    element('wps:Status', { creationTime: new Date(time).toISOString() }, status),
    lineage === undefined ? undefined : { xml: lineage },
    outputs.length > 0 ? element('wps:ProcessOutputs', {}, outputs.map(output)) : undefined,
  );
  return xmlDocument(root);
}

function statusElement({ state, percent, message }: JobStatus): Xml {
  if (state === 'successful') {
    return element('wps:ProcessSucceeded', {}, 'The request has been processed successfully.');
  }
  if (state === 'accepted' || state === 'running') {
    // To the portal 99 means that it is publishing, and 100 is a job that has succeeded (specification B.7).
    const percentCompleted = Math.min(98, Math.round(percent));
    const text = state === 'accepted' ? 'SCHEDULED' : 'RUNNING';
    return element('wps:ProcessStarted', { percentCompleted }, text);
  }
  const exception = element(
    'ows:Exception',
    { exceptionCode: 'NoApplicableCode' },
    element(
      'ows:ExceptionText',
      {},
      message ?? (state === 'failed' ? 'The job has failed.' : 'The job has been dismissed.'),
    ),
  );
  const report = element('ows:ExceptionReport', { version: '1.0.0' }, exception);
  return element('wps:ProcessFailed', {}, report);
}

function output(value: OutputValue): Xml {
  return element(
    'wps:Output',
    {},
    element('ows:Identifier', {}, value.id),
    ...describedAs(value),
    value.kind === 'reference'
      ? element('wps:Reference', { href: value.href, mimeType: value.mediaType })
      : element('wps:Data', {}, data(value)),
  );
}

// Title, abstract and media type as portals know them (specification B.7.1).
const PRODUCTION_RESULT = [
  'Production result',
  'This is the URL link to the production result',
] as const;
const RESULT_METADATA = [
  'Metadata OWS context XML',
  'The URL to the result metadata file',
] as const;

function describedAs({ id, title, description }: OutputValue): Xml[] {
  const [itsTitle, itsAbstract] =
    id === 'production_result'
      ? PRODUCTION_RESULT
      : id === 'result_metadata'
        ? RESULT_METADATA
        : ([title, description] as const);
  return [element('ows:Title', {}, itsTitle), element('ows:Abstract', {}, itsAbstract)];
}

function data(value: Exclude<OutputValue, { kind: 'reference' }>): Xml {
  switch (value.kind) {
    case 'literal':
      return element('wps:LiteralData', { dataType: value.dataType }, value.text);
    case 'bbox': {
      const [x0, y0, x1, y1] = value.corners;
      return element(
        'wps:BoundingBoxData',
        { crs: value.crs, dimensions: 2 },
        element('ows:LowerCorner', {}, `${x0} ${y0}`),
        element('ows:UpperCorner', {}, `${x1} ${y1}`),
      );
    }
    case 'xml':
      return element('wps:ComplexData', { mimeType: value.mediaType }, { xml: value.xml });
    case 'text':
      return element('wps:ComplexData', { mimeType: value.mediaType }, value.text);
    case 'binary':
      return element(
        'wps:ComplexData',
        { mimeType: value.mediaType, encoding: 'base64' },
        value.base64,
      );
  }
}

/** OGC 06-121r3, 8; specification B.10. */
export function writeException(error: PushbroomError): string {
  return xmlDocument(
    element(
      'ows:ExceptionReport',
      { version: '1.0.0', 'xml:lang': 'en', ...rootAttributes('owsExceptionReport') },
      element(
        'ows:Exception',
        {
          // WPS 1.0.0 has no code for a process that does not exist, and portals know this one (specification B.10).
          exceptionCode: error.code === 'NO_SUCH_PROCESS' ? 'NoApplicableCode' : error.wpsCode,
          locator: error.locator,
        },
        element('ows:ExceptionText', {}, error.message),
      ),
    ),
  );
}
