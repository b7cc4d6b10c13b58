import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Gate } from '../access/gate.ts';
import type { JobId, ResponseWish } from '../core/model.ts';
import { PushbroomError } from '../errors.ts';
import type { JobStatus, Process } from '../jobs/jobs.ts';
import { admitRequests } from './admission.ts';
import type { Admission } from './admission.ts';
import { inputTexts } from './inputs.ts';
import type { Inputs } from './inputs.ts';
import { createContents } from './outputs.ts';
import type { Contents } from './outputs.ts';
import { asksForQuotation, writeQuotation } from './quotation.ts';
import type { Quotation } from './quotation.ts';
import { References } from './references.ts';
import type { ReferenceOptions } from './references.ts';
import type { ServiceInfo } from './service-info.ts';

/** What every gateway needs besides its own language. */
export interface FrontDoor extends Admission {
  /** URL of this server as its callers see it, without a slash at the end. */
  baseUrl(request: FastifyRequest): string;
  /**
   * Accepts a job, with what its inputs refer to.
   *
   * @param inputs as the gateway has read them
   * @param response how the results are wanted, to be found in the job's record later
   * @throws what `Jobs.submit` throws, INVALID_PARAMETER
   */
  submit(
    request: FastifyRequest,
    process: Process,
    inputs: Inputs,
    response?: ResponseWish,
  ): Promise<JobStatus>;
  /**
   * The answer to a request that asks for a quotation in place of a job; `undefined` for any other request.
   *
   * @throws what `Jobs.quote` throws, INVALID_PARAMETER
   */
  quotation(
    request: FastifyRequest,
    process: Process,
    inputs: Inputs,
  ): Promise<Quotation | undefined>;
  readonly contents: Contents;
  readonly references: References;
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
  readonly service: ServiceInfo;
  /** Holds `<user>/<jobId>/<file>`. */
  readonly stagingDir: string;
  readonly references: ReferenceOptions;
  /** Public URL, e.g. that of a proxy before this server; by default each request's own host. */
  readonly baseUrl?: string;
}

const HOST = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i;

export function createFrontDoor(app: FastifyInstance, options: FrontDoorOptions): FrontDoor {
  const stopping = new AbortController();
  // A request that waits for a job would keep the server from closing.
  app.addHook('preClose', async () => stopping.abort());
  const references = new References(options.references);
  app.addHook('onClose', async () => references[Symbol.dispose]());
  const configuredUrl = options.baseUrl?.replace(/\/+$/, '');
  const admission = admitRequests(app, options.gate);

  return {
    ...admission,
    baseUrl: (request) => configuredUrl ?? ownUrl(request),
    async submit(request, process, inputs, response) {
      return this.jobs(request).submit({
        process: process.id,
        inputs: await inputTexts(process, inputs, references.forRequest()),
        caller: this.caller(request),
        ...(response && { response }),
      });
    },
    async quotation(request, process, inputs) {
      if (!asksForQuotation(process, inputs)) return undefined;
      const quote = await this.jobs(request).quote({
        process: process.id,
        inputs: await inputTexts(process, inputs, references.forRequest()),
        caller: this.caller(request),
      });
      return writeQuotation(quote, options.service, new URL(this.baseUrl(request)).hostname);
    },
    contents: createContents(options.stagingDir),
    references,
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

function ownUrl({ host, protocol }: FastifyRequest): string {
  if (HOST.test(host)) return `${protocol}://${host}`;
  const message = "the header 'Host' is missing or is not a host name";
  throw new PushbroomError('MALFORMED_REQUEST', message);
}
