import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { PushbroomError } from '../errors.ts';
import { createHttp } from '../http.ts';
import { addAccess, addAccessRoutes } from './access.ts';
import { addNodeRoutes, addShareRoutes } from './cluster-routes.ts';
import { addBundleRoutes } from './bundle-routes.ts';
import { addControlRoutes, addExplainRoutes } from './control-routes.ts';
import { addEngineRoutes } from './engine-routes.ts';
import { createEventStream } from './events.ts';
import { addInventoryRoutes } from './inventory-routes.ts';
import { addJobRoutes, addTaskRoutes } from './job-routes.ts';
import type { OperatorOptions } from './options.ts';
import { startPage } from './page.ts';

const BODY_LIMIT = 4 * 1024 * 1024;

/**
 * Everything of the internal listener, not listening yet: start page, health, the operator REST API with its OpenAPI
 * document, events. Errors are answered as `createHttp` does it.
 */
export async function createOperatorServer(options: OperatorOptions): Promise<FastifyInstance> {
  const app = createHttp({ logger: options.logger, bodyLimit: BODY_LIMIT });
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Pushbroom operator API', version: options.version },
    },
  });
  refuseForeignOrigins(app);
  const callerOf = addAccess(app, options);
  addPages(app, options);
  addJobRoutes(app, options);
  addTaskRoutes(app, options);
  addControlRoutes(app, options);
  addExplainRoutes(app, options);
  addNodeRoutes(app, options);
  addEngineRoutes(app, options);
  addShareRoutes(app, options);
  addInventoryRoutes(app, options);
  addAccessRoutes(app, options);
  await addBundleRoutes(app, options, callerOf);
  addEvents(app, options);
  return app;
}

function addPages(app: FastifyInstance, options: OperatorOptions): void {
  app.get('/api/openapi.json', { schema: { hide: true } }, () => app.swagger());
  app.get('/', { schema: { hide: true } }, async (_request, reply) => {
    reply.type('text/html; charset=utf-8').header('content-security-policy', "default-src 'self'");
    return startPage(options);
  });
}

function addEvents(app: FastifyInstance, options: OperatorOptions): void {
  const events = createEventStream(options.subscribe, options.heartbeatMs);
  // Before the server waits for open connections to end: these never do by themselves.
  app.addHook('preClose', async () => events.close());
  const schema = {
    tags: ['server'],
    description:
      'Server-sent events: `job` with `{ jobId, state, percent }` and, of one at its ceiling, why it is `paused`; `resync` after a gap.',
    produces: ['text/event-stream'],
  };
  app.get('/api/events', { schema }, (request, reply) => {
    const seen = request.headers['last-event-id'];
    reply.hijack();
    events.attach(reply.raw, typeof seen === 'string' ? seen : undefined);
  });
}

/** A page of another site, open in an operator's browser, must not be able to give orders here. */
function refuseForeignOrigins(app: FastifyInstance): void {
  app.addHook('onRequest', async (request) => {
    const { origin, host } = request.headers;
    if (request.method === 'GET' || request.method === 'HEAD' || origin === undefined) return;
    if (!URL.canParse(origin) || new URL(origin).host !== host) {
      throw new PushbroomError('FORBIDDEN', `pages of '${origin}' may not give orders here`);
    }
  });
}
