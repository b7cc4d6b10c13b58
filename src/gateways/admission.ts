import type { FastifyInstance, FastifyRequest } from 'fastify';
import { createAudited, recorded } from '../access/audited.ts';
import type { Gate } from '../access/gate.ts';
import type { Identity } from '../access/guard.ts';
import { PushbroomError } from '../errors.ts';
import type { Caller, Jobs } from '../jobs/jobs.ts';

/** Who asks, and what he may. */
export interface Admission {
  /** What the caller of a request may ask. */
  jobs(request: FastifyRequest): Jobs;
  /** On whose behalf a request comes. */
  caller(request: FastifyRequest): Caller;
  /** Whether a request may have the results of a user; a signed link has been checked to be for that job. */
  mayRead(request: FastifyRequest, user: string): boolean;
  /** What links to results need so that who came by a signed one can go on: its query, or nothing. */
  shareQuery(request: FastifyRequest): string;
  /** Who brings something, or has brought it. @throws UNAUTHENTICATED where it is nobody */
  uploader(request: FastifyRequest): Caller;
  /**
   * Does something about what somebody brings or has brought, and has it written down.
   *
   * @throws UNAUTHENTICATED where it is nobody
   */
  acting<T>(
    request: FastifyRequest,
    deed: { readonly what: string; readonly target: string },
    act: (caller: Caller) => Promise<T>,
  ): Promise<T>;
}

/** What callers name may be of any length. */
const MOST_CHARACTERS = 300;

/** Finds out with each request who asks, before anything of it is read, and refuses who may not. */
export function admitRequests(app: FastifyInstance, gate: Gate): Admission {
  const { guard, shares, jobsFor, audit } = gate;
  const identities = new WeakMap<FastifyRequest, Identity>();
  const shared = new WeakSet<FastifyRequest>();

  app.addHook('onRequest', async (request, reply) => {
    const { headers, ip } = request;
    if (isShared(request, shares)) {
      shared.add(request);
      return;
    }
    try {
      const identity = await guard.authenticate(headers, ip);
      identities.set(request, identity);
      guard.admit(identity);
    } catch (error) {
      reply.headers(guard.headersFor(error, headers));
      throw error;
    }
  });

  const identityOf = (request: FastifyRequest): Identity => {
    const identity = identities.get(request);
    if (!identity) throw new Error('nobody has asked who this is');
    return identity;
  };
  const uploader = (request: FastifyRequest): Identity => {
    const identity = identityOf(request);
    if (identity.isAnonymous) throw new PushbroomError('UNAUTHENTICATED', 'log in to upload');
    return identity;
  };
  return {
    jobs: (request) => {
      const identity = identityOf(request);
      return createAudited(jobsFor(identity.caller), identity, audit);
    },
    caller: (request) => identityOf(request).caller,
    mayRead: (request, user) => shared.has(request) || guard.mayRead(identityOf(request), user),
    shareQuery: (request) => (shared.has(request) ? request.url.replace(/^[^?]*/, '') : ''),
    uploader: (request) => uploader(request).caller,
    acting: async (request, { what, target }, act) => {
      const identity = uploader(request);
      const about = { target: target.slice(0, MOST_CHARACTERS) };
      return recorded(
        audit,
        identity,
        what,
        () => act(identity.caller),
        () => about,
      );
    },
  };
}

/** Whether a request comes by a signed link. Only results are found by a user and a job. */
function isShared({ params, query }: FastifyRequest, shares: Gate['shares']): boolean {
  const { user, job } = params as { readonly user?: string; readonly job?: string };
  if (user === undefined || job === undefined) return false;
  return shares.accepts(user, job, query as Readonly<Record<string, unknown>>);
}
