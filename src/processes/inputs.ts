import { isDay } from '../core/periods.ts';
import { PushbroomError } from '../errors.ts';
import type { Process, ProcessInput, Role } from '../jobs/jobs.ts';
import { isOneLine } from './parameters.ts';
import { GPUS, MAX_CPU_HOURS, PRIORITY, readSettings, type Settings } from './settings.ts';

/** Other spellings that the documents of Urban TEP use for the same inputs (specification B.5). */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ['inputDatasetName', 'inputDataSetName'],
  ['inputDataSet', 'inputDataSetName'],
  ['regionWkt', 'regionWKT'],
  ['regionBB', 'regionWKT'],
]);

/** Inputs whose values may have several lines, or may be blank (B.6.4): they never are a line of their own. */
const FREE_TEXTS: ReadonlySet<string> = new Set([
  'spatioTemporalAggregationParameters',
  'processorParameters',
  'regionWKT',
]);
const MAY_BE_BLANK = 'spatioTemporalAggregationParameters';

const OTHER_SETTINGS: ReadonlySet<string> = new Set([PRIORITY, GPUS, MAX_CPU_HOURS]);

export interface GivenInputs {
  /** By the identifiers of the process, checked and trimmed; what was not given is absent. */
  readonly values: ReadonlyMap<string, string>;
  /** What the request's `calvalus.*` inputs and the few others that are settings say. */
  readonly settings: Settings;
  /** All inputs as they came in, without the portal's own. */
  readonly record: Readonly<Record<string, string>>;
}

/**
 * Checks the inputs of an Execute against the description of its process (specification B.6.1).
 *
 * Accepted besides: `calvalus.*`, of which some are settings and all others are ignored; `mapreduce.job.priority`,
 * `pushbroom.gpus` and `pushbroom.maxCpuHours`; `productionType`, which follows from the other inputs; and the portal's `_T2...`, which are not even
 * recorded, since they carry a key. Of ordinary users `calvalus.*` and the priority are left out as if they had not been
 * sent (specification B.1): queues, attempts and priorities are for operators.
 *
 * @throws INVALID_PARAMETER, MISSING_PARAMETER (locator: the input as the request spells it)
 */
export function readInputs(
  process: Process,
  inputs: Readonly<Record<string, string>>,
  role: Role,
): GivenInputs {
  const known = new Map(process.inputs.map((input) => [input.id, input]));
  const values = new Map<string, string>();
  const settings: [string, string][] = [];
  const record: [string, string][] = [];
  for (const [name, raw] of Object.entries(inputs)) {
    if (name.startsWith('_T2') || isIgnored(name, role)) continue;
    record.push([name, raw]);
    const value = raw.trim();
    if (name.startsWith('calvalus.') || OTHER_SETTINGS.has(name)) {
      if (value !== '') settings.push([name, value]);
      continue;
    }
    if (name === 'productionType') continue;
    const id = ALIASES.get(name) ?? name;
    const input = known.get(id);
    if (!input) throw unknownInput(process, name);
    if (value === '' && id === MAY_BE_BLANK) continue;
    if (value === '') {
      throw new PushbroomError('MISSING_PARAMETER', `The input '${name}' has no value.`, {
        locator: name,
      });
    }
    if (values.has(id) && values.get(id) !== value) {
      throw new PushbroomError(
        'INVALID_PARAMETER',
        `The input '${id}' is given twice with different values.`,
        {
          locator: name,
        },
      );
    }
    const fault = valueFault(input, value);
    if (fault) throw invalid(name, fault);
    values.set(id, value);
  }
  const missing = process.inputs.find((input) => input.required && !values.has(input.id));
  if (missing) {
    throw new PushbroomError('MISSING_PARAMETER', `The input '${missing.id}' is missing.`, {
      locator: missing.id,
    });
  }
  return {
    values,
    settings: readSettings(settings, (name, message) => {
      throw invalid(name, message);
    }),
    record: Object.fromEntries(record),
  };
}

const isIgnored = (name: string, role: Role): boolean =>
  role === 'user' && (name.startsWith('calvalus.') || name === PRIORITY);

/** An INVALID_PARAMETER about one input. */
export const invalid = (name: string, fault: string, cause?: unknown): PushbroomError =>
  new PushbroomError('INVALID_PARAMETER', `The input '${name}': ${fault}.`.replace(/\.\.$/, '.'), {
    locator: name,
    cause,
  });

/** Ask for statistics over regions in place of results (specification B.6.2, B.6.5). */
const OF_REGIONS: ReadonlySet<string> = new Set([
  'regionalStatisticsParameters',
  'shapefile',
  'regionAttributeName',
  'regionSourceAttributeName',
  'regionAttributeValueFilter',
  'regionSourceAttributeFilter',
]);

function unknownInput(process: Process, name: string): PushbroomError {
  if (OF_REGIONS.has(name)) {
    return new PushbroomError(
      'NOT_SUPPORTED',
      `The input '${name}': statistics over regions (RA) are not made here yet. Leave it out for the products themselves.`,
      { locator: name },
    );
  }
  const known = process.inputs.map((input) => input.id).join(', ');
  const shown = name.length > 100 ? `${name.slice(0, 100)}...` : name;
  return new PushbroomError(
    'INVALID_PARAMETER',
    `The process '${process.id}' has no input '${shown}'; it has ${known}.`,
    { locator: shown },
  );
}

/** What is wrong with a value, in words that follow the name of its input; `undefined` for nothing. */
export function valueFault(input: ProcessInput, value: string): string | undefined {
  const shown = `'${value.length > 100 ? `${value.slice(0, 100)}...` : value}'`;
  if (!FREE_TEXTS.has(input.id) && !isOneLine(value)) return 'the value is not one line of text';
  if (input.type === 'boolean' && value !== 'true' && value !== 'false') {
    return `${shown} is neither true nor false`;
  }
  if (input.type === 'integer' && !/^[+-]?\d{1,15}$/.test(value))
    return `${shown} is not an integer`;
  if (input.type === 'number' && !NUMBER.test(value)) return `${shown} is not a number`;
  if (input.type === 'date' && !isDay(value)) return `${shown} is not a day as yyyy-MM-dd`;
  // Which datasets there are is for whoever looks the name up: he can say more about it.
  if (input.id !== 'inputDataSetName' && input.allowed && !input.allowed.includes(value)) {
    return `${shown} is not one of ${input.allowed.join(', ')}`;
  }
  const { min, max } = input.range ?? { min: -Infinity, max: Infinity };
  if (input.range && !(Number(value) >= min && Number(value) <= max)) {
    return `${shown} is not from ${min} to ${max}`;
  }
  return undefined;
}

const NUMBER = /^[+-]?(\d{1,20}(\.\d{0,30})?|\.\d{1,30})([eE][+-]?\d{1,3})?$/;
