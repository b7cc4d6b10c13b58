import { isJobEnded } from '../../core/lifecycle.ts';
import type { JobResult } from '../../core/model.ts';
import type { PushbroomError } from '../../errors.ts';
import { stagingPath } from '../../jobs/jobs.ts';
import type { JobStatus } from '../../jobs/jobs.ts';
import { element, xmlDocument } from '../../xml.ts';
import type { Xml } from '../../xml.ts';
import type { Lineage } from './read.ts';
import { writeTree } from './tree.ts';

const WPS = 'http://www.opengis.net/wps/1.0.0';
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
  /** URL of the server, for what it has staged. */
  readonly baseUrl: string;
  /** Only in the answer to Execute, never in that to GetStatus (specification B.7). */
  readonly statusLocation?: string;
  readonly lineage?: Lineage;
}

/** The first answer to an asynchronous Execute. */
export const writeAccepted = (response: ExecuteResponse): string => {
  const { job } = response.status;
  const text = response.lineage
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
  const { job, state, results = [] } = response.status;
  const { lineage } = response;
  const root = element(
    'wps:ExecuteResponse',
    {
      serviceInstance: `${response.serviceUrl}?`,
      statusLocation: response.statusLocation,
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
    lineage && lineageElements(lineage),
    state === 'successful' && results.length > 0
      ? element('wps:ProcessOutputs', {}, outputs(response, results))
      : undefined,
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

const lineageElements = ({ dataInputs, outputs: requested }: Lineage): Xml[] => [
  ...(dataInputs ? [writeTree(dataInputs)] : []),
  ...(requested.length > 0
    ? [
        element(
          'wps:OutputDefinitions',
          {},
          requested.map((output) => writeTree(output)),
        ),
      ]
    : []),
];

function outputs({ status, baseUrl }: ExecuteResponse, results: readonly JobResult[]): Xml[] {
  const { user, id } = status.job;
  const output = (result: JobResult, texts: readonly string[], mimeType: string): Xml => {
    const [identifier, title, abstract] = texts;
    return element(
      'wps:Output',
      {},
      element('ows:Identifier', {}, identifier),
      element('ows:Title', {}, title),
      element('ows:Abstract', {}, abstract),
      element('wps:Reference', { href: baseUrl + stagingPath(user, id, result.path), mimeType }),
    );
  };
  const metadata = results.filter(({ role }) => role === 'metadata');
  return [
    ...results
      .filter(({ role }) => role !== 'metadata')
      .map((result) => output(result, PRODUCTION_RESULT, 'application/octet-stream')),
    ...metadata.map((result) => output(result, RESULT_METADATA, 'application/atom+xml')),
  ];
}

// Identifier, title and abstract, by which portals find the outputs (specification B.7.1).
const PRODUCTION_RESULT = [
  'production_result',
  'Production result',
  'This is the URL link to the production result',
];
const RESULT_METADATA = [
  'result_metadata',
  'Metadata OWS context XML',
  'The URL to the result metadata file',
];

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
