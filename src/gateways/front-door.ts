import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Gate } from '../access/gate.ts';
import type { JobId } from '../core/model.ts';
import { PushbroomError } from '../errors.ts';
import type { JobStatus } from '../jobs/jobs.ts';
import { admitRequests } from './admission.ts';
import type { Admission } from './admission.ts';

/** What every gateway needs besides its own language. */
export interface FrontDoor extends Admission {
  /** URL of this server as its callers see it, without a slash at the end. */
  baseUrl(request: FastifyRequest): string;
  /**
   * Resolves once the job has ended. The job does not depend on who waits for it: when the client leaves or the server
   * stops, only the waiting ends.
   *
   * @throws NO_SUCH_JOB, UNAVAILABLE
   */
  ended(id: JobId, reply: FastifyReply): Promise<JobStatus>;
}

export interface FrontDoorOptions {
  readonly gate: Gate;
  /** Public URL, e.g. that of a proxy before this server; by default each request's own host. */
  readonly baseUrl?: string;
}

const HOST = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i;

export function createFrontDoor(app: FastifyInstance, options: FrontDoorOptions): FrontDoor {
  const stopping = new AbortController();
  // A request that waits for a job would keep the server from closing.
  app.addHook('preClose', async () => stopping.abort());
  const configuredUrl = options.baseUrl?.replace(/\/+$/, '');
  const admission = admitRequests(app, options.gate);

  return {
    ...admission,
    baseUrl(request) {
      if (configuredUrl !== undefined) return configuredUrl;
      if (!HOST.test(request.host)) {
        throw new PushbroomError(
          'MALFORMED_REQUEST',
          "the header 'Host' is missing or is not a host name",
        );
      }
      return `${request.protocol}://${request.host}`;
    },
    async ended(id, reply) {
      const left = new AbortController();
      const leave = () => left.abort();
      const signal = AbortSignal.any([left.signal, stopping.signal]);
      reply.raw.once('close', leave);
      try {
        return await admission.jobs(reply.request).ended(id, signal);
      } catch (error) {
        if (!signal.aborted) throw error;
        throw new PushbroomError(
          'UNAVAILABLE',
          `the server is stopping; job '${id}' goes on, ask for its status later`,
        );
      } finally {
        reply.raw.off('close', leave);
      }
    },
  };
}
