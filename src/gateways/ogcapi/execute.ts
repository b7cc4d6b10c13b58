import { setTimeout as pause } from 'node:timers/promises';

import type { FastifyReply, FastifyRequest } from 'fastify';
import type { JobStatus, Process } from '../../jobs/jobs.ts';
import type { FrontDoor } from '../front-door.ts';
import type { Quotation } from '../quotation.ts';
import type { Callbacks } from './callbacks.ts';
import { findOutcome } from './outcome.ts';
import type { Outcome } from './outcome.ts';
import { readPreference } from './prefer.ts';
import { readInputs } from './read.ts';
import { sendResults } from './results.ts';
import type { ExecuteBody } from './schemas.ts';
import { readWish } from './wish.ts';
import { jobUrl, statusInfo } from './write.ts';

/** What there is of a job that was successful, for who asks. @throws what `Jobs.results` throws */
export const outcomeOf = (
  door: FrontDoor,
  request: FastifyRequest,
  id: string,
): Promise<Outcome> => {
  const jobs = door.jobs(request);
  return findOutcome({ jobs, contents: door.contents, baseUrl: door.baseUrl(request) }, id);
};

export interface Execution {
  readonly door: FrontDoor;
  readonly callbacks: Callbacks;
  /** URL of the landing page. */
  readonly api: string;
  readonly process: Process;
  readonly body: ExecuteBody;
  readonly prefer: string | undefined;
}

/**
 * Accepts a job and answers with its results, or with its status where the client does not want to wait, or not for so
 * long (OGC 18-062r2, 7.11.2.3).
 */
export async function execute(
  { door, callbacks, api, process, body, prefer }: Execution,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const preference = readPreference(prefer);
  const inputs = readInputs(body.inputs, process);
  const quotation = await door.quotation(request, process, inputs);
  if (quotation) return sendQuotation(reply, quotation, body);
  const wish = readWish(process, body);
  const { subscriber } = body;
  if (subscriber) callbacks.check(subscriber);
  const status = await door.submit(request, process, inputs, wish);
  const { id } = status.job;
  if (subscriber) {
    const caller = door.caller(request);
    await callbacks.subscribe({ job: id, subscriber, caller, api, baseUrl: door.baseUrl(request) });
  }
  const { isAsync, wait = isAsync ? 0 : undefined, applied } = preference;
  if (!(await endsWithin(wait, door, status, reply))) {
    if (isAsync) reply.header('preference-applied', 'respond-async');
    return reply.code(201).header('location', jobUrl(api, id)).send(statusInfo(api, status));
  }
  if (applied !== undefined) reply.header('preference-applied', applied);
  return sendResults(reply, await outcomeOf(door, request, id));
}

/** It is there at once, whether it was to be waited for or not (specification B.9). */
function sendQuotation(
  reply: FastifyReply,
  { output, mediaType, content }: Quotation,
  { response }: ExecuteBody,
): FastifyReply {
  if (response !== 'document') return reply.type(mediaType).send(content);
  const value = JSON.parse(content) as unknown;
  return reply.send({ [output.id]: { value, mediaType } });
}

/** Seconds; whoever names more means as long as it takes. */
const LONGEST_WAIT = 24 * 3600;

async function endsWithin(
  seconds: number | undefined,
  door: FrontDoor,
  { job }: JobStatus,
  reply: FastifyReply,
): Promise<boolean> {
  if (seconds === 0) return false;
  const ended = door.ended(job.id, reply).then(() => true);
  if (seconds === undefined || seconds > LONGEST_WAIT) return ended;
  // Whoever loses the race may still fail; nobody waits for that.
  ended.catch(() => undefined);
  const timer = new AbortController();
  const late = pause(1000 * seconds, false, { signal: timer.signal });
  late.catch(() => undefined);
  try {
    return await Promise.race([ended, late]);
  } finally {
    timer.abort();
  }
}
