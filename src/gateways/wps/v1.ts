import type { FastifyPluginCallback, FastifyReply, FastifyRequest } from 'fastify';
import type { ResponseWish } from '../../core/model.ts';
import { PushbroomError } from '../../errors.ts';
import type { ErrorCode } from '../../errors.ts';
import { describeError, pathOf } from '../../http.ts';
import type { Jobs, JobStatus, Process } from '../../jobs/jobs.ts';
import type { FrontDoor } from '../front-door.ts';
import { outputIdOf, processIfThere, UNTRUSTED } from '../outputs.ts';
import type { Quotation } from '../quotation.ts';
import type { ServiceInfo } from '../service-info.ts';
import { decodeXml } from './charset.ts';
import { writeCapabilities, writeDescriptions } from './describe.ts';
import { readKvp } from './kvp.ts';
import { readPost } from './read.ts';
import type { ExecuteRequest, WpsRequest } from './request.ts';
import { outputValues } from './values.ts';
import { writeAccepted, writeException, writeQuotation, writeStatus } from './write.ts';
import type { ExecuteResponse } from './write.ts';

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

  app.get('/', (request, reply) =>
    answer(options, readKvp(request.url.replace(/^[^?]*\??/, '')), request, reply),
  );
  app.post('/', async (request, reply) => {
    if (typeof request.body !== 'string' || request.body === '') {
      throw new PushbroomError(
        'MALFORMED_REQUEST',
        'Invalid Execute request. The body is empty: POST a wps:Execute document',
      );
    }
    return answer(options, await readPost(request.body), request, reply);
  });
  done();
};

const send = (reply: FastifyReply, document: string): FastifyReply =>
  reply.type('application/xml; charset=utf-8').send(document);

const serviceUrlOf = (door: FrontDoor, request: FastifyRequest): string =>
  door.baseUrl(request) + pathOf(request);

async function answer(
  { door, service }: WpsOptions,
  asked: WpsRequest,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const jobs = door.jobs(request);
  switch (asked.operation) {
    case 'GetCapabilities': {
      const serviceUrl = serviceUrlOf(door, request);
      return send(reply, writeCapabilities(service, await jobs.processes(), serviceUrl));
    }
    case 'DescribeProcess': {
      const { identifiers } = asked;
      const described =
        identifiers === 'all'
          ? jobs.processes()
          : Promise.all(identifiers.map((id) => processOf(jobs, id)));
      return send(reply, await writeDescriptions(await described));
    }
    case 'GetStatus': {
      const status = await asUrbanTep(jobs.status(asked.jobId), { jobId: asked.jobId });
      return send(reply, writeStatus(await responseTo(door, request, status)));
    }
    case 'Execute':
      return execute(door, asked, request, reply);
  }
}

async function execute(
  door: FrontDoor,
  asked: ExecuteRequest,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { async: isAsync, store, inputs } = asked;
  const process = await processOf(door.jobs(request), asked.process);
  const quotation = await door.quotation(request, process, inputs);
  if (quotation)
    return sendQuotation(quotation, asked.response, reply, serviceUrlOf(door, request));
  const response = checkOutputs(asked.response, process);
  const status = await door.submit(request, process, inputs, response);
  const { id } = status.job;
  const query = `?Service=WPS&Request=GetStatus&JobId=${encodeURIComponent(id)}`;
  const location = isAsync || store ? { statusLocation: serviceUrlOf(door, request) + query } : {};
  if (isAsync) {
    // What has ended already is told as accepted all the same: its results are in the status document.
    const serviceUrl = serviceUrlOf(door, request);
    return send(reply, writeAccepted({ status, serviceUrl, ...location }));
  }
  const ended = await door.ended(id, reply);
  if (response.form === 'raw') return sendRaw(door, request, reply, ended);
  return send(reply, writeStatus({ ...(await responseTo(door, request, ended)), ...location }));
}

/** Whether it was to be waited for or to be stored, it is here (specification B.9). */
const sendQuotation = (
  quotation: Quotation,
  { form }: ResponseWish,
  reply: FastifyReply,
  serviceUrl: string,
): FastifyReply =>
  form === 'raw'
    ? reply.type(quotation.mediaType).send(quotation.content)
    : send(reply, writeQuotation(quotation, serviceUrl));

/** What the portal asks for: everything there is (specification B.5). */
const EVERYTHING = 'productionResults';

/** @throws INVALID_PARAMETER (locator: the output), before anything runs in vain */
function checkOutputs(response: ResponseWish, process: Process): ResponseWish {
  const { outputs: wishes = [], ...rest } = response;
  if (wishes.some(({ id }) => id === EVERYTHING) && response.form === 'document') return rest;
  const named = wishes.map((wish) =>
    wish.id === EVERYTHING ? { ...wish, id: 'production_result' } : wish,
  );
  const unknown = named.find(({ id }) => !process.outputs.some((output) => output.id === id));
  if (unknown) {
    const known = process.outputs.map(({ id }) => id).join(', ');
    throw new PushbroomError(
      'INVALID_PARAMETER',
      `The process '${process.id}' has no output '${unknown.id.slice(0, 100)}'; it has ${known}.`,
      { locator: unknown.id.slice(0, 100) },
    );
  }
  return { ...rest, ...(named.length > 0 && { outputs: named }) };
}

async function responseTo(
  door: FrontDoor,
  request: FastifyRequest,
  status: JobStatus,
): Promise<ExecuteResponse> {
  const { job, state, results = [] } = status;
  const response = { status, serviceUrl: serviceUrlOf(door, request) };
  if (state !== 'successful') return response;
  const outputs = await outputValues({
    job,
    results,
    // What the processes of bundles leave is told in words of its own.
    process: results.some(({ output }) => output !== undefined)
      ? await processIfThere(door.jobs(request), job.process)
      : undefined,
    wishes: job.response?.outputs,
    baseUrl: door.baseUrl(request),
    contents: door.contents,
  });
  return { ...response, outputs };
}

/** OGC 05-007r7, 10.3.1: the output alone. */
async function sendRaw(
  door: FrontDoor,
  request: FastifyRequest,
  reply: FastifyReply,
  { job }: JobStatus,
): Promise<FastifyReply> {
  const wanted = job.response!.outputs![0]!.id;
  const all = await door.jobs(request).results(job.id);
  const [result, ...more] = all.filter((each) => outputIdOf(each) === wanted);
  if (!result || more.length > 0) {
    throw new PushbroomError(
      'INVALID_PARAMETER',
      `The output '${wanted}' has ${result ? 1 + more.length : 'no'} files: ask for a ResponseDocument.`,
      { locator: 'RawDataOutput' },
    );
  }
  const stream = await door.contents.stream(job, result);
  return reply
    .headers({ ...UNTRUSTED, 'content-type': result.type, 'content-length': result.size })
    .send(stream);
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
