import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { whoOf } from '../access/audit.ts';
import type { AuditEvent } from '../access/audit.ts';
import type { Identity } from '../access/guard.ts';
import { PushbroomError } from '../errors.ts';
import { stagingPath } from '../jobs/jobs.ts';
import type { Caller, Role } from '../jobs/jobs.ts';
import { AuditQuery, AuditRecord, Share, ShareWish } from './access-schemas.ts';
import { allowNoBody } from './control-routes.ts';
import type { OperatorOptions } from './options.ts';
import { ApiError, JobPath, pageOf } from './schemas.ts';

const failures = { '4xx': ApiError, '5xx': ApiError };

/** Whoever reaches a listener without authentication. */
const TRUSTED = { user: 'operator', role: 'administrator', groups: [] } as const;

const RANK: Readonly<Record<Role, number>> = { user: 0, operator: 1, administrator: 2 };

/** What changes the configuration that everybody works under. */
const OF_ADMINISTRATORS = /^\/api\/scheduling\b/;

/**
 * Lets nobody in but operators, where that is wanted, and writes down what they do.
 *
 * @returns who asks
 */
export function addAccess(
  app: FastifyInstance,
  { gate, authentication }: OperatorOptions,
): (request: FastifyRequest) => Caller {
  const { guard, audit } = gate;
  const identities = new WeakMap<FastifyRequest, Identity>();

  app.addHook('onRequest', async (request, reply) => {
    const { headers, ip } = request;
    // Whether the service is alive is asked by who knows no password.
    if (!authentication || request.routeOptions.url === '/health') {
      identities.set(request, { caller: TRUSTED, address: ip });
      return;
    }
    try {
      const identity = await guard.authenticate(headers, ip);
      identities.set(request, identity);
      checkRole(identity, roleFor(request));
    } catch (error) {
      reply.headers(guard.headersFor(error, headers));
      throw error;
    }
  });
  app.addHook('onResponse', async (request, reply) => {
    const identity = identities.get(request);
    if (identity && isChange(request)) audit.record(eventOf(identity, request, reply));
  });
  return (request) => identities.get(request)!.caller;
}

const isChange = ({ method }: FastifyRequest): boolean => method !== 'GET' && method !== 'HEAD';

const roleFor = (request: FastifyRequest): Role =>
  isChange(request) && OF_ADMINISTRATORS.test(request.routeOptions.url ?? '')
    ? 'administrator'
    : 'operator';

function checkRole({ caller, isAnonymous }: Identity, wanted: Role): void {
  if (RANK[caller.role] >= RANK[wanted]) return;
  if (isAnonymous) throw new PushbroomError('UNAUTHENTICATED', `log in as an ${wanted}`);
  throw new PushbroomError('FORBIDDEN', `'${caller.user}' is no ${wanted}: only they may do this`);
}

const MOST_CHARACTERS = 500;

function eventOf(identity: Identity, request: FastifyRequest, reply: FastifyReply): AuditEvent {
  const { method, routeOptions, params, body, url } = request;
  const { id, ...others } = params as Readonly<Record<string, string>>;
  const isOfJob = routeOptions.url?.startsWith('/api/jobs/') === true;
  const created = /^\/api\/jobs\/([^/]+)$/.exec(String(reply.getHeader('location')))?.[1];
  const jobId = isOfJob ? id : created;
  const names = Object.values(isOfJob ? others : (params as typeof others));
  const said = [...names, ...(body === undefined ? [] : [JSON.stringify(body)])].join(' ');
  return {
    what: `${method} ${routeOptions.url ?? url.slice(0, MOST_CHARACTERS)}`,
    ...whoOf(identity),
    ...(jobId !== undefined && { jobId }),
    ...(said !== '' && { target: said.slice(0, MOST_CHARACTERS) }),
    outcome: reply.statusCode < 400 ? 'done' : `HTTP ${reply.statusCode}`,
  };
}

/** Who did what, and links by which others get results. */
export function addAccessRoutes(app: FastifyInstance, options: OperatorOptions): void {
  const { jobs, gate, publicUrl } = options;
  const api = app.withTypeProvider<TypeBoxTypeProvider>();

  api.get(
    '/api/audit',
    {
      schema: {
        tags: ['access'],
        description:
          'Who did what, newest first. A page with few records may have a next one: it ends after some megabytes.',
        querystring: AuditQuery,
        response: { 200: pageOf(AuditRecord), ...failures },
      },
    },
    async ({ query }) => {
      const { items, ...page } = await gate.audit.read(query);
      return { ...page, items: [...items] };
    },
  );

  api.post(
    '/api/jobs/:id/share',
    {
      preValidation: allowNoBody,
      schema: {
        tags: ['access'],
        description: "Makes a link by which a browser gets a job's results without a login.",
        params: JobPath,
        body: ShareWish,
        response: { 200: Share, ...failures },
      },
    },
    async ({ params, body }) => {
      // Only where there are any.
      await jobs.results(params.id);
      const { job } = await jobs.status(params.id);
      const until = Date.now() + body.hours * 3_600_000;
      const query = gate.shares.sign(job.user, job.id, until);
      return {
        url: `${publicUrl()}${stagingPath(job.user, job.id)}?${query}`,
        expires: new Date(until).toISOString(),
      };
    },
  );
}
