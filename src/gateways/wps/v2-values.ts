import { PushbroomError } from '../../errors.ts';
import type { Job, JobResult, OutputWish } from '../../core/model.ts';
import { stagingPath } from '../../jobs/jobs.ts';
import type { Process } from '../../jobs/jobs.ts';
import { groupResults } from '../outputs.ts';
import type { Contents, OutputFiles } from '../outputs.ts';
import { checkSize, contentOf } from './content.ts';
import type { Content } from './content.ts';
import { Refusal } from './v2-errors.ts';

/** What a job has left, as documents of WPS 2.0 tell it. */
export type Value = { readonly id: string } & (
  | Content
  | { readonly kind: 'reference'; readonly href: string; readonly mediaType: string }
);

/**
 * Refuses what a process cannot give before anything is run for it.
 *
 * @throws Refusal, INVALID_PARAMETER
 */
export function checkWish({ form, outputs }: NonNullable<Job['response']>, process: Process): void {
  const known = process.outputs;
  for (const { id, mediaType, transmission } of outputs ?? []) {
    const locator = id.slice(0, 100);
    const output = known.find((each) => each.id === id);
    if (!output) {
      const ids = known.map((each) => each.id).join(', ');
      const message = `The process has no output '${locator}', but ${ids}.`;
      throw new Refusal('NoSuchOutput', message, { locator });
    }
    const formats = output.formats?.map((format) => format.mediaType) ?? LITERAL_FORMATS;
    if (mediaType !== undefined && !formats.includes(mediaType)) {
      const message = `The output '${locator}' is not given as '${mediaType.slice(0, 100)}', but as ${formats.join(', ')}.`;
      throw new Refusal('NoSuchFormat', message, { locator });
    }
    if (form === 'raw' && transmission === 'reference') {
      const message = `A raw response holds the output '${locator}' itself: ask for a document to get a reference.`;
      throw new PushbroomError('INVALID_PARAMETER', message, { locator });
    }
  }
  const count = outputs?.length ?? known.length;
  if (form === 'raw' && count !== 1) {
    const message = `A raw response holds one output, and ${count} are asked for: name one, or ask for a document.`;
    throw new Refusal('TooManyOutputs', message, { locator: 'response' });
  }
}

const LITERAL_XML = 'text/xml';
const LITERAL_TEXT = 'text/plain';
/** Of literals and boxes; the first is the default, as OGC's test suite wants it. */
export const LITERAL_FORMATS: readonly string[] = [LITERAL_XML, LITERAL_TEXT];

/** What is wanted of a job. @throws NOT_FOUND where it has left nothing of that */
export function wantedOutputs(
  { id, response }: Job,
  results: readonly JobResult[],
  process: Process | undefined,
): readonly OutputFiles[] {
  const wanted = response?.outputs;
  const groups = groupResults(results, process?.outputs).filter(
    (group) => !wanted || wanted.some((wish) => wish.id === group.id),
  );
  // A result document without an output would not be valid.
  if (groups.length > 0) return groups;
  throw new PushbroomError('NOT_FOUND', `Job ${id} has left nothing for the outputs asked for.`);
}

export interface ValueOptions {
  readonly job: Job;
  readonly contents: Contents;
  /** URL of the server, for what it has staged. */
  readonly baseUrl: string;
}

/**
 * Every file as a value or a reference, as the Execute has wished. Where it has said nothing, results from a cluster are
 * references, since they may be of any size, and those of the service's own processes are values.
 *
 * @throws INVALID_PARAMETER (locator: the output) for more than an answer can hold, NOT_FOUND
 */
export async function valuesOf(
  groups: readonly OutputFiles[],
  { job, contents, baseUrl }: ValueOptions,
): Promise<Value[]> {
  const isValue = (id: string): boolean => {
    const wish: OutputWish | undefined = job.response?.outputs?.find((each) => each.id === id);
    return (
      (wish?.transmission ?? (job.workflow.type === 'Local' ? 'value' : 'reference')) === 'value'
    );
  };
  checkSize(groups.filter(({ id }) => isValue(id)));
  const values: Value[] = [];
  for (const group of groups) {
    const { id } = group;
    for (const result of group.results) {
      if (isValue(id)) {
        values.push({ id, ...contentOf(group, result, await contents.read(job, result)) });
      } else {
        const href = baseUrl + stagingPath(job.user, job.id, result.path);
        values.push({ id, kind: 'reference', href, mediaType: result.type });
      }
    }
  }
  return values;
}

/** Whether raw literals are wanted as text alone and not as XML. */
export const isPlainText = (job: Job, id: string): boolean =>
  job.response?.outputs?.find((each) => each.id === id)?.mediaType === LITERAL_TEXT;
