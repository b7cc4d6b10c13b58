import swagger from '@fastify/swagger';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { describeError, notFound } from '../../http.ts';
import type { FrontDoor } from '../front-door.ts';
import type { ServiceInfo } from '../service-info.ts';
import { answers } from './answers.ts';
import type { Routes } from './answers.ts';
import type { Callbacks } from './callbacks.ts';
import { jobRoutes, outputRoutes, resultRoutes } from './job-routes.ts';
import { sendAsPage, wantsPage } from './pages.ts';
import { executionRoutes, kvpRoutes, processRoutes } from './process-routes.ts';
import { Conformance, FormatQuery, LandingPage } from './schemas.ts';
import * as write from './write.ts';

export interface OgcApiOptions {
  readonly door: FrontDoor;
  readonly service: ServiceInfo;
  readonly callbacks: Callbacks;
  /** Offers what the draft of version 2.0 adds and works here. */
  readonly draft2: boolean;
}

/** OGC API - Processes - Part 1: Core 1.0 (OGC 18-062r2), at the prefix where it is registered. */
export const ogcApi: FastifyPluginAsyncTypebox<OgcApiOptions> = async (app, options) => {
  const { door, service, callbacks, draft2 } = options;
  const apiUrl = (request: FastifyRequest) => door.baseUrl(request) + app.prefix;

  app.removeContentTypeParser('text/plain');
  app.setNotFoundHandler(notFound);
  // Exactly application/json, also where a client would take problem+json: conformance suites insist on it.
  app.setErrorHandler((thrown, request, reply) => {
    const error = describeError(thrown, request);
    return reply.code(error.status).type(write.JSON_TYPE).send(write.exception(error));
  });
  app.addHook('preSerialization', async (request, reply, answer) => {
    reply.header('vary', 'accept');
    if (wantsPage(request)) sendAsPage(request, reply, answer as object);
    return answer;
  });
  await app.register(swagger, {
    openapi: {
      openapi: '3.0.3',
      info: { title: service.title, description: service.abstract, version: '1.0.0' },
    },
  });

  // Not the options as they are: they hold the prefix, which is in effect already.
  await app.register(landingRoutes, { door, service, callbacks, draft2, apiUrl });
  await app.register(processRoutes, { door, apiUrl });
  await app.register(executionRoutes, { door, callbacks, apiUrl });
  await app.register(jobRoutes, { door, apiUrl });
  await app.register(resultRoutes, { door, apiUrl });
  if (draft2) {
    await app.register(kvpRoutes, { door, callbacks, apiUrl });
    await app.register(outputRoutes, { door, apiUrl });
  }
};

const landingRoutes: Routes<OgcApiOptions> = async (app, { door, service, draft2, apiUrl }) => {
  const { title, abstract: description } = service;

  app.get(
    '/',
    {
      schema: {
        summary: 'The landing page',
        querystring: FormatQuery,
        response: answers('What there is', LandingPage),
      },
    },
    async (request) => ({ title, description, links: write.landingLinks(apiUrl(request)) }),
  );

  app.get(
    '/conformance',
    {
      schema: {
        summary: 'Conformance',
        querystring: FormatQuery,
        response: answers('What of the standard is spoken here', Conformance),
      },
    },
    async () => ({ conformsTo: write.conformsTo(draft2) }),
  );

  app.get('/api', { schema: { hide: true, summary: 'The API' } }, async (request, reply) =>
    reply
      .type(write.OPENAPI_TYPE)
      .send({ ...app.swagger(), servers: [{ url: door.baseUrl(request) }] }),
  );
};
