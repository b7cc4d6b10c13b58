import type { FastifyReply, FastifyRequest } from 'fastify';
import { isJobEnded } from '../../core/lifecycle.ts';
import type { ResponseWish } from '../../core/model.ts';
import { PushbroomError } from '../../errors.ts';
import { describeError, pathOf } from '../../http.ts';
import type { Jobs, JobStatus, Process } from '../../jobs/jobs.ts';
import { processIfThere, UNTRUSTED } from '../outputs.ts';
import type { OutputFiles } from '../outputs.ts';
import type { Quotation } from '../quotation.ts';
import { contentOf } from './content.ts';
import type { WpsOptions } from './v1.ts';
import { asInputRefusal } from './v2-errors.ts';
import { writeCapabilities2, writeOfferings } from './v2-describe.ts';
import type { Wps2Execute, Wps2Request } from './v2-read.ts';
import { checkWish, isPlainText, valuesOf, wantedOutputs } from './v2-values.ts';
import { writeException2, writeRaw, writeResult, writeStatusInfo } from './v2-write.ts';

const XML = 'application/xml; charset=utf-8';

/**
 * Answers a request of WPS 2.0.2 (OGC 14-065r2), as it was read.
 */
export async function answer2(
  options: WpsOptions,
  asked: Wps2Request,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { door, service } = options;
  const jobs = door.jobs(request);
  switch (asked.operation) {
    case 'GetCapabilities': {
      const url = door.baseUrl(request) + pathOf(request);
      return send(reply, writeCapabilities2(service, await jobs.processes(), url));
    }
    case 'DescribeProcess':
      return send(reply, await writeOfferings(await described(jobs, asked.identifiers)));
    case 'GetStatus':
      return send(reply, writeStatusInfo(await jobs.status(asked.jobId)));
    case 'Dismiss':
      return send(reply, writeStatusInfo(await jobs.dismiss(asked.jobId)));
    case 'GetResult':
      return sendResult(options, await jobs.status(asked.jobId), request, reply);
    case 'Execute':
      return execute(options, asked, request, reply);
  }
}

/** With the HTTP status that fits: there are no portals that know it otherwise, as there are of 1.0.0. */
export function sendException2(
  thrown: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const error = describeError(thrown, request);
  return send(reply.code(error.status), writeException2(error));
}

const send = (reply: FastifyReply, document: string): FastifyReply =>
  reply.type(XML).send(document);

const described = (
  jobs: Jobs,
  identifiers: readonly string[] | 'all',
): Promise<readonly Process[]> =>
  identifiers === 'all'
    ? jobs.processes()
    : Promise.all(identifiers.map((id) => asLocated(jobs.process(id), id)));

/** Names the process that is not there. */
async function asLocated(found: Promise<Process>, id: string): Promise<Process> {
  try {
    return await found;
  } catch (error) {
    if (!(error instanceof PushbroomError) || error.code !== 'NO_SUCH_PROCESS') throw error;
    throw new PushbroomError(error.code, error.message, { locator: id, cause: error });
  }
}

async function execute(
  options: WpsOptions,
  { process: id, inputs, mode, response }: Wps2Execute,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { door } = options;
  const process = await asLocated(door.jobs(request).process(id), id);
  const refuse = (error: unknown): never => {
    throw asInputRefusal(error, process, inputs);
  };
  const quotation = await door.quotation(request, process, inputs).catch(refuse);
  if (quotation) return sendQuotation(quotation, response, reply);
  checkWish(response, process);
  const status = await door.submit(request, process, inputs, response).catch(refuse);
  const isSync = mode === 'sync' || (mode === 'auto' && status.job.workflow.type === 'Local');
  if (!isSync) return send(reply, writeStatusInfo(status));
  const ended = isJobEnded(status.state) ? status : await door.ended(status.job.id, reply);
  return sendResult(options, ended, request, reply);
}

/** In whatever mode and of whatever outputs it was asked for: it is the answer, and there is no job (specification B.9). */
function sendQuotation(
  { output: { id }, mediaType, content }: Quotation,
  { form }: ResponseWish,
  reply: FastifyReply,
): FastifyReply {
  if (form === 'raw') return reply.type(mediaType).send(content);
  return send(reply, writeResult(undefined, [{ id, kind: 'text', text: content, mediaType }]));
}

/**
 * The results in the form that the Execute has asked for, which the job's record keeps, so that it is known after a
 * restart and to whoever asks. Where there are several files, whatever was asked for, it is a document.
 */
async function sendResult(
  { door }: WpsOptions,
  { job }: JobStatus,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const jobs = door.jobs(request);
  const results = await jobs.results(job.id);
  const process = await processIfThere(jobs, job.process);
  const groups = wantedOutputs(job, results, process);
  const [group] = groups;
  if (job.response?.form === 'raw' && group && groups.length === 1 && group.results.length === 1) {
    return sendRaw({ door }, job, group, reply);
  }
  const { contents } = door;
  const values = await valuesOf(groups, { job, contents, baseUrl: door.baseUrl(request) });
  return send(reply, writeResult(job.id, values));
}

/** Complex data as they are, of any size; literals and boxes as XML, unless they are wanted as text. */
async function sendRaw(
  { door }: Pick<WpsOptions, 'door'>,
  job: JobStatus['job'],
  group: OutputFiles,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const [result] = group.results;
  if (!result) throw new Error(`the output '${group.id}' of job ${job.id} has no file`);
  if (group.output && group.output.type !== 'complex' && !isPlainText(job, group.id)) {
    const content = contentOf(group, result, await door.contents.read(job, result));
    if (content.kind === 'literal' || content.kind === 'bbox') {
      return send(reply, writeRaw({ id: group.id, ...content }));
    }
  }
  const { type } = result;
  const stream = await door.contents.stream(job, result);
  return reply.headers({ ...UNTRUSTED, 'content-type': type }).send(stream);
}
