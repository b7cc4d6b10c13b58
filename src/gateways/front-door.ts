import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { JobId } from '../core/model.ts';
import { PushbroomError } from '../errors.ts';
import type { Caller, Jobs, JobStatus } from '../jobs/jobs.ts';
import { callerOf } from './caller.ts';
import type { CallerOptions } from './caller.ts';

/** What every gateway needs besides its own language. */
export interface FrontDoor {
  /** What the caller of a request may ask. */
  jobs(request: FastifyRequest): Jobs;
  /** URL of this server as its callers see it, without a slash at the end. */
  baseUrl(request: FastifyRequest): string;
  /** @throws INVALID_PARAMETER */
  caller(request: FastifyRequest): Caller;
  /**
   * Resolves once the job has ended. The job does not depend on who waits for it: when the client leaves or the server
   * stops, only the waiting ends.
   *
   * @throws NO_SUCH_JOB, UNAVAILABLE
   */
  ended(id: JobId, reply: FastifyReply): Promise<JobStatus>;
}

export interface FrontDoorOptions extends CallerOptions {
  readonly jobs: Jobs;
  /** Public URL, e.g. that of a proxy before this server; by default each request's own host. */
  readonly baseUrl?: string;
}

const HOST = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i;

export function createFrontDoor(app: FastifyInstance, options: FrontDoorOptions): FrontDoor {
  const stopping = new AbortController();
  // A request that waits for a job would keep the server from closing.
  app.addHook('preClose', async () => stopping.abort());
  const configuredUrl = options.baseUrl?.replace(/\/+$/, '');

  return {
    jobs: () => options.jobs,
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
    caller: (request) => callerOf(request.headers, options),
    async ended(id, reply) {
      const left = new AbortController();
      const leave = () => left.abort();
      const signal = AbortSignal.any([left.signal, stopping.signal]);
      reply.raw.once('close', leave);
      try {
        return await options.jobs.ended(id, signal);
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
