import { isJobEnded } from '../../core/lifecycle.ts';
import type { JobResult } from '../../core/model.ts';
import type { PushbroomError } from '../../errors.ts';
import { stagingPath } from '../../jobs/jobs.ts';
import type { JobStatus, Process, ProcessInput } from '../../jobs/jobs.ts';
import type {
  Exception,
  Link,
  ProcessDescription,
  ProcessSummary,
  Results,
  StatusInfo,
} from './schemas.ts';

export const JSON_TYPE = 'application/json';
export const OPENAPI_TYPE = 'application/vnd.oai.openapi+json;version=3.0';
const REL = 'http://www.opengis.net/def/rel/ogc/1.0';
const CONFORMANCE = 'http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf';
const EXCEPTIONS = 'http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0';

/** Only what works (OGC 18-062r2, annex A): `job-list` lacks its filters by time, `callback` and `html` are not there. */
export const CONFORMS_TO = ['core', 'ogc-process-description', 'json', 'oas30', 'dismiss'].map(
  (name) => `${CONFORMANCE}/${name}`,
);

export const link = (href: string, rel: string, title: string, type = JSON_TYPE): Link => ({
  href,
  rel,
  type,
  title,
});

/** @param api URL of the landing page */
export const landingLinks = (api: string): Link[] => [
  link(api, 'self', 'This page'),
  link(`${api}/api`, 'service-desc', 'The OpenAPI document of this API', OPENAPI_TYPE),
  link(`${api}/conformance`, `${REL}/conformance`, 'What of the standard is spoken here'),
  link(`${api}/conformance`, 'conformance', 'What of the standard is spoken here'),
  link(`${api}/processes`, `${REL}/processes`, 'The processes'),
  link(`${api}/jobs`, `${REL}/job-list`, 'The jobs'),
];

export const processSummary = (api: string, process: Process): ProcessSummary => ({
  id: process.id,
  title: process.title,
  description: process.description,
  version: process.version,
  jobControlOptions: ['sync-execute', 'async-execute', 'dismiss'],
  outputTransmission: ['reference'],
  links: [link(processUrl(api, process.id), 'self', 'The description of this process')],
});

const processUrl = (api: string, id: string): string =>
  `${api}/processes/${encodeURIComponent(id)}`;

export function processDescription(api: string, process: Process): ProcessDescription {
  const url = processUrl(api, process.id);
  return {
    ...processSummary(api, process),
    links: [
      link(url, 'self', 'This description'),
      link(`${url}/execution`, `${REL}/execute`, 'Where the process is executed'),
    ],
    inputs: Object.fromEntries(
      process.inputs.map((input) => [
        input.id,
        {
          title: input.title,
          description: input.description,
          minOccurs: input.required ? 1 : 0,
          maxOccurs: 1,
          schema: inputSchema(input),
        },
      ]),
    ),
    outputs: OUTPUTS,
  };
}

const BBOX = {
  allOf: [
    { format: 'ogc-bbox' },
    {
      type: 'object',
      required: ['bbox'],
      properties: {
        bbox: { type: 'array', minItems: 4, maxItems: 4, items: { type: 'number' } },
        crs: { type: 'string' },
      },
    },
  ],
};

const TYPES: Readonly<Record<ProcessInput['type'], Readonly<Record<string, unknown>>>> = {
  string: { type: 'string' },
  boolean: { type: 'boolean' },
  integer: { type: 'integer' },
  number: { type: 'number' },
  date: { type: 'string', format: 'date' },
  wkt: { oneOf: [{ type: 'string' }, BBOX] },
  bbox: BBOX,
  complex: { type: 'string' },
};

function inputSchema({ type, allowed, range, defaultValue }: ProcessInput): unknown {
  return {
    ...TYPES[type],
    ...(allowed && allowed.length > 0 && { enum: [...new Set(allowed)].map(valueOf(type)) }),
    ...(range && { minimum: range.min, maximum: range.max }),
    ...(defaultValue !== undefined && { default: valueOf(type)(defaultValue) }),
  };
}

/** A text as the JSON value of its type. */
const valueOf =
  (type: ProcessInput['type']) =>
  (text: string): unknown => {
    if (type === 'boolean') return text === 'true';
    if (type === 'integer' || type === 'number') return Number(text);
    return text;
  };

const FILE = {
  type: 'string',
  contentEncoding: 'binary',
  contentMediaType: 'application/octet-stream',
};

const OUTPUTS: ProcessDescription['outputs'] = {
  production_result: {
    title: 'Production result',
    description: 'The files that the job has made: one, or a list of them',
    schema: { oneOf: [FILE, { type: 'array', items: FILE }] },
  },
  result_metadata: {
    title: 'Metadata OWS context XML',
    description: 'The description of the results',
    schema: { ...FILE, contentMediaType: 'application/atom+xml' },
  },
};

const time = (millis: number): string => new Date(millis).toISOString();

export const jobUrl = (api: string, id: string): string => `${api}/jobs/${encodeURIComponent(id)}`;

/** OGC 18-062r2, 7.12. */
export function statusInfo(api: string, status: JobStatus): StatusInfo {
  const { job, state, message, startedAt, endedAt, updatedAt, percent } = status;
  const url = jobUrl(api, job.id);
  const links = [link(url, 'self', 'The status of this job')];
  if (isJobEnded(state)) {
    links.push(link(`${url}/results`, `${REL}/results`, 'The results of this job'));
  }
  return {
    processID: job.process,
    type: 'process',
    jobID: job.id,
    status: state,
    ...(message !== undefined && { message }),
    created: time(job.acceptedAt),
    ...(startedAt !== undefined && { started: time(startedAt) }),
    ...(endedAt !== undefined && { finished: time(endedAt) }),
    updated: time(updatedAt),
    progress: Math.round(percent),
    links,
  };
}

/** All files of a job by reference, under the output ids that WPS has for them (specification B.7.1). */
export function resultsDocument(
  baseUrl: string,
  { job }: JobStatus,
  results: readonly JobResult[],
): Results {
  const links = (metadata: boolean): Link[] =>
    results
      .filter(({ role }) => (role === 'metadata') === metadata)
      .map(({ path, type }) => ({
        href: baseUrl + stagingPath(job.user, job.id, path),
        type,
        title: path,
      }));
  return Object.fromEntries(
    Object.entries({ production_result: links(false), result_metadata: links(true) })
      .filter(([, found]) => found.length > 0)
      .map(([id, found]) => [id, found.length === 1 ? found[0]! : found]),
  );
}

/** RFC 7807's members, with the type URIs of OGC 18-062r2. */
export const exception = (error: PushbroomError): Exception => ({
  type: `${EXCEPTIONS}/${error.ogcType}`,
  title: error.ogcType.replaceAll('-', ' '),
  status: error.status,
  detail: error.message,
});
