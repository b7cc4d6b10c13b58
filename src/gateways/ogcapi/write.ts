import { isJobEnded } from '../../core/lifecycle.ts';
import type { PushbroomError } from '../../errors.ts';
import type { JobStatus } from '../../jobs/jobs.ts';
import type { Exception, Link, StatusInfo } from './schemas.ts';

export const JSON_TYPE = 'application/json';
export const OPENAPI_TYPE = 'application/vnd.oai.openapi+json;version=3.0';
export const REL = 'http://www.opengis.net/def/rel/ogc/1.0';
const CONFORMANCE = 'http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf';
const EXCEPTIONS = 'http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0';

const VERSION_1 = [
  'core',
  'ogc-process-description',
  'json',
  'html',
  'oas30',
  'job-list',
  'callback',
  'dismiss',
].map((name) => `${CONFORMANCE}/${name}`);
const DRAFT_2 = ['http://www.opengis.net/spec/ogcapi-processes-1/2.0/conf/kvp-execute'];

/** Only what works (OGC 18-062r2, annex A). */
export const conformsTo = (draft2: boolean): string[] => [...VERSION_1, ...(draft2 ? DRAFT_2 : [])];

export const link = (href: string, rel: string, title: string, type = JSON_TYPE): Link => ({
  href,
  rel,
  type,
  title,
});

/** @param api URL of the landing page */
export const landingLinks = (api: string): Link[] => [
  link(api, 'self', 'This page'),
  link(`${api}?f=html`, 'alternate', 'This page for people', 'text/html'),
  link(`${api}/api`, 'service-desc', 'The OpenAPI document of this API', OPENAPI_TYPE),
  link(`${api}/conformance`, `${REL}/conformance`, 'What of the standard is spoken here'),
  link(`${api}/conformance`, 'conformance', 'What of the standard is spoken here'),
  link(`${api}/processes`, `${REL}/processes`, 'The processes'),
  link(`${api}/jobs`, `${REL}/job-list`, 'The jobs'),
];

/** The list itself and the pages beside it. */
export function pageLinks(
  url: string,
  { limit, offset }: { readonly limit: number; readonly offset: number },
  total: number,
): Link[] {
  const page = (first: number, rel: string, title: string) =>
    link(`${url}?limit=${limit}&offset=${first}`, rel, title);
  return [
    link(url, 'self', 'This list'),
    link(`${url}?f=html`, 'alternate', 'This list as a page', 'text/html'),
    ...(offset + limit < total ? [page(offset + limit, 'next', 'The next page')] : []),
    ...(offset > 0 ? [page(Math.max(0, offset - limit), 'prev', 'The page before')] : []),
  ];
}

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

/** RFC 7807's members, with the type URIs of OGC 18-062r2. */
export const exception = (error: PushbroomError): Exception => ({
  type: `${EXCEPTIONS}/${error.ogcType}`,
  title: error.ogcType.replaceAll('-', ' '),
  status: error.status,
  detail: error.message,
});
