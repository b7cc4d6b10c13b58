import type { FastifyPluginCallback, FastifyReply, FastifyRequest } from 'fastify';
import { PushbroomError } from '../../errors.ts';
import type { ErrorCode } from '../../errors.ts';
import { describeError, pathOf } from '../../http.ts';
import type { Jobs, Process } from '../../jobs/jobs.ts';
import type { FrontDoor } from '../front-door.ts';
import type { ServiceInfo } from '../service-info.ts';
import { decodeXml } from './charset.ts';
import { writeCapabilities, writeDescriptions } from './describe.ts';
import { readExecute, readKvp } from './read.ts';
import type { KvpRequest } from './read.ts';
import { writeAccepted, writeException, writeStatus } from './write.ts';

export interface WpsOptions {
  readonly door: FrontDoor;
  readonly service: ServiceInfo;
  /** `ok`: exceptions come with HTTP 200, as portals of Urban TEP know it; `proper`: with the status that fits. */
  readonly exceptionStatus: 'ok' | 'proper';
}

// Requests that are no WPS, or from whoever may not ask, and a server that cannot answer: no client takes those for a
// document.
const NEVER_OK: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'TOO_MANY_REQUESTS',
  'MALFORMED_REQUEST',
  'REQUEST_TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
  'UNAVAILABLE',
  'INTERNAL',
]);

/** WPS 1.0.0 (OGC 05-007r7) in the dialect of Urban TEP, at the prefix where it is registered. */
export const wps1: FastifyPluginCallback<WpsOptions> = (app, options, done) => {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    '*',
    { parseAs: 'buffer' },
    async (request: FastifyRequest, body: Buffer) =>
      decodeXml(body, request.headers['content-type']),
  );
  app.setErrorHandler((thrown, request, reply) => {
    const error = describeError(thrown, request);
    const ok = options.exceptionStatus === 'ok' && !NEVER_OK.has(error.code);
    return send(reply.code(ok ? 200 : error.status), writeException(error));
  });

  app.get('/', async (request, reply) => {
    const query = new URLSearchParams(request.url.replace(/^[^?]*/, ''));
    return send(reply, await answer(options, readKvp(query), request));
  });
  app.post('/', async (request, reply) => send(reply, await execute(options, request, reply)));
  done();
};

const send = (reply: FastifyReply, document: string): FastifyReply =>
  reply.type('application/xml; charset=utf-8').send(document);

const serviceUrlOf = (door: FrontDoor, request: FastifyRequest): string =>
  door.baseUrl(request) + pathOf(request);

async function answer(
  { door, service }: WpsOptions,
  asked: KvpRequest,
  request: FastifyRequest,
): Promise<string> {
  const serviceUrl = serviceUrlOf(door, request);
  if (asked.operation === 'GetCapabilities') {
    return writeCapabilities(service, await door.jobs(request).processes(), serviceUrl);
  }
  if (asked.operation === 'GetStatus') {
    const status = await asUrbanTep(door.jobs(request).status(asked.jobId), { jobId: asked.jobId });
    return writeStatus({ status, serviceUrl, baseUrl: door.baseUrl(request) });
  }
  const described =
    asked.identifiers === 'all'
      ? door.jobs(request).processes()
      : Promise.all(asked.identifiers.map((id) => processOf(door.jobs(request), id)));
  return writeDescriptions(await described);
}

async function execute(
  { door }: WpsOptions,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<string> {
  if (typeof request.body !== 'string' || request.body === '') {
    throw new PushbroomError(
      'MALFORMED_REQUEST',
      'Invalid Execute request. The body is empty: POST a wps:Execute document',
    );
  }
  const { process, inputs, async, store, lineage } = readExecute(request.body);
  const serviceUrl = serviceUrlOf(door, request);
  const caller = door.caller(request);
  const accepted = await asUrbanTep(door.jobs(request).submit({ process, inputs, caller }), {
    process,
  });
  const { id } = accepted.job;
  const statusLocation = `${serviceUrl}?Service=WPS&Request=GetStatus&JobId=${encodeURIComponent(id)}`;
  const response = {
    status: accepted,
    serviceUrl,
    baseUrl: door.baseUrl(request),
    ...((async || store) && { statusLocation }),
    ...(lineage && { lineage }),
  };
  if (async) return writeAccepted(response);
  return writeStatus({ ...response, status: await door.ended(id, reply) });
}

const processOf = (jobs: Jobs, id: string): Promise<Process> =>
  asUrbanTep(jobs.process(id), { process: id });

/** Says what does not exist in the words that Urban TEP's clients know (specification B.10). */
async function asUrbanTep<T>(
  answered: Promise<T>,
  asked: { readonly process: string } | { readonly jobId: string },
): Promise<T> {
  try {
    return await answered;
  } catch (error) {
    if (!(error instanceof PushbroomError)) throw error;
    if (error.code === 'NO_SUCH_JOB' && 'jobId' in asked) {
      const locator = `JobId ${asked.jobId}`;
      throw new PushbroomError(error.code, `Parameter '${locator}' has an invalid value.`, {
        locator,
        cause: error,
      });
    }
    if (error.code === 'NO_SUCH_PROCESS' && 'process' in asked) {
      throw new PushbroomError(error.code, noSuchProcess(asked.process), { cause: error });
    }
    throw error;
  }
}

const noSuchProcess = (id: string): string =>
  id.split('~').length < 3
    ? `Unable to retrieve the selected process(es) due to invalid process ID '${id}'`
    : `Unable to retrieve processor '${id}'`;
