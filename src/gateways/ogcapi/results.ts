import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';

import type { FastifyReply } from 'fastify';
import type { JobResult, ResponseWish } from '../../core/model.ts';
import { PushbroomError } from '../../errors.ts';
import { stagingPath } from '../../jobs/jobs.ts';
import { groupResults, LARGEST_VALUE, UNTRUSTED } from '../outputs.ts';
import type { OutputFiles } from '../outputs.ts';
import type { Outcome } from './outcome.ts';
import type { Link, Results } from './schemas.ts';
import { jsonOf } from './values.ts';
import { defaultTransmission } from './wish.ts';
import { JSON_TYPE } from './write.ts';

interface Delivery extends OutputFiles {
  readonly transmission: 'value' | 'reference';
}

/** The outputs that Execute asked for, as it asked for them. */
export function deliveriesOf({ status, results, process }: Outcome): Delivery[] {
  const wishes = status.job.response?.outputs;
  return groupResults(results, process?.outputs).flatMap((files) => {
    const wish = wishes?.find(({ id }) => id === files.id);
    if (wishes && !wish) return [];
    return [{ ...files, transmission: wish?.transmission ?? defaultTransmission(process) }];
  });
}

/** The same, none of them by value. */
export const asLinks = (outcome: Outcome): Delivery[] =>
  deliveriesOf(outcome).map((each) => ({ ...each, transmission: 'reference' }));

/**
 * Answers with the results of a job (OGC 18-062r2, 7.11.4 and 7.14): a document, or raw. Raw is one value with its own
 * type, several as multipart/related, and links in the header where all are wanted by reference.
 *
 * @param form as Execute asked where it is not given
 */
export async function sendResults(
  reply: FastifyReply,
  outcome: Outcome,
  form: ResponseWish['form'] = outcome.status.job.response?.form ?? 'document',
): Promise<FastifyReply> {
  const deliveries = deliveriesOf(outcome);
  if (form === 'document') {
    return reply.type(JSON_TYPE).send(await resultsDocument(outcome, deliveries));
  }
  if (deliveries.every(({ transmission }) => transmission === 'reference')) {
    const files = deliveries.flatMap(({ results }) => results).map((file) => linkOf(outcome, file));
    const links = files.map(({ href, type }) => `<${href}>; rel="item"; type="${type}"`);
    if (links.length > 0) reply.header('link', links.join(', '));
    return reply.code(204).send();
  }
  const parts = deliveries.flatMap((delivery) => partsOf(outcome, delivery));
  const [only] = parts;
  if (parts.length === 1 && only)
    return reply
      .headers(UNTRUSTED)
      .type(only.type)
      .send(await only.open());
  return sendMultipart(reply, parts);
}

/**
 * All results in one JSON document: values, and links to what is wanted by reference.
 *
 * @throws INVALID_PARAMETER where the values are too large for that
 */
export async function resultsDocument(
  outcome: Outcome,
  deliveries: readonly Delivery[] = deliveriesOf(outcome),
): Promise<Results> {
  const byValue = deliveries.filter(({ transmission }) => transmission === 'value');
  const size = byValue.flatMap(({ results }) => results).reduce((sum, file) => sum + file.size, 0);
  if (size > LARGEST_VALUE) {
    const message = `The results have ${size} bytes, and a document holds ${LARGEST_VALUE}: ask for them by reference.`;
    throw new PushbroomError('INVALID_PARAMETER', message, { locator: 'transmissionMode' });
  }
  const values: [string, unknown][] = [];
  for (const { id, output, results, transmission } of deliveries) {
    const its: unknown[] = [];
    for (const file of results) {
      its.push(
        transmission === 'reference'
          ? linkOf(outcome, file)
          : jsonOf(output, file, await outcome.contents.read(outcome.status.job, file)),
      );
    }
    const isArray = output?.isList === true && output.type !== 'complex';
    values.push([id, isArray || its.length > 1 ? its : its[0]]);
  }
  return Object.fromEntries(values) as Results;
}

export const linkOf = (
  { status: { job }, baseUrl }: Outcome,
  { path, type }: JobResult,
): Link & { readonly type: string } => ({
  href: baseUrl + stagingPath(job.user, job.id, path),
  type,
  title: path,
});

interface Part {
  readonly id: string;
  readonly type: string;
  /** Where it lies, if it is wanted by reference. */
  readonly location?: string;
  open(): Promise<Buffer | Readable>;
}

function partsOf(outcome: Outcome, { id, output, results, transmission }: Delivery): Part[] {
  const { contents, status } = outcome;
  const read = (file: JobResult) => contents.read(status.job, file);
  if (transmission === 'value' && output && output.type !== 'complex') {
    const isText = !output.isList && output.type !== 'bbox';
    if (isText) return [{ id, type: 'text/plain; charset=utf-8', open: () => read(results[0]!) }];
    const open = async () => {
      const values = await Promise.all(
        results.map(async (file) => jsonOf(output, file, await read(file))),
      );
      return Buffer.from(JSON.stringify(output.isList ? values : values[0]));
    };
    return [{ id, type: JSON_TYPE, open }];
  }
  return results.map((file, index) => ({
    id: results.length > 1 ? `${id}.${index + 1}` : id,
    type: file.type,
    ...(transmission === 'reference'
      ? { location: linkOf(outcome, file).href, open: async () => Buffer.alloc(0) }
      : { open: () => contents.stream(status.job, file) }),
  }));
}

function sendMultipart(reply: FastifyReply, parts: readonly Part[]): FastifyReply {
  const boundary = randomUUID();
  const [root] = parts;
  return reply
    .headers(UNTRUSTED)
    .type(`multipart/related; boundary=${boundary}; type="${root!.type.replace(/;.*$/, '')}"`)
    .send(Readable.from(multipart(boundary, parts)));
}

/** RFC 2387; a part by reference is empty and says where it lies. */
async function* multipart(
  boundary: string,
  parts: readonly Part[],
): AsyncGenerator<Buffer | string> {
  for (const { id, type, location, open } of parts) {
    const headers = [
      `--${boundary}`,
      `Content-Type: ${type}`,
      `Content-ID: <${encodeURIComponent(id)}>`,
      ...(location === undefined ? [] : [`Content-Location: ${location}`]),
    ];
    yield `${headers.join('\r\n')}\r\n\r\n`;
    const content = await open();
    if (Buffer.isBuffer(content)) yield content;
    else yield* content as AsyncIterable<Buffer>;
    yield '\r\n';
  }
  yield `--${boundary}--\r\n`;
}
