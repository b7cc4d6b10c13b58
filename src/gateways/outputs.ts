import { createReadStream } from 'node:fs';
import type { ReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { Job, JobResult } from '../core/model.ts';
import { PushbroomError } from '../errors.ts';
import type { Jobs, Process, ProcessOutput } from '../jobs/jobs.ts';

/** What a job has left for one output of its process. */
export interface OutputFiles {
  readonly id: string;
  /** Absent where the process is no longer there. */
  readonly output?: ProcessOutput;
  /** One at least. */
  readonly results: readonly JobResult[];
}

/** The outputs for which something is there, in the order of the process's description. */
export function groupResults(
  results: readonly JobResult[],
  outputs: Process['outputs'] = [],
): OutputFiles[] {
  const groups = new Map<string, JobResult[]>();
  for (const result of results) {
    const id = outputIdOf(result);
    const group = groups.get(id);
    if (group) group.push(result);
    else groups.set(id, [result]);
  }
  const place = new Map(outputs.map(({ id }, index) => [id, index]));
  // Where nothing is known of the process, its metadata come last all the same.
  const placeOf = ({ id }: OutputFiles): number => place.get(id) ?? (id === METADATA ? 1 : 0);
  return Array.from(groups, ([id, its]): OutputFiles => {
    const output = outputs[place.get(id) ?? -1];
    return { id, results: its, ...(output && { output }) };
  }).toSorted((a, b) => placeOf(a) - placeOf(b));
}

/** Portals look for these two (specification B.7.1). */
export const outputIdOf = ({ output, role }: JobResult): string =>
  output ?? (role === 'metadata' ? METADATA : 'production_result');

const METADATA = 'result_metadata';

/** What users' programs have made is nothing that a browser should run here: products share this origin. */
export const UNTRUSTED: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; sandbox",
};

/** The process of an old job may no longer be there; its results are. */
export async function processIfThere(
  jobs: Pick<Jobs, 'process'>,
  id: string,
): Promise<Process | undefined> {
  try {
    return await jobs.process(id);
  } catch (error) {
    if (error instanceof PushbroomError && error.code === 'NO_SUCH_PROCESS') return undefined;
    throw error;
  }
}

/** Bytes of a result that an answer can hold; larger ones are for links. */
export const LARGEST_VALUE = 8 * 1024 * 1024;

/** Contents of what is staged. */
export function createContents(stagingDir: string) {
  const pathOf = ({ user, id }: Job, { path }: JobResult) => join(stagingDir, user, id, path);
  return {
    /** @throws INVALID_PARAMETER (locator: the output) for one that is too large; NOT_FOUND for one that was removed */
    async read(job: Job, result: JobResult): Promise<Buffer> {
      if (result.size > LARGEST_VALUE) {
        const message =
          `The output '${outputIdOf(result)}' has ${result.size} bytes, and an answer holds ${LARGEST_VALUE}: ` +
          'ask for it by reference.';
        throw new PushbroomError('INVALID_PARAMETER', message, { locator: outputIdOf(result) });
      }
      return readFile(pathOf(job, result)).catch((error: unknown) => {
        throw removed(result, error);
      });
    },
    /** Resolves when it can be read. @throws NOT_FOUND */
    async stream(job: Job, result: JobResult): Promise<ReadStream> {
      const stream = createReadStream(pathOf(job, result));
      return new Promise((resolve, reject) => {
        stream.once('open', () => resolve(stream));
        stream.once('error', (error) => reject(removed(result, error)));
      });
    },
  };
}

export type Contents = ReturnType<typeof createContents>;

const removed = ({ path }: JobResult, cause: unknown): PushbroomError =>
  new PushbroomError('NOT_FOUND', `The result '${path}' is no longer there.`, { cause });
