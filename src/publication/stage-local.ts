import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import type { Job, JobResult } from '../core/model.ts';
import { fromDataUrl } from '../data-url.ts';
import type { TypedBytes } from '../data-url.ts';
import { hashBytes } from '../hash.ts';
import { valuesOf } from '../jobs/resolve-local.ts';
import type { Layout } from '../layout.ts';
import { PAUSE, findBuiltin } from '../processes/builtin.ts';
import { replace, sync } from './stage.ts';

/** Makes the results of a job that the service runs itself, a file for each value. Doing it again gives the same. */
export function createLocalStager(layout: Layout) {
  return async (job: Job, signal: AbortSignal): Promise<readonly JobResult[]> => {
    const seconds = Number(job.parameters[PAUSE] ?? 0);
    if (seconds > 0) await pause(1000 * seconds, undefined, { signal });
    const partial = layout.unstaged(job.id);
    const target = layout.staged(job);
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial, { recursive: true });
    const results: JobResult[] = [];
    for (const { output, file, mediaType, content } of outputsOf(job)) {
      await writeFile(join(partial, file), content);
      await sync(join(partial, file));
      results.push({
        path: file,
        type: mediaType,
        size: content.length,
        sha256: hashBytes(content),
        role: 'product',
        output,
      });
    }
    await replace(target, partial);
    return results;
  };
}

interface Output extends TypedBytes {
  readonly output: string;
  readonly file: string;
}

const EXTENSIONS: Readonly<Record<string, string>> = {
  'text/plain': 'txt',
  'text/xml': 'xml',
  'application/xml': 'xml',
  'application/json': 'json',
  'image/tiff': 'tif',
};

function outputsOf({ process, parameters }: Job): Output[] {
  const builtin = findBuiltin(process);
  if (!builtin) throw new Error(`the service has no process '${process}' any more`);
  return builtin.inputs.flatMap((input) => {
    const text = parameters[input.id];
    if (text === undefined) return [];
    const output = builtin.outputOf(input.id);
    return valuesOf(input, text).map((value, index): Output => {
      const { mediaType, content } = fromDataUrl(value) ?? {
        mediaType: 'text/plain',
        content: Buffer.from(value),
      };
      const number = (input.maxOccurs ?? 1) > 1 ? `-${index + 1}` : '';
      return {
        output,
        file: `${output}${number}.${EXTENSIONS[mediaType] ?? 'bin'}`,
        mediaType,
        content,
      };
    });
  });
}
