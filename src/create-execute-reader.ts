import { inputTexts } from './gateways/inputs.ts';
import { References } from './gateways/references.ts';
import type { ReferenceOptions } from './gateways/references.ts';
import { readExecute } from './gateways/wps/read.ts';
import type { Jobs } from './jobs/jobs.ts';
import type { OperatorOptions } from './operator/options.ts';

/** Reads Execute documents for operators as the public door does, so that both take the same. */
export function createExecuteReader(
  jobs: Pick<Jobs, 'process'>,
  options: ReferenceOptions,
  closers: (() => unknown)[],
): OperatorOptions['readExecute'] {
  const references = new References(options);
  closers.push(() => references[Symbol.dispose]());
  return async (document) => {
    const { process, inputs } = await readExecute(document);
    const described = await jobs.process(process);
    return { process, inputs: await inputTexts(described, inputs, references.forRequest()) };
  };
}
