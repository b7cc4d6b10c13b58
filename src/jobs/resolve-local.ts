import { fromDataUrl } from '../data-url.ts';
import type { Job, JobId, Millis } from '../core/model.ts';
import { groupOf } from '../core/policy.ts';
import type { Policy } from '../core/policy.ts';
import { PushbroomError } from '../errors.ts';
import type { Builtin } from '../processes/builtin.ts';
import { invalid, valueFault } from '../processes/inputs.ts';
import type { ExecuteRequest, ProcessInput } from './jobs.ts';

export interface LocalResolution {
  readonly request: ExecuteRequest;
  readonly builtin: Builtin;
  readonly policy: Policy;
  readonly id: JobId;
  readonly acceptedAt: Millis;
}

/** Nothing of it runs on a cluster. */
const NO_PLAN = { resources: { cpus: 0, memoryMb: 0 }, wallTimeLimit: 0, silenceLimit: 0 };

/**
 * Turns a request for a process of the service itself into a job, whose parameters are its inputs with defaults.
 *
 * @throws MISSING_PARAMETER, INVALID_PARAMETER (locator: the input)
 */
export function resolveLocal(resolution: LocalResolution): Job {
  const { request, builtin, policy, id, acceptedAt } = resolution;
  const { caller, inputs } = request;
  return {
    id,
    process: builtin.id,
    title: builtin.title,
    user: caller.user,
    group: groupOf(policy, caller.user),
    priority: 100,
    acceptedAt,
    processor: { bundle: builtin.id, version: builtin.version, processor: '', bundleHash: '' },
    workflow: { type: 'Local', process: NO_PLAN },
    retry: {
      maxAttempts: 1,
      maxLosses: 0,
      delay: 0,
      maxDelay: 0,
      maxMemoryMb: 0,
      failurePercent: 0,
    },
    products: { dataset: '', productType: '' },
    periods: [],
    parameters: readValues(builtin, inputs),
    inputs,
    ...(caller.reference !== undefined && { reference: caller.reference }),
  };
}

function readValues(
  builtin: Builtin,
  inputs: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const unknown = Object.keys(inputs).find(
    (name) => !builtin.inputs.some(({ id }) => id === name) && !name.startsWith('_T2'),
  );
  if (unknown !== undefined) {
    const known = builtin.inputs.map(({ id }) => id).join(', ');
    throw invalid(unknown.slice(0, 100), `the process '${builtin.id}' has only ${known}`);
  }
  const values: Record<string, string> = {};
  for (const input of builtin.inputs) {
    const value = inputs[input.id] ?? input.defaultValue;
    if (value === undefined && input.required) {
      const message = `The input '${input.id}' is missing.`;
      throw new PushbroomError('MISSING_PARAMETER', message, { locator: input.id });
    }
    if (value === undefined) continue;
    for (const each of valuesOf(input, value)) check(input, each);
    values[input.id] = value;
  }
  return values;
}

/** The values in the text of an input. */
export const valuesOf = ({ maxOccurs = 1 }: ProcessInput, text: string): readonly string[] =>
  maxOccurs > 1 ? (JSON.parse(text) as string[]) : [text];

function check(input: ProcessInput, value: string): void {
  if (input.type === 'complex') {
    if (!fromDataUrl(value)) throw invalid(input.id, 'it is not complex data');
    return;
  }
  const fault = valueFault(input, value);
  if (fault !== undefined) throw invalid(input.id, fault);
}
