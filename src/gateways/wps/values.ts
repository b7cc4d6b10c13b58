import type { Job, JobResult, OutputWish } from '../../core/model.ts';
import type { Process } from '../../jobs/jobs.ts';
import { stagingPath } from '../../jobs/jobs.ts';
import { groupResults } from '../outputs.ts';
import type { Contents } from '../outputs.ts';
import { checkSize, contentOf } from './content.ts';
import type { Content } from './content.ts';

/** One value of an output as an answer gives it. */
export type OutputValue = {
  readonly id: string;
  readonly title: string;
  readonly description: string;
} & (
  | { readonly kind: 'reference'; readonly href: string; readonly mediaType: string }
  | (Content & { readonly dataType: string })
);

export interface ValueOptions {
  readonly job: Job;
  readonly results: readonly JobResult[];
  /** Absent where it is no longer there. */
  readonly process: Process | undefined;
  readonly wishes: readonly OutputWish[] | undefined;
  /** URL of the server. */
  readonly baseUrl: string;
  readonly contents: Contents;
}

/** What portals are always given, by reference and with these media types, whatever they ask for (specification B.7.1). */
const REFERENCED: ReadonlyMap<string, string> = new Map([
  ['production_result', 'application/octet-stream'],
  ['result_metadata', 'application/atom+xml'],
]);

/**
 * The outputs that are wanted, in the order of the process's description.
 *
 * @throws INVALID_PARAMETER (locator: the output) for more than an answer can hold, NOT_FOUND
 */
export async function outputValues(options: ValueOptions): Promise<OutputValue[]> {
  const { job, results, process, wishes } = options;
  const wishOf = (id: string) => wishes?.find((wish) => wish.id === id);
  const isReference = (id: string): boolean =>
    REFERENCED.has(id) || wishOf(id)?.transmission === 'reference';
  const groups = groupResults(results, process?.outputs).filter(
    ({ id }) => !wishes || REFERENCED.has(id) || wishOf(id),
  );
  checkSize(groups.filter(({ id }) => !isReference(id)));
  const values: OutputValue[] = [];
  for (const group of groups) {
    const { id, output } = group;
    const described = { id, title: output?.title ?? id, description: output?.description ?? '' };
    for (const result of group.results) {
      if (isReference(id)) {
        const href = options.baseUrl + stagingPath(job.user, job.id, result.path);
        const mediaType = REFERENCED.get(id) ?? result.type;
        values.push({ ...described, kind: 'reference', href, mediaType });
      } else {
        const content = contentOf(group, result, await options.contents.read(job, result));
        values.push({ ...described, ...content, dataType: output?.type ?? 'string' });
      }
    }
  }
  return values;
}
