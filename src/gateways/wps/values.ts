import type { Job, JobResult, OutputWish } from '../../core/model.ts';
import type { Process } from '../../jobs/jobs.ts';
import { stagingPath } from '../../jobs/jobs.ts';
import type { Contents, OutputFiles } from '../outputs.ts';
import { groupResults } from '../outputs.ts';

/** One value of an output as an answer gives it. */
export type OutputValue = {
  readonly id: string;
  readonly title: string;
  readonly description: string;
} & (
  | { readonly kind: 'reference'; readonly href: string; readonly mediaType: string }
  | { readonly kind: 'literal'; readonly text: string; readonly dataType: string }
  | { readonly kind: 'bbox'; readonly corners: readonly string[]; readonly crs: string }
  | { readonly kind: 'complex'; readonly content: Buffer; readonly mediaType: string }
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

/** The outputs that are wanted, in the order of the process's description. */
export async function outputValues(options: ValueOptions): Promise<OutputValue[]> {
  const { job, results, process, wishes } = options;
  const values: OutputValue[] = [];
  for (const group of groupResults(results, process?.outputs)) {
    const wish = wishes?.find(({ id }) => id === group.id);
    if (wishes && !wish && !REFERENCED.has(group.id)) continue;
    const isReference = REFERENCED.has(group.id) || wish?.transmission === 'reference';
    for (const result of group.results) {
      const described = {
        id: group.id,
        title: group.output?.title ?? group.id,
        description: group.output?.description ?? '',
      };
      const href = options.baseUrl + stagingPath(job.user, job.id, result.path);
      values.push({
        ...described,
        ...(isReference
          ? { kind: 'reference', href, mediaType: REFERENCED.get(group.id) ?? result.type }
          : valueOf(group, result, await options.contents.read(job, result))),
      });
    }
  }
  return values;
}

type Value = OutputValue extends infer V
  ? V extends OutputValue
    ? Omit<V, 'id' | 'title' | 'description'>
    : never
  : never;

function valueOf({ output }: OutputFiles, result: JobResult, content: Buffer): Value {
  const type = output?.type ?? 'complex';
  if (type === 'complex') return { kind: 'complex', content, mediaType: result.type };
  if (type !== 'bbox') return { kind: 'literal', text: content.toString(), dataType: type };
  const [x0, y0, x1, y1, crs] = content.toString().split(',');
  return { kind: 'bbox', corners: [`${x0} ${y0}`, `${x1} ${y1}`], crs: crs ?? '' };
}
