import swagger from '@fastify/swagger';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { describeError, notFound } from '../../http.ts';
import type { JobQuery } from '../../store/store.ts';
import type { FrontDoor } from '../front-door.ts';
import type { ServiceInfo } from '../service-info.ts';
import { readInputs } from './read.ts';
import {
  Conformance,
  DEFAULT_LIMIT,
  Exception,
  ExecuteBody,
  JobList,
  JobListQuery,
  LandingPage,
  ProcessDescription,
  ProcessList,
  ProcessQuery,
  Results,
  StatusInfo,
} from './schemas.ts';
import * as write from './write.ts';

export interface OgcApiOptions {
  readonly door: FrontDoor;
  readonly service: ServiceInfo;
}

interface RoutesOptions extends OgcApiOptions {
  /** URL of the landing page. */
  readonly apiUrl: (request: FastifyRequest) => string;
}

type Routes = FastifyPluginAsyncTypebox<RoutesOptions>;

/** OGC API - Processes - Part 1: Core 1.0 (OGC 18-062r2), at the prefix where it is registered. */
export const ogcApi: FastifyPluginAsyncTypebox<OgcApiOptions> = async (app, { door, service }) => {
  const apiUrl = (request: FastifyRequest) => door.baseUrl(request) + app.prefix;

  app.removeContentTypeParser('text/plain');
  app.setNotFoundHandler(notFound);
  // Exactly application/json, also where a client would take problem+json: conformance suites insist on it.
  app.setErrorHandler((thrown, request, reply) => {
    const error = describeError(thrown, request);
    return reply.code(error.status).type(write.JSON_TYPE).send(write.exception(error));
  });
  await app.register(swagger, {
    openapi: {
      openapi: '3.0.3',
      info: { title: service.title, description: service.abstract, version: '1.0.0' },
    },
  });

  // Not the options as they are: they hold the prefix, which is in effect already.
  await app.register(landingRoutes, { door, service, apiUrl });
  await app.register(processRoutes, { door, service, apiUrl });
  await app.register(jobRoutes, { door, service, apiUrl });
};

const exceptions = { '4xx': Exception, '5xx': Exception };

const landingRoutes: Routes = async (app, { door, service, apiUrl }) => {
  const { title, abstract: description } = service;

  app.get('/', { schema: { response: { 200: LandingPage, ...exceptions } } }, async (request) => ({
    title,
    description,
    links: write.landingLinks(apiUrl(request)),
  }));

  app.get(
    '/conformance',
    { schema: { response: { 200: Conformance, ...exceptions } } },
    async () => ({
      conformsTo: write.CONFORMS_TO,
    }),
  );

  app.get('/api', { schema: { hide: true } }, async (request, reply) =>
    reply
      .type(write.OPENAPI_TYPE)
      .send({ ...app.swagger(), servers: [{ url: door.baseUrl(request) }] }),
  );
};

const processRoutes: Routes = async (app, { door, apiUrl }) => {
  const params = Type.Object({ processId: Type.String() });

  app.get(
    '/processes',
    { schema: { querystring: ProcessQuery, response: { 200: ProcessList, ...exceptions } } },
    async (request) => {
      const { limit = DEFAULT_LIMIT, offset = 0 } = request.query;
      const api = apiUrl(request);
      const processes = await door.jobs(request).processes();
      const next = offset + limit;
      const links = [write.link(`${api}/processes`, 'self', 'This list')];
      if (next < processes.length) {
        const url = `${api}/processes?limit=${limit}&offset=${next}`;
        links.push(write.link(url, 'next', 'The next page'));
      }
      return {
        processes: processes
          .slice(offset, next)
          .map((process) => write.processSummary(api, process)),
        links,
      };
    },
  );

  app.get(
    '/processes/:processId',
    { schema: { params, response: { 200: ProcessDescription, ...exceptions } } },
    async (request) =>
      write.processDescription(
        apiUrl(request),
        await door.jobs(request).process(request.params.processId),
      ),
  );

  app.post(
    '/processes/:processId/execution',
    {
      schema: {
        params,
        headers: Type.Object({ prefer: Type.Optional(Type.String()) }),
        body: ExecuteBody,
        response: { 200: Results, 201: StatusInfo, ...exceptions },
      },
    },
    async (request, reply) => {
      const status = await door.jobs(request).submit({
        process: request.params.processId,
        inputs: readInputs(request.body.inputs),
        caller: door.caller(request),
      });
      if (prefersAsync(request.headers.prefer)) {
        return reply
          .code(201)
          .headers({
            location: write.jobUrl(apiUrl(request), status.job.id),
            'preference-applied': 'respond-async',
          })
          .send(write.statusInfo(apiUrl(request), status));
      }
      const ended = await door.ended(status.job.id, reply);
      const results = await door.jobs(request).results(status.job.id);
      return write.resultsDocument(door.baseUrl(request), ended, results);
    },
  );
};

/** RFC 7240, 4.1. */
const prefersAsync = (prefer = ''): boolean =>
  prefer.split(/[,;]/).some((preference) => preference.trim().toLowerCase() === 'respond-async');

const jobRoutes: Routes = async (app, { door, apiUrl }) => {
  const params = Type.Object({ jobId: Type.String() });

  app.get(
    '/jobs',
    { schema: { querystring: JobListQuery, response: { 200: JobList, ...exceptions } } },
    async (request) => {
      const api = apiUrl(request);
      const links = [write.link(`${api}/jobs`, 'self', 'This list')];
      // Every job is one of a process; the standard leaves room for others.
      if (request.query.type?.includes('process') === false) return { jobs: [], links };
      const { items, next } = await door.jobs(request).list(jobQuery(request.query));
      if (next !== undefined) {
        const query = new URLSearchParams(new URL(request.url, api).search);
        query.set('after', next);
        links.push(write.link(`${api}/jobs?${query.toString()}`, 'next', 'The next page'));
      }
      return { jobs: items.map((status) => write.statusInfo(api, status)), links };
    },
  );

  app.get(
    '/jobs/:jobId',
    { schema: { params, response: { 200: StatusInfo, ...exceptions } } },
    async (request) =>
      write.statusInfo(apiUrl(request), await door.jobs(request).status(request.params.jobId)),
  );

  app.delete(
    '/jobs/:jobId',
    { schema: { params, response: { 200: StatusInfo, ...exceptions } } },
    async (request) =>
      write.statusInfo(apiUrl(request), await door.jobs(request).dismiss(request.params.jobId)),
  );

  app.get(
    '/jobs/:jobId/results',
    { schema: { params, response: { 200: Results, ...exceptions } } },
    async (request) => {
      const results = await door.jobs(request).results(request.params.jobId);
      const status = await door.jobs(request).status(request.params.jobId);
      return write.resultsDocument(door.baseUrl(request), status, results);
    },
  );
};

const jobQuery = ({ limit = DEFAULT_LIMIT, after, status, processID }: JobListQuery): JobQuery => ({
  limit,
  ...(after !== undefined && { after }),
  ...(status && { states: status }),
  ...(processID !== undefined && { process: processID }),
});
